"""BFCL v4's categories as worlds, `bfcl/CATEGORY-v0`, on the data of the package; here those of a
single turn, in `bfcl_turns` the others.

Every entry has tools of its own, so it is a world of its own, `bfcl/CATEGORY.ENTRY-v0`; a category
draws tasks from those of its entries. Calls are recorded and answered `ok`; ours judges them, not
the package's code, which is never imported here. Refuses categories without expected calls: there
any reply without a call is paid.
"""

from __future__ import annotations

import difflib
import importlib.util
import json
from collections.abc import Collection
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, ClassVar

from tooldojo.envs import making
from tooldojo.envs.draft import Draft
from tooldojo.envs.imported.schema_tools import SchemaSpec, schema_spec
from tooldojo.envs.seeding import derived_random
from tooldojo.envs.task import Call, GoldTurn, Split, Task
from tooldojo.envs.tools import ToolError, ToolSpec
from tooldojo.envs.verdict import Audit, Verdict
from tooldojo.envs.world import World
from tooldojo.verifiers.allowed_calls import OMITTED, allowed_calls
from tooldojo.verifiers.combine import all_of
from tooldojo.verifiers.records import Json

NAMESPACE = "bfcl/"
CATEGORIES = (
    "simple_python", "multiple", "parallel", "parallel_multiple",
    "live_simple", "live_multiple", "live_parallel", "live_parallel_multiple",
)  # fmt: skip
TURN_CATEGORIES = (
    "multi_turn_base", "multi_turn_miss_func", "multi_turn_miss_param", "multi_turn_long_context",
)  # fmt: skip
CLOSING = "Done."
_TYPES = {"dict": "object", "float": "number", "tuple": "array", "list": "array"}
_PLAIN = frozenset({"object", "array", "string", "integer", "number", "boolean", "null"})
SYSTEM_PROMPT = "Make all calls that the request needs in one turn, then close with a message."
VERDICT = Verdict(Audit.FLAGGED, ("a benchmark: what trains on it is no longer measured by it",))


class Entry(World):
    """One entry: its functions, its request, and the calls that it allows."""

    entry: ClassVar[dict[str, Any]]
    category: ClassVar[str]
    verdict = VERDICT
    verifier = all_of(allowed_calls=allowed_calls)

    @classmethod
    def origin_id(cls) -> str:
        """The category's."""
        return f"{NAMESPACE}{cls.category}-v0"

    @classmethod
    def tool_specs(cls) -> dict[str, ToolSpec]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The entry's functions."""
        return dict(specs(cls.category, cls.entry["id"]))

    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        """The entry; its demonstration takes the first allowed values."""
        return draft_of(cls.entry)

    async def perform(self, spec: ToolSpec, arguments: dict[str, Any]) -> object:
        """The benchmark has no functions behind its schemas."""
        return None

    def gather(self) -> dict[str, Json]:
        """What the entry allows, which neither task nor state says."""
        return {"allowed_calls": self.entry["allowed"]}


class Category(World):
    """All entries of a category whose demonstration its own schemas accept: a source of tasks,
    which are played in their entries' worlds.
    """

    category: ClassVar[str]
    playable: ClassVar[staticmethod[[], list[str]]]  # ids of the entries that can be played
    verdict = VERDICT
    tool_less = True

    @classmethod
    def tool_specs(cls) -> dict[str, ToolSpec]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """None; each entry has its own."""
        return {}

    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        """One of the entries."""
        return cls.entry_world(rng.choice(cls.playable())).draft(rng, level)

    @classmethod
    def entry_world(cls, entry_id: str) -> type[World]:
        """The world in which an entry is played, in the same wrappers."""
        from tooldojo.envs.registry import world_class

        _, mark, wrappers = cls.env_id.partition("?")
        return world_class(f"{NAMESPACE}{cls.category}.{entry_id}-v0{mark}{wrappers}")

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[tuple[str, ...], dict]:
        """Refused: the tools depend on the entry.

        Raises:
            LookupError: saying where its tasks are played.
        """
        raise LookupError(
            f"{self.env_id} has no tools of its own; play a task in world_class(task.env)"
        )

    @classmethod
    def make_task(cls, seed: int, split: Split, level: int, ordinal: int) -> Task:
        """A task of one of the entries' worlds."""
        drawn = cls.playable()
        rng = derived_random(seed, "bfcl", cls.origin_id(), split.value, ordinal)
        for entry_id in rng.sample(drawn, len(drawn)):
            world = cls.entry_world(entry_id)
            draft = world.draft(rng, level)
            if world.split_of(draft) is split:
                return making.complete(world, draft, split, level, f"seed={seed} ordinal={ordinal}")
        raise LookupError(f"{cls.env_id} has no task for the split {split.value!r}")


def load(env_id: str) -> type[World]:
    """The world of a category or of an entry, not yet registered.

    Raises:
        LookupError: without the package, and for a category or entry that there is not.
    """
    category, entry_id = parts_of(env_id, CATEGORIES)
    fields = about(category, entry_id) | {"system_prompt": SYSTEM_PROMPT, "max_turns": 2}
    if entry_id:
        fields["entry"] = entries(category)[entry_id]
        return type("BfclEntry", (Entry,), fields)
    fields["playable"] = staticmethod(lambda: playable(category))
    return type("BfclCategory", (Category,), fields)


def parts_of(env_id: str, categories: Collection[str]) -> tuple[str, str]:
    """Category and entry of an id; no entry: "".

    Raises:
        LookupError: for a category that is not among `categories`, or an entry that there is not.
    """
    name = env_id.removeprefix(NAMESPACE).removesuffix("-v0")
    category, _, entry_id = name.partition(".")
    if category not in categories or env_id != f"{NAMESPACE}{name}-v0":
        every = (*CATEGORIES, *TURN_CATEGORIES)
        near = difflib.get_close_matches(category, every, 1, 0.3)
        hint = f"; did you mean '{NAMESPACE}{near[0]}-v0'?" if near else ""
        raise LookupError(f"no world {env_id!r}{hint} There are {', '.join(every)}.")
    if entry_id and entry_id not in entries(category):
        raise LookupError(f"no entry {entry_id!r} in BFCL's {category}")
    return category, entry_id


def about(category: str, entry_id: str) -> dict[str, Any]:
    """What the classes of all categories and entries say of themselves."""
    what = f"BFCL v4, {category}" + (f", entry {entry_id}." if entry_id else ".")
    return {"__doc__": what, "category": category}


def data_folder() -> Path:
    """Where the package keeps its data; its code is not imported.

    Raises:
        LookupError: where it is not installed, or holds no data.
    """
    found = importlib.util.find_spec("bfcl_eval")
    folder = Path(found.origin).parent / "data" if found and found.origin else None
    if folder is None or not folder.is_dir():
        raise LookupError(
            "bfcl/... needs the data of bfcl-eval; pip install --no-deps bfcl-eval==2026.3.23"
        )
    return folder


def entries(category: str) -> dict[str, dict[str, Any]]:
    """By id: the entries of a category, each with what it allows."""
    return _entries(category, str(data_folder()))


@cache
def _entries(category: str, folder: str) -> dict[str, dict[str, Any]]:
    name = f"BFCL_v4_{category}.json"
    answers = {row["id"]: row for row in rows(Path(folder) / "possible_answer" / name)}
    return {
        row["id"]: {**row, "allowed": answers[row["id"]]["ground_truth"]}
        for row in rows(Path(folder) / name)
    }


def rows(path: Path) -> list[dict[str, Any]]:
    """A file of JSON lines."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.strip()]


def draft_of(entry: dict[str, Any]) -> Draft:
    """An entry's task; the demonstration takes the first allowed values."""
    calls = tuple(Call(name, arguments) for name, arguments in gold_calls(entry))
    gold = [GoldTurn("", calls), GoldTurn("", (), CLOSING)]
    return Draft(prompt_of(entry), {"entry": entry["id"]}, gold)


def prompt_of(entry: dict[str, Any]) -> str:
    """The request: a lone message as it is, several each under its role."""
    messages = entry["question"][0]
    if len(messages) == 1:
        return str(messages[0]["content"])
    return "\n\n".join(f"{each['role']}: {each['content']}" for each in messages)


def specs(category: str, entry_id: str) -> dict[str, SchemaSpec]:
    """An entry's functions as tools."""
    found = {}
    for function in entries(category)[entry_id]["function"]:
        parameters = json_schema(function["parameters"])
        found[function["name"]] = schema_spec(
            function["name"], function.get("description", ""), parameters, mutates=False
        )
    return found


def json_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """BFCL's schema in JSON Schema's words; a type that JSON has not allows anything."""
    made = {k: v for k, v in schema.items() if k in ("description", "enum", "required", "default")}
    kind = _TYPES.get(schema.get("type", ""), schema.get("type", ""))
    if kind in _PLAIN:
        made["type"] = kind
    if isinstance(schema.get("properties"), dict):
        made["properties"] = {k: json_schema(v) for k, v in schema["properties"].items()}
    elif kind == "object":
        made.setdefault("properties", {})
    if isinstance(schema.get("items"), dict):
        made["items"] = json_schema(schema["items"])
    return made


def gold_calls(entry: dict[str, Any]) -> list[tuple[str, dict[str, Json]]]:
    """The expected calls with the first allowed values; what may be left out is."""
    return [
        (name, {key: _first(options) for key, options in values.items() if OMITTED not in options})
        for allowed in entry["allowed"]
        for name, values in allowed.items()
    ]


def _first(options: Any) -> Json:
    """The first value that a list of options stands for."""
    return _value(options[0] if isinstance(options, list) and options else options)


def _value(option: Any) -> Json:
    if isinstance(option, dict):
        kept = {k: v for k, v in option.items() if not (isinstance(v, list) and OMITTED in v)}
        return {key: _first(inside) for key, inside in kept.items()}
    return [_value(item) for item in option] if isinstance(option, list) else option


def playable(category: str) -> list[str]:
    """Ids of the entries whose demonstration fits their own schemas."""
    return list(_playable(category, str(data_folder())))


@cache
def _playable(category: str, folder: str) -> tuple[str, ...]:
    found = []
    for entry_id, entry in _entries(category, folder).items():
        tools = specs(category, entry_id)
        try:
            for name, arguments in gold_calls(entry):
                tools[name].validate(arguments)
        except (ToolError, KeyError):
            continue
        found.append(entry_id)
    return tuple(found)
