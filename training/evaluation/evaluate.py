"""Held-out evaluation: each task played once under seeds derived from its id, and judged by its
verifier.

Invariant: all stages of a run play the same tasks under the same seeds, so that `compare` pairs
task by task.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from tooldojo.configs.schema import Recipe
from tooldojo.envs.seeding import derive_seed
from tooldojo.envs.task import IssuedTask, Task
from tooldojo.envs.users import of_policy
from tooldojo.rollouts.endpoint import Usage
from tooldojo.rollouts.records import EngineId, Group, PolicyRef, Trajectory
from tooldojo.rollouts.store import TrajectoryStore
from tooldojo.rollouts.stream import Player
from tooldojo.rollouts.whole_files import read_json, write_json
from tooldojo.training.evaluation.log import EvaluationLog
from tooldojo.training.evaluation.origin import EvaluationOrigin
from tooldojo.training.evaluation.results import (
    EvalRow,
    Evaluation,
    EvaluationError,
    check_failures,
    compare,
    read_evaluation,
)
from tooldojo.training.players import open_player
from tooldojo.training.runs.run_dir import Claim
from tooldojo.verifiers.canonical import canonical_text
from tooldojo.verifiers.records import CallOutcome, ScoreStatus

__all__ = [
    "Evaluation",
    "EvaluationError",
    "compare",
    "eval_row",
    "evaluate",
    "evaluate_logged",
    "read_evaluation",
    "read_usage",
    "run_eval",
]


def evaluate(
    player: Player,
    tasks: Sequence[Task],
    stage: str,
    *,
    temperature: float,
    seed: int,
    on_group: Callable[[Group], None] = lambda group: None,
    earlier: Iterable[Group] = (),
) -> Evaluation:
    """Play every task once and judge it.

    A task's ordinal, and with it every seed of its trajectory, derives from its id: all stages play
    the same tasks under the same seeds, in whatever order. `player` samples at `temperature` under
    the run seed `seed`. earlier: groups that an interrupted evaluation has played already; their
    tasks are not played again, and `on_group` does not see them.

    Raises:
        EvaluationError: for the same task twice, a task that never came back, or more than 2 %
        without a verdict.
    """
    issued = [IssuedTask(eval_ordinal(task), task) for task in tasks]
    if len({task.ordinal for task in issued}) < len(issued):
        raise EvaluationError(
            f"the tasks of evaluation {stage!r} are not distinct; draw them with envs.source.take"
        )
    rows: dict[int, EvalRow] = {}
    engines: dict[EngineId, None] = {}
    policies: dict[PolicyRef, None] = {}
    wanted = {each.ordinal for each in issued}
    played = {group.ordinal: group for group in earlier if group.ordinal in wanted}

    def judge(group: Group) -> None:
        trajectory = group.trajectories[0]
        rows[group.ordinal] = eval_row(group.task, trajectory)
        engines[trajectory.engine], policies[trajectory.policy] = None, None

    for group in played.values():
        judge(group)
    for group in player.play([each for each in issued if each.ordinal not in played], 1):
        judge(group)
        on_group(group)
    missing = [each.task.id for each in issued if each.ordinal not in rows]
    if missing:
        raise EvaluationError(
            f"{len(missing)} tasks of evaluation {stage!r} never came back, {missing[0]} first"
        )
    ordered = tuple(rows[each.ordinal] for each in issued)
    evaluation = Evaluation(stage, temperature, seed, ordered, tuple(engines), tuple(policies))
    check_failures(evaluation)
    return evaluation


def evaluate_logged(
    player: Player,
    tasks: Sequence[Task],
    log: EvaluationLog,
    temperature: float,
    on_group: Callable[[Group], None],
) -> Evaluation:
    """`evaluate` for the stage and seed of `log`, which takes every group before `on_group` sees it
    and gives those that an interrupted evaluation left there.
    """

    def finished(group: Group) -> None:
        log.add(group)
        on_group(group)

    return evaluate(
        player,
        tasks,
        log.stage,
        temperature=temperature,
        seed=log.seed,
        on_group=finished,
        earlier=log.earlier,
    )


def eval_ordinal(task: Task) -> int:
    """A task's place in evaluations: a hash of its id, far above the ordinals that training
    counts.
    """
    return derive_seed("evaluation", task.id) | 1 << 62


def eval_row(task: Task, trajectory: Trajectory) -> EvalRow:
    """What one trajectory says about its policy."""
    score, evidence = trajectory.score, trajectory.evidence
    verdict = score is not None and score.status is ScoreStatus.SCORED
    turns = [turn for segment in trajectory.segments for turn in segment.turns]
    calls = of_policy(evidence.calls) if evidence is not None else ()
    selection = _selection(task, [c.name for c in calls])
    exact = _exact(task, [(c.name, canonical_text(c.arguments)) for c in calls])
    formed = sum(turn.malformed is None and turn.finish == "stop" for turn in turns)
    return EvalRow(
        task.id,
        task.env,
        task.level,
        task.template,
        task.condition,
        task.split.value,
        trajectory.ending.stop.value,
        score.success if score and verdict else None,
        score.value if score and verdict else None,
        dict(score.components) if score and verdict else {},
        trajectory.turns,
        trajectory.sampled_tokens,
        trajectory.seconds,
        len(calls),
        sum(call.outcome is CallOutcome.OK for call in calls),
        selection,
        exact,
        formed / len(turns) if turns else None,
        None if verdict else _failure(trajectory),
    )


def _failure(trajectory: Trajectory) -> str:
    failure = trajectory.failure
    why = f"{failure.kind}: {failure.message}" if failure else trajectory.ending.stop.value
    return f"{trajectory.ending.blame.value}: {why}"


def _selection(task: Task, called: list[str]) -> float | None:
    gold = Counter(call.name for turn in task.gold for call in turn.calls)
    return (gold & Counter(called)).total() / gold.total() if gold else None


def _exact(task: Task, called: list[tuple[str, str]]) -> float | None:
    gold = Counter((c.name, canonical_text(c.arguments)) for turn in task.gold for c in turn.calls)
    return (gold & Counter(called)).total() / gold.total() if gold else None


def run_eval(
    recipe: Recipe,
    adapter: Path | None,
    stage: str,
    out: Path,
    tasks: Sequence[Task],
    on_group: Callable[[Group], None] = lambda group: None,
    resume: bool = False,
) -> Evaluation:
    """Evaluate a recipe's model, with or without an adapter, on its engine.

    Writes the recipe to `out/<stage>.toml` and the adapter's digest to `out/<stage>.adapter.json`,
    both once the policy can play; the trajectories to `out/trajectories` while they are played; and
    `out/<stage>.json` at the end; for an endpoint also `out/<stage>.usage.json`. resume: go on with
    what an interrupted evaluation left there.

    Raises:
        EvaluationError: see `evaluate`.
        RunDirectoryError: when another process writes there, or the stage holds an evaluation that
            is not this one, interrupted.
        PolicyError, FleetError, DeliveryError, EndpointError: when the policy cannot play.
    """
    # References, not the tasks' ids: a worker cannot find a user's file by its world's id.
    worlds = [*recipe.task.worlds, *recipe.eval.transfer_worlds]
    temperature = recipe.eval.temperature
    seed = derive_seed(recipe.run.seed, "evaluation") % 2**31
    with Claim(out):
        store, keep = TrajectoryStore(out / "trajectories"), resume and not recipe.run.deterministic
        origin = EvaluationOrigin.of(recipe, adapter)
        origin.check(store, stage, out, resume)
        with (
            open_player(
                recipe, worlds, temperature=temperature, seed=seed, adapter=adapter
            ) as opened,
            EvaluationLog(store, stage, opened.policy, seed, keep=keep, replace=False) as log,
        ):
            origin.write(stage, out)
            for group in log.earlier:
                on_group(group)
            try:
                done = evaluate_logged(opened.player, tasks, log, temperature, on_group)
            finally:
                if opened.endpoint is not None:
                    _add_usage(out / f"{stage}.usage.json", opened.endpoint.usage, resume)
        write_json(out / f"{stage}.json", done.to_json())
    return done


def read_usage(path: Path) -> Usage:
    """What an endpoint was asked in an evaluation, from its JSON file."""
    return Usage(**read_json(path))


def _add_usage(path: Path, usage: Usage, resume: bool) -> None:
    """Write down what an endpoint was asked, on top of what an interrupted evaluation asked."""
    earlier = read_usage(path) if resume and path.exists() else Usage()
    write_json(path, asdict(earlier + usage))
