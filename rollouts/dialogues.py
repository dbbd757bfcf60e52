"""`Dialogues`: chat messages to token ids, token-exact where a conversation goes on.

A client of a chat API sends text back, and tokenising text again may give other tokens than the
policy sampled. So each reply is remembered with its ids: whoever sends it back, followed by tool
results alone, or a message by what a user says, gets the very tokens that our own player would
have. What follows a malformed reply counts as its result, though it has no call that a tool message
could answer: so it was in training. Any other conversation is what the template writes. Refuses
nothing that the template takes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from tooldojo.rollouts.chat import Chat, Message
from tooldojo.verifiers.canonical import content_hash
from tooldojo.verifiers.records import Json

REMEMBERED = 4096  # replies; a conversation that is forgotten is only rendered anew


@dataclass(frozen=True, slots=True)
class Reply:
    """A remembered reply: its name, every id up to its stop token, whether a call in it could not
    be read, and whether it is a message alone.
    """

    name: str
    ids: tuple[int, ...]
    malformed: bool
    spoken: bool


@dataclass(frozen=True, slots=True)
class Prompt:
    """What to sample from. continues: the reply that it goes on from token by token, or None."""

    ids: tuple[int, ...]
    continues: str | None


class Dialogues:
    """Remembers the last replies.

    Messages are OpenAI's with content as text; the arguments of calls are objects. Thoughts and the
    ids of calls are no part of a conversation's identity.
    """

    def __init__(self, chat: Chat) -> None:
        self.chat = chat
        self._replies: OrderedDict[str, Reply] = OrderedDict()

    def prompt(self, messages: Sequence[Message], tools: Sequence[dict[str, Json]]) -> Prompt:
        """The ids of a conversation, up to the next place to sample.

        Raises:
            TemplateError: for messages that the template refuses.
        """
        results = _results_at_end(messages)
        answered = len(results) or 1  # without calls to answer one message of the user follows
        reply = self._replies.get(_key(messages[:-answered], tools))
        heard = not results and messages[-1]["role"] == "user"
        if reply is not None and (results or (heard and (reply.malformed or reply.spoken))):
            results = results or [str(messages[-1]["content"])]
            observed = self.chat.observation_ids(results, heard and reply.spoken)
            return Prompt((*reply.ids, *observed), reply.name)
        roles = [message["role"] for message in messages]
        if roles in (["user"], ["system", "user"]):
            system = str(messages[0]["content"]) if len(messages) == 2 else ""
            ids = self.chat.prompt_ids(system, tools, str(messages[-1]["content"]))
        else:
            ids = self.chat.dialogue_ids(messages, tools)
        return Prompt(tuple(ids), None)

    def remember(
        self,
        messages: Sequence[Message],
        tools: Sequence[dict[str, Json]],
        said: Message,
        reply: Reply,
    ) -> None:
        """Keep a reply, `said` as the client got it; only one that ended with a stop token can go
        on.
        """
        if reply.ids[-1] in self.chat.stop_ids:
            self._replies[_key([*messages, said], tools)] = reply
            while len(self._replies) > REMEMBERED:
                self._replies.popitem(last=False)


def _results_at_end(messages: Sequence[Message]) -> list[str]:
    results: list[str] = []
    for message in reversed(messages):
        if message["role"] != "tool":
            break
        results.insert(0, str(message["content"]))
    return results


def _key(messages: Sequence[Message], tools: Sequence[dict[str, Json]]) -> str:
    said: list[Json] = [[m["role"], m["content"], _calls(m)] for m in messages]
    return content_hash([said, list(tools)])


def _calls(message: Message) -> list[Json]:
    calls = message.get("tool_calls") or []
    assert isinstance(calls, list)
    return [call["function"] for call in calls if isinstance(call, dict)]
