"""What the page is made of: the files of a run directory, read once and checked.

Invariant: nothing is shown before every stored trajectory has passed the provenance check.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tooldojo.configs.loading import load_recipe
from tooldojo.configs.schema import Recipe
from tooldojo.envs.registry import stored_id
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.records import Group
from tooldojo.rollouts.store import TrajectoryStore
from tooldojo.rollouts.whole_files import read_json
from tooldojo.training.evaluation.results import Evaluation, read_evaluation
from tooldojo.training.players import recipe_chat
from tooldojo.training.report.provenance import Provenance, check_provenance
from tooldojo.training.report.views import STAGES, stage_label
from tooldojo.training.runs.metrics import NAME, read_metrics
from tooldojo.training.transcripts import TaskView, Transcript, task_view, transcript
from tooldojo.verifiers.records import Json


class ReportError(RuntimeError):
    """There is nothing to report on; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The same task before and after training."""

    task: TaskView
    title: str
    before: Transcript
    before_label: str
    before_key: str
    after: Transcript
    after_label: str
    after_key: str


@dataclass(frozen=True, slots=True)
class RunData:
    """A run directory's content; evaluations by stage."""

    directory: Path
    recipe: Recipe
    versions: dict[str, Json]
    summary: dict[str, Json]
    metrics: Sequence[Mapping[str, Json]]
    evaluations: Mapping[str, Evaluation]
    provenance: Provenance
    pairs: tuple[Pair, ...]


def read_run(directory: Path, chat: Chat | None = None) -> RunData:
    """Read and check a run directory. chat: of the run's policy; by default the recipe's.

    Raises:
        ReportError: where there is no run. ProvenanceError: where it is not what it claims.
    """
    if not (directory / "config.toml").exists():
        raise ReportError(f"{directory} holds no run: it has no config.toml; give a run directory")
    recipe = load_recipe(str(directory / "config.toml"))
    provenance = check_provenance(directory)
    results = (path for path in directory.glob("eval/*.json") if "." not in path.stem)  # no usage
    evaluations = {path.stem: read_evaluation(path) for path in results}
    store = TrajectoryStore(directory / "trajectories")
    played = {stage: _groups(store, stage, recipe) for stage in STAGES if store.shards(stage)}
    return RunData(
        directory,
        recipe,
        _json(directory / "versions.json"),
        _json(directory / "summary.json"),
        read_metrics(directory / NAME),
        evaluations,
        provenance,
        make_pairs(played, chat or recipe_chat(recipe)) if len(played) > 1 else (),
    )


def _groups(store: TrajectoryStore, stage: str, recipe: Recipe) -> dict[str, Group]:
    """A stage's last trajectory of each task of the trained worlds."""
    worlds = set(map(stored_id, recipe.task.worlds))
    return {
        row.task.id: Group(row.trajectory.ordinal, row.task, (row.trajectory,))
        for row in store.read(stage)
        if row.task.env in worlds
    }


def _json(path: Path) -> dict[str, Json]:
    return read_json(path) if path.exists() else {}


def make_pairs(
    played: Mapping[str, Mapping[str, Group]], chat: Chat, count: int = 4
) -> tuple[Pair, ...]:
    """Side-by-side transcripts from evaluation groups by stage and task id.

    The last stage stands against the one before it and against the first; gained tasks come first,
    of different kinds, and the last pair is one that is still not solved, where there is one.
    """
    stages = [name for name in STAGES if name in played]
    if len(stages) < 2:
        return ()
    after = stages[-1]
    chosen: list[tuple[str, str]] = []
    for before in (stages[-2], stages[0]):
        room = (count - 1) // 2 + 1 if before == stages[-2] else count - 1
        chosen += _gained(played[before], played[after], room - len(chosen), before, chosen)
    still = [t for t in played[after] if _solved(played[after][t]) is False]
    chosen += [(stages[-2], task_id) for task_id in still if task_id in played[stages[-2]]][:1]
    return tuple(_pair(played, before, after, task_id, chat) for before, task_id in chosen)


def _gained(
    before: Mapping[str, Group],
    after: Mapping[str, Group],
    room: int,
    name: str,
    chosen: Sequence[tuple[str, str]],
) -> list[tuple[str, str]]:
    """Tasks that only `after` solved, at most one per template until templates run out."""
    taken = {task_id for _, task_id in chosen}
    gained = [
        task_id
        for task_id, group in after.items()
        if task_id in before and task_id not in taken
        if _solved(group) and _solved(before[task_id]) is False
    ]
    seen: set[str] = set()
    first: list[str] = []
    for task_id in sorted(gained, key=lambda t: (-after[t].task.level, t)):
        template = after[task_id].task.template
        if template not in seen:
            first.append(task_id)
        seen.add(template)
    rest = [task_id for task_id in gained if task_id not in first]
    return [(name, task_id) for task_id in (first + rest)[: max(0, room)]]


def _solved(group: Group) -> bool | None:
    score = group.trajectories[0].score
    return None if score is None else score.success


def _pair(
    played: Mapping[str, Mapping[str, Group]], before: str, after: str, task_id: str, chat: Chat
) -> Pair:
    old, new = played[before][task_id], played[after][task_id]
    first, second = stage_label(before), stage_label(after)
    outcome = "solves it" if _solved(new) else "does not either"
    return Pair(
        task_view(new.task),
        f"{first} fails, {second} {outcome}",
        transcript(old.trajectories[0], chat),
        first,
        before,
        transcript(new.trajectories[0], chat),
        second,
        after,
    )
