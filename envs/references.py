"""What users write in files and modules of their own, by reference: `package.module:name` or
`path/to/file.py:name`.

A file may import the files beside it: its folder is searched last, so that none of them hides an
installed package. Invariant: a file that fails while it is loaded leaves no module behind.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from tooldojo.envs.blame import described


class LoadError(LookupError):
    """What a reference names fails while it is loaded; the message says where and why."""


def load_reference(reference: str) -> object | None:
    """What a reference stands for; None where the file or module has no such name.

    Raises:
        LookupError: when there is no file, no module, or no colon.
        LoadError: when the file or module raises while it is imported.
    """
    place, colon, name = reference.rpartition(":")
    if not (colon and place and name):
        raise LookupError(f"{reference!r} is no 'module:name' and no 'file.py:name'")
    module = (
        _module_of_file(Path(place), reference)
        if place.endswith(".py")
        else _module_by_name(place, reference)
    )
    return vars(module).get(name)


def load_function(reference: str, about: str) -> Callable[..., Any]:
    """The function behind a reference; about: what such a one is, for the message.

    Raises:
        LookupError: when there is no function of that name, and as `load_reference` does.
    """
    found = load_reference(reference)
    if not callable(found):
        raise LookupError(f"{reference} is no function; {about}")
    return found


def absolute(reference: str) -> str:
    """The same reference for a process in another folder."""
    place, _, name = reference.rpartition(":")
    return f"{os.path.abspath(place)}:{name}" if place.endswith(".py") else reference


def is_here(reference: str) -> bool:
    """Whether the file of a reference exists; a module always counts as here."""
    place = reference.partition("?")[0].rpartition(":")[0]
    return not place.endswith(".py") or os.path.isfile(place)


def _module_of_file(path: Path, reference: str) -> ModuleType:
    if not path.is_file():
        where = "" if path.is_absolute() else f" in {os.getcwd()}"
        name = reference.rpartition(":")[2]
        raise LookupError(f"no file {str(path)!r}{where} to load {name!r} from")
    full = str(path.resolve())
    name = f"_tooldojo_world_{path.stem}_{hashlib.sha256(full.encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, full)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    folder = os.path.dirname(full)
    if folder not in sys.path:
        sys.path.append(folder)
    sys.modules[name] = module
    try:
        with _loading(reference):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _module_by_name(name: str, reference: str) -> ModuleType:
    file = Path((name if "/" in name else name.replace(".", "/")) + ".py")
    wanted = f"{file}:{reference.rpartition(':')[2]}"
    hint = f"; did you mean {wanted!r}?" if file.is_file() else ""
    if not all(part.isidentifier() for part in name.split(".")):
        raise LookupError(f"{reference!r} is no 'module:name' and no 'file.py:name'{hint}")
    try:
        with _loading(reference):
            return importlib.import_module(name)
    except LoadError as error:
        cause = error.__cause__
        if isinstance(cause, ModuleNotFoundError) and f"{name}.".startswith(f"{cause.name}."):
            missing = f"no module {cause.name!r} for {reference!r}"
            raise LookupError(missing + (hint or "; install it, or name a file.py")) from None
        raise


@contextmanager
def _loading(reference: str) -> Iterator[None]:
    try:
        yield
    except (Exception, SystemExit) as error:
        advice = "mend that and try again"
        if isinstance(error, ModuleNotFoundError):
            advice = f"install {error.name!r}, or put its file beside the one that imports it"
        raise LoadError(f"cannot load {reference}: {described(error)}; {advice}") from error
