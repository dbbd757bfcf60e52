"""Small parts of the benchmarks about gates and fuzzing."""

# pyright: reportMissingImports=false
from __future__ import annotations

import fuzz_outputs
import pytest
from planted import first_set, second_set
from planted.planting import Fault, look_for, planted

from tooldojo.envs.registry import NATIVE, world_class

FAULTS = {fault.kind: fault for fault in (*first_set.FAULTS, *second_set.KINDS)}


@pytest.mark.parametrize("env_id", NATIVE)
@pytest.mark.parametrize("source", fuzz_outputs.SOURCES)
def test_fuzzed_actions_are_harmless_and_labelled(env_id: str, source: str) -> None:
    labels, found = fuzz_outputs.fuzz(env_id, source, 40)
    assert found == []
    assert sum(labels.values()) >= 40


def test_the_fuzzer_sees_faults() -> None:
    world, _ = planted(world_class("tooldojo/Office-v0"), FAULTS["mutation_on_failure"])
    _, found = fuzz_outputs.fuzz(world.env_id, "arguments", 60)
    assert any("no call says that it changed it" in what for what in found)


@pytest.mark.parametrize(
    ("kind", "caught_by"),
    [
        ("shared_state", "instances_are_isolated"),
        ("double_reward", "gold_scores_one"),
        ("always_right", "do_nothing"),
        ("remembered_verdict", "do_nothing"),
    ],
)
def test_planted_faults_are_caught_by_name(kind: str, caught_by: str) -> None:
    found = look_for(world_class("tooldojo/Office-v0"), FAULTS[kind], 400, 2)
    assert found.caught_by == caught_by and not found.equivalent


def test_sound_worlds_raise_no_alarm_and_idle_faults_are_told_apart() -> None:
    base = world_class("tooldojo/Office-v0")
    sound = look_for(base, Fault("none", lambda world: {}), 60, 2)
    assert sound.caught_by == "" and not sound.equivalent
    rebuilt = look_for(base, second_set.unchanged(), 60, 2)
    assert rebuilt.caught_by == "" and rebuilt.equivalent and rebuilt.watch.verdicts > 60


def test_source_mutants_change_one_place_each() -> None:
    kinds = [fault.kind for fault in second_set.source_mutants()]
    assert len(kinds) > 30 and len(set(kinds)) > 20
    assert {kind.partition(":")[0] for kind in kinds} >= {"_closes", "_walk", "canonical"}
