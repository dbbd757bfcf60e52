"""Levels 2 and 3: several editions or articles, sums, comparisons, and what nothing states."""

from __future__ import annotations

from dataclasses import dataclass

from tooldojo.envs.retrieval.archive import FACTS, NUMBERS, Archive
from tooldojo.envs.retrieval.story import Story
from tooldojo.envs.templates import Sketch


@dataclass(frozen=True, slots=True)
class Link:
    """A fact that names another subject: of what kind it is, and of what kind the other."""

    kind: str
    fact: str
    target: str


LINKS = {
    "maker": Link("machine", "maker", "firm"),
    "employer": Link("person", "employer", "firm"),
    "seat": Link("firm", "seat", "town"),
    "birthplace": Link("person", "birthplace", "town"),
    "mayor": Link("town", "mayor", "person"),
}
_EDITIONS = ((1996, 2008), (2009, 2024))


def _editions(archive: Archive, kind: str, fact: str, how: str, name: str = "") -> tuple[str, str]:
    """Two articles on one subject, the older first, that contradict each other in everything;
    `older`: the newer one is silent about the fact; `neither`: both are.
    """
    old, new = (archive.rng.randint(*years) for years in _EDITIONS)
    silent = {"newer": ((), ()), "older": ((), (fact,)), "neither": ((fact,), (fact,))}[how]
    first = archive.add(kind, name, old, silent[0])
    return first, archive.add(kind, archive.articles[first]["title"], new, silent[1])


def _read_editions(story: Story, editions: tuple[str, str], what: str, how: str) -> None:
    """Open the newer edition, and the older one where the newer does not state it."""
    older, newer = editions
    story.open(f"{newer} is the newest edition, so I open it first.", newer)
    if how != "newer":
        story.open(f"{newer} does not state the {what}, so I try {older}.", older)


def edition(archive: Archive, condition: str) -> Sketch:
    """A fact about a subject with two editions that disagree."""
    fact, how = condition.split("_")
    kind = next(kind for kind, facts in FACTS.items() if fact in facts)
    editions = _editions(archive, kind, fact, how)
    older, newer = editions
    name, what = archive.articles[older]["title"], FACTS[kind][fact][0]
    story = Story()
    story.search(name)
    _read_editions(story, editions, what, how)
    fields = {"name": name, "fact": what}
    if how == "neither":
        return Sketch(fields, story.unstated(newer, what))
    right = newer if how == "newer" else older
    return Sketch(fields, story.cite_and_answer(right, what, archive.facts[right][fact]))


def unstated(archive: Archive, condition: str) -> Sketch:
    """A fact that the one article on a subject does not state."""
    kind, fact = condition.split("_")
    article = archive.add(kind, silent=(fact,))
    name, what = archive.articles[article]["title"], FACTS[kind][fact][0]
    story = Story()
    story.search(name)
    story.open(f"{article} is the only article about {name}.", article)
    return Sketch({"name": name, "fact": what}, story.unstated(article, what))


def _target_fact(archive: Archive, link: Link) -> str:
    return archive.rng.choice([each for each in FACTS[link.target] if each not in LINKS])


def hop(archive: Archive, condition: str) -> Sketch:
    """A fact about what a given article names."""
    how, _, name = condition.partition("_")
    return _hop(archive, LINKS[name], how, searched=False)


def hop_by_name(archive: Archive, condition: str) -> Sketch:
    """The same from a subject's name alone; or with two editions of what it names."""
    how, _, name = condition.partition("_")
    return _hop(archive, LINKS[name], how, searched=True)


def _hop(archive: Archive, link: Link, how: str, searched: bool) -> Sketch:
    fact = _target_fact(archive, link)
    what, by = FACTS[link.target][fact][0], FACTS[link.kind][link.fact][0]
    way = {"stated": "newer", "editions": "newer", "unstated": "neither"}[how]
    if how == "editions":
        editions = _editions(archive, link.target, fact, way)
    else:
        only = archive.add(link.target, silent=() if way == "newer" else (fact,))
        editions = (only, only)
    target = editions[1]
    other = archive.articles[target]["title"]
    first = archive.add(link.kind, **{link.fact: other})
    name = archive.articles[first]["title"]
    story = Story()
    if searched:
        story.search(name)
    story.open(f"First I need the {by} of {name}, in {first}.", first)
    story.search(other)
    story.open(f"{target} is the newest on {other}, the {by}.", target)
    fields = {"name": name, "article": first, "by": by, "fact": what}
    if how == "unstated":
        return Sketch(fields, story.unstated(target, what))
    return Sketch(fields, story.cite_and_answer(target, what, archive.facts[target][fact]))


def compare(archive: Archive, condition: str) -> Sketch:
    """Which of two subjects has more or less of something."""
    fact, wish = condition.split("_")
    kind = NUMBERS[fact]
    articles = [archive.add(kind) for _ in range(2)]
    names = [archive.articles[each]["title"] for each in articles]
    what = FACTS[kind][fact][0]
    values = [int(archive.facts[each][fact]) for each in articles]
    winner = names[values.index((max if wish == "higher" else min)(values))]
    story = Story()
    for article, name in zip(articles, names, strict=True):
        story.open(f"I need the {what} of {name}, in {article}.", article)
    for article, value in zip(articles, values, strict=True):
        story.cite(article, str(value))
    fields = _pair(articles, names) | {"fact": what, "wish": wish}
    done = f"Of {values[0]} and {values[1]}, {winner} has the {wish}."
    return Sketch(fields, story.answer(done, winner))


def _pair(articles: list[str], names: list[str]) -> dict[str, str]:
    return {"one": names[0], "two": names[1], "a": articles[0], "b": articles[1]}


def total(archive: Archive, condition: str) -> Sketch:
    """The sum of something over two subjects, the second one by name alone."""
    fact, how = condition.split("_")
    kind = NUMBERS[fact]
    articles = [archive.add(kind), archive.add(kind)]
    names = [archive.articles[each]["title"] for each in articles]
    values = [int(archive.facts[each][fact]) for each in articles]
    what, story = FACTS[kind][fact][0], Story()
    story.open(f"I need the {what} of {names[0]}, in {articles[0]}.", articles[0])
    if how == "searched":
        story.search(names[1])
    story.open(f"Now the {what} of {names[1]}, in {articles[1]}.", articles[1])
    why = f"The two values are {values[0]} and {values[1]}, which I add."
    story.do(why, "total_of_values", values=list(values))
    for article, value in zip(articles, values, strict=True):
        story.cite(article, str(value))
    fields = _pair(articles, names) | {"fact": what}
    fields["other"] = names[1] if how == "searched" else f"{names[1]} ({articles[1]})"
    return Sketch(
        fields, story.answer(f"Together the two come to {sum(values)}.", str(sum(values)))
    )


def grown(archive: Archive, condition: str) -> Sketch:
    """The table of a subject that another article names."""
    wish, name = condition.split("_")
    link = LINKS[name]
    target = archive.add(link.target)
    table, other = archive.articles[target]["table"], archive.articles[target]["title"]
    first = archive.add(link.kind, **{link.fact: other})
    by = FACTS[link.kind][link.fact][0]
    rows: dict[str, int] = table["rows"]
    best = (max if wish == "most" else min)(rows, key=lambda each: rows[each])
    subject = archive.articles[first]["title"]
    story = Story()
    story.search(subject)
    story.open(f"First I need the {by} of {subject}, in {first}.", first)
    story.search(other)
    why = f"{target} is about {other} and should have the table."
    story.do(why, "lookup_table", article=target)
    fields = {"name": subject, "by": by, "wish": wish, "of": table["of"]}
    return Sketch(fields, story.cite_and_answer(target, f"year with the {wish}", best))
