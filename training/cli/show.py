"""A trajectory on the terminal, turn by turn."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from tooldojo.training.transcripts import SpanView, TaskView, Transcript, TurnView

if TYPE_CHECKING:
    from rich.console import Console

STYLES = {"thought": "italic magenta", "call": "cyan", "answer": "bold green"}
_MARKUP = re.compile(r"</?(?:think|tool_call)>|<\|\w+\|>")


def show_task(console: Console, task: TaskView) -> None:
    """The task as the policy gets it."""
    title = f"[bold]{task.world}[/]  level {task.level}, {task.split}"
    kind = f"  [dim]{escape(task.template)}[/]" if task.template else ""
    console.print(f"{title}{kind}")
    console.print(Panel(Text(task.prompt), title="task", title_align="left", border_style="dim"))


def show_transcript(console: Console, played: Transcript) -> None:
    """The turns, then the verdict."""
    for number, turn in enumerate(played.turns, 1):
        _show_turn(console, number, turn)
    if played.success is None:
        verdict = "[bold yellow]no verdict[/]"
    else:
        verdict = "[bold green]✓ solved[/]" if played.success else "[bold red]✗ failed[/]"
    why = f"  {escape(played.why)}" if played.why and not played.success else ""
    ending = played.ending.replace("_", " ")
    console.print(f"\n{verdict}{why}")
    tokens = f", {played.sampled_tokens} sampled tokens" if played.tokens else ""
    turns = f"{len(played.turns)} turn{'s' if len(played.turns) != 1 else ''}"
    console.print(f"[dim]{ending} after {turns}{tokens} · {played.policy}[/]")


def _show_turn(console: Console, number: int, turn: TurnView) -> None:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=3, justify="right", style="bold")
    grid.add_column()
    for place, span in enumerate(turn.spans):
        grid.add_row("" if place else str(number), _span(span))
    if turn.cut:
        grid.add_row("", "[red]cut off by the limit on tokens[/]")
    for result in turn.results:
        style = "dim" if result.outcome == "ok" else "red"
        mark = " [yellow](changed the world)[/]" if result.mutated else ""
        grid.add_row("", f"  [{style}]→ {escape(result.text)}[/]{mark}")
    console.print(grid)


def _span(span: SpanView) -> Text:
    shown = _MARKUP.sub("", span.text).strip()
    return Text(shown or "(an empty message)", STYLES.get(span.kind, ""))
