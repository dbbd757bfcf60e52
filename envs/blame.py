"""Whose code failed: what an exception says, with the file and line of the author's own code.

Invariant: frames of this package, of the standard library and of installed packages are never
blamed; where there are no others, no place is named.
"""

from __future__ import annotations

import inspect
import sysconfig
import traceback
from types import FrameType

_LIBRARIES = tuple(
    sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")
)


def described(error: BaseException) -> str:
    """Type, text and place of an exception, on one line."""
    where = place_of(error)
    text = error.msg if isinstance(error, SyntaxError) else error
    said = f"{type(error).__name__}: {text}"
    return said if where is None else f"{said} ({where})"


def place_of(error: BaseException) -> str | None:
    """File and line where the author's code failed; None where none of it ran."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return f"{error.filename}, line {error.lineno}"
    frames = traceback.walk_tb(error.__traceback__)
    lines = [(frame.f_code.co_filename, line) for frame, line in frames if _is_an_authors(frame)]
    return f"{lines[-1][0]}, line {lines[-1][1]}" if lines else None


def place_of_function(function: object) -> str:
    """What a function is called, and the file and line where it begins."""
    plain = inspect.unwrap(function) if callable(function) else function
    if not inspect.isfunction(plain):
        return repr(function)
    code = plain.__code__
    return f"{plain.__qualname__}, {code.co_filename}, line {code.co_firstlineno}"


def _is_an_authors(frame: FrameType) -> bool:
    module, file = str(frame.f_globals.get("__name__")), frame.f_code.co_filename
    return not (module.startswith("tooldojo.") or file.startswith(("<", *_LIBRARIES)))
