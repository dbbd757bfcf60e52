"""What the terminal shows during long work: a rich bar, and one line per step that names the
bottleneck.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

OnStep = Callable[[int, dict[str, float], str], None]


def progress_bar(console: Console) -> Progress:
    """A bar with counts and times; on a console that is no terminal it prints nothing."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


@contextmanager
def step_reporter(console: Console, steps: int) -> Iterator[OnStep]:
    """A function for `loop.train` that prints each step's figures and bottleneck under a bar."""
    with progress_bar(console) as bar:
        row = bar.add_task("steps", total=steps)

        def report(step: int, metrics: dict[str, float], line: str) -> None:
            bar.update(row, completed=step)
            shown = f"step {step:>3}/{steps}  success {metrics['success']:.2f}"
            shown += f"  reward {metrics['reward']:.2f}"
            if "val/success" in metrics:
                shown += f"  val {metrics['val/success']:.2f}"
            console.print(
                f"{shown}  {metrics['seconds/step']:.1f} s  [dim]{line}[/dim]", highlight=False
            )

        yield report


@contextmanager
def counter(console: Console, what: str, total: int) -> Iterator[Callable[[object], None]]:
    """A function that counts finished things on a bar."""
    with progress_bar(console) as bar:
        row = bar.add_task(what, total=total)
        yield lambda _: bar.advance(row)


RIGHT = {  # what TRL's trainers call a share of right answers, and what it is of
    "eval_mean_token_accuracy": "tokens right",
    "eval_rewards/accuracies": "pairs right",
    "eval_accuracy": "pairs right",
}


@contextmanager
def stage_reporter(console: Console) -> Iterator[Callable[[int, int, dict[str, float]], None]]:
    """A function for a stage that TRL trains: shows steps, validation losses and accuracies."""
    with progress_bar(console) as bar:
        row = bar.add_task("steps", total=None)

        def report(step: int, steps: int, figures: dict[str, float]) -> None:
            bar.update(row, completed=step, total=steps)
            if "eval_loss" in figures:
                shown = f"step {step:>3}/{steps}  validation loss {figures['eval_loss']:.3f}"
                for name, words in RIGHT.items():
                    if name in figures:
                        shown += f"  {words} {figures[name]:.3f}"
                console.print(shown, highlight=False, soft_wrap=True)

        yield report
