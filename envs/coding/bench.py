"""Model-written expressions, checked and run: a `Bench` gives what they come to, or why nothing.

Only expressions of `a`, `b` and a few functions pass, so that a result depends on nothing but the
arguments; they run in the sandbox, for one can still take for ever. Results are cached.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from functools import lru_cache

from tooldojo.envs.sandbox.pool import shared_sandbox
from tooldojo.envs.sandbox.records import Outcome
from tooldojo.envs.tools import ToolError

LONGEST = 120  # characters of a body
_LONGEST_VALUE = 24  # characters shown of a result
_CALLABLE = ("abs", "len", "max", "min", "round", "sum")
_NAMES = frozenset(("a", "b", *_CALLABLE))
_NODES = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Call, ast.Name,
    ast.Constant, ast.List, ast.Tuple, ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.Load,
)  # fmt: skip
_HARNESS = """
import json
def call(a, b):
    return (
{body}
)
def shown(a, b):
    try:
        return repr(call(a, b))[:{longest}]
    except Exception as error:
        return type(error).__name__
print(json.dumps([shown(a, b) for a, b in {pairs}]))
"""
_ENDED = {
    Outcome.CPU: "takes too long",
    Outcome.IDLE: "takes too long",
    Outcome.DIED: "ends its process",
}

Pairs = tuple[tuple[int, int], ...]


def check_body(body: str) -> None:
    """Refuse what is no expression of the kind that a function may have.

    Raises:
        ToolError: with the reason.
    """
    if len(body) > LONGEST:
        raise ToolError(f"the body has {len(body)} characters; {LONGEST} are allowed")
    try:
        tree = ast.parse(body, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ToolError("the body is no expression") from None
    for node in ast.walk(tree):
        if not isinstance(node, _NODES):
            raise ToolError(f"the body may have no {type(node).__name__}")
        if isinstance(node, ast.Name) and node.id not in _NAMES:
            raise ToolError(f"the body may use a, b and {', '.join(_CALLABLE)}, not {node.id}")


def results(body: str, pairs: Sequence[Sequence[int]]) -> list[str]:
    """What a checked body gives for each pair of arguments, as text, or the kind of its error."""
    return list(_results(body, tuple((a, b) for a, b in pairs)))


@lru_cache(maxsize=4096)
def _results(body: str, pairs: Pairs) -> tuple[str, ...]:
    code = _HARNESS.format(body=body, longest=_LONGEST_VALUE, pairs=pairs)
    done = shared_sandbox().run(code)
    why = _ENDED.get(done.outcome) or done.error.partition(":")[0]
    if why:
        return (why,) * len(pairs)
    try:
        found = json.loads(done.output)
    except ValueError:
        found = None
    if not isinstance(found, list) or len(found) != len(pairs):
        return ("ends its process",) * len(pairs)
    return tuple(str(each)[:_LONGEST_VALUE] for each in found)
