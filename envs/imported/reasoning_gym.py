"""reasoning-gym's data sets as single-turn worlds, `reasoning_gym/NAME-v0`.

A task's state holds the data set's name and seed; the question is the prompt and the final message
the answer, scored by the package's own verifier in an outside process. Invariant: a data set that
the audit blocked is no world. `reasoning_gym.json` holds the verdicts, as
`benchmarks/audit_public.py` wrote them.
"""

from __future__ import annotations

import difflib
import importlib.util
import json
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from random import Random
from typing import ClassVar

from tooldojo.envs.draft import Draft
from tooldojo.envs.imported.outside import Outside, OutsideError, shared
from tooldojo.envs.task import GoldTurn
from tooldojo.envs.verdict import Audit, Verdict
from tooldojo.envs.world import World
from tooldojo.verifiers.combine import all_of
from tooldojo.verifiers.criteria import outside_score
from tooldojo.verifiers.records import Json, StopReason

NAMESPACE = "reasoning_gym/"
VERDICTS = Path(__file__).with_name("reasoning_gym.json")
TRIES = 20  # items looked at for one with an answer that its own verifier takes


class Question(World):
    """One question, answered in one turn without tools."""

    dataset: ClassVar[str]
    system_prompt = "Answer the question. Your final message is the answer and nothing else."
    max_turns = 1
    slow_tools = True  # the outside process answers in milliseconds
    tool_less = True
    verifier = all_of(outside_score=outside_score)

    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        """One item of the data set, by a seed from `rng`."""
        for _ in range(TRIES):
            seed = rng.getrandbits(31)
            item = outside().ask("item", name=cls.dataset, seed=seed)
            assert isinstance(item, dict)
            gold = str(item["answer"] or "").strip()
            if gold:
                break
        else:
            raise LookupError(f"{cls.env_id}: {TRIES} items in a row have no answer")
        state: dict[str, Json] = {"seed": seed, "digest": item["digest"]}
        return Draft(str(item["question"]), state, [GoldTurn("", (), gold)], answer=gold)

    def gather(self) -> dict[str, Json]:
        """The score of the package's own verifier; nothing where no answer was given."""
        if self.stop is not StopReason.ANSWERED:
            return {}
        answer = (self.answer or "").strip()
        about = {key: self.task.world[key] for key in ("seed", "digest")}
        value = outside().ask("score", name=self.dataset, answer=answer, **about)  # pyright: ignore
        return {"outside_score": value}


def load(env_id: str) -> type[World]:
    """The world of an id, not yet registered.

    Raises:
        LookupError: without the package, for an unknown data set, and for a blocked one with what
        the audit found.
    """
    name = env_id.removeprefix(NAMESPACE).removesuffix("-v0")
    verdict = verdict_of(name)
    if verdict.audit is Audit.BLOCKED:
        raise LookupError(f"{env_id} is blocked: {'; '.join(verdict.reasons)}; choose another one")
    try:
        names = outside().ask("names", deadline=120.0)
    except OutsideError as error:
        raise LookupError(f"reasoning-gym does not load: {error}; install it anew") from None
    assert isinstance(names, list)
    if name not in names or env_id != f"{NAMESPACE}{name}-v0":
        near = difflib.get_close_matches(name, map(str, names), 1, 0.3)
        hint = f"; did you mean '{NAMESPACE}{near[0]}-v0'?" if near else ""
        raise LookupError(f"reasoning-gym has no data set for {env_id!r}{hint}")
    about = f"The data set {name} of reasoning-gym."
    return type("Question", (Question,), {"__doc__": about, "dataset": name, "verdict": verdict})


def outside() -> Outside:
    """The process in which the package runs.

    Raises:
        LookupError: where the package is not installed.
    """
    return shared("reasoning_gym_backend", (_folder(),))


def _folder() -> str:
    found = importlib.util.find_spec("reasoning_gym")
    if found is None or not found.origin:
        raise LookupError(
            "reasoning_gym/... needs the package reasoning-gym; "
            "pip install 'tooldojo[reasoning-gym]'"
        )
    return str(Path(found.origin).parent.parent)


def package() -> str:
    """Name and version of what is installed, as verdicts name it."""
    try:
        return f"reasoning-gym {version('reasoning-gym')}"
    except PackageNotFoundError:
        return "reasoning-gym"


def verdict_of(name: str) -> Verdict:
    """The shipped verdict on a data set; a pass counts only for the version that was audited."""
    shipped = _shipped()
    row = shipped["datasets"].get(name)
    if row is None:
        return Verdict(Audit.UNAUDITED)
    verdict = Verdict(Audit(row["audit"]), tuple(row["reasons"]), shipped["of"])
    stale = verdict.audit is not Audit.BLOCKED and shipped["of"] != package()
    return Verdict(Audit.UNAUDITED, of=shipped["of"]) if stale else verdict


@cache
def _shipped() -> dict:
    return json.loads(VERDICTS.read_text(encoding="utf-8"))
