"""What the comparison of environments rests on: all sides are asked for the same work, a side that
fails to do it or cannot start is told, and its processes' time is counted."""

# pyright: reportMissingImports=false
from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from env_peers import bare_shop, ours_shop
from env_peers.playing import Clock, Play, Side, timed
from env_peers.rounds import ELSEWHERE, OURS, SIDES, compared, figures, worst_ratio
from env_peers.shop import ANSWER, CALLS, fresh, get_order, reward, set_status
from env_peers.steps import actions, step_figures

BURN = """
import sys, time
while time.process_time() < 0.3:
    pass
print("done", flush=True)
sys.stdin.read()
"""


def played(records: int) -> dict:
    state = fresh(records)
    for name, arguments in CALLS:
        {"get_order": get_order, "set_status": set_status}[name](state, **arguments)
    return state


def test_only_the_goal_is_paid() -> None:
    assert reward(played(20), ANSWER, 20) == 1.0
    assert reward(fresh(20), ANSWER, 20) == 0.0
    assert reward(played(20), "Result: W3 lost", 20) == 0.0
    assert fresh(20) is not fresh(20)
    with pytest.raises(ValueError, match="no order W20"):
        set_status(fresh(20), "W20", "lost")


@pytest.mark.parametrize("side", [bare_shop.SIDE, ours_shop.SIDE, ours_shop.PARSED])
def test_our_sides_solve_every_episode(side: Side) -> None:
    with side.playing(20, Clock()) as play:
        assert play(3) == 3.0 and play(ours_shop.GROUP + 1) == ours_shop.GROUP + 1


def test_an_unsolved_episode_is_no_measurement() -> None:
    @contextmanager
    def half(records: int, clock: Clock) -> Iterator[Play]:
        yield lambda episodes: episodes / 2

    side = Side("none", False, "", "", half, batch=4)
    with side.playing(20, Clock()) as play, pytest.raises(RuntimeError, match="2 of 4 episodes"):
        timed(play, side, Clock(), 0.0)


def test_time_of_processes_below_is_counted_unless_left_out() -> None:
    command = [sys.executable, "-c", BURN]
    clock = Clock()
    before = clock.cpu()
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout and child.stdout.readline() == "done\n"
        running = clock.cpu() - before
        left_out = Clock(left_out={child.pid}).cpu() - before
        child.communicate()
    assert running - left_out == pytest.approx(0.3, abs=0.2)
    assert clock.cpu() - before >= 0.3  # ended and waited for


def test_what_is_put_aside_does_not_count() -> None:
    clock = Clock()
    cpu, ahead = clock.cpu(), time.perf_counter() - clock.wall()
    with clock.aside():
        before = time.process_time()
        while time.process_time() - before < 0.2:
            pass
    assert clock.cpu() - cpu < 0.1
    assert time.perf_counter() - clock.wall() >= ahead + 0.2


def test_sides_play_in_turns_and_missing_ones_are_told() -> None:
    rows = compared(20, [sys.executable], 2, 0.0, [OURS, "bare", "gem"])
    assert rows["gem"] == {"missing": "ModuleNotFoundError: No module named 'gem'"}
    assert (rows[OURS]["validates"], rows["bare"]["validates"]) == (True, False)
    assert rows[OURS]["ours_over_it"] == 1.0
    assert [rows[name]["episodes"] for name in (OURS, "bare")] == [2 * ours_shop.GROUP, 2]
    without = compared(20, [], 1, 0.0, [OURS, *ELSEWHERE])
    assert {without[name]["missing"] for name in ELSEWHERE} == {
        "no interpreter was given (--peers PYTHON)"
    }
    assert set(SIDES) > ELSEWHERE


def test_figures_are_medians_over_rounds() -> None:
    rounds = [
        {"episodes": 10, "cpu": cpu, "wall": 2 * cpu, "parts": {"parsing": cpu / 4}}
        for cpu in (0.001, 0.002, 0.009)
    ]
    assert figures(rounds) == {
        "episodes": 30,
        "episodes_per_cpu_second": 5000.0,
        "cpu_us": {"median": 200.0, "p95": 830.0},
        "wall_us": 400.0,
        "share_of_cpu": {"parsing": 0.25},
    }


def test_the_ratio_is_that_of_the_worst_peer_that_validates() -> None:
    ours = {"validates": True, "ours_over_it": 1.0}
    loose = {"validates": False, "ours_over_it": 0.1}
    strict = [{"validates": True, "ours_over_it": ratio} for ratio in (30.0, 20.0)]
    missing = {"missing": "x"}
    small = {OURS: ours, "ours-parsed": {**ours, "ours_over_it": 0.9}, "a": loose, "b": strict[0]}
    assert worst_ratio({"small": small, "large": {"b": strict[1], "c": missing}}) == 20.0
    assert worst_ratio({"small": {OURS: ours, "a": loose}}) is None


def test_the_bare_shop_does_what_the_world_does() -> None:
    task, world = ours_shop.shop_task(20), ours_shop.Shop()
    world.reset(options={"task": task})
    bare = bare_shop.Bare(json.loads(json.dumps(task.world["orders"])))
    for action in actions(20, 30):
        shown = asyncio.run(world.astep(action))[0]
        assert [_read(text) for text in shown] == [_read(text) for text in bare.step(action)[0]]
    assert world.state["orders"] == bare.orders


def _read(text: str) -> object:
    return json.loads(text) if text.startswith("{") else text


def test_steps_are_told_apart() -> None:
    found = step_figures(20, 40)
    assert (found["records"], found["steps"]) == (20, 40)
    spreads = [value for name, value in found.items() if name.endswith("_us")]
    assert len(spreads) == 8 and all(set(value) == {"median", "p95"} for value in spreads)
