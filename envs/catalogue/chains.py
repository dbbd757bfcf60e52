"""Levels 2 and 3: several records or APIs, checks before a change, and ways out of a refusal."""

from __future__ import annotations

from tooldojo.envs.catalogue.records import Shelf, new_id, referring
from tooldojo.envs.catalogue.simple import a_field, an_area
from tooldojo.envs.catalogue.story import Story
from tooldojo.envs.catalogue.tables import AREAS, WARDENS, Area, Field, Operation, Value
from tooldojo.envs.templates import Sketch

_WORST = {"largest": max, "smallest": min}
_ROTA = AREAS[WARDENS]


def _group(shelf: Shelf, area: Area) -> tuple[str, list[str]]:
    """A value of the area's kind, and the two or more records that have it."""
    kind = shelf.value(area.kind, set())
    for _ in range(2):
        shelf.add(area, **{area.kind.name: kind})
    rows = shelf.rows(area)
    return str(kind), [i for i, row in rows.items() if row[area.kind.name] == kind]


def _best(shelf: Shelf, area: Area, ids: list[str], field: Field, wish: str) -> str:
    return _WORST[wish](ids, key=lambda i: shelf.rows(area)[i][field.name])


def best_of(shelf: Shelf, condition: str) -> Sketch:
    """Of the records of one kind, the one with the largest or smallest number."""
    area = an_area(shelf)
    wish, which = condition.split("_")
    field = a_field(area, which)
    kind, ids = _group(shelf, area)
    best = _best(shelf, area, ids, field, wish)
    fields = {"noun": area.noun, "by": area.kind.name, "kind": kind}
    fields |= {"wish": wish, "field": field.name}
    story = Story()
    _list(story, area, kind)
    value = shelf.rows(area)[best][field.name]
    because = f"{best} has the {wish} {field.name}, {value}"
    return Sketch(fields, story.end(because, f"found {value}", best))


def _list(story: Story, area: Area, kind: str) -> None:
    api = story.discover(area, Operation.LIST)
    story.invoke(f"I list each {area.noun} with {area.kind.name} {kind}.", api, kind)


def change_best(shelf: Shelf, condition: str) -> Sketch:
    """Find the best of a kind, then set another of its fields."""
    area = an_area(shelf)
    wish, which = condition.split("_")
    field = a_field(area, which)
    target = area.second if field is area.first else area.first
    kind, ids = _group(shelf, area)
    best = _best(shelf, area, ids, field, wish)
    value = shelf.value(target, {shelf.rows(area)[best][target.name]})
    fields = {"noun": area.noun, "by": area.kind.name, "kind": kind, "value": str(value)}
    fields |= {"wish": wish, "field": field.name, "target": target.name}
    story = Story()
    _list(story, area, kind)
    story.change(f"{best} has the {wish} {field.name}", area, target.name, best, value)
    return Sketch(fields, story.end(f"The {target.name} is {value} now", "changed", best))


def compare(shelf: Shelf, condition: str) -> Sketch:
    """Which of two records has the larger or smaller number."""
    area = an_area(shelf)
    wish, which = condition.split("_")
    field = a_field(area, which)
    pair = shelf.rng.sample(list(shelf.rows(area)), 2)
    best = _best(shelf, area, pair, field, wish)
    story = Story()
    api = story.discover(area, Operation.GET)
    for subject in pair:
        story.invoke(f"I read the {field.name} of {subject}.", api, subject)
    fields = {"noun": area.noun, "one": pair[0], "two": pair[1], "field": field.name}
    fields["wish"] = {"largest": "larger", "smallest": "smaller"}[wish]
    value = shelf.rows(area)[best][field.name]
    because = f"{best} has the {fields['wish']} one, {value}"
    return Sketch(fields, story.end(because, f"found {value}", best))


def remove_row(shelf: Shelf, condition: str) -> Sketch:
    """Remove a record if its area is open."""
    area = an_area(shelf, wardens=False)
    subject = shelf.pick(area)
    fields = {"noun": area.noun, "id": subject}
    return Sketch(fields, _remove(shelf, Story(), area, subject, condition))


def _remove(shelf: Shelf, story: Story, area: Area, subject: str, way: str) -> list:
    api = story.discover(area, Operation.REMOVE)
    status = f"Before I remove {subject}, I read the status of {area.name}."
    story.do(status, "area_status", area=area.name)
    if way == "frozen":
        shelf.freeze(area)
        return story.end(f"The {area.name} is frozen", "refused frozen", subject)
    shelf.thaw(area)
    story.invoke(f"The {area.name} is open, so I remove {subject}.", api, subject)
    return story.end(f"{subject} is removed", "removed", subject)


def create_row(shelf: Shelf, condition: str) -> Sketch:
    """Create a record with all its fields; "outside" is a number that the schema excludes."""
    area, name = an_area(shelf), shelf.name()
    values: dict[str, Value] = {field.name: shelf.value(field, set()) for field in area.fields}
    odd = shelf.rng.choice((area.kind, area.first, area.second))
    if condition == "outside":
        values[odd.name] = shelf.outside(odd)
    what = ", ".join(f"{field} {value}" for field, value in values.items())
    fields = {"noun": area.noun, "name": name, "what": what}
    story = Story()
    api = story.discover(area, Operation.CREATE)
    if condition == "outside":
        because = f"The {odd.name} takes {odd.shown}"
        return Sketch(fields, story.end(because, f"refused range {odd.last}", name))
    story.invoke(f"All values for {name} fit, so I create it.", api, name, *values.values())
    subject = new_id(shelf.state, area, name)
    return Sketch(fields, story.end(f"{name} is {subject} now", "created", subject))


def set_by_name(shelf: Shelf, condition: str) -> Sketch:
    """Set a field of a record that the request names; or nothing is called so."""
    area = an_area(shelf)
    which = shelf.rng.choice(("kind", "first")) if condition == "unknown" else condition
    field, subject = a_field(area, which), shelf.pick(area)
    row = shelf.rows(area)[subject]
    name = shelf.name() if condition == "unknown" else row["name"]
    value = shelf.value(field, {row[field.name]})
    fields = {"noun": area.noun, "name": name, "field": field.name, "value": str(value)}
    story = Story()
    story.find(area, name)
    if condition == "unknown":
        return Sketch(fields, story.end(f"No {area.noun} is called {name}", "unknown", name))
    story.change(f"{name} is {subject}", area, field.name, subject, value)
    return Sketch(fields, story.end(f"The {field.name} is {value} now", "changed", subject))


def hand_over(shelf: Shelf, condition: str) -> Sketch:
    """Give a record another warden, by the warden's name or id."""
    area = an_area(shelf, wardens=False)
    subject = shelf.pick(area)
    warden = str(shelf.value(area.fields[-1], {shelf.rows(area)[subject]["warden"]}))
    called = shelf.rows(_ROTA)[warden]["name"]
    fields = {"noun": area.noun, "id": subject, "warden": called}
    story = Story()
    if condition == "id":
        fields["warden"] = warden
        story.change("The warden's id is given", area, "warden", subject, warden)
    else:
        if condition == "unknown":
            called = fields["warden"] = shelf.name()
        story.find(_ROTA, called)
        if condition == "unknown":
            return Sketch(fields, story.end(f"No warden is called {called}", "unknown", called))
        story.change(f"{called} is {warden}", area, "warden", subject, warden)
    return Sketch(fields, story.end(f"{subject} has a new warden", "changed", subject))


def retire(shelf: Shelf, condition: str) -> Sketch:
    """Remove a warden; one who is in use gets another shift instead, or stays as is."""
    way, plan = condition.split("_")
    used = shelf.pick(_ROTA) if way == "used" else shelf.add(_ROTA)
    if way == "used":
        area = an_area(shelf, wardens=False)
        shelf.add(area, warden=used)
    shift = str(shelf.value(_ROTA.kind, {shelf.rows(_ROTA)[used]["shift"]}))
    other = f"set the shift of {used} to {shift}" if plan == "shift" else f"keep {used}"
    fields = {"id": used, "other": other}
    story = Story()
    if way != "used":
        return Sketch(fields, _remove(shelf, story, _ROTA, used, way))
    _remove(shelf, story, _ROTA, used, way)
    if plan == "keep":
        user = referring(shelf.state, used)[0]
        return Sketch(fields, story.end(f"{used} is in use by {user}", f"kept {user}", used))
    story.change(f"{used} is in use", _ROTA, "shift", used, shift)
    return Sketch(fields, story.end(f"The shift is {shift} now", "changed", used))
