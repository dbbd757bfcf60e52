"""Why two judges of the same answer differ: a rule for each kind of disagreement, tried in turn.

A rule explains an answer only when changing that one rule would make ours agree with BFCL.
"""

from __future__ import annotations

from typing import Any

from referee.mutants import Answer
from tooldojo.envs.imported import bfcl
from tooldojo.envs.tools import ToolError, ToolSpec
from tooldojo.verifiers.allowed_calls import RULES, AllowedCall, matching_refusal, refusal

UNEXPLAINED = "unexplained"


def schema_reason(tool: ToolSpec, given: dict[str, Any]) -> str:
    """JSON Schema's view: types, enums, required and unknown arguments."""
    try:
        tool.validate(given)
    except ToolError as error:
        return f"schema: {error}"
    return ""


def type_reason(tool: ToolSpec, given: dict[str, Any]) -> str:
    """BFCL's view where equality of values leaves it open: no float is an integer, and what the
    schema requires or does not know.
    """
    required: Any = tool.parameters.get("required", [])
    missing = [name for name in required if name not in given]
    if missing:
        return f"type: lacks {missing[0]}"
    for name, value in given.items():
        if name not in tool.fields:
            return f"type: unknown {name}"
        schema: Any = tool.fields[name]
        inner = schema.get("items", {}) if isinstance(value, list) else schema
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, float) and inner.get("type") == "integer":
                return f"type: {name}={each!r} is no integer"
    return ""


CHECKS = {"json": schema_reason, "bfcl": type_reason}


def our_reason(category: str, entry_id: str, answer: Answer, check: str, same: str) -> str:
    """Why we refuse an answer: by a check of its arguments, or by what the entry allows."""
    tools = bfcl.specs(category, entry_id)
    reasons = (CHECKS[check](tools[n], given) for n, given in answer if n in tools)
    why = next(filter(None, reasons), "")
    return why or matching_refusal(answer, allowed(category, entry_id), RULES[same])


def allowed(category: str, entry_id: str) -> list[AllowedCall]:
    """What an entry allows."""
    return [AllowedCall.from_json(e) for e in bfcl.entries(category)[entry_id]["allowed"]]


def explanation(category: str, entry_id: str, answer: Answer, rules: str, theirs: bool) -> str:
    """The rule that makes the difference; `theirs` is BFCL's verdict, ours is the other one."""

    def agrees(check: str, same: str) -> bool:
        return (not our_reason(category, entry_id, answer, check, same)) == theirs

    wanted = allowed(category, entry_id)
    if rules == "json" and agrees("json", "bfcl"):
        return "BFCL compares strings without case, spaces and some signs"
    if rules == "json" and agrees("bfcl", "json"):
        alone = "the entry's own schema forbids the value (enum or type), BFCL does not look"
        return alone if theirs else "5.0 is an integer in JSON Schema, not in BFCL"
    if rules == "json" and agrees("bfcl", "bfcl"):
        return "both: strings compared loosely, and a schema that BFCL does not look at"
    if not theirs and not _paired_greedily(answer, wanted, rules):
        return "BFCL pairs calls off greedily; another pairing fits"
    if not theirs and any(_is_loose(each, category, entry_id) for each in wanted):
        return "BFCL reads the type off the allowed values, whose types differ from the schema"
    return UNEXPLAINED


def _paired_greedily(answer: Answer, wanted: list[AllowedCall], rules: str) -> bool:
    left = list(answer)
    for each in wanted:
        fits = [call for call in left if not refusal(*call, each, RULES[rules])]
        if not fits:
            return False
        left.remove(fits[0])
    return True


def _is_loose(call: AllowedCall, category: str, entry_id: str) -> bool:
    """Whether an argument allows something that its schema's type does not."""
    fields = bfcl.specs(category, entry_id)[call.name].fields
    kinds = {"integer": int, "number": float, "string": str, "boolean": bool, "array": list}
    for name, options in call.values.items():
        kind = kinds.get(str(fields.get(name, {}).get("type")))
        if kind and any(type(o) is not kind for o in options if o != ""):
            return True
    return False
