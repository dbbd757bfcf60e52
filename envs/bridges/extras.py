"""Optional packages: found, or one clear line."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType


class ExtraMissing(RuntimeError):
    """An optional package is not installed; the message says how to install it."""


def require(module: str, extra: str) -> ModuleType:
    """An optional module.

    Raises:
        ExtraMissing: when it, or something that it needs, is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ExtraMissing(
            f"{module} cannot be imported ({error}); install tooldojo[{extra}]"
        ) from error
