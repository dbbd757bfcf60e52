"""The second set, written against frozen gates: mutants of our own verifiers' source, and faults of
kinds that the first set does not have.

A source mutant changes one place of `verifiers/criteria.py` or `verifiers/canonical.py`: a turned
comparison, `and` for `or`, a dropped `not`, a constant off by one, a dropped normalising call.
"""

from __future__ import annotations

import ast
import copy
import inspect
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from types import ModuleType
from typing import Any

from planted.first_set import _beside, _drafted, _perform, _swap
from planted.planting import Fault

from tooldojo.envs.calls import shown
from tooldojo.envs.snapshot import Snapshot
from tooldojo.envs.tools import ToolSpec
from tooldojo.envs.world import World
from tooldojo.verifiers import canonical, criteria
from tooldojo.verifiers.combine import Part, Verifier
from tooldojo.verifiers.records import CallOutcome, Evidence, Goal, Json, Score

ANSWERS_IN_TEXT = "tools that answer in text are left alone by it; office and home have no other"

# Mutants of source

_TURNED: dict[type, type] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Lt: ast.LtE, ast.LtE: ast.Lt,
}  # fmt: skip
FUNCTIONS = {
    canonical: ("canonical", "differences", "_walk", "_matches"),
    criteria: ("final_state", "closing_line", "_closes", "_line_key"),
}
_BY_SPELLING = (
    "differs only on ends that are right and spelt otherwise (an ignored field, 20.0 for 20); in "
    "an audit those are mutants that end like the demonstration, which count neither way"
)
_SURVIVES = {
    "_walk: comparison in line 18": _BY_SPELLING,
    "_matches: comparison in line 3": _BY_SPELLING,
}


class _Mutation(ast.NodeTransformer):
    """Changes the place number `wanted`; `places` counts them, `what` says what was done."""

    def __init__(self, wanted: int) -> None:
        self.wanted, self.places, self.what = wanted, 0, ""

    def _here(self, node: Any, what: str) -> bool:
        self.places += 1
        if self.places - 1 != self.wanted:
            return False
        self.what = f"{what} in line {node.lineno}"
        return True

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        if type(node.ops[0]) in _TURNED and self._here(node, "comparison"):
            node.ops[0] = _TURNED[type(node.ops[0])]()
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        self.generic_visit(node)
        if self._here(node, "and_or"):
            node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        return node.operand if isinstance(node.op, ast.Not) and self._here(node, "not") else node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, int | float) and self._here(node, "constant"):
            return ast.copy_location(ast.Constant(node.value != 1), node)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        plain = isinstance(node.func, ast.Attribute) and not node.args
        if plain and node.func.attr in ("casefold", "strip") and self._here(node, "normalising"):  # type: ignore[attr-defined]
            return node.func.value  # type: ignore[attr-defined]
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        return node  # words for people


def source_mutants() -> Iterator[Fault]:
    """One fault for every place in `FUNCTIONS`."""
    for module, names in FUNCTIONS.items():
        for name in names:
            tree = ast.parse(inspect.getsource(vars(module)[name]))
            count = _Mutation(-1)
            count.visit(copy.deepcopy(tree))
            for place in range(count.places):
                yield _source_fault(module, name, tree, place)


def unchanged() -> Fault:
    """The control: the source as it is, taken apart and put together like a mutant's."""
    tree = ast.parse(inspect.getsource(criteria.answer))
    return _source_fault(criteria, "answer", tree, -1)


def _source_fault(module: ModuleType, name: str, tree: ast.Module, place: int) -> Fault:
    mutation = _Mutation(place)
    changed = ast.fix_missing_locations(mutation.visit(copy.deepcopy(tree)))
    code = compile(changed, f"<{name}>", "exec")

    def plant(base: type[World]) -> dict[str, Any]:
        own = _namespace(canonical, {})
        if module is canonical:
            exec(code, own)
        linked = {name: own[name] for name in ("canonical", "differences")}
        both = _namespace(criteria, linked | {"Component": criteria.Component})
        if module is criteria:
            exec(code, both)
        parts = (
            Part(p.name, both.get(p.criterion.__name__, p.criterion), p.weight, p.gate)  # type: ignore[union-attr]
            for p in base.verifier.parts
        )
        return {"verifier": Verifier(tuple(parts))}

    kind = f"{name}: {mutation.what}"
    return Fault(kind, plant, _SURVIVES.get(kind, ""))


def _namespace(module: ModuleType, changes: dict[str, Any]) -> dict[str, Any]:
    """A module's source run anew, so that its functions see changed ones among them."""
    names: dict[str, Any] = {"__name__": module.__name__}
    exec(compile(inspect.getsource(module), module.__name__, "exec"), names)
    names.update(changes)
    return names


# Further kinds


def remembered_verdict(base: type[World]) -> dict[str, Any]:
    """The verifier remembers its first verdict on a goal."""
    known: dict[str, float] = {}

    def remember(evidence: Evidence, goal: Goal) -> float:
        key = repr(goal.to_json())
        if key not in known:
            known[key] = base.verifier(evidence, goal).value
        return known[key]

    return {"verifier": Verifier((Part("known", remember, gate=True),))}


def half_for_trying(base: type[World]) -> dict[str, Any]:
    """Half of the score for calling anything at all."""
    tried = Part("tried", lambda calls: bool(calls))
    right = Part("right", lambda evidence, goal: base.verifier(evidence, goal).value)
    return {"verifier": Verifier((tried, right))}


def consolation(base: type[World]) -> dict[str, Any]:
    """Some score for a polite reply."""
    polite = Part("polite", lambda answer: answer is not None, weight=0.1)
    right = Part("right", lambda evidence, goal: base.verifier(evidence, goal).value)
    return {"verifier": Verifier((polite, right))}


class _Generous(Verifier):
    def __call__(self, evidence: Evidence, goal: Goal) -> Score:
        score = Verifier.__call__(self, evidence, goal)
        return replace(score, success=score.value > 0 or bool(evidence.calls))


def generous_success(base: type[World]) -> dict[str, Any]:
    """Success and value disagree."""
    verdict = _Generous(base.verifier.parts)
    return {"verifier": staticmethod(lambda evidence, goal: verdict(evidence, goal))}


def _first_rows(world: World, spec: ToolSpec, result: Any) -> Any:
    if isinstance(result, dict) and len(result) > 2 and not spec.mutates:
        return dict(list(result.items())[:1])
    return result[:1] if isinstance(result, list) else result


def _shuffled(world: World, spec: ToolSpec, result: Any) -> Any:
    if isinstance(result, dict | list) and len(result) > 1:
        text = list(shown(result))
        Random().shuffle(text)
        return "".join(text)
    return result


def _slow_leak(world: World, spec: ToolSpec, result: Any) -> Any:
    left = len(world.task.gold) - world.turn
    return f"{shown(result)} ({left} to go)"


def _gold_in_result(world: World, spec: ToolSpec, result: Any) -> Any:
    ahead = world.task.gold[min(world.turn + 1, len(world.task.gold) - 1)]
    return f"{shown(result)} {[call.name for call in ahead.calls]}"


def forgets_derived(base: type[World]) -> dict[str, Any]:
    """What is derived from the state is kept over a reset."""

    def restore(self: World, snapshot: Snapshot) -> None:
        base.restore(self, snapshot)
        self.__dict__.setdefault("opening", repr(sorted(self.state)) + snapshot.task.id)

    async def perform(self: World, spec: ToolSpec, arguments: dict[str, Any]) -> object:
        result = await base.perform(self, spec, arguments)
        return f"{shown(result)} {self.__dict__['opening']}"

    return {"restore": restore, "perform": perform}


def snapshot_without_history(base: type[World]) -> dict[str, Any]:
    """A snapshot loses the calls made before it."""
    return {"snapshot": lambda self: replace(base.snapshot(self), calls=(), messages=())}


def snapshot_turn_off_by_one(base: type[World]) -> dict[str, Any]:
    """A snapshot counts one turn too few."""

    def snapshot(self: World) -> Snapshot:
        found = base.snapshot(self)
        return replace(found, turn=max(0, found.turn - 1))

    return {"snapshot": snapshot}


def unchained(base: type[World]) -> dict[str, Any]:
    """The hash chain forgets what was before."""
    return {"chain_hash": staticmethod(lambda previous, calls, state_hash: state_hash)}


def swallowed_bug(base: type[World]) -> dict[str, Any]:
    """A refusal is told as success."""

    async def perform(self: World, spec: ToolSpec, arguments: dict[str, Any]) -> object:
        try:
            return await base.perform(self, spec, arguments)
        except Exception:
            return "ok"

    return {"perform": perform}


def loose_tools(base: type[World]) -> dict[str, Any]:
    """A write accepts ids that do not exist and makes them."""

    async def perform(self: World, spec: ToolSpec, arguments: dict[str, Any]) -> object:
        try:
            return await base.perform(self, spec, arguments)
        except Exception:
            if not spec.mutates:
                raise
            self.state.setdefault("made", []).append(sorted(map(str, arguments.values())))
            return "made"

    return {"perform": perform}


def _names_alone(calls: tuple, goal: Goal) -> bool:
    """Judges that each writing tool was called, not with what."""
    return bool(calls) or goal.world is None


def _ok_calls(evidence: Evidence, goal: Goal) -> float:
    return float(any(c.outcome is CallOutcome.OK for c in evidence.calls) or not goal.world)


def _by_length(after: Json, goal: Goal) -> bool:
    return len(repr(after)) == len(repr(goal.world))


def _sorted_leaves(value: Json) -> list[str]:
    if isinstance(value, dict):
        return sorted(leaf for item in value.values() for leaf in _sorted_leaves(item))
    if isinstance(value, list):
        return sorted(leaf for item in value for leaf in _sorted_leaves(item))
    return [repr(value)]


def _leaves_alone(after: Json, goal: Goal) -> bool:
    return _sorted_leaves(after) == _sorted_leaves(goal.world)


def _answered_early(evidence: Evidence, goal: Goal) -> float:
    return float(evidence.turns <= 3)


KINDS = (
    Fault("remembered_verdict", remembered_verdict),
    Fault("half_for_trying", half_for_trying),
    Fault("consolation", consolation),
    Fault("generous_success", generous_success),
    Fault("first_rows_only", _perform(_first_rows),
          ANSWERS_IN_TEXT),
    Fault("shuffled_result", _perform(_shuffled), ANSWERS_IN_TEXT),
    Fault("turns_to_go", _perform(_slow_leak)),
    Fault("next_gold_call", _perform(_gold_in_result)),
    Fault("kept_over_reset", forgets_derived),
    Fault("snapshot_without_history", snapshot_without_history),
    Fault("snapshot_turn_off_by_one", snapshot_turn_off_by_one),
    Fault("unchained_hashes", unchained,
          "the chain is still deterministic and of the state; nothing in a gate reads its order"),
    Fault("swallowed_refusal", swallowed_bug,
          "a tool that never refuses is no fault that a gate could know of"),
    Fault("loose_write", loose_tools,
          "a tool that accepts more is no fault that a gate could know of"),
    Fault("names_alone", _swap("final_state", _names_alone)),
    Fault("some_ok_call", _swap("final_state", _ok_calls)),
    Fault("state_by_length", _swap("final_state", _by_length)),
    Fault("leaves_in_any_place", _swap("final_state", _leaves_alone)),
    Fault("three_turns_at_most", _beside(early=_answered_early)),
    Fault("other_secret", lambda base: _drafted(base, lambda d: replace(d, forbidden=("x",)))
          if any(p.name == "withheld" for p in base.verifier.parts) else {},
          "worlds without secrets have nothing to forget"),
)  # fmt: skip
FAULTS = (*source_mutants(), *KINDS)
