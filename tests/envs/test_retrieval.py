"""Retrieval: what the archive's tools show, which citations count, and how tasks are solved."""

from __future__ import annotations

from collections import Counter
from functools import cache
from random import Random

import pytest

from tooldojo.envs.gates.play import play_task
from tooldojo.envs.retrieval.archive import FACTS, Archive
from tooldojo.envs.retrieval.tasks import TEMPLATES
from tooldojo.envs.retrieval.wordings import WORDINGS
from tooldojo.envs.retrieval.world import Retrieval
from tooldojo.envs.task import Call, GoldTurn, Split, Task
from tooldojo.envs.tools import ToolError

COUNT = 100
TABLE = {"of": "inhabitants", "rows": {"1980": 700, "1990": 900}}


def _article(title: str, kind: str, edition: int, text: str, table: dict | None = None) -> dict:
    return {"title": title, "kind": kind, "edition": edition, "text": text, "table": table or {}}


def _world() -> Retrieval:
    world = Retrieval()
    text = "Velmholt lies on the Alsa. A flood is recorded for 1811."
    world.state = {
        "articles": {
            "W1000": _article("Velmholt", "town", 2001, text, TABLE),
            "W1001": _article("Brisk Mills", "firm", 2010, "Brisk Mills has its seat in Velmholt."),
            "W1002": _article("Rotex 12", "machine", 1999, "It weighs 300 kg."),
        },
        "cited": {},
    }
    return world


@cache
def _tasks(level: int) -> tuple[Task, ...]:
    return tuple(Retrieval.make_task(5, Split.TRAIN, level, i) for i in range(COUNT))


def _all() -> list[Task]:
    return [task for level in Retrieval.levels for task in _tasks(level)]


def test_search_ranks_titles_before_mentions() -> None:
    world = _world()
    assert world.search_archive("velmholt") == (
        "W1000: Velmholt, town, edition 2001; W1001: Brisk Mills, firm, edition 2010"
    )
    assert world.search_archive("which mills are in velmholt").startswith("W1001")
    assert world.search_archive("zzz") == "nothing"
    assert world.search_archive("") == "nothing"


def test_the_index_follows_the_state() -> None:
    world = _world()
    world.search_archive("rotex")
    world.state["articles"]["W1002"]["title"] = "Hexon 9"
    world.on_load()
    assert world.search_archive("rotex") == "nothing"
    assert world.search_archive("hexon") == "W1002: Hexon 9, machine, edition 1999"


def test_reads_show_what_is_asked() -> None:
    world = _world()
    assert world.open_article("W1000") == (
        "Velmholt, town, edition 2001. Velmholt lies on the Alsa. A flood is recorded for 1811. "
        "Table: inhabitants."
    )
    assert world.find_passage("W1000", "Flood") == "A flood is recorded for 1811."
    assert world.find_passage("W1000", "floo") == "floo is not in W1000"
    assert world.lookup_table("W1000") == "inhabitants: 1980: 700, 1990: 900"
    assert world.total_of_values([1, 20, 300]) == 321
    assert world.state == _world().state


@pytest.mark.parametrize(
    ("tool", "arguments", "named"),
    [
        ("open_article", {"article": "W9"}, "no article W9"),
        ("find_passage", {"article": "W9", "word": "x"}, "no article W9"),
        ("lookup_table", {"article": "W1001"}, "W1001 has no table"),
        ("cite_article", {"article": "W9"}, "no article W9"),
    ],
)
def test_the_impossible_is_refused_by_name(tool: str, arguments: dict, named: str) -> None:
    world = _world()
    with pytest.raises(ToolError, match=named):
        getattr(world, tool)(**arguments)
    assert world.state == _world().state


def test_an_article_is_cited_once_and_the_order_does_not_matter() -> None:
    one, two = _world(), _world()
    for world, order in ((one, ("W1000", "W1002")), (two, ("W1002", "W1000"))):
        for article in order:
            world.cite_article(article)
    assert one.state == two.state and one.state_hash() == two.state_hash()
    with pytest.raises(ToolError, match="cited already"):
        one.cite_article("W1000")


def test_an_article_states_each_fact_once_or_not_at_all() -> None:
    archive = Archive(Random(3))
    for kind, facts in FACTS.items():
        for silent in facts:
            article = archive.add(kind, silent=(silent,))
            text = archive.articles[article]["text"]
            for fact, (_, sentence) in facts.items():
                title, value = archive.articles[article]["title"], archive.facts[article][fact]
                stated = text.count(sentence.format(name=title, value=value))
                assert stated == (fact != silent)


def test_wrong_missing_and_needless_citations_fail() -> None:
    cited = [t for t in _all() if any(c.name == "cite_article" for u in t.gold for c in u.calls)]
    assert len(cited) > 0.7 * len(_all())
    for task in cited[::5]:
        kept = tuple(u for u in task.gold if all(c.name != "cite_article" for c in u.calls))
        assert not play_task(task, kept).score.success
        articles: dict = task.world["articles"]  # type: ignore[assignment]
        used = {str(c.arguments.get("article")) for u in task.gold for c in u.calls}
        other = next(article for article in articles if article not in used)
        extra = GoldTurn("", (Call("cite_article", {"article": other}),))
        turns = (*task.gold[:-1], extra, task.gold[-1])
        assert not play_task(task, turns).score.success


def test_the_older_of_two_editions_is_wrong_where_the_newer_states_the_fact() -> None:
    checked = 0
    for task in (t for t in _tasks(2) if t.template == "edition" and t.condition.endswith("newer")):
        articles: dict = task.world["articles"]  # type: ignore[assignment]
        right = (task.goal.answer or "").split()[-1]
        title = articles[right]["title"]
        editions = [a for a in articles if articles[a]["title"] == title]
        assert len(editions) == 2
        assert articles[right]["edition"] == max(articles[a]["edition"] for a in editions)
        checked += 1
    assert checked >= 5


def test_what_nothing_states_is_said_about_the_newest_edition() -> None:
    unstated = [t for t in _all() if "unstated" in (t.goal.answer or "")]
    assert len(unstated) >= 10
    for task in unstated:
        assert task.goal.world == task.world
        articles: dict = task.world["articles"]  # type: ignore[assignment]
        named = articles[(task.goal.answer or "").split()[-1]]
        same = [a["edition"] for a in articles.values() if a["title"] == named["title"]]
        assert named["edition"] == max(same)


def test_the_mix_of_tasks() -> None:
    tasks = _all()
    lengths = Counter(sum(bool(turn.calls) for turn in t.gold) for t in tasks)
    assert max(lengths) <= 7
    long = [t for t in _tasks(3) if sum(bool(turn.calls) for turn in t.gold) >= 4]
    assert len(long) > 0.6 * COUNT
    assert all(5 <= len(turn.thought.split()) <= 20 for t in tasks for turn in t.gold)


def test_templates_and_wordings_are_complete() -> None:
    templates = [t for level in TEMPLATES.values() for t in level]
    assert {t.name for t in templates} == set(WORDINGS)
    assert all(len(set(wordings)) == 5 for wordings in WORDINGS.values())
