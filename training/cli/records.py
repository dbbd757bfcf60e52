"""The commands about what is on disk: `replay`, `rescore`, `report` and `doctor`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from tooldojo.training.cli.boundary import CheckFailed, InputError, JsonFlag, Output, Trace
from tooldojo.training.cli.recipes import Keys, resolve

if TYPE_CHECKING:
    from tooldojo.configs.schema import Recipe
    from tooldojo.rollouts.chat import Chat
    from tooldojo.rollouts.rescore import Judges
    from tooldojo.rollouts.store import StoredRow, TrajectoryStore

RunArgument = Annotated[Path, typer.Argument(help="A run directory.")]
WorldOption = Annotated[
    list[str] | None,
    typer.Option(
        "--world",
        help="file.py:Class or module:Class of a stored world whose file has moved; repeatable.",
    ),
]
MODEL_HELP = "Whose tokenizer reads the tokens; by default the run's."


def replay(
    ctx: typer.Context,
    run: RunArgument,
    verify: Annotated[
        bool, typer.Option("--verify", help="Play all again and compare, hash by hash.")
    ] = False,
    stage: Annotated[
        str | None, typer.Option(help="Only this stage, say train, base or rl.")
    ] = None,
    ordinal: Annotated[int | None, typer.Option(help="Only this task of the run.")] = None,
    count: Annotated[int, typer.Option(min=1, help="How many to show.")] = 1,
    model: Annotated[str | None, typer.Option(help=MODEL_HELP)] = None,
    world: WorldOption = None,
    json: JsonFlag = False,
    traceback: Trace = False,
) -> None:
    """Show stored trajectories, or prove their verdicts from the stored tokens."""
    output: Output = ctx.obj
    store = open_store(run)
    chat = chat_of(run, model)
    if verify:
        know_worlds(run, store, world, stage)
        _verify(store, chat, stage, output)
        return
    shown = [_show(row, chat, output) for row in _chosen(store, stage, ordinal, count)]
    if not shown:
        raise InputError(f"{run} has no such trajectory; leave --stage and --ordinal out")
    output.emit({"trajectories": shown})


def open_store(run: Path) -> TrajectoryStore:
    """The store of a run directory, or the directory of shards itself.

    Raises:
        InputError: when there are no trajectories.
    """
    from tooldojo.rollouts.store import TrajectoryStore

    for folder in (run / "trajectories", run):
        if folder.is_dir() and any(folder.glob("*.parquet")):
            return TrajectoryStore(folder)
    raise InputError(f"{run} holds no trajectories; give a run directory, or what `rollout` wrote")


def know_worlds(
    run: Path, store: TrajectoryStore, given: Sequence[str] | None, stage: str | None = None
) -> None:
    """Load the users' worlds of a store, from where they were played if no other place is given.

    Raises:
        WorldMissing: where one is not there.
    """
    from tooldojo.configs.loading import load_recipe
    from tooldojo.rollouts.origins import load_worlds

    config = run / "config.toml"
    recipe = load_recipe(str(config)) if config.is_file() else None
    named = (*recipe.task.worlds, *recipe.eval.transfer_worlds) if recipe else ()
    load_worlds(store.directory, store.worlds(stage), given or (), named)


def _with_ids(recipe: Recipe) -> Recipe:
    """The same recipe, its worlds by id: their files may be named from another folder."""
    from tooldojo.envs.registry import stored_id

    worlds = tuple(map(stored_id, recipe.task.worlds))
    return recipe.model_copy(update={"task": recipe.task.model_copy(update={"worlds": worlds})})


def chat_of(run: Path, model: str | None) -> Chat:
    """The chat of a run's policy, as its config.toml names it."""
    from tooldojo.configs.loading import load_recipe
    from tooldojo.rollouts.chat import Chat
    from tooldojo.rollouts.formats import call_format
    from tooldojo.training.policy import load_tokenizer

    config = run / "config.toml"
    section = load_recipe(str(config) if config.is_file() else None).policy
    return Chat(load_tokenizer(model or section.model), call_format(section.call_format))


def _chosen(
    store: TrajectoryStore, stage: str | None, ordinal: int | None, count: int
) -> list[StoredRow]:
    found: list[StoredRow] = []
    for row in store.read(stage):
        if ordinal is None or row.trajectory.ordinal == ordinal:
            found.append(row)
        if len(found) == count:
            break
    return found


def _show(row: StoredRow, chat: Chat, output: Output) -> dict[str, object]:
    from tooldojo.training.cli.show import show_task, show_transcript
    from tooldojo.training.transcripts import task_view, transcript

    played = transcript(row.trajectory, chat)
    show_task(output.console, task_view(row.task))
    show_transcript(output.console, played)
    place = {"stage": row.stage, "step": row.step, "ordinal": row.trajectory.ordinal}
    return {**place, "task": asdict(task_view(row.task)), "played": asdict(played)}


def _verify(store: TrajectoryStore, chat: Chat, stage: str | None, output: Output) -> None:
    from tooldojo.rollouts.replay import verify

    found = verify(store, chat, stage)
    counts = {
        "trajectories": found.trajectories,
        "turns": found.turns,
        "skipped": found.skipped,
        "divergences": [asdict(each) for each in found.divergences],
    }
    if not found.exact:
        first = found.divergences[0]
        where = f"{first.stage} step {first.step}, trajectory {first.ordinal}.{first.member}"
        raise CheckFailed(
            f"{len(found.divergences)} of {found.trajectories} trajectories did not replay; first "
            f"{where}, turn {first.mismatch.turn}: {first.mismatch.what}: {first.mismatch.detail}",
            counts,
        )
    output.console.print(
        f"[bold green]✓[/] {found.trajectories} trajectories ({found.turns} turns) replayed exactly"
        + (f", {found.skipped} of worlds without replay skipped" if found.skipped else "")
    )
    output.emit(counts)


def report(
    ctx: typer.Context,
    run: RunArgument,
    model: Annotated[str | None, typer.Option(help=MODEL_HELP)] = None,
    json: JsonFlag = False,
    traceback: Trace = False,
) -> None:
    """Write report.html, once every trajectory's origin has been checked."""
    from tooldojo.training.report import write_report

    output: Output = ctx.obj
    path = write_report(run, chat_of(run, model) if model else None)
    output.console.print(f"wrote [bold]{path}[/]")
    output.emit({"path": str(path), "bytes": path.stat().st_size})


def _judges(recipe: Recipe, verifier: str | None, reward: str | None, judge: str | None) -> Judges:
    """Who judges, by the references given; the worlds' verifiers and the recipe's reward else."""
    from tooldojo.rollouts.judges import NamedJudge, judge_function
    from tooldojo.rollouts.rescore import Judges, judge_of
    from tooldojo.training.players import reward_shape

    shape = reward_shape(recipe)
    if judge is not None:
        judge_function(judge)
    return Judges(
        judge_of(verifier) if verifier else None,
        shape,
        {"verifier": verifier or "the worlds' own", "reward": reward or repr(shape)}
        | ({"judge": judge} if judge else {}),
        None if judge is None else NamedJudge(judge),
        judge_of(reward) if reward else None,
    )


def doctor(
    ctx: typer.Context, run: RunArgument, json: JsonFlag = False, traceback: Trace = False
) -> None:
    """Say what looks wrong in a run, and what to try; exit code 1 if there is a problem."""
    from tooldojo.training.doctor import diagnose, read_symptoms
    from tooldojo.training.doctor.rules import RULES

    output: Output = ctx.obj
    symptoms = read_symptoms(run)
    findings = diagnose(symptoms)
    for finding in findings:
        mark = "[bold red]✗[/]" if finding.problem else "[yellow]·[/]"
        output.console.print(f"{mark} {finding.rule}: {escape(finding.seen)}")
        output.console.print(f"  [dim]{escape(finding.advice)}[/]")
    data = {"steps": len(symptoms.metrics), "findings": [asdict(each) for each in findings]}
    problems = [finding.rule for finding in findings if finding.problem]
    if problems:
        raise CheckFailed(f"{run} has {len(problems)} problems: {', '.join(problems)}", data)
    output.console.print(f"[bold green]✓[/] {len(RULES)} rules see no problem")
    output.emit(data)


def rescore(
    ctx: typer.Context,
    run: RunArgument,
    keys: Keys = None,
    stage: Annotated[str, typer.Option(help="Which stage to judge again.")] = "train",
    into: Annotated[
        str | None, typer.Option(help="The new stage; by default <stage>_rescored.")
    ] = None,
    verifier: Annotated[
        str | None,
        typer.Option(
            help="module:name or file.py:name; by default each world's own, as it is now."
        ),
    ] = None,
    reward: Annotated[
        str | None,
        typer.Option(help="module:name or file.py:name; by default the recipe's [objective]."),
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(help="module:name or file.py:name; answers judged components anew."),
    ] = None,
    world: WorldOption = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with what was stopped there.")
    ] = False,
    json: JsonFlag = False,
    traceback: Trace = False,
) -> None:
    """Judge stored trajectories again, as a new stage; what is stored stays as it is."""
    from functools import partial

    from tooldojo.rollouts.rescore import rescore as judge_again
    from tooldojo.rollouts.rescore import target_of
    from tooldojo.training.runs.progress import progress_bar

    output: Output = ctx.obj
    store = open_store(run)
    recipe = resolve(str(run) if (run / "config.toml").is_file() else None, keys)
    know_worlds(run, store, world, stage)
    judges = _judges(_with_ids(recipe), verifier, reward, judge)
    into = into or f"{stage}_rescored"
    output.kept = next((target_of(shard, stage, into) for shard in store.shards(stage)), None)
    with progress_bar(output.console) as bar:
        bar_id = bar.add_task("trajectories", total=None)
        done = judge_again(store, stage, into, judges, resume, partial(bar.advance, bar_id))
    output.console.print(
        f"[bold]{into}[/]: {done.rows} trajectories, {done.changed} judged otherwise "
        f"({done.gained} now solved, {done.lost} no longer), {done.failed} without a verdict, "
        f"{done.without_evidence} had no evidence and stay as they were"
    )
    if done.first_failure:
        output.console.print(f"[yellow]first without a verdict:[/] {escape(done.first_failure)}")
    output.emit({"stage": into, **asdict(done)})
