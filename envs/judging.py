"""Judges: who answers the questions of judged components, and how answers become evidence.

A judge is injected by what plays the world; `rollouts.judges` makes one from a function. Invariant:
a judge that fails leaves no opinion behind, so that there is no verdict instead of a wrong one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

from tooldojo.envs.calls import at_once
from tooldojo.verifiers.combine import Verifier
from tooldojo.verifiers.judged import OPINIONS, Judged
from tooldojo.verifiers.process import RewardPart
from tooldojo.verifiers.records import Evidence, Goal, Json
from tooldojo.verifiers.reward import component_names


class JudgeLost(RuntimeError):
    """A judge failed or did not answer: no verdict, and nobody's fault in the trajectory."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a component asks about one trajectory."""

    component: str
    text: str


@dataclass(frozen=True, slots=True)
class Opinion:
    """A judge's answer; `value` in [0, 1]."""

    value: float
    why: str = ""


class Judge(Protocol):
    """Answers questions, several at once."""

    async def __call__(self, question: Question) -> Opinion:
        """The opinion on one question; whatever it raises becomes `JudgeLost`."""
        ...


async def approve(question: Question) -> Opinion:
    """Gives 1 to everything: for demonstrations, which are right by definition, and for gates,
    which attack the components that need no judge.
    """
    return Opinion(1.0, "taken as given")


def recorded(evidence: Evidence) -> Judge:
    """A judge that says again what stands in stored evidence."""
    stored = evidence.gathered.get(OPINIONS)

    async def repeat(question: Question) -> Opinion:
        opinion = stored.get(question.component) if isinstance(stored, dict) else None
        if not isinstance(opinion, dict):
            raise JudgeLost(f"the stored evidence has no opinion on {question.component!r}")
        return Opinion(opinion["value"], str(opinion["why"]))  # type: ignore[arg-type]

    return repeat


class Components:
    """The named components of a world: its verifier's parts and its own rewards.

    names: all that a recipe can weigh. judged: those that need a judge. keep_states: whether one
    looks at the world after each turn, so that evidence holds it.

    Raises:
        ValueError: when two have one name.
    """

    def __init__(self, verifier: object, rewards: Sequence[RewardPart]) -> None:
        parts = verifier.parts if isinstance(verifier, Verifier) else ()
        self.names = component_names(verifier, rewards)
        asked = [(part.name, part.criterion) for part in parts]
        asked += [(part.name, part.function) for part in rewards]
        self.judged = {name: each for name, each in asked if isinstance(each, Judged)}
        self.keep_states = any("states" in part.names for part in (*parts, *rewards))

    async def ask(self, judge: Judge, evidence: Evidence, goal: Goal) -> dict[str, Json]:
        """Opinions for `Evidence.gathered`, with the questions that they answer.

        Raises:
            JudgeLost: when the judge fails on one of them.
        """
        asked = [
            Question(name, each.question(evidence, goal)) for name, each in self.judged.items()
        ]
        work = [_answer(each, judge) for each in asked]
        alone = judge is approve or len(work) == 1  # needs no event loop
        answers = [await each for each in work] if alone else await at_once(work)
        return {OPINIONS: dict(zip(self.judged, answers, strict=True))}


async def _answer(question: Question, judge: Judge) -> Json:
    try:
        return asdict(await judge(question)) | {"question": question.text}
    except Exception as error:
        what = f"the judge failed on {question.component!r}: {type(error).__name__}: {error}"
        raise JudgeLost(what) from error
