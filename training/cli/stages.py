"""Learning from comparisons: `dpo`, `kto`, `reward`, and `prefer`, which asks a person."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tooldojo.training.cli.boundary import InputError, JsonFlag, Output, Trace
from tooldojo.training.cli.recipes import Keys, RecipeArgument, resolve
from tooldojo.training.cli.records import WorldOption, know_worlds, open_store
from tooldojo.training.cli.runs import Resume

if TYPE_CHECKING:
    from tooldojo.configs.schema import Recipe
    from tooldojo.rollouts.chat import Chat
    from tooldojo.training.stages.preferences import Preferences

Data = Annotated[
    list[Path],
    typer.Option(
        help="A run directory, what `rollout` stored, or a JSONL file of comparisons; repeatable."
    ),
]


def dpo(
    ctx: typer.Context,
    data: Data,
    recipe: RecipeArgument = None,
    keys: Keys = None,
    resume: Resume = False,
    json: JsonFlag = False,
    traceback: Trace = False,
) -> None:
    """Prefer successes to failures of the same task (DPO)."""
    _preference("dpo", ctx.obj, data, resolve(recipe, keys), resume)


def kto(
    ctx: typer.Context,
    data: Data,
    recipe: RecipeArgument = None,
    keys: Keys = None,
    resume: Resume = False,
    json: JsonFlag = False,
    traceback: Trace = False,
) -> None:
    """Prefer successes and avoid failures, also where a task has only one of them (KTO)."""
    _preference("kto", ctx.obj, data, resolve(recipe, keys), resume)


def _preference(
    method: str, output: Output, data: list[Path], recipe: Recipe, resume: bool
) -> None:
    output.kept = Path(recipe.run.dir) / "config.toml"
    read = reader(data, recipe)
    from tooldojo.training.stages.preference_stage import run_preference

    figures = run_preference(method, recipe, read, resume, output.console)
    _show(output, figures)
    output.emit(figures)


def reward(
    ctx: typer.Context,
    data: Data,
    recipe: RecipeArgument = None,
    keys: Keys = None,
    resume: Resume = False,
    json: JsonFlag = False,
    traceback: Trace = False,
) -> None:
    """Train a reward model on comparisons, and say how often it is right on held-out ones."""
    output: Output = ctx.obj
    resolved = resolve(recipe, keys)
    output.kept = Path(resolved.run.dir) / "config.toml"
    read = reader(data, resolved)
    from tooldojo.training.stages.reward_stage import run_reward

    figures = run_reward(resolved, read, resume, output.console)
    _show(output, figures)
    output.emit(figures)


def prefer(
    ctx: typer.Context,
    run: Annotated[Path, typer.Argument(help="A run directory, or what `rollout` stored.")],
    against: Annotated[
        Path | None, typer.Option(help="Another one, whose trajectories stand beside.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="At most so many pairs.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Which pairs, and which one is A.")] = 0,
    out: Annotated[Path, typer.Option(help="Where the page goes.")] = Path("prefer.html"),
    world: WorldOption = None,
    json: JsonFlag = False,
    traceback: Trace = False,
) -> None:
    """Write a page on which a person says which of two trajectories is better."""
    from tooldojo.rollouts.whole_files import write_text
    from tooldojo.training.prefer import Side, choose, line_of, render_page

    output: Output = ctx.obj
    sides: list[list[Side]] = []
    for each in (run,) if against is None else (run, against):
        store = open_store(each)
        know_worlds(each, store, world)
        sides.append([Side(each.name, row) for row in store.read()])
    pairs = choose(sides[0], sides[1] if against else None, count, seed)
    if not pairs:
        raise InputError(
            f"{run} holds no two different trajectories of one training task; play groups with "
            "`tooldojo rollout --group-size 4`, or give --against"
        )
    title = run.name if against is None else f"{run.name} and {against.name}"
    lines = [line_of(a, b) for a, b in pairs]
    write_text(out, render_page(lines, title))
    output.console.print(
        f"wrote [bold]{out}[/] with {len(pairs)} pairs; open it, and give what it downloads to "
        "`tooldojo dpo --data` or `tooldojo reward --data`"
    )
    output.emit({"path": str(out), "pairs": len(pairs)})


def reader(data: list[Path], recipe: Recipe) -> Callable[[Chat], Preferences]:
    """What reads all sources once the policy's chat is known.

    Raises:
        InputError: for a path that is neither a store nor a file.
    """
    stores = [open_store(path) for path in data if path.is_dir()]
    files = [path for path in data if not path.is_dir()]
    missing = next((path for path in files if not path.is_file()), None)
    if missing is not None:
        raise InputError(f"--data {missing}: there is no such file or directory")

    def read(chat: Chat) -> Preferences:
        from tooldojo.training.stages.comparisons import read_comparisons
        from tooldojo.training.stages.preferences import Preferences, stored_preferences

        found, worlds, seed = Preferences((), (), {}), recipe.task.worlds, recipe.run.seed
        most = recipe.preference.pairs_per_task
        for store in stores:
            found += stored_preferences(store.read(), chat, worlds, most, seed)
        for path in files:
            found += read_comparisons(path, chat)
        return found

    return read


def _show(output: Output, figures: dict) -> None:
    right = figures["held_out_accuracy"]
    between = f"{100 * right['low']:.0f} to {100 * right['high']:.0f} %"
    output.console.print(
        f"right on [bold]{100 * right['rate']:.0f} %[/] ({between}) of {right['trials']} held-out "
        f"pairs\n[dim]{figures['adapter']}[/]"
    )
