"""Our verdict on a dialogue, by the world itself or with one of its rules left out, and which rule
makes the difference to BFCL's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from random import Random
from typing import Any

from referee.dialogues import Dialogue
from referee.explained import UNEXPLAINED
from tooldojo.envs import making
from tooldojo.envs.imported import bfcl, bfcl_turns
from tooldojo.envs.registry import world_class
from tooldojo.envs.task import Split, Task
from tooldojo.envs.tools import ToolError
from tooldojo.verifiers.records import (
    SAID,
    CallOutcome,
    Evidence,
    Goal,
    Json,
    StopReason,
    ToolCall,
)
from tooldojo.verifiers.user_turns import user_turns

WHY = {
    "schema": "the entry's own schema forbids the arguments, BFCL runs the call",
    "transaction": "a call that fails changes something in BFCL, in our worlds nothing",
    "late": "a function was called before the user told of it, BFCL runs the call",
}


@dataclass(frozen=True, slots=True)
class Rules:
    """Which of the rules hold that our worlds have and the benchmark has not."""

    schema: bool = True
    transaction: bool = True
    late: bool = True


def task_of(category: str, entry_id: str) -> Task:
    """The task of an entry."""
    world = world_class(f"{bfcl.NAMESPACE}{category}.{entry_id}-v0")
    return making.complete(world, world.draft(Random(0), 1), Split.TEST, 1, "")


def referee_case(entry: dict[str, Any], dialogue: Dialogue) -> dict[str, Json]:
    """A dialogue as BFCL's own checker is asked about it."""
    answer: list[Json] = [
        [[{"name": name, "arguments": given} for name, given in step] for step in steps]
        for steps in dialogue
    ]
    about = {name: entry[name] for name in ("id", "initial_config", "involved_classes")}
    return {"entry": about, "answer": answer, "reference": entry["allowed"]}


def played(task: Task, dialogue: Dialogue) -> str:
    """Why the world refuses a dialogue; "" where it does not."""
    world = world_class(task.env)()
    world.reset(options={"task": task, "max_turns": 1000})
    for steps in dialogue:
        for step in steps:
            calls = tuple({"name": name, "arguments": given} for name, given in step)
            world.step({"calls": calls, "message": ""})
        world.step({"calls": (), "message": bfcl.CLOSING})
    assert world.score is not None
    return "" if world.score.success else world.score.why


def refusal(entry: dict[str, Any], dialogue: Dialogue, rules: Rules) -> str:
    """Why we refuse a dialogue under some of our rules; "" where we do not."""
    run = _Run(entry, rules)
    for number, steps in enumerate(dialogue):
        for name, given in (call for step in steps for call in step):
            run.call(number, name, given)
        if number + 1 < len(dialogue):
            run.calls.append(ToolCall(SAID, {}, 0, CallOutcome.OK, False, ""))
    where, wanted = bfcl_turns.scenario(entry), bfcl_turns.reference(entry)
    turns = bfcl_turns.ask("compare", scenario=where, made=run.made, wanted=wanted)
    evidence = Evidence({}, {}, tuple(run.calls), "", StopReason.ANSWERED, 0, {"user_turns": turns})
    return user_turns(evidence, Goal()).why


class _Run:
    """A dialogue under way, without a world: what was called, and where it led."""

    def __init__(self, entry: dict[str, Any], rules: Rules) -> None:
        self._entry, self._rules = entry, rules
        self._tools, self._owner = bfcl_turns.specs(entry), bfcl_turns.owners(entry)
        self._late = bfcl_turns.late_functions(entry)
        self._states: dict[str, Any] = {api: {} for api in entry["involved_classes"]}
        self.calls: list[ToolCall] = []
        self.made: list[list[dict]] = [[] for _ in entry["question"]]

    def call(self, turn: int, name: str, given: dict[str, Json]) -> None:
        """Make a call, unless one of the rules forbids it."""
        if not self._allowed(turn, name, given):
            self.calls.append(ToolCall(name, given, 0, CallOutcome.INVALID_ARGUMENTS, False, ""))
            return
        api = self._owner[name]
        where = {"scenario": bfcl_turns.scenario(self._entry), "api": api}
        asked = {**where, "state": self._states[api], "name": name, "arguments": given}
        done = bfcl_turns.ask("call", **asked)
        if not (done["error"] and self._rules.transaction):
            self._states[api] = done["state"]
            self.made[turn].append({"api": api, "name": name, "arguments": given})
        outcome = CallOutcome.TOOL_ERROR if done["error"] else CallOutcome.OK
        self.calls.append(ToolCall(name, given, 0, outcome, False, done["text"]))

    def _allowed(self, turn: int, name: str, given: dict[str, Json]) -> bool:
        late = turn < self._late.get(name, 0)
        if name not in self._owner or (late and self._rules.late):
            return False
        try:
            if self._rules.schema:
                self._tools[name].validate(given)
        except (ToolError, KeyError):
            return False
        return True


def explanation(entry: dict[str, Any], dialogue: Dialogue, theirs: bool) -> str:
    """The fewest rules without which we would judge as BFCL does; `theirs` is its verdict."""
    for count in (1, 2, 3):
        for without in combinations(WHY, count):
            rules = replace(Rules(), **dict.fromkeys(without, False))
            if (not refusal(entry, dialogue, rules)) == theirs:
                return "; ".join(WHY[name] for name in without)
    return UNEXPLAINED
