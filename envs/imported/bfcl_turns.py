"""BFCL v4's multi-turn categories as worlds: several requests of one user, on simulated APIs.

The APIs are the package's classes in an outside process, called by name; a world's state is what
differs from the entry's scenario. A message without calls ends a user turn, and the next request is
the user's reply. Owns the entries' tools, users and states; the rule is `verifiers.user_turns`.
Differs from the benchmark: arguments must fit the schema, a call that fails changes nothing, and a
function that comes later cannot be called before.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, ClassVar

from tooldojo.envs.draft import Draft
from tooldojo.envs.imported import bfcl
from tooldojo.envs.imported.outside import Outside, OutsideError, shared
from tooldojo.envs.imported.schema_tools import SchemaSpec, schema_spec
from tooldojo.envs.task import Call, GoldTurn
from tooldojo.envs.tools import ToolError, ToolSpec
from tooldojo.envs.users import SCRIPTED, Heard, Reply, User
from tooldojo.envs.world import World
from tooldojo.verifiers.combine import all_of
from tooldojo.verifiers.records import SAID, CallOutcome, Json
from tooldojo.verifiers.user_turns import by_user_turn, user_turns

FILES = {
    "GorillaFileSystem": "gorilla_file_system",
    "MathAPI": "math_api",
    "MessageAPI": "message_api",
    "TwitterAPI": "posting_api",
    "TicketAPI": "ticket_api",
    "TradingBot": "trading_bot",
    "TravelAPI": "travel_booking",
    "VehicleControlAPI": "vehicle_control",
}  # by API class, of its code and of its functions' schemas
STATELESS = "MathAPI"
MOST_STEPS = 20  # assistant turns for one request, on average; in the benchmark for each
DEADLINE = 60.0  # seconds for one request to the outside process
SYSTEM_PROMPT = """You serve a user with tools, one request after another. Make the calls that a \
request needs; when it is done, or cannot be done with what you have, say so in a message without \
calls, and the user goes on."""
MORE_FUNCTIONS = "I have updated some more functions you can choose from. What about now?"
MISSING = "I cannot do this with what I have; what is missing?"


class Requests:
    """The scripted user: says the next request, whatever was answered."""

    name = SCRIPTED
    waits = False

    async def answer(self, heard: Heard) -> Reply:
        """The next request."""
        return Reply(str(heard.mind["request"]))


class Asking:
    """The user's side: a request in mind, and nothing to do."""

    deeds: ClassVar[dict[str, str]] = {}

    def __init__(self, request: str) -> None:
        self._request = request

    def mind(self) -> dict[str, Json]:
        """What to ask for next."""
        return {"request": self._request}

    def do(self, deed: Call) -> str:
        """Raises ToolError: there is nothing to do."""
        raise ToolError(f"there is nothing to {deed.name}")


class Dialogue(World):
    """One entry: its requests, its functions, and where its reference calls lead."""

    entry: ClassVar[dict[str, Any]]
    category: ClassVar[str]
    late_turn: ClassVar[int] = 0  # the request with which `late_tools` come
    system_prompt = SYSTEM_PROMPT
    slow_tools = True
    verdict = bfcl.VERDICT
    verifier = all_of(user_turns=user_turns)
    user: User | None = Requests()

    @classmethod
    def origin_id(cls) -> str:
        """The category's."""
        return f"{bfcl.NAMESPACE}{cls.category}-v0"

    @classmethod
    @cache
    def tool_specs(cls) -> dict[str, ToolSpec]:
        """The functions of the entry's APIs, those that come later included."""
        return dict(specs(cls.entry))

    @classmethod
    @cache
    def owners(cls) -> dict[str, str]:
        """By function, its API class."""
        return owners(cls.entry)

    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        """The entry; its demonstration makes the reference calls one by one."""
        gold = []
        for calls in reference(cls.entry):
            gold += [GoldTurn("", (Call(each["name"], each["arguments"]),)) for each in calls]
            gold.append(GoldTurn("", (), bfcl.CLOSING if calls else MISSING))
        state: dict[str, Json] = {api: {} for api in cls.entry["involved_classes"]}
        return Draft(cls.request(0), {"entry": cls.entry["id"], **state}, gold)

    @classmethod
    def request(cls, number: int) -> str:
        """What the user says at the beginning of a user turn."""
        if cls.late_tools and number == cls.late_turn:
            late = [spec for spec in cls.tool_specs().values() if spec.name in cls.late_tools]
            schemas = [json.dumps(spec.schema["function"], ensure_ascii=False) for spec in late]
            return "\n".join([*schemas, MORE_FUNCTIONS])
        return "\n\n".join(str(each["content"]) for each in cls.entry["question"][number])

    @property
    def user_turn(self) -> int:
        """Which request is under way, from 0."""
        return sum(call.of_user and call.name == SAID for call in self.calls)

    def user_side(self) -> Asking:
        """The user with the next request in mind."""
        return Asking(self.request(self.user_turn + 1))

    def closes(self, message: str) -> bool:
        """After the last request any message ends the task."""
        return self.user_turn + 1 == len(self.entry["question"])

    def tools_now(self) -> dict[str, ToolSpec]:
        """The functions that the user has told of."""
        if self.user_turn >= self.late_turn:
            return self.tool_specs()
        return {spec.name: spec for spec in self.listed_tools()}

    async def perform(self, spec: ToolSpec, arguments: dict[str, Any]) -> object:
        """Call a function of one of the APIs outside, on this world's state."""
        api = self.owners()[spec.name]
        where = {"scenario": scenario(self.entry), "api": api, "state": self.state[api]}
        done = ask("call", **where, name=spec.name, arguments=arguments)
        if done["error"]:
            raise ToolError(str(done["text"]))
        if spec.mutates:
            self.state[api] = done["state"]
        return done["text"]

    def gather(self) -> dict[str, Json]:
        """By user turn: what the reference read in it, and where the state differs after it; found
        by making the calls that ran once more, beside those of the reference.
        """
        owner, made = self.owners(), []
        for calls in by_user_turn(self.evidence().calls):
            ran = [c for c in calls if c.outcome is CallOutcome.OK and c.name in owner]
            made.append(
                [{"api": owner[c.name], "name": c.name, "arguments": c.arguments} for c in ran]
            )
        wanted, where = reference(self.entry), scenario(self.entry)
        return {"user_turns": ask("compare", scenario=where, made=made, wanted=wanted)}


def load(env_id: str) -> type[World]:
    """The world of a category or of an entry, not yet registered.

    Raises:
        LookupError: without the package, and for a category or entry that there is not.
    """
    category, entry_id = bfcl.parts_of(env_id, bfcl.TURN_CATEGORIES)
    fields = bfcl.about(category, entry_id)
    if not entry_id:
        found = bfcl.entries(category).values()
        fields["playable"] = staticmethod(lambda: playable(category))
        fields["max_turns"] = max(map(_limit, found))
        return type("BfclTurnsCategory", (bfcl.Category,), fields)
    entry = bfcl.entries(category)[entry_id]
    fields |= {"entry": entry, "max_turns": _limit(entry)}
    if late := late_functions(entry):
        fields |= {"late_tools": frozenset(late), "late_turn": max(late.values())}
    return type("BfclDialogue", (Dialogue,), fields)


def _limit(entry: dict[str, Any]) -> int:
    return MOST_STEPS * len(entry["question"])


def scenario(entry: dict[str, Any]) -> dict[str, Json]:
    """What the outside process needs to know of an entry."""
    return {
        "classes": entry["involved_classes"],
        "config": entry["initial_config"],
        "long_context": "long_context" in entry["id"],
    }


def specs(entry: dict[str, Any]) -> dict[str, SchemaSpec]:
    """An entry's functions as tools; only arithmetic changes nothing for certain."""
    left_out = entry.get("excluded_function", ())
    return {
        name: schema_spec(
            name,
            function["description"],
            bfcl.json_schema(function["parameters"]),
            mutates=api != STATELESS,
        )
        for api in entry["involved_classes"]
        for name, function in _functions(api, str(bfcl.data_folder())).items()
        if name not in left_out
    }


def late_functions(entry: dict[str, Any]) -> dict[str, int]:
    """By function that comes later, the user turn with which it does; one turn in an entry."""
    missed = entry.get("missed_function", {})
    return {name: int(turn) for turn, names in missed.items() for name in names}


def owners(entry: dict[str, Any]) -> dict[str, str]:
    """By function, its API class."""
    folder = str(bfcl.data_folder())
    return {name: api for api in entry["involved_classes"] for name in _functions(api, folder)}


@cache
def _functions(api: str, folder: str) -> dict[str, dict[str, Any]]:
    path = Path(folder) / "multi_turn_func_doc" / f"{FILES[api]}.json"
    return {row["name"]: row for row in bfcl.rows(path)}


def reference(entry: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """The reference calls, {api, name, arguments} by user turn."""
    return _reference(json.dumps([entry["involved_classes"], entry["allowed"]]), outside())


@cache
def _reference(text: str, process: Outside) -> list[list[dict[str, Any]]]:
    classes, turns = json.loads(text)
    return process.ask("answer", classes=classes, turns=turns)  # type: ignore[return-value]


def playable(category: str) -> list[str]:
    """Ids of the entries whose reference fits their own schemas and functions."""
    return list(_playable(category, str(bfcl.data_folder())))


@cache
def _playable(category: str, folder: str) -> tuple[str, ...]:
    found = bfcl.entries(category)
    return tuple(entry_id for entry_id in found if not refusal(found[entry_id]))


def refusal(entry: dict[str, Any]) -> str:
    """What an entry itself forbids in its reference; "" where nothing."""
    tools, late = specs(entry), late_functions(entry)
    for number, calls in enumerate(reference(entry)):
        for each in calls:
            if each["name"] not in tools:
                return f"{each['name']} is left out"
            if number < late.get(each["name"], 0):
                return f"{each['name']} comes later"
            try:
                tools[each["name"]].validate(each["arguments"])
            except ToolError as error:
                return f"{each['name']}: {error}"
    return ""


def outside() -> Outside:
    """The process in which the APIs run."""
    package = str(bfcl.data_folder().parent.parent)
    return shared("bfcl_turns_backend", (package,), json.dumps({"classes": FILES}))


def ask(do: str, **arguments: Any) -> Any:
    """What the outside process answers.

    Raises:
        LookupError: where a package is missing there.
        OutsideError, OutsideLost: see `Outside.ask`.
    """
    try:
        return outside().ask(do, DEADLINE, **arguments)
    except OutsideError as error:
        if "No module named " in str(error):
            raise LookupError(f"{error}; pip install 'tooldojo[bfcl]'") from None
        raise
