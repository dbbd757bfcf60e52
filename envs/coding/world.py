"""The coding world: its policy and its six tools.

State: `functions` with module, body, status and whether they were edited, their `tests`, and what
nobody is shown: `trials` and the results `wanted` of them. The tools run bodies in the sandbox;
results of the trials are gathered when the task ends.
"""

from __future__ import annotations

from random import Random
from typing import Any, ClassVar

from tooldojo.envs.coding.bench import check_body, results
from tooldojo.envs.coding.tasks import UNSEEN_COMBOS, UNSEEN_WORDINGS, draft
from tooldojo.envs.draft import Draft
from tooldojo.envs.registry import register
from tooldojo.envs.tools import ToolError, tool
from tooldojo.envs.world import World
from tooldojo.verifiers.combine import Verifier, state_answer_and_look
from tooldojo.verifiers.criteria import gathered_results
from tooldojo.verifiers.records import Json

_SYSTEM = """You look after small Python functions of a and b. A body is one expression, such as \
a if a > b else min(abs(b), max(a, b)); a rest is %, how often one fits in another is //, a gap \
is abs of the difference. Rules:
1. Refuse a body with a number over 90; what no tool can do is unsupported. If any part is so, \
also in a branch not taken, all is: call nothing.
2. Only functions that pass all tests are released.
3. Repeat a call that timed out.
Close with one line: Result: <code> <function>. Codes: changed (body), released (comes first), \
kept <tests passed>, unknown, refused, unsupported. For facts the code is the value; of a module \
the name stands last."""


@register("tooldojo/Coding-v0")
class Coding(World):
    """Small functions: run, test, write, mend, release, or decline."""

    system_prompt: ClassVar[str] = _SYSTEM
    levels: ClassVar[tuple[int, ...]] = (1, 2, 3)
    verifier: ClassVar[Verifier] = state_answer_and_look(
        "refused", "unsupported", tests=gathered_results
    )
    slow_tools: ClassVar[bool] = True
    unseen_combos: ClassVar[frozenset[tuple[str, str]]] = UNSEEN_COMBOS
    unseen_wordings: ClassVar[frozenset[int]] = UNSEEN_WORDINGS

    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        """One random task of a level."""
        return draft(rng, level)

    def gather(self) -> dict[str, Json]:
        """What every function gives on its trials."""
        functions, trials = self.state["functions"], self.state["trials"]
        found: dict[str, Json] = {
            name: [*results(about["body"], trials[name])] for name, about in functions.items()
        }
        return {"results": found}

    @tool(mutates=False)
    def list_module(self, module: str) -> str:
        """Functions of a module."""
        found = [
            f"{name}: {about['status']}"
            for name, about in sorted(self.state["functions"].items())
            if about["module"] == module
        ]
        if not found:
            raise ToolError(f"no module {module}")
        return "; ".join(found)

    @tool(mutates=False)
    def read_function(self, function: str) -> str:
        """Body of a function."""
        about = self._function(function)
        return f"{about['body']}, {about['status']} in {about['module']}"

    @tool(mutates=False)
    def run_function(self, function: str, a: int, b: int) -> str:
        """Value for a and b."""
        return results(self._function(function)["body"], [(a, b)])[0]

    @tool(mutates=False)
    def run_tests(self, function: str) -> str:
        """Tests of a function."""
        self._function(function)
        return self._tested(function)

    @tool(mutates=True, idempotent=True)
    def set_body(self, function: str, body: str) -> str:
        """Write a body."""
        about = self._function(function)
        check_body(body)
        about.update(body=body, status="draft", edited=True)
        return f"changed {function}"

    @tool(mutates=True)
    def release_function(self, function: str) -> str:
        """Release a function."""
        about = self._function(function)
        if about["status"] == "released":
            raise ToolError(f"{function} is released already")
        tested = self._tested(function)
        if "fails" in tested:
            raise ToolError(f"{function} {tested}")
        about["status"] = "released"
        return f"released {function}"

    def _function(self, name: str) -> dict[str, Any]:
        if name not in self.state["functions"]:
            raise ToolError(f"no function {name}")
        return self.state["functions"][name]

    def _tested(self, name: str) -> str:
        tests = self.state["tests"][name]
        found = results(self.state["functions"][name]["body"], [(a, b) for a, b, _ in tests])
        wrong = [
            f"fails for {a}, {b}: gives {got}, wants {want}"
            for (a, b, want), got in zip(tests, found, strict=True)
            if got != str(want)
        ]
        passed = f"passes {len(tests) - len(wrong)} of {len(tests)}"
        return f"{passed}, {wrong[0]}" if wrong else passed
