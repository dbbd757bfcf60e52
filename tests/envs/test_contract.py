"""One contract for every native world, bare and wrapped: a new world gets these tests by being
registered.
"""

from __future__ import annotations

import asyncio
import json
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from random import Random

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from tooldojo.envs.draft import Draft
from tooldojo.envs.registry import NATIVE, gym_id, world_class
from tooldojo.envs.source import take
from tooldojo.envs.task import Call, GoldTurn, Split, Task
from tooldojo.envs.world import World, random_action
from tooldojo.envs.wrappers.wrapped import Wrapped
from tooldojo.verifiers.canonical import canonical, content_hash
from tooldojo.verifiers.records import CallOutcome, Json, StopReason, ToolCall

DRAFTS = 600  # per level; a draft costs a tenth of a task
SQL = " 1 and as asc avg by count desc distinct from group join limit max min on or order select "
SQL += "sum where "
PER_SPLIT = 20  # times five splits: 100 tasks a level
FEW = 4  # instead, for a wrapped world: its tasks are those of its base
CONSTANTS = ("", "Done.", "Result: done", "Result: refused", "I cannot help with that.")


WRAPPERS = (
    "flaky=0.3",
    "rename=1",
    "params=1",
    "strings=1",
    "nest=1",
    "shuffle=1",
    "distractors=4",
    "latency=0.0002",
    "turns=7",
)
ALL_WRAPPERS = "&".join([*WRAPPERS, "seed=3"])
WRAPPED = [pytest.param(f"{world}?{ALL_WRAPPERS}", id=f"{world}?all") for world in NATIVE]
ONE_BY_ONE = [
    pytest.param(f"{world}?{each}", id=f"{world}?{each}", marks=pytest.mark.slow)
    for world in ("tooldojo/Orders-v0", "tooldojo/Database-v0")
    for each in WRAPPERS
]
every_world = pytest.mark.parametrize("env_id", [*NATIVE, *WRAPPED, *ONE_BY_ONE])


@cache
def tasks_of(env_id: str, level: int) -> tuple[Task, ...]:
    """Tasks of a level, from all five splits."""
    found: list[Task] = []
    count = PER_SPLIT if env_id in NATIVE else FEW
    for split in Split:
        try:
            found += take([env_id], split, 11, count, [level])
        except LookupError as error:
            assert split is Split.TEST_COMBOS, error
            assert f"no task of level {level}" in str(error)
    return tuple(found)


def all_tasks(env_id: str) -> list[Task]:
    return [task for level in world_class(env_id).levels for task in tasks_of(env_id, level)]


@cache
def train_drafts(env_id: str) -> tuple[Draft, ...]:
    """Drafts of all levels that belong to the training split."""
    world, rng = world_class(env_id), Random(3)
    drafts = [world.draft(rng, level) for level in world.levels for _ in range(DRAFTS)]
    return tuple(draft for draft in drafts if world._split_of(draft) is Split.TRAIN)


def some_tasks(env_id: str, count: int = 30) -> list[Task]:
    """Tasks of all levels and splits, evenly drawn."""
    tasks = all_tasks(env_id)
    return tasks[:: max(1, len(tasks) // count)]


def action(turn: GoldTurn) -> dict:
    calls = tuple({"name": call.name, "arguments": call.arguments} for call in turn.calls)
    return {"calls": calls, "message": turn.message or ""}


@dataclass(frozen=True)
class Played:
    """What a run through a task showed."""

    seen: tuple[tuple[str, ...], ...]
    hashes: tuple[str, ...]
    success: bool
    value: float
    calls: tuple[ToolCall, ...]


def start(task: Task) -> World:
    world = world_class(task.env)()
    world.reset(options={"task": task})
    return world


def play(world: World, turns: Sequence[GoldTurn]) -> Played:
    """Step through `turns` and judge, by the answer or by calling it a day."""
    seen = []
    for turn in turns:
        seen.append(world.step(action(turn))[0])
        if world.stop is not None:
            break
    return outcome(world, seen)


def outcome(world: World, seen: Sequence[tuple[str, ...]]) -> Played:
    assert world.score is not None
    score = world.score
    return Played(tuple(seen), tuple(world.hashes), score.success, score.value, tuple(world.calls))


def reply(message: str) -> list[GoldTurn]:
    return [GoldTurn("", (), message)]


@every_world
def test_gymnasium_accepts_it(env_id: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        name = gym_id(world_class(env_id).env_id)
        check_env(gym.make(name).unwrapped)
        envs = gym.make_vec(name, num_envs=2, vectorization_mode="sync")
    observation, _ = envs.reset(seed=3)
    assert len(observation) == 2
    envs.action_space.seed(3)
    envs.step(envs.action_space.sample())
    envs.close()


@every_world
def test_gold_scores_one_and_fits(env_id: str) -> None:
    for task in all_tasks(env_id):
        world = start(task)
        assert play(world, task.gold).value == 1.0, task.prompt
        assert world.score is not None and world.score.success
        assert world.turn <= world.max_turns


@every_world
def test_every_level_fills_every_split(env_id: str) -> None:
    for level in world_class(env_id).levels:
        tasks = tasks_of(env_id, level)
        splits = [task.split for task in tasks]
        needed = set(Split) if level > 1 else set(Split) - {Split.TEST_COMBOS}
        assert needed <= set(splits)
        assert len({task.id for task in tasks}) == len(tasks)
        assert {task.level for task in tasks} == {level}


@every_world
def test_constant_replies_and_silence_score_zero(env_id: str) -> None:
    tasks = some_tasks(env_id, 60)
    borrowed = [task.goal.answer or "" for task in tasks[::10]]
    for task in tasks:
        for message in [*CONSTANTS, *(line for line in borrowed if line != task.goal.answer)]:
            assert play(start(task), reply(message)).value == 0.0, (task.prompt, message)


@every_world
def test_hedging_scores_zero(env_id: str) -> None:
    tasks = some_tasks(env_id, 20)
    for task, other in zip(tasks, tasks[1:] + tasks[:1], strict=True):
        right, wrong = task.goal.answer, other.goal.answer
        for message in (f"{wrong}\n{right}", f"{right}\n{wrong}"):
            assert play(start(task), [*task.gold[:-1], *reply(message)]).value == 0.0


@every_world
def test_replaying_another_demonstration_scores_zero(env_id: str) -> None:
    tasks = sorted(some_tasks(env_id, 80), key=lambda task: (task.template, task.condition))
    for task, other in pairwise(tasks):
        assert play(start(task), other.gold).value == 0.0, (task.prompt, other.prompt)


@every_world
def test_same_actions_give_the_same_world(env_id: str) -> None:
    for task in some_tasks(env_id):
        first, second = (play(start(task), task.gold) for _ in range(2))
        assert first == second
        assert len(set(first.hashes)) == len(first.hashes)  # a chain never comes back


@every_world
def test_instances_are_isolated(env_id: str) -> None:
    tasks = some_tasks(env_id)
    for task, other in pairwise(tasks):
        alone = play(start(task), task.gold), play(start(other), other.gold)
        worlds = start(task), start(other)
        seen: tuple[list, list] = ([], [])
        for place in range(max(len(task.gold), len(other.gold))):
            for world, turns, log in zip(worlds, (task.gold, other.gold), seen, strict=True):
                if place < len(turns):
                    log.append(world.step(action(turns[place]))[0])
        together = [outcome(world, log) for world, log in zip(worlds, seen, strict=True)]
        assert together == list(alone)


@every_world
def test_snapshots_continue_identically(env_id: str) -> None:
    for task in some_tasks(env_id):
        for place in range(len(task.gold)):
            world = start(task)
            for turn in task.gold[:place]:
                world.step(action(turn))
            snapshot = world.snapshot()
            before = content_hash(snapshot.state)
            here = play(world, task.gold[place:])
            assert content_hash(snapshot.state) == before
            fresh = world_class(env_id)()
            fresh.restore(snapshot)
            assert play(fresh, task.gold[place:]) == here
            world.restore(snapshot)
            assert play(world, task.gold[place:]) == here


@every_world
def test_step_equals_astep(env_id: str) -> None:
    async def play_async(task: Task) -> Played:
        world = start(task)
        seen = [(await world.astep(action(turn)))[0] for turn in task.gold]
        return outcome(world, seen)

    for task in some_tasks(env_id):
        assert asyncio.run(play_async(task)) == play(start(task), task.gold)


@every_world
def test_random_calls_never_crash_and_failures_change_nothing(env_id: str) -> None:
    rng = np.random.default_rng(5)
    tasks = some_tasks(env_id, 40)
    for task in tasks:
        world = start(task)
        specs = world.tool_specs()
        for _ in range(5):
            before = content_hash(world.state)
            acted = random_action(world.action_space, rng)
            assert world.action_space.contains(acted)
            seen, reward, terminated, _, _ = world.step(acted)
            assert world.observation_space.contains(seen)
            assert reward == 0.0 and not terminated
            call = world.calls[-1]
            changed = content_hash(world.state) != before
            assert call.mutated == changed
            assert not changed or (call.outcome is CallOutcome.OK and specs[call.name].mutates)
        assert world.finish(StopReason.MAX_TOKENS).value == 0.0


@every_world
def test_invalid_calls_are_turns_that_change_nothing(env_id: str) -> None:
    for task in some_tasks(env_id, 10):
        world = start(task)
        name = next(iter(world.tool_specs()))
        bad: list[tuple[str, dict[str, Json], CallOutcome]] = [
            ("no_such_tool", {}, CallOutcome.UNKNOWN_TOOL),
            (name, {"no_such_argument": 1}, CallOutcome.INVALID_ARGUMENTS),
            ("malformed", {"error": "no JSON"}, CallOutcome.MALFORMED),
        ]
        for tool, arguments, kind in bad:
            seen = world.step({"calls": ({"name": tool, "arguments": arguments},), "message": ""})
            assert "error" in json.loads(seen[0][0])
            assert world.calls[-1].outcome is kind
            assert content_hash(world.state) == content_hash(task.world)


@every_world
def test_tasks_survive_json(env_id: str) -> None:
    for task in some_tasks(env_id, 60):
        again = Task.from_json(json.loads(json.dumps(task.to_json())))
        assert again.to_json() == task.to_json()
        assert again.id == task.id
        assert again == replace(task, world=again.world, goal=again.goal)


@every_world
def test_splits_are_disjoint(env_id: str) -> None:
    world = world_class(env_id)
    others = [t for split in Split for t in take([env_id], split, 12, 15, world.levels[-1:])]
    home: dict[str, Split] = {}
    for task in [*all_tasks(env_id), *others]:
        assert home.setdefault(task.id, task.split) is task.split
        combo = (task.template, task.condition) in world.unseen_combos
        assert combo == (task.split is Split.TEST_COMBOS)
        wording = task.wording in world.unseen_wordings
        assert wording == (task.split is Split.TEST_WORDINGS)


@every_world
def test_unseen_combinations_are_made_of_seen_parts(env_id: str) -> None:
    world = world_class(env_id)
    train = train_drafts(env_id)
    templates = {draft.template for draft in train}
    conditions = {draft.condition for draft in train}
    parts = {part for condition in conditions for part in condition.split("_")}
    assert world.unseen_combos
    for template, condition in world.unseen_combos:
        assert template in templates
        assert condition in conditions or set(condition.split("_")) <= parts
    wordings = {draft.wording for draft in train}
    assert 0.1 <= len(world.unseen_wordings) / (len(wordings) + len(world.unseen_wordings)) <= 0.34


@every_world
def test_there_is_enough_variety(env_id: str) -> None:
    drafts, world = train_drafts(env_id), world_class(env_id)
    idle = world.interface.distractors if issubclass(world, Wrapped) else set()
    assert len({draft.template for draft in drafts}) >= 8
    assert len(world.tool_specs()) >= 5
    used = {call.name for draft in drafts for turn in draft.gold for call in turn.calls}
    assert used == set(world.tool_specs()) - idle
    faulty = sum(bool(draft.faults) for draft in drafts) / len(drafts)
    assert 0.08 <= faulty <= 0.25 or "flaky" in env_id
    assert 0.06 <= sum(len(draft.gold) == 1 for draft in drafts) / len(drafts) <= 0.16


@every_world
def test_wrong_writes_change_the_verdict(env_id: str) -> None:
    written = 0
    for task in some_tasks(env_id, 120):
        calls = play(start(task), task.gold).calls
        for wanted in {str((c.name, c.arguments)): c for c in calls if c.mutated}.values():
            written += 1
            for kind, turns in broken(task, wanted):
                assert play(start(task), turns).value == 0.0, (kind, task.prompt, wanted)
    assert written > (10 if env_id in NATIVE else 3)


def broken(task: Task, wanted: ToolCall) -> Iterator[tuple[str, list[GoldTurn]]]:
    """The demonstration with one write dropped, made twice, or made with another argument."""

    def is_it(turn: GoldTurn) -> bool:
        return Call(wanted.name, wanted.arguments) in turn.calls

    place = max(i for i, turn in enumerate(task.gold) if is_it(turn))
    yield "dropped", [turn for turn in task.gold if not is_it(turn)]
    twice = [*task.gold[: place + 1], task.gold[place], *task.gold[place + 1 :]]
    if play_mutates(task, twice, place + 1):
        yield "doubled", twice
    for name, value in wanted.arguments.items():
        call = Call(wanted.name, {**wanted.arguments, name: other_value(value)})
        wrong = [replace(turn, calls=(call,)) if is_it(turn) else turn for turn in task.gold]
        yield f"wrong {name}", wrong


def play_mutates(task: Task, turns: Sequence[GoldTurn], place: int) -> bool:
    """Whether the turn at `place` changes the state; a refused repetition is harmless."""
    world = start(task)
    for turn in turns[: place + 1]:
        world.step(action(turn))
    return any(call.mutated for call in world.calls if call.turn == place)


def other_value(value: Json) -> Json:
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return re.sub(r"\w", lambda m: "1" if m[0] != "1" else "2", value, count=1) or "x"
        case list():
            return value[:-1]
    return None


@every_world
def test_gold_arguments_can_be_known(env_id: str) -> None:
    for task in some_tasks(env_id, 120):
        world = start(task)
        schemas = json.dumps([spec.schema for spec in world.tool_specs().values()])
        known = [task.prompt, world.system_prompt, schemas]
        for turn in task.gold:
            for call in turn.calls:
                for name, value in call.arguments.items():
                    assert is_known(value, "\n".join(known)), (name, value, task.prompt)
            known += world.step(action(turn))[0]
        assert is_known((task.goal.answer or "").partition(":")[2], "\n".join(known), computed=True)


def is_known(value: Json, known: str, computed: bool = False) -> bool:
    """Whether a value stands in what has been seen: as it is, as a number, or word by word."""
    if isinstance(value, list):
        return all(is_known(item, known) for item in value)
    if isinstance(value, dict):
        return all(is_known(item, known) for item in value.values())
    if value is None or isinstance(value, bool):
        return True
    if isinstance(value, str) and value.lower().startswith("select "):
        words = re.findall(r"\w+", value)
        return is_known([word for word in words if f" {word.lower()} " not in SQL], known)
    if isinstance(value, int | float):
        return canonical(value) in [canonical(float(n)) for n in re.findall(r"\d+\.?\d*", known)]
    words = [value] if value in known else re.findall(r"[\w.@-]*\w", value)
    return all(
        word.lower() in known.lower() or (computed and re.fullmatch(r"[\d.:-]+", word))
        for word in words
    )
