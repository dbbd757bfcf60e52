"""The fleet on real workers: everything comes back once, whatever is killed, and nothing is
left.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tooldojo.configs.schema import RolloutSection
from tooldojo.envs.source import take
from tooldojo.envs.task import IssuedTask, Split
from tooldojo.rollouts.cluster import FleetError, check_gpus, check_machine
from tooldojo.rollouts.fleet import Fleet, choose_transport
from tooldojo.rollouts.publish import Transport
from tooldojo.rollouts.records import Group
from tooldojo.rollouts.updates import DeliveryError

SECTION = RolloutSection(
    workers=2, max_turns=2, max_turn_tokens=48, max_inflight=16, kv_cache_gib=0.25, deadline=60
)
SEED = 5


@pytest.fixture(scope="module")
def fleet(lab) -> Iterator[Fleet]:
    with Fleet(SECTION, lab.path, "hermes", [lab.world], SEED, lora_rank=8) as fleet:
        yield fleet


def issue(lab, count: int, first: int = 0) -> list[IssuedTask]:
    tasks = take([lab.world], Split.TRAIN, 0, count)
    return [IssuedTask(first + i, task) for i, task in enumerate(tasks)]


def sampled(groups: list[Group]) -> dict[tuple[int, int], list[int]]:
    """All ids of each (ordinal, member), once."""
    found = {}
    for group in groups:
        for member in group.trajectories:
            assert (group.ordinal, member.member) not in found
            found[group.ordinal, member.member] = member.segments[0].ids_T.tolist()
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(true, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.2)
    return true()


@pytest.mark.engine
def test_every_group_comes_back_once_from_engines_of_their_own(fleet, lab) -> None:
    groups = list(fleet.play(issue(lab, 12), group_size=4))
    assert len(sampled(groups)) == 48
    played = {t.engine for g in groups for t in g.trajectories}
    assert played == set(fleet.engines)
    assert len({engine.pid for engine in played} | {os.getpid()}) == 3
    assert len({engine.engine for engine in played}) == 2
    assert all(len({t.engine for t in g.trajectories}) == 1 for g in groups)
    assert fleet.transport is Transport.MERGED
    stats = fleet.stats()
    assert sum(s.sampled_tokens for s in stats) == sum(
        t.sampled_tokens for g in groups for t in g.trajectories
    )
    assert all(s.prefix_hit_share > 0.2 for s in stats)


@pytest.mark.engine
def test_policies_reach_every_worker(fleet, lab, learner) -> None:
    for version in (1, 2):
        update = learner.step()
        receipts = fleet.publish(update)
        assert {r.engine for r in receipts} == {e.engine for e in fleet.engines}
        assert {r.policy for r in receipts} == {update.ref}
        assert {r.decisive for r in receipts} == {version > 1}
    groups = list(fleet.play(issue(lab, 2), group_size=2))
    assert {t.policy for g in groups for t in g.trajectories} == {update.ref}
    stale = replace(learner.step(), merged=update.merged)
    with pytest.raises(DeliveryError, match="a stale or foreign file") as caught:
        fleet.publish(stale)
    assert "\n" not in str(caught.value)
    fleet.publish(update)


@pytest.mark.engine
def test_views_have_their_own_temperature_and_seed(fleet, lab) -> None:
    tasks = issue(lab, 2)
    greedy = fleet.at(temperature=0.0)
    first, second = (sampled(list(greedy.play(tasks, 2))) for _ in range(2))
    assert first == second
    assert first[0, 0] == first[0, 1]
    same = sampled(list(fleet.at(run_seed=SEED).play(tasks, 2)))
    assert same == sampled(list(fleet.play(tasks, 2)))
    assert same != sampled(list(fleet.at(run_seed=SEED + 1).play(tasks, 2)))


@pytest.mark.engine
def test_an_iterator_closed_early_frees_the_fleet(fleet, lab) -> None:
    started = fleet.play(issue(lab, 8), group_size=4)
    next(started)
    started.close()
    other = fleet.play(issue(lab, 3, first=50), group_size=4)
    inner = [fleet.play(issue(lab, 1, first=90), group_size=4) for _ in range(2)]
    assert {group.ordinal for groups in inner for group in groups} == {90}
    assert {group.ordinal for group in other} == {50, 51, 52}


@pytest.mark.engine
def test_a_killed_worker_is_replaced_and_nothing_is_lost(fleet, lab, learner) -> None:
    update = learner.step()
    fleet.publish(update)
    tasks = issue(lab, 12)
    undisturbed = sampled(list(fleet.play(tasks, group_size=4)))
    victim, survivor = fleet.engines
    groups = []
    for group in fleet.play(tasks, group_size=4):
        if not groups:
            os.kill(victim.pid, signal.SIGKILL)
        groups.append(group)
    assert sampled(groups) == undisturbed
    assert {t.policy for g in groups for t in g.trajectories} == {update.ref}
    assert len(fleet.replaced) == 1
    assert fleet.replaced[0].startswith(victim.engine)
    assert survivor in fleet.engines
    assert victim not in fleet.engines
    assert not alive(victim.pid)


@pytest.mark.engine
def test_a_bug_in_a_world_is_raised_as_it_is(fleet, lab) -> None:
    tasks = issue(lab, 1)
    nonsense = [replace(tasks[0], task=replace(tasks[0].task, env="nowhere/World-v0"))]
    with pytest.raises(LookupError, match="nowhere/World-v0"):
        list(fleet.play(nonsense, 2))
    assert len(list(fleet.play(tasks, 2))) == 1


@pytest.mark.engine
def test_workers_that_cannot_start_say_why(fleet, lab) -> None:
    section = SECTION.model_copy(update={"workers": 1})
    with (
        Fleet(section, lab.path, "hermes", ["tooldojo/Oders-v0"], 0) as broken,
        pytest.raises(FleetError, match="did you mean 'tooldojo/Orders-v0'"),
    ):
        list(broken.play(issue(lab, 1), 2))


DRIVER = """
import sys, time
from tooldojo.configs.schema import RolloutSection
from tooldojo.rollouts.fleet import Fleet

def main():
    section = RolloutSection(workers=1, kv_cache_gib=0.25)
    fleet = Fleet(section, sys.argv[1], "hermes", [sys.argv[2]], 0, replacements=0)
    print("pid", fleet.engines[0].pid, flush=True)
    time.sleep(600)

main()
"""


@pytest.mark.engine
def test_a_killed_driver_leaves_no_process(lab, tmp_path) -> None:
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    driver = subprocess.Popen(
        [sys.executable, script, lab.path, lab.world], stdout=subprocess.PIPE, text=True
    )
    assert driver.stdout is not None
    try:
        line = next(line for line in driver.stdout if line.startswith("pid"))
        worker = int(line.split()[1])
        # Ray's two agents follow after a minute: so long they try to report the death
        family = {p for p in descendants(driver.pid) if not command(p).endswith("Agent")}
        assert worker in family
        assert len(family) > 5
    finally:
        driver.kill()
        driver.wait()
    assert wait_until(lambda: not any(alive(pid) for pid in family), 30)


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0 ")
    except FileNotFoundError:
        return ""


def descendants(root: int) -> set[int]:
    """All processes below one."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
    found, level = set(), {root}
    while level:
        level = {pid for pid, parent in parents.items() if parent in level} - found
        found |= level
    return found


# What needs no engine


def test_the_transport_follows_the_hardware_unless_told() -> None:
    assert choose_transport(RolloutSection()) is Transport.MERGED
    assert choose_transport(RolloutSection(gpus_per_worker=1)) is Transport.ADAPTER
    assert choose_transport(RolloutSection(transport="adapter")) is Transport.ADAPTER


@pytest.mark.engine
def test_too_few_resources_are_named_before_anything_starts(fleet, lab) -> None:
    with pytest.raises(FleetError, match="need 1 GPUs, Ray knows 0"):
        check_gpus(RolloutSection(workers=2, gpus_per_worker=0.5))
    for section, message in (
        (RolloutSection(tensor_parallel=2), "tensor_parallel=2 needs as many GPUs"),
        (RolloutSection(workers=3, kv_cache_gib=500), "lower rollout.workers or rollout.kv_cache"),
    ):
        with pytest.raises(FleetError, match=message):
            check_machine(section, lab.path)
