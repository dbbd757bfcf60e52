"""Users made from functions: `NamedUser`, which crosses processes by name.

Refuses to know any model or endpoint: the function asks whatever it likes.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import cast

from tooldojo.envs.registry import load_reference
from tooldojo.envs.users import Heard, Reply, SpokenUser
from tooldojo.rollouts.host import ToolThreads

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
        function = speaker_function(self.reference)
        if inspect.iscoroutinefunction(inspect.unwrap(function)):
            return await cast(Awaitable[str], function(messages))
        work = ToolThreads(limit=1).run(lambda: function(messages), self.deadline)
        return cast(str, await work)


@cache
def speaker_function(reference: str) -> SpeakerFunction:
    """What a reference to a user stands for.

    Raises:
        LookupError: when there is no function of that name.
    """
    found = load_reference(reference)
    if not callable(found):
        raise LookupError(f"{reference} is no function; a user is one from chat messages to text")
    return cast(SpeakerFunction, found)
