"""Storage is exact both ways, and replay notices what does not follow from the tokens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tooldojo.envs.registry import world_class
from tooldojo.envs.source import take
from tooldojo.envs.task import Call, GoldTurn, IssuedTask, Split, Task
from tooldojo.envs.tools import ToolLost
from tooldojo.envs.users import SpokenUser
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.player import Limits, PlaySettings, play_group
from tooldojo.rollouts.records import EngineId, Group, PolicyRef, SpanKind, Trajectory
from tooldojo.rollouts.replay import Mismatch, transcript, verify
from tooldojo.rollouts.sampler import EngineLost, Sampled, SampleRequest
from tooldojo.rollouts.scheduler import Job, given_up
from tooldojo.rollouts.scripted import ScriptedSampler
from tooldojo.rollouts.store import SCHEMA, TrajectoryStore
from tooldojo.verifiers.records import StopReason
from tooldojo.verifiers.reward import RewardShape

BASE = PolicyRef("base", 0, "base")
SHAPE = RewardShape(call_error=0.05, extra_turn=0.01, truncated=0.1)


class Mixed:
    """A group with every kind of ending: each member has its own script."""

    def __init__(self, chat: Chat) -> None:
        self.chat = chat
        self.engine = EngineId("mixed", "scripted", 7, "here")

    async def sample(self, request: SampleRequest) -> Sampled:
        member = int(request.key.rsplit(".", 3)[1])
        if member == 5 and request.turn == 1:
            raise EngineLost("gone")
        gold = request.task.gold[min(request.turn, len(request.task.gold) - 1)]
        by = 1.5 if request.turn else 2  # 1.5 is refused: an error that the model sees
        add = GoldTurn("é漢", (Call("add", {"counter": "C1", "by": by}),))
        crash = GoldTurn("", (Call("crash", {}),))
        turn = {0: gold, 1: add, 2: gold, 4: crash if request.turn else gold}.get(member, gold)
        ids = self.chat.gold_ids(turn)
        if member == 3:
            bad = "<tool_call>\noops é\n</tool_call>"
            ids = [*self.chat.tokenizer.encode(bad, add_special_tokens=False), ids[-1]]
        ids = ids[: 9 if member == 2 and request.turn else None]
        finish = "stop" if ids[-1] in request.sampling.stop_ids else "length"
        logprobs = tuple(-0.001 * i for i in range(len(ids)))
        return Sampled(tuple(ids), logprobs, finish, PolicyRef("a", 4, "f00"), 0.1, 0.2)


@pytest.fixture
def mixed(chat: Chat, task: Task, limits: Limits) -> Group:
    issued = IssuedTask(11, task)
    return asyncio.run(
        play_group(issued, 6, Mixed(chat), chat, PlaySettings(limits, SHAPE, 3), BASE)
    )


def gold_group(chat: Chat, task: Task, limits: Limits, ordinal: int = 0) -> Group:
    issued, sampler = IssuedTask(ordinal, task), ScriptedSampler(chat, "gold", 0)
    return asyncio.run(play_group(issued, 2, sampler, chat, PlaySettings(limits, SHAPE, 3), BASE))


def assert_equal(left: Trajectory, right: Trajectory) -> None:
    assert replace(left, segments=()) == replace(right, segments=())
    assert len(left.segments) == len(right.segments)
    for one, two in zip(left.segments, right.segments, strict=True):
        assert one.turns == two.turns
        for name in ("ids_T", "kinds_T", "call_T", "logprobs_T", "versions_T"):
            a, b = getattr(one, name), getattr(two, name)
            assert a.dtype == b.dtype
            assert np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def test_what_was_stored_comes_back(mixed: Group, tmp_path: Path) -> None:
    stops = [t.ending.stop for t in mixed.trajectories]
    assert stops == [
        StopReason.ANSWERED,
        StopReason.MAX_TURNS,
        StopReason.MAX_TOKENS,
        StopReason.MALFORMED,
        StopReason.ENV_CRASH,
        StopReason.ENGINE_LOST,
    ]
    store = TrajectoryStore(tmp_path)
    store.append([mixed], "train", 3)
    rows = list(store.read())
    assert [row.trajectory.member for row in rows] == list(range(6))
    for row, played in zip(rows, mixed.trajectories, strict=True):
        assert (row.stage, row.step, row.task) == ("train", 3, mixed.task)
        assert_equal(row.trajectory, played)


def test_several_segments_come_back(mixed: Group, tmp_path: Path) -> None:
    first = mixed.trajectories[0]
    folded = replace(first, segments=first.segments * 2)
    TrajectoryStore(tmp_path).append([replace(mixed, trajectories=(folded,))], "train", 0)
    (row,) = TrajectoryStore(tmp_path).read()
    assert_equal(row.trajectory, folded)


def test_shards_are_whole_idempotent_and_discardable(
    mixed: Group, chat: Chat, task: Task, limits: Limits, tmp_path: Path
) -> None:
    store = TrajectoryStore(tmp_path)
    gold = gold_group(chat, task, limits)
    path = store.append([mixed], "train", 3)
    assert store.append([mixed], "train", 3) == path
    (tmp_path / ".train-000003-x.parquet.1.tmp").write_bytes(b"half of it")
    store.append([gold], "train", 12)
    store.append([gold], "eval", 12)
    assert [p.name[:12] for p in store.shards()] == ["eval-000012-", "train-000003", "train-000012"]
    assert len(list(store.read("train"))) == 8 and len(list(store.read("eval"))) == 2
    assert store.discard_after("train", 3) == 1
    assert len(list(store.read())) == 8
    assert list(TrajectoryStore(tmp_path / "new").read()) == []
    with pytest.raises(ValueError, match="stage 'a-b'"):
        store.append([], "a-b", 0)


def test_whatever_makes_trajectories_others_keeps_their_shards_apart(
    chat: Chat, task: Task, limits: Limits, tmp_path: Path
) -> None:
    store, gold = TrajectoryStore(tmp_path), gold_group(chat, task, limits)
    first, second = gold.trajectories
    (segment,) = first.segments
    ids_T = segment.ids_T.copy()
    ids_T[-2] += 1
    for changed in (
        first,
        replace(first, seed=first.seed + 1),
        replace(first, policy=PolicyRef("other", 0, "base")),
        replace(first, policy=PolicyRef("base", 1, "base")),
        replace(first, segments=(replace(segment, ids_T=ids_T),)),
        first,
    ):
        store.append([replace(gold, trajectories=(changed, second))], "rollout", 0)
    assert len(store.shards()) == 5  # the last replaces the first


def test_other_readers_understand_it(mixed: Group, tmp_path: Path) -> None:
    path = TrajectoryStore(tmp_path / "store").append([mixed], "train", 0)
    table = pq.read_table(path)
    assert table.schema.equals(SCHEMA) and table.num_rows == 6
    assert table["success"].to_pylist() == [True, False, False, False, None, None]
    import datasets

    read = datasets.load_dataset(
        "parquet", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert read["ids"][0] == mixed.trajectories[0].segments[0].ids_T.tolist()


def test_everything_replays(
    mixed: Group, chats: Callable[[str], Chat], task: Task, limits: Limits, tmp_path: Path
) -> None:
    store = TrajectoryStore(tmp_path)
    store.append([mixed], "train", 0)
    report = verify(store, chats("default"))
    assert report.exact and (report.trajectories, report.skipped) == (6, 0)
    assert report.turns == sum(t.turns for t in mixed.trajectories)
    for shape in ("qwen3", "llama3.2"):
        other = TrajectoryStore(tmp_path / shape)
        other.append([gold_group(chats(shape), task, limits)], "train", 0)
        assert verify(other, chats(shape)).exact
    assert {d.mismatch.what for d in verify(store, chats("qwen3")).divergences} == {"prompt"}


def test_what_another_user_said_is_taken_from_the_record(
    chat: Chat, limits: Limits, tmp_path: Path
) -> None:
    lines = iter(["SAY Well ...", "SAY I do not know.", "SAY Ask somebody else."] * 4)

    async def model(messages: object) -> str:
        return next(lines)

    drawn = take(["tooldojo/Dialogue-v0"], Split.TRAIN, 1, 30, [2])
    task = next(task for task in drawn if len(task.gold) > 3)
    spoken = SpokenUser(model, "model")
    settings = PlaySettings(replace(limits, max_context=6000), SHAPE, 3, user=spoken)
    sampler = ScriptedSampler(chat, "gold", 0)
    group = asyncio.run(play_group(IssuedTask(0, task), 1, sampler, chat, settings, BASE))
    store = TrajectoryStore(tmp_path)
    store.append([group, gold_group(chat, task, replace(limits, max_context=6000), 1)], "train", 0)
    report = verify(store, chat)
    assert report.exact, report.divergences
    assert report.trajectories == 3


def test_endings_without_a_last_observation_or_verdict_replay(
    chat: Chat,
    limits: Limits,
    tasks: Callable[..., Task],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = world_class("test/Unjudged-v0")
    task = tasks(world)
    store = TrajectoryStore(tmp_path)
    room = len(chat.task_prompt_ids(task)) + len(chat.gold_ids(task.gold[0])) + 3
    store.append([gold_group(chat, task, replace(limits, max_context=room))], "train", 0)
    monkeypatch.setattr(world, "crash_on_score", True)
    store.append([gold_group(chat, task, limits)], "train", 1)
    with monkeypatch.context() as mended:
        mended.setattr(world, "crash_on_score", False)
        assert verify(store, chat).exact
    stops = [row.trajectory.ending.stop for row in store.read()]
    assert stops == [StopReason.CONTEXT_FULL] * 2 + [StopReason.VERIFIER_CRASH] * 2
    found = verify(store, chat).divergences
    assert [(d.step, d.mismatch.what) for d in found] == [(0, "crash"), (0, "crash")]


def replayed(group: Group, changed: Trajectory, chat: Chat, directory: Path) -> Mismatch:
    store = TrajectoryStore(directory)
    store.append([replace(group, trajectories=(changed, group.trajectories[1]))], "train", 2)
    (found,) = verify(store, chat).divergences
    assert (found.stage, found.step, found.ordinal, found.member) == ("train", 2, 0, 0)
    return found.mismatch


def with_token(played: Trajectory, chat: Chat, honest_text: bool) -> Trajectory:
    """One digit of the second turn's call changed, and the turn's text with it where asked."""
    (segment,) = played.segments
    turn = segment.turns[1]
    texts = [chat.text([int(i)]) for i in segment.ids_T]
    place = max(i for i in range(turn.start, turn.end) if texts[i].isdigit())
    ids_T = segment.ids_T.copy()
    other = "1" if texts[place] != "1" else "2"
    ids_T[place] = chat.tokenizer.convert_tokens_to_ids(other)
    text = chat.text(ids_T[turn.start : turn.end - 1].tolist())
    turns = list(segment.turns)
    turns[1] = replace(turn, text=text if honest_text else turn.text)
    return replace(played, segments=(replace(segment, ids_T=ids_T, turns=tuple(turns)),))


def test_a_changed_token_is_noticed(chat: Chat, task: Task, limits: Limits, tmp_path: Path) -> None:
    group = gold_group(chat, task, limits)
    first = group.trajectories[0]
    plain = replayed(group, with_token(first, chat, False), chat, tmp_path / "a")
    assert (plain.turn, plain.what) == (1, "tokens")
    forged = replayed(group, with_token(first, chat, True), chat, tmp_path / "b")
    assert (forged.turn, forged.what) == (1, "state")
    assert "call 0 arguments" in forged.detail and "counters.C1" in forged.detail
    (segment,) = first.segments
    ids_T = segment.ids_T.copy()
    ids_T[segment.turns[0].end + 9] += 1
    context = replace(first, segments=(replace(segment, ids_T=ids_T),))
    seen = replayed(group, context, chat, tmp_path / "c")
    assert (seen.turn, seen.what) == (1, "observation") and "first at 9" in seen.detail


def test_a_changed_verdict_is_noticed(
    chat: Chat, task: Task, limits: Limits, tmp_path: Path
) -> None:
    group = gold_group(chat, task, limits)
    first = group.trajectories[0]
    assert first.score is not None
    lie = replace(first, score=replace(first.score, value=0.5, success=False))
    assert replayed(group, lie, chat, tmp_path).what == "score"


def test_a_changed_world_is_noticed(
    chat: Chat, task: Task, limits: Limits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = TrajectoryStore(tmp_path)
    store.append([gold_group(chat, task, limits)], "train", 0)

    async def doubled(self, spec, arguments):
        return await original(self, spec, arguments | {"by": 2 * arguments["by"]})

    world = world_class(task.env)
    original = world.perform
    monkeypatch.setattr(world, "perform", doubled)
    report = verify(store, chat)
    assert [(d.mismatch.turn, d.mismatch.what) for d in report.divergences] == [(0, "state")] * 2
    assert "call 0 result" in report.divergences[0].mismatch.detail
    assert "counters.C1" in report.divergences[0].mismatch.detail


def test_a_tool_that_is_lost_does_not_end_the_replay_of_others(
    chat: Chat, task: Task, limits: Limits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = TrajectoryStore(tmp_path)
    store.append([gold_group(chat, task, limits)], "train", 0)

    async def lost(self, spec, arguments):
        raise ToolLost("the sandbox is gone")

    monkeypatch.setattr(world_class(task.env), "perform", lost)
    report = verify(store, chat)
    assert report.trajectories == 2
    found = [(d.member, d.mismatch) for d in report.divergences]
    assert found == [(member, Mismatch(0, "crash", "the sandbox is gone")) for member in (0, 1)]


def test_a_group_that_was_given_up_replays(chat: Chat, task: Task, tmp_path: Path) -> None:
    issued, settings = IssuedTask(4, task), PlaySettings(Limits(), SHAPE, 3)
    nobody = EngineId("e", "vllm", 1, "n")
    group = given_up(issued, Job((issued,), 2, settings, losses=3), nobody, BASE, "died")
    store = TrajectoryStore(tmp_path)
    store.append([group], "train", 0)
    report = verify(store, chat)
    assert report.exact and report.trajectories == 2, report.divergences


def test_a_transcript_is_the_whole_text(mixed: Group, chat: Chat) -> None:
    for played in mixed.trajectories:
        parts = transcript(played, chat)
        (segment,) = played.segments
        assert "".join(part.text for part in parts) == chat.text(segment.ids_T.tolist())
        assert sum(part.tokens for part in parts) == len(segment.ids_T)
        assert parts[0].kind is SpanKind.PROMPT and parts[0].turn == -1
        trained = sum(part.tokens for part in parts if part.trained)
        assert trained == (played.sampled_tokens if played.ending.trains else 0)
    gold = transcript(mixed.trajectories[0], chat)
    assert [(part.kind.name, part.turn) for part in gold] == [
        ("PROMPT", -1),
        *[(kind, turn) for turn in (0, 1) for kind in ("THINK", "CALL", "OBSERVATION")],
        ("THINK", 2),
        ("ANSWER", 2),
    ]
