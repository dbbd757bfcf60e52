"""Comparisons to train on: which of two responses to one prompt is the better one.

Owns pairs made from stored trajectories (a success against a failure of the same task) and their
split. Refuses tasks of other splits than train, worlds of other recipes and foreign tokens.
Invariant: labels stand exactly on sampled tokens, and all comparisons of a task are on one side.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from tooldojo.configs.schema import PreferenceSection
from tooldojo.envs.registry import world_class
from tooldojo.envs.seeding import derived_random
from tooldojo.envs.task import Split
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.records import Trajectory
from tooldojo.rollouts.store import StoredRow
from tooldojo.rollouts.whole_files import write_json
from tooldojo.training.stages.demonstrations import IGNORE, TokenRow
from tooldojo.verifiers.canonical import content_hash


class PreferenceError(ValueError):
    """There is nothing to learn a preference from; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One response and whether it is a good one. key: of its prompt; a task's id."""

    key: str
    row: TokenRow
    good: bool


@dataclass(frozen=True, slots=True)
class Pair:
    """Two responses to the prompt `key`, prompt included in both rows."""

    key: str
    chosen: TokenRow
    rejected: TokenRow


@dataclass(frozen=True, slots=True)
class Preferences:
    """Everything that was read. skipped: why trajectories or comparisons were left out, counted."""

    judged: tuple[Judged, ...]
    pairs: tuple[Pair, ...]
    skipped: dict[str, int]

    def __add__(self, other: Preferences) -> Preferences:
        skipped = Counter(self.skipped) + Counter(other.skipped)
        return Preferences(self.judged + other.judged, self.pairs + other.pairs, dict(skipped))


def trajectory_row(trajectory: Trajectory) -> TokenRow | None:
    """The tokens of a trajectory, labelled where a policy sampled them; None where its context was
    folded, so that it is no single sequence.
    """
    if len(trajectory.segments) != 1:
        return None
    segment = trajectory.segments[0]
    ids, sampled = segment.ids_T.tolist(), segment.sampled_T.tolist()
    labels = [i if s else IGNORE for i, s in zip(ids, sampled, strict=True)]
    return TokenRow(ids, labels)


def stored_preferences(
    rows: Iterable[StoredRow], chat: Chat, worlds: Sequence[str], per_task: int, seed: int
) -> Preferences:
    """Verdicts and pairs of a store's scored trajectories of training tasks in `worlds`.

    Raises:
        PreferenceError: for tokens that the policy's tokenizer and template would not have made.
    """
    wanted = {world_class(each).env_id for each in worlds}
    judged: list[Judged] = []
    skipped: Counter[str] = Counter()
    for row in rows:
        played = row.trajectory
        tokens = trajectory_row(played)
        if row.task.split is not Split.TRAIN:
            skipped["not of the train split"] += 1
        elif row.task.env not in wanted:
            skipped["of another world"] += 1
        elif played.score is None or not played.ending.trains:
            skipped["without a verdict"] += 1
        elif tokens is None:
            skipped["of several segments"] += 1
        else:
            _check_prompt(row, tokens, chat)
            judged.append(Judged(row.task.id, tokens, played.score.success))
    return Preferences(tuple(judged), tuple(pair_up(judged, per_task, seed)), dict(skipped))


def _check_prompt(row: StoredRow, tokens: TokenRow, chat: Chat) -> None:
    prompt = chat.task_prompt_ids(row.task)
    if tokens.input_ids[: len(prompt)] != prompt:
        raise PreferenceError(
            f"task {row.task.id} of {row.task.env} was stored with other prompt tokens than this "
            "policy's tokenizer, template and world write; use the model that played it, or play "
            "again with `tooldojo rollout`"
        )


def pair_up(judged: Sequence[Judged], per_task: int, seed: int) -> list[Pair]:
    """At most `per_task` pairs of a good and a bad response to the same prompt, drawn by seed."""
    sides: dict[str, tuple[list[TokenRow], list[TokenRow]]] = {}
    for each in judged:
        sides.setdefault(each.key, ([], []))[0 if each.good else 1].append(each.row)
    pairs: list[Pair] = []
    for key, (good, bad) in sides.items():
        combinations = list(product(good, bad))
        derived_random(seed, "pairs", key).shuffle(combinations)
        pairs += [Pair(key, chosen, rejected) for chosen, rejected in combinations[:per_task]]
    return pairs


@dataclass(frozen=True, slots=True)
class PairData:
    """Pairs to train on, and pairs of other tasks to measure accuracy on."""

    train: tuple[Pair, ...]
    held_out: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class JudgedData:
    """The same for single responses."""

    train: tuple[Judged, ...]
    held_out: tuple[Judged, ...]


def split_pairs(found: Preferences, section: PreferenceSection, seed: int) -> PairData:
    """Split by prompt.

    Raises:
        PreferenceError: when a side is empty, with what was found.
    """
    apart = {key for key in _keys(found) if _is_held_out(key, section.held_out, seed)}
    train = tuple(pair for pair in found.pairs if pair.key not in apart)
    held_out = tuple(pair for pair in found.pairs if pair.key in apart)
    if not (train and held_out):
        good = sum(each.good for each in found.judged)
        raise PreferenceError(
            f"{len(train)} pairs to train on and {len(held_out)} held out, from "
            f"{len(found.judged)} responses of which {good} are good (left out: {found.skipped}); "
            "a task needs a success and a failure: play groups with `tooldojo rollout "
            "--group-size 8 task.levels=...`, or change preference.held_out"
        )
    return PairData(train, held_out)


def split_judged(found: Preferences, section: PreferenceSection, seed: int) -> JudgedData:
    """Split by prompt, as `split_pairs` does, which says whether both sides have a pair.

    Raises:
        PreferenceError: when a side has none.
    """
    split_pairs(found, section, seed)
    apart = {key for key in _keys(found) if _is_held_out(key, section.held_out, seed)}
    train = tuple(each for each in found.judged if each.key not in apart)
    return JudgedData(train, tuple(each for each in found.judged if each.key in apart))


def _keys(found: Preferences) -> set[str]:
    return {each.key for each in found.judged} | {pair.key for pair in found.pairs}


def _is_held_out(key: str, share: float, seed: int) -> bool:
    return derived_random(seed, "held-out", key).random() < share


def require_same_data(run: Path, found: Preferences) -> None:
    """Write down what a run trains on; refuse to go on with a run on anything else.

    Raises:
        PreferenceError: when the run was started on other comparisons.
    """
    path = run / "data.json"
    rows = [[each.key, each.good, each.row.input_ids] for each in found.judged]
    digest = content_hash(rows)  # type: ignore[arg-type]
    if not path.exists():
        write_json(path, {"digest": digest, "responses": len(rows), "pairs": len(found.pairs)})
    elif json.loads(path.read_text())["digest"] != digest:
        raise PreferenceError(
            f"{run} was started on other comparisons; give the same --data, or another run.dir"
        )
