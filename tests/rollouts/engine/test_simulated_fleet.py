"""Real workers on simulated engines: playing ahead, and tasks that kill whoever plays them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import ray
from ray.exceptions import ObjectLostError

from tooldojo.configs.schema import RolloutSection
from tooldojo.envs.source import take
from tooldojo.envs.task import IssuedTask, Split, Task
from tooldojo.rollouts.fleet import Fleet
from tooldojo.rollouts.publish import BASE
from tooldojo.rollouts.scheduler import HOPELESS, SUSPECT, Job
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
    assert len(fleet.replaced) == HOPELESS


@pytest.mark.engine
def test_closing_a_stream_lets_the_next_suspect_play(fleet: Fleet, world: str) -> None:
    first, second = (Job((e,), 1, fleet.settings, losses=SUSPECT) for e in issue(world, 2))
    for job in (first, second):
        fleet.start(job)
    fleet.abandon(first.done)
    fleet.pump(wait=True)
    assert len(second.done) == 1 and not first.done


@pytest.mark.engine
def test_a_result_that_is_lost_with_its_node_is_played_again(fleet: Fleet, world: str) -> None:
    @ray.remote(num_cpus=0)
    def lost() -> None:
        raise ObjectLostError("0" * 56, None, "")

    job, before = Job(tuple(issue(world, 1)), 2, fleet.settings), len(fleet.replaced)
    assert len(fleet.engines) == 2  # and both are there
    fleet._scheduler.started(lost.remote(), job, 0)
    for _ in range(5):
        if not job.done:
            fleet.pump(wait=True)
    assert len(fleet.replaced) == before + 1 and "ObjectLostError" in fleet.replaced[-1]
    assert [len(group.scored) for group in job.done] == [2]


@pytest.mark.engine
def test_a_worker_that_is_still_loading_is_not_replaced(lab, world: str) -> None:
    spec, hasty = SimulatedSpec(str(lab.path)), SECTION.model_copy(update={"deadline": 0.05})
    with Fleet(hasty, lab.path, "hermes", [world], 5, simulated=spec) as fleet:
        fleet._check_alive()
        assert fleet.replaced == []


@pytest.mark.engine
def test_a_worker_answers_whatever_it_has_in_line(lab, world: str) -> None:
    spec = SimulatedSpec(str(lab.path), LatencyModel(step=10.0))
    one = SECTION.model_copy(update={"workers": 1})
    (issued,) = issue(world, 1)
    with Fleet(one, lab.path, "hermes", [world], 5, simulated=spec) as fleet:
        stream = fleet.stream(group_size=1, ahead=True)
        stream.put(IssuedTask(i, issued.task) for i in range(1100))
        until = time.monotonic() + 40
        while not (seconds := fleet.usage().seconds) and time.monotonic() < until:
            pass
        assert seconds > 0
