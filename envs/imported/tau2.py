"""tau2-bench's retail and telecom (solo) as worlds, from a checkout that the user supplies.

`TOOLDOJO_TAU2` names the checkout; PyPI's `tau2` is another project. A world's state is what
differs from the shipped databases. Refuses tasks that need a judge or pay for doing nothing.
Differs from the benchmark: there is no simulated user, the request is told in full at once; and a
call that fails changes nothing. So scores are not those of its leaderboard.
"""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, ClassVar

from tooldojo.envs.calls import RAN
from tooldojo.envs.draft import Draft, call, steps
from tooldojo.envs.imported.outside import Outside, OutsideError, shared
from tooldojo.envs.imported.schema_tools import schema_spec
from tooldojo.envs.task import Split
from tooldojo.envs.tools import ToolError, ToolSpec
from tooldojo.envs.verdict import Audit, Verdict
from tooldojo.envs.world import World
from tooldojo.verifiers.canonical import content_hash
from tooldojo.verifiers.combine import all_of
from tooldojo.verifiers.criteria import outside_score
from tooldojo.verifiers.records import Json

NAMESPACE = "tau2/"
CHECKOUT = "TOOLDOJO_TAU2"
DOMAINS = {"retail": "retail", "telecom-solo": "telecom"}  # by the name of the world
VERDICTS = Path(__file__).with_name("tau2.json")
CLOSING = "Done."
_ROLE = """You are a customer service agent. The request below is told in full and nobody answers \
questions: do what the policy allows with the tools, then close with a short message.

"""


class Tau2(World):
    """A domain of tau2-bench, its tools run and its checks made in an outside process."""

    domain: ClassVar[str]
    max_turns = 30
    slow_tools = True
    verifier = all_of(outside_score=outside_score)

    @classmethod
    def tool_specs(cls) -> dict[str, ToolSpec]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The domain's tools; in solo mode the user's as well."""
        return _specs(cls.domain, checkout())

    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        """One of the benchmark's tasks."""
        task = rng.choice(_playable(cls.domain, checkout()))
        state = {"task": task["id"], **_ask(cls.domain, "begin", task=task["id"])}
        gold = [call(each["name"], **each["arguments"]) for each in task["gold"]]
        say = "\n".join([*task["said"], CLOSING])
        return Draft(task["prompt"], state, steps(*gold, say=say), template=task["split"])

    @classmethod
    def split_of(cls, draft: Draft) -> Split | None:
        """The benchmark's own split, an eighth of its training tasks for validation; ours where a
        task has none.
        """
        if not draft.template:
            return super().split_of(draft)
        if draft.template == "test":
            return Split.TEST
        bucket = int(content_hash([cls.env_id, draft.world["task"]]), 16) % 8
        return Split.VAL if bucket == 0 else Split.TRAIN

    async def perform(self, spec: ToolSpec, arguments: dict[str, Any]) -> object:
        """Run a tool outside, on this world's state."""
        before = {key: value for key, value in self.state.items() if key != "task"}
        done = _ask(self.domain, "call", state=before, name=spec.name, arguments=arguments)
        if done["error"]:
            raise ToolError(str(done["text"]).removeprefix("Error: "))
        if spec.mutates:
            self.state = {"task": self.state["task"], **done["state"]}
        return done["text"]

    def gather(self) -> dict[str, Json]:
        """The benchmark's checks on where this went, and their product."""
        ran = [c for c in self.calls if c.outcome in RAN]
        calls: list[Json] = [{"name": c.name, "arguments": c.arguments} for c in ran]
        said: list[Json] = [*self.messages, self.answer or ""]
        state = {key: value for key, value in self.state.items() if key != "task"}
        task = self.state["task"]
        checks = _ask(self.domain, "score", task=task, state=state, calls=calls, said=said)
        return {"outside_score": min(checks.values()), "checks": checks}


def load(env_id: str) -> type[World]:
    """The world of an id, not yet registered.

    Raises:
        LookupError: for an unknown domain, and without a checkout.
    """
    name = env_id.removeprefix(NAMESPACE).removesuffix("-v0")
    if name not in DOMAINS or env_id != f"{NAMESPACE}{name}-v0":
        near = difflib.get_close_matches(name, DOMAINS, 1, 0.3) or list(DOMAINS)
        raise LookupError(f"no world {env_id!r}; did you mean '{NAMESPACE}{near[0]}-v0'?")
    domain = DOMAINS[name]
    fields = {
        "__doc__": f"The domain {name} of tau2-bench.",
        "domain": domain,
        "system_prompt": _ROLE + _ask(domain, "policy"),
        "verdict": verdict_of(domain),
    }
    return type("Tau2", (Tau2,), fields)


def checkout() -> str:
    """The checkout's folder.

    Raises:
        LookupError: where none is named, or what is named is none.
    """
    folder = os.environ.get(CHECKOUT, "")
    if not (Path(folder) / "src" / "tau2" / "environment").is_dir():
        what = f"{folder!r} is no such checkout" if folder else "it is not set"
        raise LookupError(
            f"tau2/... needs a checkout of sierra-research/tau2-bench, named by {CHECKOUT}; {what}"
        )
    return folder


def outside(domain: str) -> Outside:
    """The process in which a domain runs."""
    config = json.dumps({"checkout": str(Path(checkout()).resolve()), "domain": domain})
    return shared("tau2_backend", (), config)


def package() -> str:
    """Name and version of the checkout, as verdicts name it."""
    about = Path(checkout()) / "pyproject.toml"
    project = tomllib.loads(about.read_text(encoding="utf-8")) if about.is_file() else {}
    return f"tau2-bench {project.get('project', {}).get('version', 'of unknown version')}"


def verdict_of(domain: str) -> Verdict:
    """The shipped verdict on a domain; it counts only for the version that was audited."""
    shipped = json.loads(VERDICTS.read_text(encoding="utf-8"))
    row = shipped["domains"].get(domain)
    if row is None or shipped["of"] != package():
        return Verdict(Audit.UNAUDITED, of=shipped["of"])
    return Verdict(Audit(row["audit"]), tuple(row["reasons"]), shipped["of"])


def _ask(domain: str, do: str, **arguments: Json) -> Any:
    try:
        return outside(domain).ask(do, deadline=60.0, **arguments)
    except OutsideError as error:
        missing = "No module named "
        if missing in str(error):
            raise LookupError(f"{error}; pip install 'tooldojo[tau2]'") from None
        raise


@cache
def _specs(domain: str, _checkout: str) -> dict[str, ToolSpec]:
    return {
        each["name"]: schema_spec(
            each["name"], each["description"], each["parameters"], each["mutates"]
        )
        for each in _ask(domain, "tools")
    }


@cache
def _playable(domain: str, _checkout: str) -> list[dict]:
    """Tasks that need no judge and do not pay an agent that does nothing."""
    found = []
    for task in _ask(domain, "tasks"):
        if task["judged"]:
            continue
        state = _ask(domain, "begin", task=task["id"])
        checks = _ask(domain, "score", task=task["id"], state=state, calls=[], said=[""])
        if min(checks.values()) < 1.0:
            found.append(task)
    return found
