"""Comparisons: pairs from stored trajectories and from files, split by task."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tooldojo.configs.schema import PreferenceSection
from tooldojo.envs.source import take
from tooldojo.envs.task import IssuedTask, Split
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.local_fleet import LocalFleet
from tooldojo.rollouts.records import Trajectory
from tooldojo.rollouts.store import StoredRow
from tooldojo.training.stages.comparisons import read_comparisons
from tooldojo.training.stages.demonstrations import IGNORE, TokenRow
from tooldojo.training.stages.preferences import (
    Judged,
    PreferenceError,
    pair_up,
    require_same_data,
    split_judged,
    split_pairs,
    stored_preferences,
    trajectory_row,
)

WORLD = "tooldojo/Orders-v0"


@pytest.fixture
def rows(skilled: Callable[..., LocalFleet]) -> list[StoredRow]:
    """Each task solved once and failed twice, and a held-out task that may not be used."""
    return [
        StoredRow("rollout", 0, group.task, replace(trajectory, member=member))
        for split in (Split.TRAIN, Split.TEST)
        for member, skill in enumerate((1.0, 0.0, 0.0))
        for group in skilled(skill, member).play(issued(split), 1)
        for trajectory in group.trajectories
    ]


def issued(split: Split) -> list[IssuedTask]:
    count = 6 if split is Split.TRAIN else 1
    return [IssuedTask(i, task) for i, task in enumerate(take([WORLD], split, 0, count))]


def test_pairs_are_a_success_and_a_failure_of_one_training_task(
    rows: list[StoredRow], small_chat: Chat
) -> None:
    found = stored_preferences(rows, small_chat, [WORLD], per_task=4, seed=0)
    assert found.skipped == {"not of the train split": 3}
    assert len(found.judged) == 18 and sum(each.good for each in found.judged) == 6
    assert len(found.pairs) == 12  # one success against each of two failures
    for pair in found.pairs:
        assert pair.chosen.input_ids != pair.rejected.input_ids
        for row in (pair.chosen, pair.rejected):
            prompt = next(i for i, label in enumerate(row.labels) if label != IGNORE)
            assert row.input_ids[:prompt] == pair.chosen.input_ids[:prompt]
    elsewhere = stored_preferences(rows, small_chat, ["tooldojo/Travel-v0"], 4, 0)
    assert elsewhere.skipped == {"not of the train split": 3, "of another world": 18}


def test_labels_stand_exactly_on_sampled_tokens(rows: list[StoredRow]) -> None:
    for each in rows:
        row = trajectory_row(each.trajectory)
        segment = each.trajectory.segments[0]
        assert row is not None
        assert [label != IGNORE for label in row.labels] == segment.sampled_T.tolist()
        assert row == trajectory_row(relabelled(each.trajectory))


def relabelled(trajectory: Trajectory) -> Trajectory:
    """The same with other kinds, calls and logprobs wherever nothing was sampled."""
    segment = trajectory.segments[0]
    observed_T = ~segment.sampled_T
    kinds_T = np.where(observed_T, 3, segment.kinds_T).astype(np.uint8)
    logprobs_T = np.where(observed_T, -1.0, segment.logprobs_T).astype(np.float32)
    changed = replace(segment, kinds_T=kinds_T, logprobs_T=logprobs_T)
    assert observed_T.any()
    return replace(trajectory, segments=(changed,))


def test_tokens_of_another_template_are_refused(rows: list[StoredRow], small_chat: Chat) -> None:
    task = replace(rows[0].task, prompt="Something else.")
    with pytest.raises(PreferenceError, match="other prompt tokens"):
        stored_preferences([replace(rows[0], task=task)], small_chat, [WORLD], 4, 0)


def made(good: int, bad: int, key: str = "k") -> list[Judged]:
    rows = [Judged(key, TokenRow([i], [i]), True) for i in range(good)]
    return rows + [Judged(key, TokenRow([100 + i], [100 + i]), False) for i in range(bad)]


@pytest.mark.parametrize(("good", "bad", "count"), [(1, 7, 4), (3, 1, 3), (0, 8, 0), (4, 4, 4)])
def test_a_task_gives_at_most_so_many_pairs_none_twice(good: int, bad: int, count: int) -> None:
    pairs = pair_up(made(good, bad), per_task=4, seed=0)
    drawn = {(pair.chosen.input_ids[0], pair.rejected.input_ids[0]) for pair in pairs}
    assert len(pairs) == len(drawn) == count
    assert all(a < 100 <= b for a, b in drawn)


def test_a_tasks_comparisons_are_on_one_side(rows: list[StoredRow], small_chat: Chat) -> None:
    found = stored_preferences(rows, small_chat, [WORLD], 4, 0)
    section = PreferenceSection(held_out=0.5)
    data = split_pairs(found, section, seed=0)
    sides = [{pair.key for pair in side} for side in (data.train, data.held_out)]
    assert not sides[0] & sides[1] and len(sides[0] | sides[1]) == 6
    singles = split_judged(found, section, seed=0)
    assert {each.key for each in singles.train} == sides[0]
    assert len(singles.train) + len(singles.held_out) == 18
    with pytest.raises(PreferenceError, match="0 held out"):
        split_pairs(found, PreferenceSection(held_out=1e-9), seed=0)


def test_a_run_goes_on_with_its_own_data_only(
    rows: list[StoredRow], small_chat: Chat, tmp_path: Path
) -> None:
    found = stored_preferences(rows, small_chat, [WORLD], 4, 0)
    require_same_data(tmp_path, found)
    require_same_data(tmp_path, found)
    fewer = stored_preferences(rows[1:], small_chat, [WORLD], 4, 0)
    with pytest.raises(PreferenceError, match="started on other comparisons"):
        require_same_data(tmp_path, fewer)


LINE = {
    "prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
    "response_a": "Hello.",
    "response_b": [
        {"role": "assistant", "content": "<tool_call>\n{}\n</tool_call>"},
        {"role": "tool", "content": "no such tool"},
        {"role": "assistant", "content": "Sorry."},
    ],
    "preference": "a",
    "who": "me",
}


def write(path: Path, *lines: dict) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_a_file_of_comparisons_is_rendered_and_masked(tmp_path: Path, small_chat: Chat) -> None:
    path = write(tmp_path / "c.jsonl", LINE, LINE | {"preference": "tie"})
    found = read_comparisons(path, small_chat)
    assert found.skipped == {"ties": 1} and len(found.pairs) == 1 and len(found.judged) == 2
    prompt = small_chat.prompt_ids("Be brief.", (), "Hi")
    chosen, rejected = found.pairs[0].chosen, found.pairs[0].rejected
    said = small_chat.turn_ids("Hello.")
    assert chosen == TokenRow(prompt + said, [IGNORE] * len(prompt) + said)
    call = small_chat.turn_ids("<tool_call>\n{}\n</tool_call>")
    result, sorry = small_chat.observation_ids(["no such tool"]), small_chat.turn_ids("Sorry.")
    assert rejected.input_ids == prompt + call + result + sorry
    silent = [IGNORE] * len(result)
    assert rejected.labels == [IGNORE] * len(prompt) + call + silent + sorry


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"preference": "c"}, r"c.jsonl:2: preference: input should be 'a', 'b' or 'tie'"),
        ({"response_a": None}, r"c.jsonl:2: response_a"),
        ({"response_a": "x <|im_end|> y"}, r"c.jsonl:2: a turn's text holds a stop token"),
        ({"response_b": [{"role": "tool", "content": "r"}]}, r"c.jsonl:2: a response ends with"),
        ({"prompt": [{"role": "tool", "content": "r"}]}, r"c.jsonl:2: a prompt is a user message"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, small_chat: Chat, change: dict, message: str) -> None:
    path = write(tmp_path / "c.jsonl", LINE, LINE | change)
    with pytest.raises(PreferenceError, match=message):
        read_comparisons(path, small_chat)
