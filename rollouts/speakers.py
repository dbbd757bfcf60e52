"""Users made from functions: `NamedUser`, which crosses processes by name.

Refuses to know any model or endpoint: the function asks whatever it likes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cache

from tooldojo.envs.references import load_function
from tooldojo.envs.users import Heard, Reply, SpokenUser
from tooldojo.rollouts.host import asked

Messages = Sequence[dict[str, str]]
SpeakerFunction = Callable[[Messages], str | Awaitable[str]]


@dataclass(frozen=True, slots=True)
class NamedUser:
    """A user spoken by the function behind a reference, `package.module:function` or
    `file.py:function`: chat messages in, the model's text out, as `SpokenUser` reads it.

    A function that is not asynchronous runs on a thread of its own, which is left behind after
    `deadline` seconds.
    """

    reference: str
    deadline: float = 120.0

    @property
    def waits(self) -> bool:
        """Always."""
        return True

    @property
    def name(self) -> str:
        """What the records say about who it was."""
        return self.reference

    async def answer(self, heard: Heard) -> Reply:
        """See `SpokenUser`."""
        return await SpokenUser(self._complete, self.name).answer(heard)

    async def _complete(self, messages: Messages) -> str:
        return await asked(speaker_function(self.reference), messages, self.deadline)


@cache
def speaker_function(reference: str) -> SpeakerFunction:
    """What a reference to a user stands for; raises LookupError where there is no function."""
    return load_function(reference, "a user is one from chat messages to text")
