"""The customer's side: what they know, the box in front of them, and how they take instructions.

Invariant: the scripted customer depends on state and past alone, so that it can be replayed, and a
slip of theirs happens once.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

from tooldojo.envs.snapshot import clone
from tooldojo.envs.task import Call
from tooldojo.envs.tools import ToolError
from tooldojo.envs.users import MOST_DEEDS, SCRIPTED, Heard, Reply
from tooldojo.verifiers.records import Json, ToolCall

CHANNELS = range(1, 14)
SWITCHES = {"guest": ("on", "off"), "filter": ("on", "off"), "bridge": ("on", "off")}
SETTINGS = SWITCHES | {"cable": ("in", "out"), "channel": tuple(map(str, CHANNELS))}
_VERB = re.compile(r"\b(set|switch|turn|put|change|plug|push|pull|move|make)\b")
_FACTS = {
    "account": ("account", "My account number is {}."),
    "box": ("box number|number (on|of) the box", "The number on the box is {}."),
    "day": ("day", "{} suits me."),
}
_LAMP = re.compile(r"\b(lamp|light)\b")
_RESTART = re.compile(r"\b(restart|reboot)\b")


def lamp(state: dict[str, Any]) -> str:
    """The box's lamp: it shows what both sides have done."""
    user = state["user"]
    if user["settings"]["cable"] == "out":
        return "dark"
    account = state["accounts"].get(user["account"])
    if account and account["line"] == "barred":
        return "red"
    return "green" if user["fresh"] else "yellow"


def shown(settings: dict[str, str]) -> str:
    """All settings in words."""
    return ", ".join(f"{name} {value}" for name, value in settings.items())


class Household:
    """The user's side of a state (`tooldojo.envs.users.UserSide`)."""

    deeds: ClassVar[dict[str, str]] = {
        "set": "set one setting of the box: {name: guest|filter|bridge|cable|channel, value}",
        "restart": "restart the box: {}",
    }

    def __init__(self, state: dict[str, Any]) -> None:
        self._state = state

    def mind(self) -> dict[str, Json]:
        """The customer's record, with the lamp; `slips` is what they get wrong the first time."""
        return clone(self._state["user"]) | {"lamp": lamp(self._state)}

    def do(self, deed: Call) -> str:
        """Set something or restart the box.

        Raises:
            ToolError: for another deed, setting or value.
        """
        user = self._state["user"]
        if deed.name == "restart":
            user["fresh"] = True
            return f"the lamp is {lamp(self._state)}"
        name, value = str(deed.arguments.get("name")), str(deed.arguments.get("value"))
        if deed.name != "set" or value not in SETTINGS.get(name, ()):
            raise ToolError(f"the box has no {name} {value}")
        user["settings"][name] = value
        return f"{name} is {value}"


class Customer:
    """The scripted user: understands plain instructions and questions, sentence by sentence."""

    name = SCRIPTED
    waits = False

    async def answer(self, heard: Heard) -> Reply:
        """First what was told, one deed after the other; then one sentence for each wish.

        Of a message with more wishes than can be done in one exchange, the first ones count: what a
        policy says must not be able to crash its world.
        """
        wishes = [wish for part in _sentences(heard.message) for wish in _wishes(part)]
        wishes = wishes[:MOST_DEEDS]
        deeds = [wish for wish in wishes if isinstance(wish, Call) and not _forgets(heard, wish)]
        done = heard.fresh
        if len(done) < len(deeds):
            return Reply(deed=deeds[len(done)])
        seen = iter(done)
        said = [
            _told(heard, wish)
            if isinstance(wish, str)
            else _done(wish, None if _forgets(heard, wish) else next(seen))
            for wish in wishes
        ]
        return Reply(" ".join(said) or "Sorry, I do not understand that.")


def _sentences(message: str) -> list[str]:
    return [part for part in re.split(r"[.?!;\n]", message.casefold()) if part.strip()]


def _wishes(sentence: str) -> list[Call | str]:
    """The deeds that a sentence tells and the things that it asks for, in its order."""
    told = bool(_VERB.search(sentence))
    return [wish for part in re.split(r"\band\b", sentence) for wish in _part(part, told)]


def _part(part: str, told: bool) -> list[Call | str]:
    if _RESTART.search(part):
        return [Call("restart", {})]
    if told and (found := _instruction(part)):
        return [found]
    asked: list[Call | str] = [
        fact for fact, (pattern, _) in _FACTS.items() if re.search(rf"\b({pattern})\b", part)
    ]
    if _LAMP.search(part):
        asked.append("lamp")
    return asked or [name for name in SETTINGS if re.search(rf"\b{name}\b", part)]


def _instruction(part: str) -> Call | None:
    """What to set to what; a value behind the name goes before one in front of it."""
    for name, values in SETTINGS.items():
        rest = re.search(rf"\b{name}\b(.*)", part)
        words = re.findall(r"\w+", f"{rest[1]} {part}") if rest else []
        value = next((word for word in words if word in values), None)
        if value is not None:
            return Call("set", {"name": name, "value": value})
    return None


def _slip(heard: Heard, name: str) -> str | None:
    """What the customer gets wrong about something, if they have not yet."""
    slips = heard.mind["slips"]
    assert isinstance(slips, dict)
    wrong = slips.get(name)
    before = [record.result for record in heard.past]
    return None if wrong is None or any(str(wrong) in said for said in before) else str(wrong)


def _forgets(heard: Heard, deed: Call) -> bool:
    """Whether the customer says that it is done, and does nothing."""
    name, value = deed.arguments.get("name"), deed.arguments.get("value")
    return _slip(heard, str(name)) == f"{name} is {value}"


def _told(heard: Heard, wish: str) -> str:
    mind = heard.mind
    if wish == "lamp":
        return f"The lamp is {mind['lamp']}."
    if wish in SETTINGS:
        settings = mind["settings"]
        assert isinstance(settings, dict)
        return f"It says {wish} {settings[wish]}."
    return _FACTS[wish][1].format(_slip(heard, wish) or mind[wish])


def _done(deed: Call, record: ToolCall | None) -> str:
    if deed.name == "restart":
        return f"I restarted the box; {record.result if record else ''}."
    seen = f"{deed.arguments['name']} is {deed.arguments['value']}"
    return f"Done, {record.result if record else seen}."
