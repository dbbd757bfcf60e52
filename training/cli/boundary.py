"""The rim of the command line: output for people and for programs, and errors as one line.

Exit codes: 0 ok; 1 a check failed or something broke; 2 bad input; 130 stopped by Ctrl-C.
Invariant: with `--json` the last line of stdout is one JSON object, also when the command fails.
"""

from __future__ import annotations

import errno
import json
import os
import shlex
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from typer.core import TyperGroup

from tooldojo.envs.blame import place_of

if TYPE_CHECKING:
    from rich.console import Console

DEBUG = "TOOLDOJO_DEBUG"
RESUME = "--resume"
USAGE: type[Exception] = typer.BadParameter.__base__  # type: ignore[assignment]  # click's, vendored

# By name, so that no heavy module is imported to compare types: what the user asked for is wrong.
_BAD_INPUT = {
    "RecipeError",
    "TemplateError",
    "PolicyError",
    "PreferenceError",
    "RunDirectoryError",
    "ReportError",
    "InputError",
    "EndpointError",
    "ListenError",
    "ExtraMissing",
    "RescoreError",
    "WorldMissing",
    "LoadError",
    "DraftError",
    "ToolSpecError",
}
# A check said no, or the machine cannot: the message is meant for the user as well.
_FAILED = {
    "DeliveryError",
    "EvaluationError",
    "ProvenanceError",
    "FleetError",
    "HopelessRun",
    "HungTools",
    "EngineLost",
    "WorldCrash",
    "VerifierCrash",
    "SandboxUnavailable",
    "SandboxLost",
    "CheckpointError",
    "StudyError",
    "LearnerLost",
    "NoVerdicts",
}
# What the core does without, by the extra that has it; other packages name theirs themselves.
_TRAIN = (
    "datasets matplotlib peft ray safetensors scipy tensorboard tokenizers torch transformers trl"
)
_EXTRAS = {
    **dict.fromkeys(_TRAIN.split(), "tooldojo[train]"),
    "vllm": "tooldojo[cpu] or tooldojo[gpu]",
}

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")]
Trace = Annotated[bool, typer.Option("--traceback", help="Show where an error came from.")]


class InputError(ValueError):
    """An argument that cannot be used; the message is one line for the user."""


class CheckFailed(RuntimeError):
    """A command ran and its check said no; `data` is what `--json` prints."""

    def __init__(self, message: str, data: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.data = data


@dataclass(slots=True)
class Output:
    """Where a command writes: `console` for people, `emit` for programs.

    typed: the whole command line. kept: set by commands that can be resumed, a file that exists as
    soon as there is something to go on from.
    """

    typed: tuple[str, ...]
    as_json: bool
    traced: bool
    kept: Path | None = None

    @property
    def console(self) -> Console:
        """Stdout, or stderr where a program reads stdout."""
        from rich.console import Console

        return Console(stderr=self.as_json, highlight=False)

    def emit(self, data: Mapping[str, Any], ok: bool = True) -> None:
        """The result as the last line of stdout; nothing without `--json`."""
        if self.as_json:
            print(json.dumps({"ok": ok, **data}, ensure_ascii=False, default=str), flush=True)

    def go_on(self) -> str | None:
        """What to type to go on after Ctrl-C; None where nothing was kept."""
        if self.kept is None or not self.kept.exists():
            return None
        return shlex.join([*self.typed, *([] if RESUME in self.typed else [RESUME])])


class Boundary(TyperGroup):
    """Gives each command its `Output` and turns its exceptions into one line and an exit code."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """See the flags that steer output before any command parses them."""
        traced = "--traceback" in args or bool(os.environ.get(DEBUG))
        typed = (*str(ctx.info_name).split(), *args)
        ctx.obj = Output(typed, "--json" in args, traced)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise
        except KeyboardInterrupt:
            raise typer.Exit(_stopped(ctx.obj)) from None
        except Exception as error:
            raise typer.Exit(report(error, ctx.obj)) from None


def report(error: Exception, output: Output) -> int:
    """Print an error as one line (and its origin, if asked for); returns the exit code."""
    error = _cause(error)
    code, text = _judged(error)
    if output.traced:
        traceback.print_exception(error, file=sys.stderr)
    elif text.startswith("unexpected"):
        text += f"; {DEBUG}=1 shows where"
    line = " ".join(text.split())
    _say(f"[bold red]error:[/] {escape(line)}")
    data = dict(error.data) if isinstance(error, CheckFailed) else {}
    output.emit({"error": line, "kind": type(error).__name__, **data}, ok=False)
    return code


def _judged(error: Exception) -> tuple[int, str]:
    name = type(error).__name__
    if isinstance(error, USAGE):
        return 2, f"{error.format_message()} See `tooldojo --help`."  # type: ignore[attr-defined]
    if name in _BAD_INPUT or (type(error) in (LookupError, ValueError) and _is_ours(error)):
        return 2, str(error)
    if isinstance(error, CheckFailed) or name in _FAILED:
        return 1, str(error)
    if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith("toold"):
        return 2, _missing(error, error.name)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        place = f"writing {error.filename}" if error.filename else "writing"
        return 1, f"the disk is full ({place}); make room or put the output elsewhere, then go on"
    if isinstance(error, OSError) and error.filename:
        return 2, f"{error.filename}: {error.strerror}"
    return 1, f"unexpected {name}: {error}"


def _missing(error: ModuleNotFoundError, name: str) -> str:
    package = name.partition(".")[0]
    if package in _EXTRAS and place_of(error) is None:
        return f"this command needs {package!r}; install {_EXTRAS[package]} or run `make setup`"
    lines = [(f.f_code.co_filename, line) for f, line in traceback.walk_tb(error.__traceback__)]
    file, line = next(each for each in reversed(lines) if not each[0].startswith("<"))
    return f"{file}, line {line} imports {name!r}, which is not there; install {package!r}"


def _is_ours(error: Exception) -> bool:
    """Whether our own code raised it, to say something about its input, and not a library."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_globals["__name__"].startswith("tooldojo.")


def _cause(error: Exception) -> Exception:
    """What a Ray task really raised: its wrapper's text is a whole traceback."""
    if type(error).__module__.startswith("ray"):
        inner = vars(error).get("cause")
        return inner if isinstance(inner, Exception) else error
    return error


def _stopped(output: Output) -> int:
    command = output.go_on()
    _say("stopped" if command is None else f"stopped; go on with: {escape(command)}")
    output.emit({"error": "stopped", "kind": "KeyboardInterrupt", "go_on": command}, ok=False)
    return 130


def _say(line: str) -> None:
    from rich.console import Console

    Console(stderr=True, highlight=False).print(line, soft_wrap=True)
