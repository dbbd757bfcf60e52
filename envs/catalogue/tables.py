"""The typed tables that the catalogue is generated from: areas, their fields, and API by API what
it takes.

Areas differ in how they call their verbs and parameters, so that an API has to be looked up.
Invariant: API names are unique, and every argument is checked before anything runs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from tooldojo.envs.tools import ToolError

Value = int | str


@dataclass(frozen=True, slots=True)
class Field:
    """What a field or parameter takes: one of `choices`, an integer in a range, or text."""

    name: str
    choices: tuple[str, ...] = ()
    low: int = 0
    high: int = 0

    @property
    def shown(self) -> str:
        """The type as the model reads it."""
        if self.choices:
            return "|".join(self.choices)
        return f"integer {self.low} to {self.high}" if self.high else "text"

    @property
    def last(self) -> str:
        """The last value that it takes."""
        return self.choices[-1] if self.choices else str(self.high)

    def check(self, name: str, value: Value) -> None:
        """Refuse what does not fit, in words for the model."""
        if self.high:
            fits = isinstance(value, int) and self.low <= value <= self.high
        else:
            fits = isinstance(value, str) and (not self.choices or value in self.choices)
        if not fits:
            raise ToolError(f"{name} must be {self.shown}, not {value!r}")


@dataclass(frozen=True, slots=True)
class Style:
    """How an area calls its verbs and parameters."""

    verbs: dict[str, str]
    id: str
    value: str


@dataclass(frozen=True, slots=True)
class Area:
    """A kind of record with its fields; the one called `kind` takes one of a few words."""

    name: str
    noun: str
    letter: str
    style: Style
    kind: Field
    first: Field
    second: Field

    @property
    def fields(self) -> tuple[Field, ...]:
        """All fields but the name; only wardens have no warden."""
        own = (self.kind, self.first, self.second)
        return own if self.name == WARDENS else (*own, Field("warden"))


class Operation(StrEnum):
    """What an API does; the words that descriptions use."""

    GET = "get"
    FIND = "find"
    LIST = "list"
    COUNT = "count"
    SET = "set"
    CREATE = "create"
    REMOVE = "remove"

    @property
    def mutates(self) -> bool:
        """Whether it changes records."""
        return self in (Operation.SET, Operation.CREATE, Operation.REMOVE)


@dataclass(frozen=True, slots=True)
class Api:
    """One function of the catalogue. params: what each parameter's name stands for."""

    name: str
    area: Area
    operation: Operation
    about: str
    params: dict[str, Field]
    field: str = ""

    def check(self, arguments: dict[str, Value]) -> list[Value]:
        """The arguments in the order of the parameters.

        Raises:
            ToolError: naming the first argument that is unknown, missing or of another type.
        """
        for name in arguments:
            if name not in self.params:
                known = ", ".join(self.params)
                raise ToolError(f"unknown argument {name}; {self.name} takes {known}")
        for name, field in self.params.items():
            if name not in arguments:
                raise ToolError(f"argument {name} is missing ({field.shown})")
            field.check(name, arguments[name])
        return [arguments[name] for name in self.params]


WARDENS = "rota"
_VERBS = {
    "plain": "get find list count set create remove",
    "formal": "read lookup select tally update add delete",
    "loose": "show locate filter number change register drop",
}


def _style(name: str, id_name: str, value: str) -> Style:
    verbs = dict(zip(map(str, Operation), _VERBS[name].split(), strict=True))
    return Style(verbs, id_name, value)


_PLAIN = _style("plain", "id", "value")
_FORMAL = _style("formal", "{noun}_id", "{field}")
_LOOSE = _style("loose", "{noun}", "new_{field}")


def _area(
    name: str, noun: str, letter: str, style: Style, kind: str, first: Field, second: Field
) -> Area:
    label, _, choices = kind.partition(": ")
    return Area(name, noun, letter, style, Field(label, tuple(choices.split())), first, second)


def _number(name: str, low: int, high: int) -> Field:
    return Field(name, (), low, high)


AREAS = {
    area.name: area
    for area in (
        _area("harbour", "ferry", "R", _FORMAL, "cargo: grain timber salt coal",
              _number("draught", 2, 14), _number("crew", 3, 40)),
        _area("museum", "etching", "C", _LOOSE, "wing: north south east west",
              _number("width", 10, 90), _number("rating", 1, 9)),
        _area("bakery", "loaf", "I", _PLAIN, "flour: rye spelt oat wheat",
              _number("grams", 200, 900), _number("shelf", 1, 20)),
        _area("theatre", "costume", "W", _LOOSE, "era: baroque regency tudor modern",
              _number("size", 34, 56), _number("rack", 1, 30)),
        _area("observatory", "lens", "R", _PLAIN, "coating: silver amber clear blue",
              _number("focus", 50, 900), _number("bay", 1, 12)),
        _area("apiary", "hive", "C", _FORMAL, "mood: calm lively fierce sleepy",
              _number("frames", 4, 20), _number("honey", 1, 60)),
        _area("railway", "tram", "I", _LOOSE, "livery: maroon cream teal ochre",
              _number("wheels", 4, 16), _number("speed", 20, 90)),
        _area(WARDENS, "warden", "W", _FORMAL, "shift: dawn noon dusk night",
              _number("hours", 4, 40), _number("grade", 1, 9)),
    )
}  # fmt: skip


def _apis(area: Area) -> list[Api]:
    noun, kind, style = area.noun, area.kind, area.style
    key = {style.id.format(noun=noun): Field("id")}

    def api(operation: Operation, tail: str, about: str, params: dict, field: str = "") -> Api:
        name = f"{area.name}.{style.verbs[operation]}_{tail}"
        return Api(name, area, operation, f"{operation} {about}".capitalize(), params, field)

    by = {kind.name: kind}
    found = [
        api(Operation.GET, noun, f"all fields of a {noun} by id", key),
        api(Operation.FIND, noun, f"the id of a {noun} by name", {"name": Field("name")}),
        api(Operation.LIST, f"by_{kind.name}", f"each {noun} with a given {kind.name}", by),
        api(Operation.COUNT, f"by_{kind.name}", f"each {noun} with a given {kind.name}", by),
        api(
            Operation.CREATE,
            noun,
            f"a new {noun}",
            {"name": Field("name")} | {field.name: field for field in area.fields},
        ),
        api(Operation.REMOVE, noun, f"a {noun}", key),
    ]
    for field in area.fields:
        value = {style.value.format(field=field.name): field}
        about = f"the {field.name} of a {noun}"
        found.append(api(Operation.SET, field.name, about, key | value, field.name))
    return found


def _words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", text.lower()))


APIS = {api.name: api for area in AREAS.values() for api in _apis(area)}
_FOUND_BY = {name: _words(f"{name} {api.about}") for name, api in APIS.items()}


def api_of(area: Area, operation: Operation, field: str = "") -> Api:
    """The one API of an area that does this."""
    found = (a for a in APIS.values() if a.area is area and a.operation is operation)
    return next(api for api in found if api.field == field)


def search(keywords: str, most: int = 3) -> list[Api]:
    """The APIs that have most of the keywords, best first; none where no keyword fits."""
    wanted = _words(keywords)
    hits = {name: len(wanted & words) for name, words in _FOUND_BY.items()}
    ranked = sorted((name for name, hit in hits.items() if hit), key=lambda n: (-hits[n], n))
    return [APIS[name] for name in ranked[:most]]
