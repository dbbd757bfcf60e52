"""BFCL's own checker of calls in the outside process, a referee for ours.

Runs under `worker.py` and imports nothing of this package. Its table of models would import every
model client, so that one module is replaced; names of functions stay as they are.
"""

from __future__ import annotations

import importlib
import os
import sys
import types
from collections import defaultdict
from typing import Any


class Backend:
    """The checker for answers in Python's types."""

    def __init__(self) -> None:
        os.environ["BFCL_PROJECT_ROOT"] = os.getcwd()  # where it would write
        models = types.ModuleType("bfcl_eval.constants.model_config")
        plain = types.SimpleNamespace(underscore_to_dot=False)
        models.MODEL_CONFIG_MAPPING = defaultdict(lambda: plain)  # type: ignore[attr-defined]
        sys.modules[models.__name__] = models
        place = "bfcl_eval.eval_checker.ast_eval.ast_checker"
        self._check = importlib.import_module(place).ast_checker
        self._python = importlib.import_module("bfcl_eval.constants.enums").Language.PYTHON

    def verdicts(self, cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """For each {category, functions, answer, allowed}: {valid, why}."""
        return [self._verdict(**case) for case in cases]

    def _verdict(
        self, category: str, functions: list[dict], answer: list[dict], allowed: list[dict]
    ) -> dict[str, Any]:
        try:
            found = self._check(functions, answer, allowed, self._python, category, "plain")
        except Exception as error:
            return {"valid": False, "why": f"raised {type(error).__name__}"}
        return {"valid": bool(found["valid"]), "why": str(found.get("error_type", ""))}
