"""Real workers on simulated engines: playing ahead, and tasks that kill whoever plays them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tooldojo.configs.schema import RolloutSection
from tooldojo.envs.source import take
from tooldojo.envs.task import IssuedTask, Split, Task
from tooldojo.rollouts.fleet import Fleet
from tooldojo.rollouts.publish import BASE
from tooldojo.rollouts.simulated import LatencyModel, SimulatedSpec

KILLER = '''
import os
from random import Random
from tooldojo.envs.draft import Draft, call, steps
from tooldojo.envs.tools import tool
from tooldojo.envs.world import World


class Killer(World):
    """Its tool ends the process where a file says so."""

    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        word = str(rng.randint(0, 10**6))
        gold = steps(call("write", word=word), say=f"Wrote {word}.")
        return Draft(f"Write {word}.", {"deadly": "", "text": ""}, gold)

    @tool(mutates=True)
    def write(self, word: str) -> str:
        """Write a word."""
        if self.state["deadly"]:
            os._exit(1)
        self.state["text"] = word
        return "ok"
'''
SECTION = RolloutSection(workers=2, max_inflight=8, max_context=2048, deadline=60, eta=1)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("worlds") / "killer.py"
    path.write_text(KILLER)
    return f"{path}:Killer"


@pytest.fixture(scope="module")
def fleet(lab, world: str) -> Iterator[Fleet]:
    spec = SimulatedSpec(str(lab.path), LatencyModel(step=0.001), skill=1.0)
    with Fleet(SECTION, lab.path, "hermes", [world], 5, simulated=spec) as fleet:
        yield fleet


def issue(world: str, count: int) -> list[IssuedTask]:
    return [IssuedTask(i, task) for i, task in enumerate(take([world], Split.TRAIN, 0, count))]


def deadly(task: Task) -> Task:
    return Task.from_json(task.to_json() | {"world": task.world | {"deadly": "yes"}})


@pytest.mark.engine
def test_workers_take_more_than_they_can_play_at_once(fleet: Fleet, world: str) -> None:
    stream = fleet.stream(group_size=4, ahead=True)
    stream.put(issue(world, 10))
    groups = [stream.get() for _ in range(10)]
    assert sorted(group.ordinal for group in groups) == list(range(10))
    played = [t for group in groups for t in group.trajectories]
    assert all(t.score and t.score.success and t.policy == BASE for t in played)
    assert {t.engine for t in played} == set(fleet.engines)
    assert stream.finished() == []


@pytest.mark.engine
def test_a_task_that_kills_its_workers_is_given_up_and_harms_no_other(
    fleet: Fleet, world: str
) -> None:
    tasks = issue(world, 6)
    tasks[2] = IssuedTask(2, deadly(tasks[2].task))
    groups = {group.ordinal: group for group in fleet.play(tasks, group_size=2)}
    assert sorted(groups) == list(range(6))
    assert not groups.pop(2).scored
    assert all(t.score and t.score.success for g in groups.values() for t in g.trajectories)
    assert len(fleet.replaced) == 3
