"""What every benchmark prints last."""

# pyright: reportMissingImports=false
from __future__ import annotations

import json
from collections import namedtuple

import common
import psutil
import pytest

Times = namedtuple("Times", "user idle steal")


def test_stolen_is_a_share_of_all_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "cpu_times", iter([Times(5, 5, 1), Times(6, 9, 6)]).__next__)
    assert common.Stolen().share() == 0.5


def test_a_system_that_does_not_count_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "cpu_times", lambda: namedtuple("Times", "user idle")(1, 2))
    assert common.Stolen().share() is None


def test_the_last_line_names_the_machine(capsys: pytest.CaptureFixture[str]) -> None:
    common.finish({"ratio": 2.0})
    line = json.loads(capsys.readouterr().out)
    assert line["ratio"] == 2.0 and line["processor"]
    assert 0 <= line["stolen"] <= 1 and "machine" in line["versions"]
