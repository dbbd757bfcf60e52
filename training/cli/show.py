"""A trajectory on the terminal, turn by turn."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.padding import Padding
from rich.panel import Panel
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
    console.print(f"[dim]{ending} after {len(played.turns)} turns{tokens} · {played.policy}[/]")


def _show_turn(console: Console, number: int, turn: TurnView) -> None:
    for span in turn.spans:
        console.print(_span(number, span))
        number = 0
    if turn.cut:
        console.print(Padding("[red]cut off by the limit on tokens[/]", (0, 0, 0, 4)))
    for result in turn.results:
        style = "dim" if result.outcome == "ok" else "red"
        mark = " [yellow](changed the world)[/]" if result.mutated else ""
        line = f"[{style}]→ {escape(result.text)}[/]{mark}"
        console.print(Padding(line, (0, 0, 0, 6)))


def _span(number: int, span: SpanView) -> Padding:
    """One span behind the number of its turn, which only the first one shows."""
    text = Text(f"{number:>2}  " if number else "    ", "bold")
    shown = _MARKUP.sub("", span.text).strip() or "(an empty message)"
    text.append(shown.replace("\n", "\n    "), STYLES.get(span.kind, ""))
    return Padding(text, (0, 0, 0, 0))
