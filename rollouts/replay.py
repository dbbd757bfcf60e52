"""Replay: stored trajectories played again from their tokens alone, and shown to a reader.

Owns the comparison with what was stored: prompt, observations, parsing, the hash chain step by step
and the score. Refuses to repair anything. Invariant: a report without divergences means that every
stored verdict follows from the stored tokens and today's worlds, templates and verifiers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from tooldojo.envs.judging import JudgeLost, recorded
from tooldojo.envs.limits import ToolDeadline
from tooldojo.envs.registry import world_class
from tooldojo.envs.tools import ToolLost
from tooldojo.envs.users import RecordedUser
from tooldojo.envs.world import World, WorldCrash
from tooldojo.rollouts.chat import Chat, ParsedTurn
from tooldojo.rollouts.player import action_of
from tooldojo.rollouts.records import Segment, SpanKind, Trajectory, Turn
from tooldojo.rollouts.store import StoredRow, TrajectoryStore
from tooldojo.verifiers.canonical import differences
from tooldojo.verifiers.records import StopReason, ToolCall

_NO_VERDICT = (WorldCrash, JudgeLost, ToolLost, ToolDeadline)


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Where a replay first left the record: turn (-1 before the first), what kind, and details."""

    turn: int
    what: str  # task, world, prompt, observation, tokens, state, crash, score
    detail: str


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first mismatch of one stored trajectory."""

    stage: str
    step: int
    ordinal: int
    member: int
    mismatch: Mismatch


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """Counts, and every trajectory that did not replay. skipped: its world declares no replay, or
    it is a branch, whose beginning is its parent's.
    """

    trajectories: int
    turns: int
    skipped: int
    divergences: tuple[Divergence, ...]

    @property
    def exact(self) -> bool:
        """Whether everything that was replayed came out as stored."""
        return not self.divergences


def verify(store: TrajectoryStore, chat: Chat, stage: str | None = None) -> ReplayReport:
    """Replay all stored trajectories of a stage, or of all stages."""
    trajectories = turns = skipped = 0
    found: list[Divergence] = []
    for row in store.read(stage):
        played = row.trajectory
        if not world_class(played.env).capabilities.replayable or _is_branch(played):
            skipped += 1
            continue
        trajectories += 1
        turns += played.turns
        mismatch = first_mismatch(row, chat)
        if mismatch is not None:
            found.append(Divergence(row.stage, row.step, played.ordinal, played.member, mismatch))
    return ReplayReport(trajectories, turns, skipped, tuple(found))


def first_mismatch(row: StoredRow, chat: Chat) -> Mismatch | None:
    """The first place at which a replay leaves the record, or None."""
    return next(_mismatches(row, chat), None)


def _is_branch(played: Trajectory) -> bool:
    turns = played.segments[0].turns
    return bool(turns and turns[0].index)


def _mismatches(row: StoredRow, chat: Chat) -> Iterator[Mismatch]:
    task, played = row.task, row.trajectory
    if task.id != played.task_id:
        yield Mismatch(-1, "task", f"the stored task is {task.id}, it was {played.task_id}")
    world = world_class(task.env)()
    if played.evidence is not None:
        world.judge = recorded(played.evidence)
    limit = played.turns + (played.ending.stop is not StopReason.MAX_TURNS)
    world.reset(options={"task": task, "max_turns": max(1, limit)})
    said = RecordedUser(played.evidence.calls if played.evidence else ())
    if world.user is not None and said.name != world.user.name:
        world.user = said
    if world.hashes[0] != played.hashes[0]:
        yield Mismatch(-1, "world", f"starts at {world.hashes[0]}, stored {played.hashes[0]}")
    context, what = chat.task_prompt_ids(task), "prompt"
    parsed: list[ParsedTurn] = []
    for number, (segment, start, turn) in enumerate(_turns(played)):
        if len(played.segments) == 1:
            yield from _compare_ids(number, what, context, segment.ids_T[start : turn.start])
        parsed.append(chat.parse(segment.ids_T[turn.start : turn.end].tolist()))
        yield from _compare_turn(number, parsed[-1], segment, turn)
        if number + 1 >= len(played.hashes):
            break  # cut off, or lost: this turn never ran
        try:
            results = world.step(action_of(parsed[-1]))[0]
        except _NO_VERDICT as crash:
            ended = world.stop is not None  # all calls ran; what failed is the verdict
            if not (ended and played.score is None):
                yield Mismatch(number, "crash", str(crash))
                return
            results = ()  # stored without a verdict, and there is still none
        if world.hashes[-1] != played.hashes[number + 1]:
            yield Mismatch(number, "state", _state_detail(row, chat, world, number))
            return
        context = chat.observation_ids(results, parsed[-1].spoken)
        what = "observation"
    yield from _compare_score(world, played)


def _turns(played: Trajectory) -> Iterator[tuple[Segment, int, Turn]]:
    """Every turn with its segment and the place where the context before it starts."""
    for segment in played.segments:
        start = 0
        for turn in segment.turns:
            yield segment, start, turn
            start = turn.end


def _compare_ids(
    number: int, what: str, expected: Sequence[int], stored_T: np.ndarray
) -> Iterator[Mismatch]:
    if list(expected) != stored_T.tolist():
        pairs = enumerate(zip(expected, stored_T.tolist(), strict=False))
        place = next((i for i, (a, b) in pairs if a != b), min(len(expected), len(stored_T)))
        yield Mismatch(
            number, what, f"{len(expected)} tokens, stored {len(stored_T)}; first at {place}"
        )


def _compare_turn(
    number: int, parsed: ParsedTurn, segment: Segment, turn: Turn
) -> Iterator[Mismatch]:
    if parsed.text != turn.text:
        yield Mismatch(number, "tokens", f"read {parsed.text!r}, stored {turn.text!r}")
    if (len(parsed.calls), parsed.malformed) != (turn.calls, turn.malformed):
        now = f"{len(parsed.calls)} calls ({parsed.malformed})"
        yield Mismatch(number, "tokens", f"{now}, stored {turn.calls} ({turn.malformed})")
    kinds = [int(s.kind) for s in parsed.spans for _ in range(s.end - s.start)]
    if kinds != segment.kinds_T[turn.start : turn.end].tolist():
        yield Mismatch(number, "tokens", "the spans are of other kinds than stored")


def _compare_score(world: World, played: Trajectory) -> Iterator[Mismatch]:
    if played.score is None:
        return
    last = played.turns - 1
    try:
        if world.stop is None:
            world.turn = played.turns
            world.finish(played.ending.stop)
    except _NO_VERDICT as crash:
        yield Mismatch(last, "crash", str(crash))
        return
    if world.stop is not played.ending.stop:
        yield Mismatch(last, "score", f"ended {world.stop}, stored {played.ending.stop}")
    if played.evidence is not None:
        for path in differences(world.state, played.evidence.world_after):
            yield Mismatch(last, "state", path)
    if world.score is None or world.score.to_json() != played.score.to_json():
        yield Mismatch(last, "score", f"{world.score}, stored {played.score}")


def _state_detail(row: StoredRow, chat: Chat, world: World, number: int) -> str:
    """What differs: the first call of this turn, and the first path of the state, after this turn
    where the evidence holds the states, else at the end.
    """
    evidence = row.trajectory.evidence
    if evidence is None:
        return f"{world.hashes[-1]}, stored {row.trajectory.hashes[number + 1]}"
    now = [call for call in world.evidence().calls if call.turn == number]
    stored = [call for call in evidence.calls if call.turn == number]
    found, expected = [_call_difference(now, stored)], evidence.world_after
    if number < len(evidence.states):
        expected = evidence.states[number]
    else:
        _play_on(row, chat, world, number)
    found.append(next(differences(world.state, expected), ""))
    return "; ".join(part for part in found if part) or "another hash from equal calls and states"


def _play_on(row: StoredRow, chat: Chat, world: World, number: int) -> None:
    """Play the turns after one, as far as the world goes."""
    for segment, _, turn in list(_turns(row.trajectory))[number + 1 :]:
        if world.stop is not None:
            return
        try:
            world.step(action_of(chat.parse(segment.ids_T[turn.start : turn.end].tolist())))
        except _NO_VERDICT:
            return


def _call_difference(now: Sequence[ToolCall], stored: Sequence[ToolCall]) -> str:
    if len(now) != len(stored):
        return f"{len(now)} calls, stored {len(stored)}"
    for place, (left, right) in enumerate(zip(now, stored, strict=True)):
        for name, value in asdict(left).items():
            if value != asdict(right)[name]:
                return f"call {place} {name} {value!r}, stored {asdict(right)[name]!r}"
    return ""


@dataclass(frozen=True, slots=True)
class Part:
    """A run of tokens of one kind, as text. turn: whose it is or what it follows; -1 before any."""

    kind: SpanKind
    turn: int
    call: int
    text: str
    tokens: int
    trained: bool


def transcript(trajectory: Trajectory, chat: Chat) -> list[Part]:
    """A trajectory in readable parts; `trained` marks what enters the loss."""
    parts: list[Part] = []
    for segment in trajectory.segments:
        first = segment.turns[0].index if segment.turns else 0
        starts = [turn.start for turn in segment.turns]
        turn_T = np.searchsorted(starts, np.arange(len(segment.ids_T)), "right") - 1 + first
        label_T = np.stack([segment.kinds_T, segment.call_T, turn_T])
        changes = np.flatnonzero((np.diff(label_T) != 0).any(0)) + 1
        for run in np.split(np.arange(len(segment.ids_T)), changes):
            at = int(run[0])
            sampled = bool(segment.sampled_T[at]) and trajectory.ending.trains
            text = chat.text(segment.ids_T[run].tolist())
            kind, call, turn = (int(value) for value in label_T[:, at])
            parts.append(Part(SpanKind(kind), turn, call, text, len(run), sampled))
    return parts
