"""The commands that train and evaluate: `quickstart`, `sft`, `train`, `eval`, `base`, `export`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from tooldojo.training.cli.boundary import InputError, JsonFlag, Output, Trace
from tooldojo.training.cli.playing import check_policy, policy_keys, usage_line
from tooldojo.training.cli.recipes import Keys, RecipeArgument, resolve

Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in the directory.")]


def quickstart(
    ctx: typer.Context,
    keys: Keys = None,
    seed: Annotated[int, typer.Option(min=0, help="Of everything in the run.")] = 0,
    directory: Annotated[Path, typer.Option("--dir", help="The run directory.")] = Path(
        "runs/quickstart"
    ),
    until: Annotated[str, typer.Option(help="Stop after this stage: base, sft or rl.")] = "rl",
    resume: Resume = False,
    json: JsonFlag = False,
    traceback: Trace = False,
) -> None:
    """See a small model learn to use tools, from base to report."""
    output: Output = ctx.obj
    if until not in ("base", "sft", "rl"):
        raise InputError(f"there is no stage {until!r}; --until takes base, sft or rl")
    recipe = resolve("quickstart", keys, f"run.seed={seed}", f"run.dir={directory}")
    output.kept = Path(recipe.run.dir) / "config.toml"
    from tooldojo.training.quickstart import run_quickstart

    output.emit(run_quickstart(recipe, resume=resume, until=until, console=output.console))


def sft(
    ctx: typer.Context,
    recipe: RecipeArgument = None,
    keys: Keys = None,
    resume: Resume = False,
    json: JsonFlag = False,
    traceback: Trace = False,
) -> None:
    """Warm a policy up on verified demonstrations."""
    output: Output = ctx.obj
    resolved = resolve(recipe, keys)
    output.kept = Path(resolved.run.dir) / "config.toml"
    from tooldojo.training.stages.sft import run_sft

    _emit_adapter(output, run_sft(resolved, resume, output.console))


def train(
    ctx: typer.Context,
    recipe: RecipeArgument = None,
    keys: Keys = None,
    resume: Resume = False,
    json: JsonFlag = False,
    traceback: Trace = False,
) -> None:
    """Improve a policy by reinforcement learning on verified rewards."""
    output: Output = ctx.obj
    resolved = resolve(recipe, keys)
    output.kept = Path(resolved.run.dir) / "config.toml"
    from tooldojo.training.loop import run_training

    _emit_adapter(output, run_training(resolved, resume, output.console))


def _emit_adapter(output: Output, figures: dict[str, Any]) -> None:
    output.console.print(f"the adapter is {figures['adapter']}")
    output.emit(figures)


def evaluate(
    ctx: typer.Context,
    recipe: RecipeArgument = None,
    keys: Keys = None,
    adapter: Annotated[
        Path | None, typer.Option(help="An adapter directory; without one, the model as it is.")
    ] = None,
    policy: Annotated[
        str, typer.Option(help="A model, or openai:MODEL@URL; `default` is the recipe's.")
    ] = "default",
    stage: Annotated[str, typer.Option(help="Name of the result file.")] = "policy",
    out: Annotated[Path, typer.Option(help="Where the result goes.")] = Path("runs/eval"),
    against: Annotated[
        Path | None, typer.Option(help="A result file to compare with, task by task.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with what was stopped there.")
    ] = False,
    json: JsonFlag = False,
    traceback: Trace = False,
) -> None:
    """Play held-out tasks, and say how sure the result is."""
    output: Output = ctx.obj
    resolved = resolve(recipe, keys, *_model_keys(policy, [recipe or "", *(keys or ())]))
    check_stage(stage)
    output.kept = out / f"{stage}.toml"
    earlier = _existing(against) if against else None
    from tooldojo.training.cli.tables import show_comparison, show_evaluation
    from tooldojo.training.evaluation.evaluate import compare, read_evaluation, read_usage, run_eval
    from tooldojo.training.quickstart import held_out_tasks
    from tooldojo.training.runs.progress import counter

    before = read_evaluation(earlier) if earlier else None
    tasks = held_out_tasks(resolved)
    with counter(output.console, "tasks", len(tasks)) as count:
        after = run_eval(resolved, adapter, stage, out, tasks, count, resume)
    show_evaluation(output.console, after)
    data: dict[str, Any] = {"path": str(out / f"{stage}.json")}
    data |= {"stage": stage, "summary": asdict(after.summary())}
    if resolved.rollout.engine == "openai":
        data["usage"] = asdict(read_usage(out / f"{stage}.usage.json"))
        output.console.print(usage_line(data["usage"]))
    if before is not None:
        comparison = compare(before, after)
        show_comparison(output.console, comparison)
        data["comparison"] = comparison.to_json()
    output.emit(data)


def _model_keys(policy: str, given: Sequence[str]) -> tuple[str, ...]:
    from tooldojo.rollouts.scripted import SCRIPTS

    check_policy(policy)
    if policy in SCRIPTS:
        raise InputError(f"eval plays models; `tooldojo rollout --policy {policy}` plays a script")
    return policy_keys(policy, given)


def check_stage(stage: str) -> None:
    """Refuse a name that cannot name files."""
    if not re.fullmatch("[a-z0-9_]+", stage):
        raise InputError(f"--stage {stage!r} must be made of a-z, 0-9 and _; it names files")


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise InputError(f"--against {path}: there is no such file; give an eval/*.json of a run")
    return path


def base(
    ctx: typer.Context,
    out: Annotated[Path, typer.Option(help="For checkpoint and model.")] = Path("runs/base"),
    tokens: Annotated[
        int | None, typer.Option(min=1, help="Budget in padded tokens; by default the plan's.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.01, help="Stop after this time at the latest.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of corpus, start and order.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="Cores to use.")] = 2,
    resume: Annotated[
        bool, typer.Option("--resume", help="Insist on a checkpoint to go on from.")
    ] = False,
    json: JsonFlag = False,
    traceback: Trace = False,
) -> None:
    """Train the default policy itself, from nothing; goes on from a checkpoint in --out."""
    output: Output = ctx.obj
    output.kept = out / "checkpoint.pt"
    if resume and not output.kept.exists():
        raise InputError(f"{out} holds no checkpoint to resume; leave --resume out to start")
    from tooldojo.training.base.__main__ import main as train_base
    from tooldojo.training.base.train import Plan

    train_base(out, tokens or Plan.tokens, minutes, seed, threads)
    output.emit({"path": str(out / "model")})


def export(
    ctx: typer.Context,
    adapter: Annotated[Path, typer.Argument(help="An adapter directory of a run.")],
    out: Annotated[Path, typer.Argument(help="Where the merged model goes.")],
    add: Annotated[
        list[Path] | None,
        typer.Option(help="Another adapter of the same base, summed exactly; repeatable."),
    ] = None,
    keep_adapter: Annotated[
        bool, typer.Option("--keep-adapter", help="Write the sum as one adapter, not merged.")
    ] = False,
    json: JsonFlag = False,
    traceback: Trace = False,
) -> None:
    """Merge an adapter, or the sum of several, into the base model."""
    from tempfile import TemporaryDirectory

    from tooldojo.training.players import export_adapter
    from tooldojo.training.stages.stacking import stack_adapters

    output: Output = ctx.obj
    if out.exists() and any(out.iterdir()):
        raise InputError(f"{out} is not empty; choose another directory")
    adapters = [adapter, *(add or ())]
    if keep_adapter:
        figures: dict[str, Any] = {"path": str(out), "rank": stack_adapters(adapters, out)}
    elif not add:
        figures = export_adapter(adapter, out)
    else:
        with TemporaryDirectory() as folder:
            stack_adapters(adapters, Path(folder) / "stack")
            figures = export_adapter(Path(folder) / "stack", out)
    output.console.print(f"wrote [bold]{out}[/]")
    output.emit(figures)
