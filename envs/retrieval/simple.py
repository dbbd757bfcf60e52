"""Level 1: one article, by number or by name, and requests that need none."""

from __future__ import annotations

from tooldojo.envs.retrieval.archive import EVENTS, FACTS, TABLES, YEARS, Archive
from tooldojo.envs.retrieval.story import Story
from tooldojo.envs.templates import Sketch

ALL_FACTS = tuple(f"{kind}_{fact}" for kind, facts in FACTS.items() for fact in facts)
_OPINIONS = {
    "taste": ("Do you like {name}?", "Is {name} nicer than most?", "What is best about {name}?"),
    "forecast": (
        "How will {name} do next year?", "Will {name} still exist in a century?",
        "What happens to {name} next?",
    ),
    "blame": ("Who should be ashamed of {name}?", "Is {name} overrated?", "Do people envy {name}?"),
}  # fmt: skip
OPINIONS = tuple(_OPINIONS)
_CHORES = {
    "writing": ("Write a poem about {name}.", "Translate what there is on {name}."),
    "changing": ("Delete what there is on {name}.", "Correct the edition of {name}."),
    "sending": ("Mail everything on {name} to me.", "Print all there is on {name}."),
}
CHORES = tuple(_CHORES)


def fact_of(archive: Archive, condition: str) -> Sketch:
    """A fact from an article given by number."""
    kind, fact = condition.split("_")
    article = archive.add(kind)
    what, value = FACTS[kind][fact][0], archive.facts[article][fact]
    fields = {"article": article, "name": archive.articles[article]["title"], "fact": what}
    story = Story()
    story.open(f"The {what} should be in {article}, so I open it.", article)
    return Sketch(fields, story.cite_and_answer(article, what, value))


def fact_by_name(archive: Archive, condition: str) -> Sketch:
    """A fact about a subject given by name."""
    kind, fact = condition.split("_")
    article = archive.add(kind)
    name, what = archive.articles[article]["title"], FACTS[kind][fact][0]
    story = Story()
    story.search(name)
    story.open(f"{article} is about {name}, so I open it.", article)
    gold = story.cite_and_answer(article, what, archive.facts[article][fact])
    return Sketch({"name": name, "fact": what}, gold)


def event(archive: Archive, condition: str) -> Sketch:
    """The year of an event that an article mentions."""
    article = archive.add(archive.rng.choice(tuple(FACTS)))
    text = archive.articles[article]["text"]
    if f"A {condition} " not in text:
        old = next(each for each in EVENTS if f"A {each} " in text)
        text = text.replace(f"A {old} ", f"A {condition} ")
        archive.articles[article]["text"] = text
    year = text.partition(f"A {condition} is recorded for ")[2][:4]
    story = Story()
    why = f"I look where {article} has the word {condition}."
    story.do(why, "find_passage", article=article, word=condition)
    gold = story.cite_and_answer(article, f"year of the {condition}", year)
    return Sketch({"article": article, "event": condition}, gold)


def table(archive: Archive, condition: str) -> Sketch:
    """A year's value in the table of an article, or the year with the most or fewest."""
    kind, wish = condition.split("_")
    article = archive.add(kind)
    rows: dict[str, int] = archive.articles[article]["table"]["rows"]
    year = archive.rng.choice(YEARS)
    fields = {"article": article, "of": TABLES[kind]}
    story = Story()
    why = f"The {TABLES[kind]} of each year stand in the table of {article}."
    story.do(why, "lookup_table", article=article)
    if wish == "year":
        fields["asked"] = f"How many {TABLES[kind]} are given for {year}"
        gold = story.cite_and_answer(article, f"value for {year}", str(rows[year]))
        return Sketch(fields, gold)
    best = (max if wish == "most" else min)(rows, key=lambda each: rows[each])
    fields["asked"] = f"Which year has the {wish} {TABLES[kind]}"
    return Sketch(fields, story.cite_and_answer(article, f"year with the {wish}", best))


def opinion(archive: Archive, condition: str) -> Sketch:
    """A question of taste or of the future; the condition is which."""
    return _declined(archive, archive.rng.choice(_OPINIONS[condition]), "refused")


def chore(archive: Archive, condition: str) -> Sketch:
    """What is no question; the condition is which kind of work."""
    return _declined(archive, archive.rng.choice(_CHORES[condition]), "unsupported")


def _declined(archive: Archive, request: str, code: str) -> Sketch:
    article = archive.add(archive.rng.choice(tuple(FACTS)))
    name = f"{archive.articles[article]['title']} ({article})"
    said = {"refused": "no question of fact", "unsupported": "no question"}[code]
    why = f"What is wanted of {name} is {said}, so I call nothing."
    return Sketch(
        {"request": request.format(name=name)}, Story().close(why, f"Result: {code} {article}")
    )
