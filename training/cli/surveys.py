"""`tooldojo survey`: what a world pays for nothing, for everything, and to a policy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from tooldojo.training.cli.boundary import InputError, JsonFlag, Output, Trace
from tooldojo.training.cli.gates import Seed, Worlds
from tooldojo.training.cli.playing import (
    SplitOption,
    check_policy,
    demonstrations_for,
    sampling_recipe,
)
from tooldojo.training.cli.recipes import check_split

if TYPE_CHECKING:
    from rich.console import Console

    from tooldojo.envs.task import Task
    from tooldojo.training.evaluation.survey import Earnings, PolicySurvey
    from tooldojo.verifiers.intervals import Proportion


def survey(
    ctx: typer.Context,
    worlds: Worlds = None,
    tasks: Annotated[int, typer.Option(min=1, help="Tasks a world.")] = 40,
    policy: Annotated[
        str | None,
        typer.Option(help="A model besides: `default`, a directory, a Hugging Face id."),
    ] = None,
    samples: Annotated[int, typer.Option(min=2, help="Of the model, per task.")] = 8,
    split: SplitOption = "train",
    seed: Seed = 0,
    json: JsonFlag = False,
    traceback: Trace = False,
) -> None:
    """Floors, oracle, and with a policy pass@k, dead groups, tokens and seconds a task."""
    from tooldojo.envs.registry import NATIVE, world_class
    from tooldojo.envs.source import take
    from tooldojo.envs.task import Split
    from tooldojo.rollouts.scripted import SCRIPTS

    output: Output = ctx.obj
    check_split(split)
    if policy in SCRIPTS:
        raise InputError(f"{policy} is a script and surveyed in any case; --policy takes a model")
    if policy is not None:
        check_policy(policy)
    found = []
    for env_id in [world_class(each).env_id for each in worlds or NATIVE]:
        drawn = take([env_id], Split(split), seed, tasks)
        rows = _floors(output.console, env_id, drawn, seed)
        played = _policy(output.console, policy, drawn, samples, seed) if policy else None
        _show(output.console, env_id, rows, played)
        found.append(
            {
                "world": env_id,
                "tasks": len(drawn),
                "scripts": [asdict(row) for row in rows],
                "policy": asdict(played) if played else None,
            }
        )
    output.emit({"split": split, "seed": seed, "worlds": found})


def _floors(screen: Console, env_id: str, drawn: Sequence[Task], seed: int) -> list[Earnings]:
    from tooldojo.training.evaluation.survey import FLOORS, ORACLE, earnings
    from tooldojo.training.runs.progress import counter

    scripts = (*FLOORS, ORACLE)
    with counter(screen, env_id, len(scripts) * len(drawn)) as count:
        return [
            earnings(name, drawn, demonstrations_for(name, [env_id], seed), seed, count)
            for name in scripts
        ]


def _policy(
    screen: Console, policy: str, drawn: Sequence[Task], samples: int, seed: int
) -> PolicySurvey:
    from tooldojo.envs.task import IssuedTask
    from tooldojo.training.evaluation.survey import survey_policy
    from tooldojo.training.players import open_player
    from tooldojo.training.runs.progress import counter

    worlds = list(dict.fromkeys(task.env for task in drawn))
    issued = [IssuedTask(ordinal, task) for ordinal, task in enumerate(drawn)]
    recipe = sampling_recipe(policy, worlds, seed)
    sizes = [size for size in (1, 2, 4, 8, 16, 32, 64) if size <= samples]
    groups = []
    with (
        open_player(recipe, worlds, temperature=recipe.rollout.temperature) as opened,
        counter(screen, policy, len(issued)) as count,
    ):
        for group in opened.player.play(issued, samples):
            groups.append(group)
            count(group)
    return survey_policy(policy, groups, sizes)


def _of(rate: Proportion | None) -> str:
    return f"{rate.successes} of {rate.trials}" if rate else ""


def _show(
    screen: Console, env_id: str, rows: Sequence[Earnings], played: PolicySurvey | None
) -> None:
    from rich.table import Table

    table = Table(title=env_id, title_justify="left")
    table.add_column("policy", no_wrap=True)
    for name in ("success", "95 % interval", "value", "calls needed", "none needed"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        rate = row.success
        between = f"{100 * rate.low:.1f} to {100 * rate.high:.1f}"
        apart = [_of(row.calling), _of(row.idle)]
        table.add_row(row.policy, f"{100 * rate.rate:.1f} %", between, f"{row.value:.3f}", *apart)
    screen.print(table)
    if played is None:
        return
    rate, last = played.success, max(played.pass_at, default=0)
    line = ", ".join(f"pass@{k} {100 * share:.1f} %" for k, share in played.pass_at.items())
    screen.print(
        f"[bold]{played.policy}[/]: {line} ({100 * rate.low:.1f} to {100 * rate.high:.1f} at 1)"
    )
    dead = played.dead_groups.get(last, math.nan)
    screen.print(
        f"  {100 * dead:.0f} % of groups of {last} would be dead; a trajectory takes "
        f"{played.tokens:.0f} tokens, {played.turns:.1f} turns, {played.seconds:.2f} s"
        + (f"; [yellow]without a verdict: {played.failed}[/]" if played.failed else "")
    )
