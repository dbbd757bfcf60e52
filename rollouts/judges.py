"""Judges made from functions: `CallableJudge`, and `NamedJudge`, which crosses processes by name;
`patient` gives any judge a deadline.

Refuses to know any model or endpoint: the function asks whatever it likes, an LLM or a reward
model. Invariant: an answer that comes too late or is no number in [0, 1] is a failure, never a 0.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache

from tooldojo.envs.judging import Judge, Opinion, Question
from tooldojo.envs.references import load_function
from tooldojo.rollouts.host import asked

Answer = Opinion | float | tuple[float, str]
JudgeFunction = Callable[[Question], Answer | Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class CallableJudge:
    """A judge from a function of a `Question`, which may be `async def`.

    It returns a value in [0, 1], a pair of value and reason, or an `Opinion`. A function that is
    not asynchronous runs on a thread of its own, which is left behind at the deadline. deadline:
    seconds for one answer.
    """

    function: JudgeFunction
    deadline: float = 120.0

    async def __call__(self, question: Question) -> Opinion:
        """The function's opinion.

        Raises:
            TimeoutError: after the deadline.
            ValueError: for an answer that is no value in [0, 1].
        """
        async with _within(self.deadline):
            return _opinion(await asked(self.function, question, self.deadline))


@dataclass(frozen=True, slots=True)
class NamedJudge:
    """A judge from a reference, `package.module:function` or `file.py:function`."""

    reference: str
    deadline: float = 120.0

    async def __call__(self, question: Question) -> Opinion:
        """The opinion of the function behind the reference; see `CallableJudge`."""
        return await CallableJudge(judge_function(self.reference), self.deadline)(question)


def patient(judge: Judge, deadline: float) -> Judge:
    """The same judge; `TimeoutError` where it takes longer than so many seconds."""

    async def within(question: Question) -> Opinion:
        async with _within(deadline):
            return await judge(question)

    return within


@asynccontextmanager
async def _within(deadline: float) -> AsyncIterator[None]:
    timer = asyncio.timeout(deadline)
    try:
        async with timer:
            yield
    except TimeoutError as error:
        if not timer.expired():
            raise  # the judge's own
        raise TimeoutError(f"no answer within {deadline:g} s") from error


@cache
def judge_function(reference: str) -> JudgeFunction:
    """What a reference to a judge stands for; raises LookupError where there is no function."""
    return load_function(reference, "a judge is one of a Question")


def _opinion(answer: Answer) -> Opinion:
    value, why = answer if isinstance(answer, tuple) else (answer, "")
    if isinstance(value, Opinion):
        value, why = value.value, value.why
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value <= 1:  # a NaN fails this, too
        raise ValueError(f"a judge answers with a value in [0, 1], not {value!r}")
    return Opinion(float(value), str(why))
