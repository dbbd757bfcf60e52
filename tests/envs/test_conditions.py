"""Requests under a condition: a reader of the request, the rules and the state, who shares no code
with the generators, says which branch is due, and the demonstration does that.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tooldojo.envs.registry import world_class
from tooldojo.envs.seeding import derived_random
from tooldojo.envs.world import World

DRAFTS = 1000  # of level 2, where all conditional requests without calls stand as well
AGAINST = ("refused", "unsupported")


@dataclass(frozen=True, slots=True)
class Branches:
    """What a request asks for where its condition holds and where it does not, as closing codes."""

    holds: bool
    then: str
    otherwise: str

    def due(self, rules: str) -> str:
        """The code that the rules ask for; they may look at the branch not taken, too."""
        if "also in a branch not taken, all is: call nothing" in rules:
            for code in (self.then, self.otherwise):
                if code in AGAINST:
                    return code
        return self.then if self.holds else self.otherwise


Reader = Callable[[str, dict[str, Any]], Branches | None]


def _first(prompt: str, *patterns: str) -> dict[str, str] | None:
    found = (re.fullmatch(pattern, prompt) for pattern in patterns)
    return next((each.groupdict() for each in found if each), None)


def files(prompt: str, state: dict[str, Any]) -> Branches | None:
    """Whether a file has a word decides."""
    said = _first(
        prompt,
        r"If (?P<path>\S+) has (?P<word>\w+), (?P<then>.+?)(?:; if not|, else),? (?P<else>.+)\.",
        r"See whether (?P<path>\S+) has (?P<word>\w+)\. Where it does, (?P<then>[^,]+)"
        r"(?:, else (?P<else>.+))?\.",
        r"Once (?P<source>\S+) was read, (?P<else>.+), unless (?P<path>\S+) has (?P<word>\w+)\.",
        r"Move (?P<path>\S+) to (?P<folder>\w+) where it has (?P<word>\w+); if not, (?P<else>.+)\.",
    )
    if said is None:
        return None
    if said.get("folder"):
        said["then"] = f"move it to {said['folder']}"
    words = " ".join(state["files"][said["path"]]["lines"]).split()
    path = said.get("source") or said["path"]
    deeds = [_file_deed(said.get(part) or "", path) for part in ("then", "else")]
    return Branches(said["word"] in words, *deeds)


def _file_deed(deed: str, path: str) -> str:
    codes = {"move": "moved", "lock": "locked", "add": "changed", "": ""}
    code = codes.get(deed.partition(" ")[0], "unsupported")
    named = deed.split()[1:2]
    vault = (path if named == ["it"] or " to it" in deed else "".join(named)).startswith("vault")
    return "refused" if vault and code in codes.values() else code


def coding(prompt: str, state: dict[str, Any]) -> Branches | None:
    """A value or the tests of a function decide."""
    over = _first(
        prompt,
        r"If (?P<of>\w+) gives over (?P<limit>-?\d+) for a=(?P<a>\d+) and b=(?P<b>\d+), "
        r"(?P<then>.+)\.",
        r"(?P<then>Release (?P<of>\w+)) if it gives more than (?P<limit>-?\d+) for a=(?P<a>\d+) "
        r"and b=(?P<b>\d+), else (?P<else>.+)\.",
    )
    passes = _first(
        prompt,
        r"(?P<then>Let .+) if the tests of (?P<of>\w+) pass, else (?P<else>.+)\.",
        r"Test (?P<of>\w+); if that passes, (?P<then>.+)\.",
        r"If (?P<of>\w+) passes its tests, (?P<then>.+); if not, (?P<else>let it .+)\.",
        r"Test (?P<of>\w+)\. Where all is well (?P<then>.+), otherwise (?P<else>make it .+)\.",
        r"Try to release (?P<of>\w+); should its tests stop that, (?P<else>.+)\.",
    )
    said = over or passes
    if said is None:
        return None
    body = state["functions"][said["of"]]["body"]
    if over:
        holds = _value(body, int(over["a"]), int(over["b"])) > int(over["limit"])
    else:
        holds = all(_value(body, a, b) == want for a, b, want in state["tests"][said["of"]])
    said.setdefault("then", "Release")
    deeds = [_code_deed(said.get(part) or "") for part in ("then", "else")]
    return Branches(holds, *deeds)


def _value(body: str, a: int, b: int) -> int:
    return eval(body, {"a": a, "b": b})  # the generator's text, not a model's


def _code_deed(deed: str) -> str:
    if re.match(r"port|send|make a ", deed):
        return "unsupported"
    if any(int(number) > 90 for number in re.findall(r"\b\d+\b", deed)):
        return "refused"
    codes = {"Release": "released", "say": "kept", "": ""}
    return codes.get(deed.partition(" ")[0], "changed")


def home(prompt: str, state: dict[str, Any]) -> Branches | None:
    """A sensor decides."""
    said = _first(
        prompt,
        r"If (?P<sensor>\w+) in (?P<room>.+?) is above (?P<limit>\d+), (?P<then>get .+)\.",
        r"Read the sensors of (?P<room>.+?); with (?P<sensor>\w+) over (?P<limit>\d+) "
        r"(?P<then>arrange .+)\.",
        r"Set (?P<device>\w+) in (?P<room>.+?) to (?P<then>\d+) if the (?P<sensor>\w+) there is "
        r"above (?P<limit>\d+), otherwise to (?P<else>\d+)\.(?P<guest>.*)",
        r"Put (?P<device>\w+) at (?P<then>\d+) provided that (?P<room>.+?) has (?P<sensor>\w+) "
        r"above (?P<limit>\d+); if not, at (?P<else>\d+)\.(?P<guest>.*)",
        r"If (?P<room>.+?) has (?P<sensor>\w+) above (?P<limit>\d+), set its (?P<kind>\w+) to "
        r"(?P<then>\d+); otherwise (?P<else>nothing)\.",
    )
    if said is None:
        return None
    holds = state["rooms"][said["room"]][said["sensor"]] > int(said["limit"])
    device = state["devices"].get(said.get("device") or "", {})
    heats = "heater" in (said.get("kind"), device.get("kind"))
    young = any(int(age) < 12 for age in re.findall(r"\d+", said.get("guest") or ""))
    deeds = [_level_deed(said.get(part) or "nothing", heats, young) for part in ("then", "else")]
    return Branches(holds, *deeds)


def _level_deed(deed: str, heats: bool, young: bool) -> str:
    if deed == "nothing":
        return "kept"
    if not deed.isdigit():
        return "unsupported"
    return "refused" if young or (heats and int(deed) > 25) else "set"


def office(prompt: str, state: dict[str, Any]) -> Branches | None:
    """Whether somebody has a free hour decides."""
    said = _first(
        prompt,
        r"If (?P<who>.+) is free on (?P<day>\w+), get (?P<thing>.+) for the .+; otherwise do "
        r"nothing\.",
    )
    if said is None:
        return None
    meetings = [m for m in state["meetings"].values() if said["who"] in m["people"]]
    taken = {*state["busy"].get(said["who"], {}).get(said["day"], ())}
    taken |= {m["time"] for m in meetings if m["day"] == said["day"]}
    return Branches(len(taken) < 8, "unsupported", "none")


def travel(prompt: str, state: dict[str, Any]) -> Branches | None:
    """A forecast decides."""
    said = _first(
        prompt,
        r"(?P<who>.+) wants to fly from .+ to .+ on (?P<date>.+?)\. If (?P<if>\w+) is forecast in "
        r"(?P<city>.+) that day, fly on .+ instead; .+ flight\.(?P<more>.*)",
        r"If (?P<city>.+) has no (?P<if>\w+) on (?P<date>.+), (?P<then>reserve .+); otherwise do "
        r"nothing\.",
        r"Whether or not (?P<city>.+) has (?P<if>\w+) on (?P<date>.+), (?P<both>reserve .+)\.",
    )
    if said is None:
        return None
    holds = state["weather"][said["city"]].get(said["date"]) == said["if"]
    if said.get("then"):
        return Branches(not holds, "unsupported", "")
    party, age = (re.search(p, prompt) for p in (r"party has (\d+)", r"aged (\d+)"))
    against = (party and int(party[1]) > 4) or (age and int(age[1]) < 16)
    code = "unsupported" if said.get("both") else "refused" if against else "booked"
    return Branches(holds, code, code)


@pytest.mark.parametrize("reader", [files, coding, home, office, travel])
def test_the_branch_that_is_due_is_demonstrated(reader: Reader) -> None:
    world: type[World] = world_class(f"tooldojo/{reader.__name__.title()}-v0")
    rng = derived_random("conditions", reader.__name__)
    seen: Counter[tuple[bool, str]] = Counter()
    for _ in range(DRAFTS):
        draft = world.draft(rng, 2)
        branches = reader(draft.prompt, draft.world)
        if branches is None:
            continue
        code = (draft.gold[-1].message or "").split()[1]
        assert code == branches.due(world.system_prompt), draft.prompt
        seen[branches.holds, code] += 1
    declined = {(holds, code) for holds, code in seen if code in AGAINST}
    assert {holds for holds, _ in declined} == {True, False}, seen
    assert {code for _, code in declined} >= {"unsupported"}, seen
