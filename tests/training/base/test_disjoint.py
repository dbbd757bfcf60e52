"""The default policy's corpus shares nothing with the evaluated worlds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache

import pytest

from tooldojo.envs.registry import NATIVE, world_class
from tooldojo.envs.source import take
from tooldojo.envs.task import Split, Task
from tooldojo.training.base.corpus import corpus_documents
from tooldojo.training.base.template import signature
from tooldojo.verifiers.records import Json

pytestmark = pytest.mark.usefixtures("bubblewrap")  # a world draws its tasks with a shell

DOCUMENTS = 2000
TASKS = 60  # per world and split
ID = re.compile(r"\b[A-Z]{1,3}-?\d{3,}\b")


@cache
def corpus() -> tuple[str, ...]:
    """Every text of the corpus sample, templates aside: contents, thoughts, arguments, schemas."""
    found: list[str] = []
    for document in corpus_documents(0, DOCUMENTS):
        for message in document.messages:
            found += [
                str(message.get("content") or ""),
                str(message.get("reasoning_content") or ""),
            ]
            found += [json.dumps(call["function"]) for call in message.get("tool_calls") or ()]
        found += [signature(tool) for tool in document.tools or ()]
    return tuple(found)


@cache
def tasks() -> tuple[Task, ...]:
    return tuple(
        task for world in NATIVE for split in Split for task in take([world], split, 3, TASKS)
    )


def world_texts() -> Iterator[str]:
    """Every text that a policy reads or writes in the evaluated worlds."""
    for world in NATIVE:
        cls = world_class(world)
        yield cls.system_prompt
        yield from (signature(spec.schema) for spec in cls.tool_specs().values())
    for task in tasks():
        yield task.prompt
        world = world_class(task.env)()
        world.replay_gold(task)
        yield from (call.result for call in world.calls)
        for turn in task.gold:
            yield from (turn.thought, turn.message or "")
            yield from (json.dumps({"name": c.name, "arguments": c.arguments}) for c in turn.calls)


def strings(value: Json) -> Iterator[str]:
    """All strings inside plain data, keys included."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, str):
        yield value


def grams(text: str, size: int = 8) -> Iterator[tuple[str, ...]]:
    words = text.split()
    return (tuple(words[i : i + size]) for i in range(len(words) - size + 1))


def test_no_tool_name_is_shared() -> None:
    names = {name for world in NATIVE for name in world_class(world).tool_specs()}
    words = {word for text in corpus() for word in re.findall(r"\w+", text)}
    assert not names & words


def test_no_identifier_is_shared() -> None:
    """Ids of the worlds have formats of their own, so not even a chance draw can collide."""
    ours = {word for task in tasks() for text in strings(task.world) for word in ID.findall(text)}
    ours |= {word for task in tasks() for word in ID.findall(task.prompt)}
    shapes = {re.sub(r"\d", "9", word) for word in ours}
    theirs = {word for text in corpus() for word in ID.findall(text)}
    assert not {word for word in theirs if re.sub(r"\d", "9", word) in shapes}


def test_no_named_entity_is_shared() -> None:
    """Names of people, products, places and emails: capitalised or several words, or with an @."""
    entities = set()
    for task in tasks():
        for text in strings(task.world):
            if "@" in text or re.fullmatch(r"[A-Z][a-z]+ [A-Z][a-z]+", text):
                entities.add(text)
            if task.env == "tooldojo/Orders-v0" and re.fullmatch(r"[a-z]+ [a-z]+", text):
                entities.add(text)
            if task.env == "tooldojo/Office-v0" and re.fullmatch(r"[A-Z][a-z]+ [A-Z]{2}", text):
                entities.add(text)
    assert len(entities) > 200
    everything = "\n".join(corpus())
    assert not {entity for entity in entities if entity in everything}


def test_no_eight_words_in_a_row_are_shared() -> None:
    theirs = {gram for text in corpus() for gram in grams(text)}
    shared = {gram for text in world_texts() for gram in grams(text)} & theirs
    assert not shared, sorted(shared)[:3]
