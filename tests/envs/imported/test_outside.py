"""The outside process: answers, errors, deadlines, deaths, and nothing that leaks in or out."""

from __future__ import annotations

import time

import pytest

from tooldojo.envs.imported.outside import Outside, OutsideError, OutsideLost

ITEM = {"name": "fatal", "seed": 5}


@pytest.fixture
def about(stand_in: Outside) -> dict:
    item = stand_in.ask("item", **ITEM)
    assert isinstance(item, dict)
    return {**ITEM, "digest": item["digest"]}


def test_an_answer_comes_back(stand_in: Outside, about: dict) -> None:
    gold = stand_in.ask("item", **ITEM)["answer"]  # type: ignore[index,call-overload]
    assert stand_in.ask("score", answer=gold, **about) == 1.0
    assert stand_in.ask("score", answer="x", **about) == 0.0


def test_what_it_raises_is_an_error_and_the_process_goes_on(stand_in: Outside, about: dict) -> None:
    with pytest.raises(OutsideError, match="KeyError: 'no such answer'"):
        stand_in.ask("score", answer="raise", **about)
    assert stand_in.ask("score", answer="x", **about) == 0.0
    assert stand_in.starts == 1


def test_what_it_prints_is_no_answer(stand_in: Outside, about: dict) -> None:
    assert stand_in.ask("score", answer="print", **about) == 0.25
    assert stand_in.ask("score", answer="x", **about) == 0.0


def test_a_dead_process_is_replaced(stand_in: Outside, about: dict) -> None:
    with pytest.raises(OutsideLost, match="it ended"):
        stand_in.ask("score", answer="die", **about)
    assert stand_in.ask("score", answer="x", **about) == 0.0
    assert stand_in.starts == 2


def test_a_missed_deadline_ends_the_process(stand_in: Outside) -> None:
    item = stand_in.ask("item", name="sleeper", seed=1)
    assert isinstance(item, dict)
    about = {"name": "sleeper", "seed": 1, "digest": item["digest"]}
    began = time.monotonic()
    with pytest.raises(OutsideLost, match=r"no answer within 0\.5 s"):
        stand_in.ask("score", 0.5, answer="zzz", **about)
    assert time.monotonic() - began < 10
    assert stand_in.ask("score", answer="7", **about) == 0.0


@pytest.mark.parametrize("method", ["_item", "no_such_method", "__init__"])
def test_only_public_methods_are_asked(stand_in: Outside, method: str) -> None:
    with pytest.raises(OutsideError, match="no request"):
        stand_in.ask(method)


def test_no_environment_leaks_in(stand_in: Outside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "secret")
    item = stand_in.ask("item", name="runner", seed=1)
    assert isinstance(item, dict)
    about = {"name": "runner", "seed": 1, "digest": item["digest"]}
    code = "int({}) if 'API_KEY' in __import__('os').environ else 0"
    assert stand_in.ask("score", answer=code.format(item["answer"]), **about) == 0.0


def test_a_backend_that_cannot_load_says_why() -> None:
    process = Outside("reasoning_gym_backend", {"no_such_key": 1})
    with pytest.raises(OutsideError, match="TypeError"):
        process.ask("names")
    process.close()
    assert not process.folder.exists()
