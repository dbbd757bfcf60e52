"""`tooldojo/Catalogue-v0`: five tools before some eighty APIs on shared records.

State: `records` by area and id, `frozen` areas. Reading goes through `query_api`, changing through
`submit_api`. The APIs refuse what their schemas exclude and what is impossible; that a frozen area
stays as it is, is left to the model, and the final state shows it.
"""

from __future__ import annotations

from random import Random
from typing import ClassVar

from tooldojo.envs.catalogue.records import create, facts, record, referring
from tooldojo.envs.catalogue.tables import APIS, AREAS, WARDENS, Api, Operation, Value, search
from tooldojo.envs.catalogue.tasks import UNSEEN_COMBOS, UNSEEN_WORDINGS, draft
from tooldojo.envs.draft import Draft
from tooldojo.envs.registry import register
from tooldojo.envs.tools import ToolError, tool
from tooldojo.envs.world import World
from tooldojo.verifiers.combine import Verifier, state_answer_and_look

_SYSTEM = """You work with a large catalogue of APIs. Rules:
1. Find an API with search_apis: its verb (get, find, list, count, set, create, remove), the kind \
of record, the field. Then describe it, then call it with the parameters described.
2. Read the area's status before you remove; in a frozen area refuse (frozen).
3. A value outside the described range or choices: refuse (range <last value allowed>).
4. Guests change nothing: refuse (guest). What is no such verb is unsupported. Call nothing then.
5. Repeat a call that timed out.
Close with one line: Result: <code> <id>. Codes: told <value>, found (of several: \
found <number>), changed, created, removed, kept <user> (it is in use), unknown (id or name), \
refused <reason> (id; a new record's name), unsupported."""


@register("tooldojo/Catalogue-v0")
class Catalogue(World):
    """A desk before a catalogue: discover the right API, call it as it wants, or decline."""

    system_prompt: ClassVar[str] = _SYSTEM
    levels: ClassVar[tuple[int, ...]] = (1, 2, 3)
    max_turns: ClassVar[int] = 10
    verifier: ClassVar[Verifier] = state_answer_and_look("guest", "unsupported")
    unseen_combos: ClassVar[frozenset[tuple[str, str]]] = UNSEEN_COMBOS
    unseen_wordings: ClassVar[frozenset[int]] = UNSEEN_WORDINGS

    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        """One random task of a level."""
        return draft(rng, level)

    @tool(mutates=False, idempotent=True)
    def search_apis(self, keywords: str) -> str:
        """The three APIs that fit best."""
        found = search(keywords)
        return "; ".join(f"{api.name}: {api.about}" for api in found) or "no API fits"

    @tool(mutates=False, idempotent=True)
    def describe_api(self, api: str) -> str:
        """Parameters of an API."""
        params = _api(api).params
        return "; ".join(f"{name}: {field.shown}" for name, field in params.items())

    @tool(mutates=False, idempotent=True)
    def query_api(self, api: str, arguments: dict[str, int | str]) -> str:
        """Call an API that reads."""
        found = _api(api)
        if found.operation.mutates:
            raise ToolError(f"{api} changes records; use submit_api")
        return self._read(found, found.check(arguments))

    @tool(mutates=True)
    def submit_api(self, api: str, arguments: dict[str, int | str]) -> str:
        """Call an API that changes records."""
        found = _api(api)
        if not found.operation.mutates:
            raise ToolError(f"{api} only reads; use query_api")
        return self._write(found, found.check(arguments))

    @tool(mutates=False, idempotent=True)
    def area_status(self, area: str) -> str:
        """Whether an area is open or frozen."""
        if area not in AREAS:
            raise ToolError(f"no area {area}; there are {', '.join(AREAS)}")
        return "frozen" if area in self.state["frozen"] else "open"

    def _read(self, api: Api, values: list[Value]) -> str:
        rows = self.state["records"][api.area.name]
        asked = str(values[0])
        match api.operation:
            case Operation.GET:
                return facts(record(self.state, api.area, asked))
            case Operation.FIND:
                found = next((i for i, row in rows.items() if row["name"] == asked), None)
                if found is None:
                    raise ToolError(f"no {api.area.noun} named {asked}")
                return found
        kind = api.area.kind.name
        fitting = {i: row for i, row in rows.items() if row[kind] == asked}
        if api.operation is Operation.COUNT:
            return str(len(fitting))
        return " | ".join(f"{i}: {facts(row)}" for i, row in fitting.items()) or "none"

    def _write(self, api: Api, values: list[Value]) -> str:
        if api.operation is Operation.CREATE:
            return f"created {create(self.state, api.area, values)}"
        subject = str(values[0])
        row = record(self.state, api.area, subject)
        if api.operation is Operation.REMOVE:
            users = referring(self.state, subject)
            if users:
                raise ToolError(f"{subject} is in use by {users[0]}")
            del self.state["records"][api.area.name][subject]
            return f"removed {subject}"
        if api.field == "warden":
            record(self.state, AREAS[WARDENS], str(values[1]))
        row[api.field] = values[1]
        return f"{api.field} of {subject} is {values[1]}"


def _api(name: str) -> Api:
    if name not in APIS:
        near = ", ".join(api.name for api in search(name.replace("_", " "), 2))
        raise ToolError(f"no API {name}" + (f"; near it are {near}" if near else ""))
    return APIS[name]
