"""BFCL's own checkers of calls and of dialogues in the outside process, referees for ours.

Runs under `worker.py` and imports nothing of this package. Its table of models would import every
model client, so that one module is replaced; names of functions stay as they are. The checker of
dialogues evaluates its answers as code: it gets mutants of references, never a model's text.
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
        self._dialogues = 0
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

    def dialogues(self, cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """For each {entry, answer, reference}: {valid, why}. An answer holds by user turn and step
        calls as {name, arguments}, a reference by user turn calls as the package writes them.
        """
        return [self._dialogue(**case) for case in cases]

    def _dialogue(
        self, entry: dict[str, Any], answer: list[list[list[dict]]], reference: list[list[str]]
    ) -> dict[str, Any]:
        place = "bfcl_eval.eval_checker.multi_turn_eval"
        checker = importlib.import_module(f"{place}.multi_turn_checker").multi_turn_checker
        steps = [[[_written(call) for call in step] for step in turn] for turn in answer]
        self._dialogues += 1  # it keeps what a model's calls made, by the model's name
        model = f"referee{self._dialogues}"
        try:
            found = checker(steps, reference, entry, "", model)
        except Exception as error:
            return {"valid": False, "why": f"raised {type(error).__name__}"}
        finally:
            kept = vars(importlib.import_module(f"{place}.multi_turn_utils"))
            for name in [name for name in kept if name.startswith(f"{model}_")]:
                del kept[name]
        return {"valid": bool(found["valid"]), "why": str(found.get("error_type", ""))}


def _written(call: dict[str, Any]) -> str:
    given = ", ".join(f"{name}={value!r}" for name, value in call["arguments"].items())
    return f"{call['name']}({given})"
