"""`tooldojo new`: a world to start from."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from tooldojo.training.cli.boundary import JsonFlag, Output, Trace


def new(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The module's name, for example car_park.")],
    folder: Annotated[Path, typer.Option(help="Where to write.")] = Path("."),
    json: JsonFlag = False,
    traceback: Trace = False,
) -> None:
    """Write a small complete world, NAME.py, and its test; nothing is overwritten."""
    from tooldojo.envs.authoring import write_world

    output: Output = ctx.obj
    made = write_world(name, folder)
    world = shlex.quote(str(folder / made.reference))
    worlds = f'task.worlds=["{folder / made.reference}"]'
    then = [
        f"pytest {shlex.quote(str(made.test))}",
        f"tooldojo envs {world}",
        f"tooldojo check {world}",
        f"tooldojo audit {world}",
        f"tooldojo play {world} --policy gold",
        f"tooldojo sft quickstart {shlex.quote(worlds)} run.dir=runs/{name}",
    ]
    output.console.print(f"wrote [bold]{made.world}[/] and [bold]{made.test}[/]; next:\n")
    for command in then:
        output.console.print(f"  {command}", markup=False, soft_wrap=True)
    files = {"world": str(made.world), "test": str(made.test)}
    output.emit({**files, "reference": made.reference, "next": then})
