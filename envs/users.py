"""Users: who answers the policy's messages in a world, knows things and acts on an own side.

Owns the protocol that rollouts inject, how an exchange is played and recorded, and two users that
fit any world: one spoken by a model, one that repeats a record. Invariant: whatever a user says or
does is a record among the world's calls, so hash chain and replay cover it.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from tooldojo.envs.blame import described
from tooldojo.envs.calls import WorldCrash
from tooldojo.envs.snapshot import clone
from tooldojo.envs.task import Call
from tooldojo.envs.tools import ToolError
from tooldojo.verifiers.records import USER, CallOutcome, Json, ToolCall

if TYPE_CHECKING:
    from tooldojo.envs.world import World

SAID = f"{USER}said"  # a message to the user; its result is the reply
SCRIPTED = "scripted"
CLOSING = "result:"
MOST_DEEDS = 8  # in one exchange


@dataclass(frozen=True, slots=True)
class Heard:
    """What a user has to go on.

    mind: what the user knows and has in hand, as plain data. deeds: what they can do, in words, by
    name. past: the records of their deeds and replies so far, those of this exchange included.
    """

    message: str
    mind: dict[str, Json]
    deeds: dict[str, str]
    past: tuple[ToolCall, ...]

    @property
    def fresh(self) -> tuple[ToolCall, ...]:
        """The deeds done since the last reply."""
        last = max((i for i, call in enumerate(self.past) if call.name == SAID), default=-1)
        return self.past[last + 1 :]


@dataclass(frozen=True, slots=True)
class Reply:
    """One deed, after which the user is asked again, or else the words that close the exchange."""

    text: str = ""
    deed: Call | None = None


class User(Protocol):
    """Whoever answers messages."""

    @property
    def name(self) -> str:
        """What the records say about who it was."""
        ...

    @property
    def waits(self) -> bool:
        """Whether `answer` may wait, so that a synchronous step needs an event loop."""
        ...

    async def answer(self, heard: Heard) -> Reply:
        """The next deed, or the reply."""
        ...


class UserSide(Protocol):
    """The user's part of a world's state, and what can be done to it."""

    deeds: ClassVar[dict[str, str]]

    def mind(self) -> dict[str, Json]:
        """What the user knows and sees, as a copy."""
        ...

    def do(self, deed: Call) -> str:
        """Do a deed and tell what can be seen then.

        Raises:
            ToolError: for what cannot be done; it changes nothing.
        """
        ...


def closes(message: str) -> bool:
    """Whether a message ends the task where a user is listening: it is empty or has a closing line
    (`Result: ...`).
    """
    lines = [line.strip().casefold() for line in message.splitlines()]
    return not any(lines) or any(line.startswith(CLOSING) for line in lines)


async def converse(world: World, message: str) -> list[ToolCall]:
    """Let a world's user hear a message: the records of their deeds, then of the exchange; nothing
    where no user is there or the message closes the task.

    Raises:
        WorldCrash: when the user fails or does not come to an end; the state is then as before.
    """
    if world.user is None or closes(message):
        return []
    before = clone(world.state)
    try:
        return await _exchange(world, world.user, message)
    except BaseException as error:
        world.state = before
        world.on_load()
        if isinstance(error, WorldCrash) or not isinstance(error, Exception):
            raise
        who = f"the user {world.user.name!r} of {world.env_id}"
        raise WorldCrash(f"{who} failed: {described(error)}") from error


async def _exchange(world: World, user: User, message: str) -> list[ToolCall]:
    side, done = world.user_side(), list[ToolCall]()
    past = of_user(world.calls)
    for _ in range(MOST_DEEDS + 1):
        reply = await user.answer(Heard(message, side.mind(), side.deeds, (*past, *done)))
        if reply.deed is None:
            about: dict[str, Json] = {"to": user.name, "message": message}
            return [*done, ToolCall(SAID, about, world.turn, CallOutcome.OK, False, reply.text)]
        done.append(_do(world, side, reply.deed))
    raise WorldCrash(f"the user {user.name!r} did more than {MOST_DEEDS} things and said nothing")


def _do(world: World, side: UserSide, deed: Call) -> ToolCall:
    before = clone(world.state)
    try:
        outcome, seen = CallOutcome.OK, side.do(deed)
    except ToolError as refusal:
        outcome, seen = CallOutcome.TOOL_ERROR, str(refusal)
    changed = world.state != before
    return ToolCall(USER + deed.name, deed.arguments, world.turn, outcome, changed, seen)


def of_user(calls: Iterable[ToolCall]) -> tuple[ToolCall, ...]:
    """The records of what the user heard, said and did."""
    return tuple(call for call in calls if call.of_user)


def of_policy(calls: Iterable[ToolCall]) -> tuple[ToolCall, ...]:
    """The calls that a policy made, whatever became of them."""
    return tuple(call for call in calls if not call.of_user)


def replies(calls: Iterable[ToolCall]) -> tuple[ToolCall, ...]:
    """What the policy reads of the records of one turn: results of calls, and the user's reply."""
    return tuple(call for call in calls if not call.of_user or call.name == SAID)


class RecordedUser:
    """Says and does again what stands in a record, in the same order."""

    waits = False

    def __init__(self, calls: Iterable[ToolCall]) -> None:
        self._record = of_user(calls)
        said = [call for call in self._record if call.name == SAID]
        self.name = str(said[0].arguments["to"]) if said else SCRIPTED

    async def answer(self, heard: Heard) -> Reply:
        """The record that follows the past; silence after its end."""
        place = len(heard.past)
        if place >= len(self._record):
            return Reply()
        record = self._record[place]
        if record.name == SAID:
            return Reply(record.result)
        return Reply(deed=Call(record.name.removeprefix(USER), record.arguments))


_BRIEF = """You play a customer on the phone with a help desk. Stay in that part.
You know and see only this (JSON): {mind}
You can do only this, one thing at a time:
{deeds}
Do what the help desk asks and nothing else; tell only what it asks for; make nothing up.
Answer with one line: DO <name> <JSON object of arguments>, or SAY <your words>."""


class SpokenUser:
    """A user played by a language model behind any callable.

    complete: takes chat messages (`role`, `content`) and returns the model's text; it may be a
    sampler or a client of an OpenAI-compatible endpoint. Its text is read, never evaluated.
    """

    waits = True

    def __init__(
        self, complete: Callable[[Sequence[dict[str, str]]], Awaitable[str]], name: str
    ) -> None:
        if name == SCRIPTED:
            raise ValueError(f"a user spoken by a model needs a name other than {SCRIPTED!r}")
        self.complete, self.name = complete, name

    async def answer(self, heard: Heard) -> Reply:
        """The model's next line as a deed or as words; a line of neither form counts as words."""
        return _parsed(await self.complete(self.prompt(heard)))

    def prompt(self, heard: Heard) -> list[dict[str, str]]:
        """The chat so far as the model that plays the user sees it."""
        deeds = "\n".join(f"- {name}: {about}" for name, about in heard.deeds.items())
        brief = _BRIEF.format(mind=json.dumps(heard.mind, ensure_ascii=False), deeds=deeds)
        messages = [{"role": "system", "content": brief}]
        waiting: list[ToolCall] = []
        for record in heard.past:
            waiting.append(record)
            if record.name == SAID:
                messages += _told(str(record.arguments["message"]), waiting)
                waiting = []
        return [*messages, *_told(heard.message, waiting)]


def _told(message: str, records: Sequence[ToolCall]) -> list[dict[str, str]]:
    """One exchange, from the user's side: the desk's words, what was done then, what was said."""
    chat = [{"role": "user", "content": message}]
    for record in records:
        if record.name == SAID:
            chat.append({"role": "assistant", "content": f"SAY {record.result}"})
        else:
            deed = f"DO {record.name.removeprefix(USER)} {json.dumps(record.arguments)}"
            chat.append({"role": "assistant", "content": deed})
            chat.append({"role": "user", "content": f"(You see: {record.result})"})
    return chat


def _parsed(text: str) -> Reply:
    line = text.strip().splitlines()[0].strip() if text.strip() else ""
    verb, _, rest = line.partition(" ")
    if verb != "DO":
        return Reply(rest if verb == "SAY" else line)
    name, _, written = rest.partition(" ")
    try:
        arguments = json.loads(written or "{}")
    except ValueError:
        arguments = None
    return Reply(deed=Call(name, arguments)) if isinstance(arguments, dict) else Reply(line)
