"""`wrap`: a world in wrappers, as a world of its own.

Owns the translation between what the model sees (outer names and shapes) and what the base world
has. Task, gold and `calls` are in outer terms, as they were said; `evidence`, and with it the
verifier and the goal, is in the base's. Invariant: prompt, initial state, goal and split of a task
are those of a task of the base, so results with and without wrappers can be paired.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, ClassVar

from tooldojo.envs.calls import RAN
from tooldojo.envs.draft import Draft
from tooldojo.envs.seeding import derive_seed, derived_random
from tooldojo.envs.task import Call, GoldTurn, Task
from tooldojo.envs.tools import ToolError, ToolSpec
from tooldojo.envs.world import World
from tooldojo.envs.wrappers.flaky import with_failures
from tooldojo.envs.wrappers.names import renamed, rewriter
from tooldojo.envs.wrappers.reshaped import ReshapedSpec, Shape, reshape
from tooldojo.envs.wrappers.settings import Wrappers
from tooldojo.verifiers.canonical import content_hash
from tooldojo.verifiers.records import Evidence, ExpectedCall, Goal, ToolCall

DRAWS = 500  # drafts looked at for one whose demonstration fits in `turns`
NEST = "request"


@dataclass(frozen=True, slots=True)
class Interface:
    """What the model sees of a wrapped world.

    specs: by outer name, in the order shown. outer: the base's tools by inner name. distractors:
    outer names of tools that do nothing. rewrite: puts outer names into a text.
    """

    specs: dict[str, ReshapedSpec]
    outer: dict[str, str]
    distractors: frozenset[str]
    rewrite: Callable[[str], str]


class Wrapped(World):
    """The changes that wrappers make; `wrap` puts this in front of the base.

    A wrapped world inherits twice, from this and from its base, because it must keep whatever the
    base overrides: verifier, evidence, caches, snapshots.
    """

    wrappers: ClassVar[Wrappers]
    interface: ClassVar[Interface]
    base_id: ClassVar[str]

    @classmethod
    def origin_id(cls) -> str:
        """The base's."""
        return cls.base_id

    @classmethod
    def tool_specs(cls) -> dict[str, ToolSpec]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The tools as the model sees them."""
        return dict(cls.interface.specs)

    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        """A draft of the base in outer terms; one that does not fit in `turns` is drawn again."""
        for _ in range(DRAWS):
            draft = super().draft(rng, level)
            if len(draft.gold) <= (cls.wrappers.turns or len(draft.gold)):
                return cls._outward(draft)
        raise LookupError(
            f"{cls.env_id}: no task of level {level} can be done in {cls.wrappers.turns} turns; "
            "raise turns"
        )

    @classmethod
    def _outward(cls, draft: Draft) -> Draft:
        face, wrappers = cls.interface, cls.wrappers
        gold = [
            GoldTurn(face.rewrite(turn.thought), tuple(map(cls._said, turn.calls)), turn.message)
            for turn in draft.gold
        ]
        faults = {face.outer.get(name, name): when for name, when in draft.faults.items()}
        if wrappers.flaky:
            room = max(0, cls.max_turns - len(gold))
            which = content_hash([draft.prompt, draft.world])
            seed = (wrappers.seed, "flaky", cls.base_id, which)
            timed = with_failures(gold, faults, face.specs, wrappers.flaky, room, *seed)
            gold, faults = timed.gold, timed.faults
        return replace(draft, gold=gold, faults=faults)

    @classmethod
    def _said(cls, call: Call) -> Call:
        name = cls.interface.outer.get(call.name)
        if name is None:
            return call  # no tool of the base: the world will say so when the gold is played
        return Call(name, cls.interface.specs[name].outward(call.arguments))

    async def perform(self, spec: ToolSpec, arguments: dict[str, Any]) -> object:
        """Wait, then run the base's tool or answer for one that does nothing."""
        wrappers = self.wrappers
        if wrappers.latency and not self.proving:
            which = (wrappers.seed, self.hashes[-1], spec.name, arguments)
            await asyncio.sleep(wrappers.latency.seconds(*which))
        if spec.name in self.interface.distractors:
            if derive_seed(wrappers.seed, "distractor", spec.name) % 2:
                raise ToolError(f"{spec.name} is not available here")
            return "none"
        try:
            return await super().perform(self.interface.specs[spec.name].inner, arguments)
        except ToolError as error:
            raise ToolError(self.interface.rewrite(str(error))) from None

    def out_of_turns(self) -> bool:
        """Also when the wrapper's own limit is reached."""
        return super().out_of_turns() or 0 < self.wrappers.turns <= self.turn

    @classmethod
    def reward_goal(cls, task: Task) -> Goal:
        """The demonstration's calls in the base's terms, as the evidence has them."""
        goal = super().reward_goal(task)
        if task.goal.calls:
            return goal
        specs = cls.interface.specs
        calls = [
            ExpectedCall(specs[c.name].inner.name, specs[c.name].inward(c.arguments))
            for c in goal.calls
        ]
        return replace(goal, calls=tuple(calls))

    def evidence(self) -> Evidence:
        """The base's evidence with calls in the base's terms."""
        found = super().evidence()
        return replace(found, calls=tuple(self._meant(call) for call in found.calls))

    def _meant(self, call: ToolCall) -> ToolCall:
        spec = self.interface.specs.get(call.name)
        if spec is None:
            return call
        ran = call.outcome in RAN  # only then the arguments are known to have the shape
        arguments = spec.inward(call.arguments) if ran else call.arguments
        return replace(call, name=spec.inner.name, arguments=arguments)


def wrap(base: type[World], wrappers: Wrappers, donors: Sequence[type[World]]) -> type[World]:
    """A subclass of `base` in wrappers; distractors come from `donors`.

    Raises:
        ValueError: when the donors have too few tools.
    """
    face = _interface(base, wrappers, donors)
    about = f"{(base.__doc__ or '').strip()}\n\nWrapped: {wrappers}."
    fields: dict[str, Any] = {
        "__doc__": about,
        "__module__": base.__module__,
        "wrappers": wrappers,
        "interface": face,
        "base_id": base.env_id,
        "system_prompt": face.rewrite(base.system_prompt),
        "late_tools": frozenset(face.outer[name] for name in base.late_tools),
        "max_turns": min(base.max_turns, wrappers.turns or base.max_turns),
    }
    return type(base.__name__, (Wrapped, base), fields)


def _interface(base: type[World], wrappers: Wrappers, donors: Sequence[type[World]]) -> Interface:
    own = base.tool_specs()
    extra = _distractors(own, wrappers, donors)
    inner, seed = {**own, **extra}, (wrappers.seed, base.env_id)
    names = renamed(list(inner), "use", *seed, "tools") if wrappers.rename else {}
    rewrite = rewriter({name: names[name] for name in own if name in names})
    given = dict.fromkeys(each for spec in inner.values() for each in spec.fields)
    params = renamed(list(given), "the", *seed, "params") if wrappers.params else {}
    describe = rewriter({**params, **{name: names.get(name, name) for name in own}})
    nest = NEST if wrappers.nest else None
    specs: list[ReshapedSpec] = []
    for name, spec in inner.items():
        shape = Shape(names.get(name, name), params, wrappers.strings, nest)
        specs.append(reshape(spec, shape, describe, bool(wrappers.latency)))
    if wrappers.shuffle:
        derived_random(*seed, "shuffle").shuffle(specs)
    return Interface(
        {spec.name: spec for spec in specs},
        {name: names.get(name, name) for name in own},
        frozenset(names.get(name, name) for name in extra),
        rewrite,
    )


def _distractors(
    own: dict[str, ToolSpec], wrappers: Wrappers, donors: Sequence[type[World]]
) -> dict[str, ToolSpec]:
    free = {
        name: replace(spec, mutates=False, is_async=False)
        for donor in donors
        for name, spec in donor.tool_specs().items()
        if name not in own
    }
    if len(free) < wrappers.distractors:
        raise ValueError(
            f"wrapper distractors={wrappers.distractors}: other worlds have {len(free)} tools "
            "that this one has not"
        )
    rng = derived_random(wrappers.seed, "distractors")
    return {name: free[name] for name in rng.sample(sorted(free), wrappers.distractors)}
