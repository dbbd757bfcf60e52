"""`tooldojo envs`: which worlds there are and what they promise."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tooldojo.training.cli.boundary import JsonFlag, Output, Trace

if TYPE_CHECKING:
    from tooldojo.envs.world import World

DRAFTS = 120  # drawn per level to see a world's templates


def envs(
    ctx: typer.Context,
    world: Annotated[
        str | None, typer.Argument(help="One world: an id, module:Class or file.py:Class.")
    ] = None,
    json: JsonFlag = False,
    traceback: Trace = False,
) -> None:
    """List the worlds: levels, tools, kinds of task, promises."""
    from tooldojo.envs.registry import IMPORTED, NATIVE, world_class

    output: Output = ctx.obj
    screen = output.console
    found = [describe(world_class(each)) for each in ([world] if world else sorted(NATIVE))]
    for about in found:
        _show(screen, about, full=world is not None)
    if world is None:
        screen.print(f"[dim]imported ones are named {', '.join(f'{n}...' for n in IMPORTED)}[/]")
    output.emit({"worlds": found})


def describe(world: type[World]) -> dict[str, Any]:
    """A world's public side as plain data."""
    from tooldojo.envs.seeding import derived_random

    kinds: dict[str, set[str]] = {}
    for level in world.levels:
        rng = derived_random("describe", world.env_id, level)
        for _ in range(DRAFTS):
            draft = world.draft(rng, level)
            kinds.setdefault(draft.template, set()).add(draft.condition)
    tools = [
        {"name": tool.name, "mutates": tool.mutates, "about": tool.description}
        for tool in world.tool_specs().values()
    ]
    return {
        "id": world.env_id,
        "about": " ".join((world.__doc__ or "").split("\n\n")[0].split()),
        "levels": list(world.levels),
        "max_turns": world.max_turns,
        "tools": tools,
        "templates": {name: sorted(kinds[name] - {""}) for name in sorted(kinds)},
        "unseen_combinations": sorted(list(pair) for pair in world.unseen_combos),
        "unseen_wordings": sorted(world.unseen_wordings),
        "flags": asdict(world.capabilities),
        "audit": None if world.verdict is None else str(world.verdict),
    }


def _show(screen: Any, about: dict[str, Any], full: bool) -> None:
    flags = ", ".join(name for name, held in about["flags"].items() if held) or "none"
    screen.print(f"[bold cyan]{about['id']}[/]  {about['about']}")
    levels = " ".join(map(str, about["levels"]))
    screen.print(f"  levels {levels}   turns up to {about['max_turns']}   promises {flags}")
    if about["audit"]:
        screen.print(f"  imported, audit: {about['audit']}", markup=False)
    if not full:
        tools = ", ".join(tool["name"] for tool in about["tools"])
        screen.print(f"  {len(about['tools'])} tools: {tools}")
        screen.print(f"  {len(about['templates'])} kinds of task\n")
        return
    screen.print("\n[bold]Tools[/]")
    for tool in about["tools"]:
        mark = "[yellow]writes[/]" if tool["mutates"] else "[dim]reads[/] "
        screen.print(f"  {mark}  [bold]{tool['name']}[/]  {tool['about']}")
    screen.print("\n[bold]Kinds of task[/]")
    for name, conditions in about["templates"].items():
        screen.print(f"  [bold]{name or 'any'}[/]  [dim]{', '.join(conditions)}[/]")
