"""Level 1: one API, looked up and called, and requests that need no call."""

from __future__ import annotations

from tooldojo.envs.catalogue.records import Shelf
from tooldojo.envs.catalogue.story import Story
from tooldojo.envs.catalogue.tables import AREAS, WARDENS, Area, Field, Operation
from tooldojo.envs.templates import Sketch

_WISHES = {
    "trade": ("sell", "lease", "auction", "pawn"),
    "craft": ("repaint", "repair", "varnish", "engrave"),
    "paper": ("insure", "certify", "photograph", "advertise"),
    "space": ("ship abroad", "wrap up", "dismantle", "bury"),
}
WISHES = tuple(_WISHES)


def an_area(shelf: Shelf, wardens: bool = True) -> Area:
    """Any area, or any but that of the wardens."""
    return shelf.rng.choice([a for a in AREAS.values() if wardens or a.name != WARDENS])


def a_field(area: Area, which: str) -> Field:
    """One of an area's own fields: `kind`, `first` or `second`."""
    return {"kind": area.kind, "first": area.first, "second": area.second}[which]


def tell_field(shelf: Shelf, condition: str) -> Sketch:
    """What a field of a record holds; or there is no such record."""
    area = an_area(shelf)
    which = condition if condition != "unknown" else shelf.rng.choice(("kind", "first", "second"))
    field = a_field(area, which).name
    subject = shelf.id(area) if condition == "unknown" else shelf.pick(area)
    fields = {"noun": area.noun, "id": subject, "field": field}
    story = Story()
    api = story.discover(area, Operation.GET)
    story.invoke(f"I read {subject} to see its {field}.", api, subject)
    if condition == "unknown":
        return Sketch(fields, story.end(f"There is no {area.noun} {subject}", "unknown", subject))
    value = shelf.rows(area)[subject][field]
    because = f"The {field} of {subject} is {value}"
    return Sketch(fields, story.end(because, f"told {value}", subject))


def find_id(shelf: Shelf, condition: str) -> Sketch:
    """The id of a record by its name; or nothing is called so."""
    area = an_area(shelf)
    subject = shelf.pick(area)
    name = shelf.name() if condition == "unknown" else shelf.rows(area)[subject]["name"]
    story = Story()
    story.find(area, name)
    fields = {"noun": area.noun, "name": name}
    if condition == "unknown":
        return Sketch(fields, story.end(f"No {area.noun} is called {name}", "unknown", name))
    return Sketch(fields, story.end(f"{name} is the {area.noun} {subject}", "found", subject))


def set_field(shelf: Shelf, condition: str) -> Sketch:
    """Set a field; "outside" is a value that the API's schema excludes."""
    area = an_area(shelf)
    outside = condition == "outside"
    which = shelf.rng.choice(("kind", "first", "second")) if outside else condition
    field, subject = a_field(area, which), shelf.pick(area)
    old = shelf.rows(area)[subject][field.name]
    value = shelf.outside(field) if outside else shelf.value(field, {old})
    fields = {"noun": area.noun, "id": subject, "field": field.name, "value": str(value)}
    story = Story()
    if outside:
        story.discover(area, Operation.SET, field.name)
        because = f"The {field.name} takes {field.shown} and never {value}"
        return Sketch(fields, story.end(because, f"refused range {field.last}", subject))
    story.change(f"{value} fits", area, field.name, subject, value)
    return Sketch(fields, story.end(f"The {field.name} is {value} now", "changed", subject))


def guest(shelf: Shelf, condition: str) -> Sketch:
    """A guest wants a change; the condition is which."""
    area = an_area(shelf)
    subject, field = shelf.pick(area), shelf.rng.choice((area.kind, area.first, area.second))
    value = shelf.value(field, {shelf.rows(area)[subject][field.name]})
    change = f"set the {field.name} of {area.noun} {subject} to {value}"
    if condition == "remove":
        change = f"remove the {area.noun} {subject}"
    because = f"A guest may change nothing about {subject}"
    return Sketch({"change": change}, Story().end(because, "refused guest", subject))


def unsupported(shelf: Shelf, condition: str) -> Sketch:
    """Something that no verb of the catalogue does; the condition is of which kind."""
    area = an_area(shelf, wardens=False)
    subject, wish = shelf.pick(area), shelf.rng.choice(_WISHES[condition])
    fields = {"noun": area.noun, "id": subject, "do": wish}
    because = f"To {wish} {subject} is no verb of the catalogue"
    return Sketch(fields, Story().end(because, "unsupported", subject))
