"""The first set: faults of play, and verifiers that take too little or too much.

Each replaces behaviour of a sound world, whatever the world is about.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
from planted.planting import Fault, Plant

from tooldojo.envs.calls import shown
from tooldojo.envs.snapshot import Snapshot, clone
from tooldojo.envs.tools import ToolError, ToolSpec
from tooldojo.envs.world import World
from tooldojo.verifiers.canonical import content_hash, differences, text_hash
from tooldojo.verifiers.combine import Criterion, Part, Verifier
from tooldojo.verifiers.criteria import answer, closing_line, final_state
from tooldojo.verifiers.records import CallOutcome, Evidence, Goal, Json, StopReason

THROUGH_GOLD = "the demonstration goes through the same tool, so goal and play agree"

# Play


def _perform(change: Callable[[World, ToolSpec, Any], Any]) -> Plant:
    """A fault in what tools return: `change` gets the world, the tool and its result."""

    def plant(base: type[World]) -> dict[str, Any]:
        async def perform(self: World, spec: ToolSpec, arguments: dict[str, Any]) -> object:
            return change(self, spec, await base.perform(self, spec, arguments))

        return {"perform": perform}

    return plant


def shared_state(base: type[World]) -> dict[str, Any]:
    """Tools act on whichever instance was reset last."""
    last: list[World] = []

    def restore(self: World, snapshot: Snapshot) -> None:
        base.restore(self, snapshot)
        last[:] = [self]

    async def perform(self: World, spec: ToolSpec, arguments: dict[str, Any]) -> object:
        return await base.perform(last[0], spec, arguments)

    return {"restore": restore, "perform": perform}


def _late_random(world: World, spec: ToolSpec, result: Any) -> Any:
    return f"{shown(result)} {Random().random()}" if world.turn else result


def _numpy_random(world: World, spec: ToolSpec, result: Any) -> Any:
    np.random.random()
    return result


def _mutating_read(world: World, spec: ToolSpec, result: Any) -> Any:
    if not spec.mutates:
        world.state["reads"] = world.state.get("reads", 0) + 1
    return result


def _leak(world: World, spec: ToolSpec, result: Any) -> Any:
    return f"{shown(result)} ({world.task.goal.answer})"


def _counted_by_class(world: World, spec: ToolSpec, result: Any) -> Any:
    kind: Any = type(world)
    kind.served = getattr(kind, "served", 0) + 1
    return f"{shown(result)} (no. {kind.served})"


def global_generator(base: type[World]) -> dict[str, Any]:
    """Drafts come from the global generator."""

    def draft(cls: type[World], rng: Random, level: int) -> Any:
        return base.draft.__func__(cls, Random(random.randrange(10**9)), level)  # type: ignore[attr-defined]

    return {"draft": classmethod(draft)}


def clock_in_draft(base: type[World]) -> dict[str, Any]:
    """The prompt tells the time."""
    return _drafted(base, lambda d: replace(d, prompt=f"{d.prompt} ({time.time_ns()})"))


def answer_in_prompt(base: type[World]) -> dict[str, Any]:
    """The prompt says how to close."""
    return _drafted(base, lambda d: replace(d, prompt=f"{d.prompt} {d.gold[-1].message}"))


def numbers_as_keys(base: type[World]) -> dict[str, Any]:
    """A table whose keys JSON turns into strings."""
    return _drafted(base, lambda d: replace(d, world={**d.world, "fees": {1: 0.5}}))


def empty_goal(base: type[World]) -> dict[str, Any]:
    """Nothing is asked of the world: every path of the state is ignored."""
    return _drafted(base, lambda d: replace(d, ignore=tuple(d.world)))


def _drafted(base: type[World], change: Callable[[Any], Any]) -> dict[str, Any]:
    def draft(cls: type[World], rng: Random, level: int) -> Any:
        return change(base.draft.__func__(cls, rng, level))  # type: ignore[attr-defined]

    return {"draft": classmethod(draft)}


def mutation_on_failure(base: type[World]) -> dict[str, Any]:
    """A read that fails leaves a note in the state."""

    async def perform(self: World, spec: ToolSpec, arguments: dict[str, Any]) -> object:
        try:
            return await base.perform(self, spec, arguments)
        except ToolError:
            if not spec.mutates:
                self.state["failures"] = self.state.get("failures", 0) + 1
            raise

    return {"perform": perform}


def no_rollback(base: type[World]) -> dict[str, Any]:
    """A write that fails half-way is not undone."""

    def restore(self: World, snapshot: Snapshot) -> None:
        base.restore(self, snapshot)
        tree: Any = self.state_tree
        tree.rollback = tree.commit

    async def perform(self: World, spec: ToolSpec, arguments: dict[str, Any]) -> object:
        if spec.mutates:
            self.state["attempts"] = self.state.get("attempts", 0) + 1
        return await base.perform(self, spec, arguments)

    return {"restore": restore, "perform": perform}


def undeclared_writes(base: type[World]) -> dict[str, Any]:
    """Tools that write are marked as reads."""
    specs = {name: replace(spec, mutates=False) for name, spec in base.tool_specs().items()}
    return {"tool_specs": classmethod(lambda cls: specs)}


def leaked_info(base: type[World]) -> dict[str, Any]:
    """`reset` tells how many turns the demonstration takes."""

    def reset(self: World, **options: Any) -> tuple[tuple[str, ...], dict]:
        seen, info = base.reset(self, **options)
        return seen, info | {"turns": len(self.task.gold)}

    return {"reset": reset}


def order_sensitive_hash(base: type[World]) -> dict[str, Any]:
    """The state's hash depends on the order of keys."""
    return {"state_hash": lambda self: text_hash(json.dumps(clone(self.state)))}


def coarse_hash(base: type[World]) -> dict[str, Any]:
    """The state's hash sees which records there are, not what is in them."""

    def state_hash(self: World) -> str:
        tables: Json = {name: sorted(map(str, table)) for name, table in self.state.items()}
        return content_hash(tables)

    return {"state_hash": state_hash}


def stale_cache(base: type[World]) -> dict[str, Any]:
    """A read answers what it answered before, whatever was written since."""

    async def perform(self: World, spec: ToolSpec, arguments: dict[str, Any]) -> object:
        known = self.__dict__.setdefault("known", {})
        key = spec.name + json.dumps(arguments, default=str)
        if key not in known or spec.mutates:
            known[key] = shown(await base.perform(self, spec, arguments))
        return known[key]

    return {"perform": perform}


def crash_on_refusal(base: type[World]) -> dict[str, Any]:
    """A tool meets an unknown id with a KeyError."""

    async def perform(self: World, spec: ToolSpec, arguments: dict[str, Any]) -> object:
        try:
            return await base.perform(self, spec, arguments)
        except ToolError as error:
            raise KeyError(str(error)) from error

    return {"perform": perform}


def step_differs(base: type[World]) -> dict[str, Any]:
    """`step` shows something else than `astep`."""

    def step(self: World, action: dict) -> Any:
        seen, *rest = base.step(self, action)
        return (tuple(text.upper() for text in seen), *rest)

    return {"step": step}


def list_observation(base: type[World]) -> dict[str, Any]:
    """Observations are no tuple of texts."""

    def step(self: World, action: dict) -> Any:
        seen, *rest = base.step(self, action)
        return ([len(text) for text in seen], *rest)

    return {"step": step}


def shared_snapshot(base: type[World]) -> dict[str, Any]:
    """A snapshot holds the live state."""
    return {"snapshot": lambda self: replace(base.snapshot(self), state=self.state)}


def calls_survive_reset(base: type[World]) -> dict[str, Any]:
    """The record of calls goes on over a reset."""

    def restore(self: World, snapshot: Snapshot) -> None:
        earlier = list(self.__dict__.get("calls", ()))
        base.restore(self, snapshot)
        self.calls = [*earlier, *self.calls] if not snapshot.turn else self.calls

    return {"restore": restore}


def double_reward(base: type[World]) -> dict[str, Any]:
    """`step` pays twice the score."""

    def step(self: World, action: dict) -> Any:
        seen, reward, *rest = base.step(self, action)
        return (seen, 2 * reward, *rest)

    return {"step": step}


def short_limit(base: type[World]) -> dict[str, Any]:
    """The limit on turns is below what demonstrations take."""
    return {"max_turns": 1}


def off_by_one_write(base: type[World]) -> dict[str, Any]:
    """Tools write every whole number one too high."""

    async def perform(self: World, spec: ToolSpec, arguments: dict[str, Any]) -> object:
        if spec.mutates:
            arguments = {
                name: value + 1 if type(value) is int else value
                for name, value in arguments.items()
            }
        return await base.perform(self, spec, arguments)

    return {"perform": perform}


PLAY = (
    Fault("shared_state", shared_state),
    Fault("late_randomness", _perform(_late_random)),
    Fault("numpy_global_rng", _perform(_numpy_random)),
    Fault("python_global_rng", global_generator),
    Fault("clock_in_draft", clock_in_draft),
    Fault("counter_on_the_class", _perform(_counted_by_class)),
    Fault("mutating_read", _perform(_mutating_read)),
    Fault("mutation_on_failure", mutation_on_failure),
    Fault("no_rollback", no_rollback, "no random call of its only writing tool fails"),
    Fault("undeclared_writes", undeclared_writes, "no random call of its only write succeeds"),
    Fault("leaked_goal", _perform(_leak)),
    Fault("leaked_info", leaked_info),
    Fault("answer_in_prompt", answer_in_prompt),
    Fault("numbers_as_keys", numbers_as_keys),
    Fault("empty_goal", empty_goal),
    Fault("order_sensitive_hash", order_sensitive_hash),
    Fault("coarse_hash", coarse_hash, "writes add and remove records there, nothing else"),
    Fault("stale_cache", stale_cache, "no read of a demonstration shows what was written"),
    Fault("crash_on_refusal", crash_on_refusal),
    Fault("step_differs", step_differs),
    Fault("list_observation", list_observation),
    Fault("shared_snapshot", shared_snapshot),
    Fault("calls_survive_reset", calls_survive_reset),
    Fault("double_reward", double_reward),
    Fault("short_limit", short_limit),
    Fault("off_by_one_write", off_by_one_write, THROUGH_GOLD),
)

# Judging


def _judged(**criteria: Criterion) -> Plant:
    """Other criteria as gates; those named `answer` and `final_state` are the sound ones."""
    parts = tuple(Part(name, criterion, gate=True) for name, criterion in criteria.items())
    return lambda base: {"verifier": Verifier(parts)}


def _swap(name: str, criterion: Criterion) -> Plant:
    """The sound verifier with one criterion replaced."""

    def plant(base: type[World]) -> dict[str, Any]:
        parts = (
            Part(p.name, criterion, p.weight, p.gate) if p.name == name else p
            for p in base.verifier.parts
        )
        return {"verifier": Verifier(tuple(parts))}

    return plant


def _beside(**criteria: Criterion) -> Plant:
    """The sound verifier with criteria added, which ask too much."""

    def plant(base: type[World]) -> dict[str, Any]:
        more = (Part(name, criterion, gate=True) for name, criterion in criteria.items())
        return {"verifier": Verifier((*base.verifier.parts, *more))}

    return plant


def _words(text: str | None) -> list[str]:
    return re.findall(r"\w+", (text or "").casefold())


def _lines(text: str | None) -> list[str]:
    return [" ".join(line.split()).casefold().rstrip(".") for line in (text or "").splitlines()]


def _near(left: Json, right: Json) -> bool:
    """Equal, but numbers may be one apart."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_near(left[k], right[k]) for k in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_near, left, right))
    if isinstance(left, int | float) and isinstance(right, int | float):
        return abs(left - right) <= 1
    return left == right


def _without(value: Json, kind: type) -> Json:
    """Every leaf of one type, wherever it stands, as None."""
    if isinstance(value, dict):
        return {key: _without(item, kind) for key, item in value.items()}
    if isinstance(value, list):
        return [_without(item, kind) for item in value]
    return None if type(value) is kind else value


def _holds(more: Json, less: Json) -> bool:
    """Whether all of `less` is in `more`."""
    if isinstance(more, dict) and isinstance(less, dict):
        return all(key in more and _holds(more[key], less[key]) for key in less)
    if isinstance(more, list) and isinstance(less, list):
        return all(item in more for item in less)
    return more == less


def _as_sets(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _as_sets(item) for key, item in value.items()}
    if isinstance(value, list):
        return sorted({json.dumps(_as_sets(item), sort_keys=True) for item in value})  # type: ignore[return-value]
    return value


def _same(change: Callable[[Json], Json]) -> Criterion:
    return lambda after, goal: change(after) == change(goal.world)


def _table_sizes(value: Json) -> Json:
    return {k: len(v) for k, v in value.items()} if isinstance(value, dict) else value  # type: ignore[return-value, arg-type]


def _flaky_verdict(evidence: Evidence, goal: Goal) -> float:
    return float(Random().random() < 0.7)


def _marks(evidence: Evidence, goal: Goal) -> float:
    evidence.gathered["judged"] = True
    return 1.0


def _needs_message(evidence: Evidence, goal: Goal) -> float:
    assert evidence.answer is not None
    return 1.0


def _last_message(evidence: Evidence, goal: Goal) -> float:
    said = evidence.answer or (evidence.messages[-1] if evidence.messages else goal.answer)
    return float(closing_line(said) == goal.answer)


_STATE, _ANSWER = "final_state", "answer"
JUDGING = (
    Fault("always_right", _judged(always=lambda evidence: True)),
    Fault("no_state", _judged(answer=answer)),
    Fault("no_answer", _judged(final_state=final_state)),
    Fault("empty_answer_passes", _swap(_ANSWER, lambda evidence, goal: (
        1.0 if not evidence.answer else answer(evidence, goal)))),
    Fault("substring_answer", _swap(_ANSWER, lambda answer, goal: (
        (goal.answer or "").casefold() in (answer or "").casefold()))),
    Fault("answer_part_of_goal", _swap(_ANSWER, lambda answer, goal: (
        closing_line(answer).casefold() in (goal.answer or "").casefold()))),
    Fault("any_line_right", _swap(_ANSWER, lambda answer, goal: (
        (goal.answer or "").casefold() in _lines(answer)))),
    Fault("label_alone", _swap(_ANSWER, lambda answer, goal: (
        _words(answer)[:1] == _words(goal.answer)[:1]))),
    Fault("words_in_any_order", _swap(_ANSWER, lambda answer, goal: (
        {*_words(goal.answer)} <= {*_words(answer)}))),
    Fault("numbers_alone", _swap(_ANSWER, lambda answer, goal: (
        re.findall(r"\d+", answer or "") == re.findall(r"\d+", goal.answer or "")))),
    Fault("no_last_word", _swap(_ANSWER, lambda answer, goal: (
        _words(closing_line(answer))[:-1] == _words(goal.answer)[:-1]))),
    Fault("unfinished_is_right", _swap(_ANSWER, _last_message)),
    Fault("trusts_text", _swap(_ANSWER, lambda evidence, goal: (
        1.0 if "success" in (evidence.answer or "").casefold() else answer(evidence, goal)))),
    Fault("off_by_one_state", _swap(_STATE, lambda after, goal: _near(after, goal.world))),
    Fault("state_without_booleans", _swap(_STATE, _same(lambda v: _without(v, bool)))),
    Fault("state_without_texts", _swap(_STATE, _same(lambda v: _without(v, str)))),
    Fault("state_without_whole_numbers", _swap(_STATE, _same(lambda v: _without(v, int)))),
    Fault("nothing_missing", _swap(_STATE, lambda after, goal: _holds(after, goal.world))),
    Fault("nothing_extra", _swap(_STATE, lambda after, goal: _holds(goal.world, after))),
    Fault("lists_as_sets", _swap(_STATE, _same(_as_sets))),
    Fault("sizes_alone", _swap(_STATE, _same(_table_sizes))),
    Fault("changed_somehow", _swap(_STATE, lambda before, after, goal: (
        (before != after) == (before != goal.world)))),
    Fault("some_call_succeeded", _swap(_STATE, lambda calls, before, goal: (
        before == goal.world or any(c.mutated for c in calls)))),
    Fault("flaky_verdict", _beside(luck=_flaky_verdict)),
    Fault("marks_evidence", _beside(marks=_marks)),
    Fault("needs_a_message", _beside(message=_needs_message)),
    Fault("exact_message", _swap(_ANSWER, lambda answer, goal: answer == goal.answer)),
    Fault("few_calls", _beside(few=lambda calls: len(calls) <= 4)),
    Fault("no_repeated_read", _beside(once=lambda calls: (
        max(Counter(c.name + json.dumps(c.arguments, sort_keys=True) for c in calls).values(),
            default=1) == 1))),
    Fault("no_refused_call", _beside(clean=lambda calls: (
        all(c.outcome is CallOutcome.OK for c in calls)))),
    Fault("sorted_arguments", _beside(order=lambda calls, goal: (
        all(list(c.arguments) != sorted(c.arguments, reverse=True) or len(c.arguments) < 2
            for c in calls)))),
    Fault("only_if_answered", _beside(stop=lambda stop: stop is StopReason.ANSWERED),
          "an unfinished trajectory has no closing line, so the sound verifier agrees"),
    Fault("one_path_ignored", _swap(_STATE, lambda after, goal: (
        len(list(differences(after, goal.world, goal.ignore))) <= 1))),
)  # fmt: skip
FAULTS = PLAY + JUDGING
