"""What fails never changes what its siblings are worth."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tooldojo.configs.schema import ObjectiveSection
from tooldojo.envs.task import IssuedTask, Task
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.endings import ENDINGS
from tooldojo.rollouts.player import Limits, PlaySettings, play_group
from tooldojo.rollouts.publish import BASE
from tooldojo.rollouts.records import EngineId, Group
from tooldojo.rollouts.sampler import EngineLost, Sampled, SampleRequest
from tooldojo.rollouts.simulated import LatencyModel, SimulatedSampler, SimulatedSpec
from tooldojo.training.learning.advantages import ADVANTAGES, with_advantages
from tooldojo.training.learning.batch import Column, members_of
from tooldojo.verifiers.records import StopReason
from tooldojo.verifiers.reward import RewardShape

SIZE = 6
RETRIES = ENDINGS[StopReason.ENGINE_LOST].retries
SETTINGS = PlaySettings(
    Limits(max_turn_tokens=400, max_context=6000, deadline=30), RewardShape(), 0
)


@dataclass
class Breaking:
    """Loses the engine under some members, in a turn, so many times each; or never answers."""

    inner: SimulatedSampler
    losses: dict[int, int]
    hangs: bool
    turn: int
    left: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.left = dict(self.losses)
        self.engine: EngineId = self.inner.engine

    async def sample(self, request: SampleRequest) -> Sampled:
        member = request.place[1]
        if request.turn == self.turn and self.left.get(member, 0):
            self.left[member] -= 1
            if self.hangs:
                await asyncio.sleep(3600)
            raise EngineLost("gone")
        return await self.inner.sample(request)


def advantages(group: Group, name: str) -> dict[int, float]:
    kept = [t.member for t in group.trajectories if t.score is not None]
    section = ObjectiveSection(advantage=name)  # type: ignore[arg-type]
    found = with_advantages(members_of([group]), section)
    firsts = [float(member.columns[Column.ADVANTAGE][0]) for member in found]
    return dict(zip(kept, firsts, strict=True))


@given(
    losses=st.dictionaries(st.integers(0, SIZE - 1), st.integers(1, RETRIES + 1), max_size=SIZE),
    hangs=st.booleans(),
    turn=st.integers(0, 1),
    name=st.sampled_from(sorted(ADVANTAGES)),
)
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_an_engine_s_failure_changes_no_sibling_s_advantage(
    losses: dict[int, int],
    hangs: bool,
    turn: int,
    name: str,
    small_chat: Chat,
    heldout: Callable[[int], list[Task]],
) -> None:
    spec = SimulatedSpec("", LatencyModel(step=0.0), skill=0.5)
    issued = IssuedTask(3, heldout(1)[0])
    limits = replace(SETTINGS.limits, deadline=0.3 if hangs else 30.0)
    about = replace(SETTINGS, limits=limits)

    def play(sampler: SimulatedSampler | Breaking) -> Group:
        return asyncio.run(play_group(issued, SIZE, sampler, small_chat, about, BASE))

    whole = play(SimulatedSampler(spec, small_chat))
    broken = play(Breaking(SimulatedSampler(spec, small_chat), losses, hangs, turn))
    assert 0 < sum(t.score.success for t in whole.scored if t.score) < SIZE
    gone = {t.member for t in broken.trajectories if t.score is None}
    reached = {t.member for t in whole.trajectories if t.turns > turn}
    assert gone == {member for member, n in losses.items() if n > RETRIES} & reached
    kept = tuple(t for t in whole.trajectories if t.member not in gone)
    expected = advantages(replace(whole, trajectories=kept), name) if len(kept) > 1 else {}
    if expected:
        assert advantages(broken, name) == pytest.approx(expected)
    for mine, theirs in zip(broken.trajectories, whole.trajectories, strict=True):
        if mine.member not in gone:
            assert mine.reward == theirs.reward and mine.hashes == theirs.hashes
