"""The page on a synthetic run, its provenance check, and its curves."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tooldojo.envs.task import Task
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.records import EngineId, PolicyRef
from tooldojo.training.evaluation.results import compare, read_evaluation
from tooldojo.training.report import (
    ProvenanceError,
    ReportError,
    check_provenance,
    write_report,
)
from tooldojo.training.report.plots import Series, draw, nice_ticks
from tooldojo.training.report.provenance import Origin, check_origins
from tooldojo.training.report.views import sentence, training_failures

VOID = {"meta", "br", "img", "line", "circle", "polyline", "polygon", "link"}


class Balance(HTMLParser):
    """Checks that what opens closes."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


@pytest.fixture
def page(finished_run: Path, small_chat: Chat) -> str:
    return write_report(finished_run, small_chat).read_text()


def test_the_page_says_what_happened(page: str, finished_run: Path) -> None:
    for words in ("Base model", "SFT", "RL", "Learning curve", "Before and after", "Endings"):
        assert words in page
    stages = {s: read_evaluation(finished_run / "eval" / f"{s}.json") for s in ("sft", "rl")}
    assert sentence(compare(stages["sft"], stages["rl"])).split(":")[0] in page
    rate = stages["rl"].summary().success
    assert f"{rate.successes} of {rate.trials} tasks" in page
    assert "All 72 stored trajectories" in page and "DAPO" in page
    assert "rollout 69 % of the step" in page


def test_the_page_is_whole_and_needs_no_network(page: str) -> None:
    parser = Balance()
    parser.feed(page)
    assert parser.open == []
    tags = [tag for tag, _ in parser.seen]
    assert tags.count("svg") >= 5 and "script" not in tags and "link" not in tags
    addresses = [v for _, attrs in parser.seen for k, v in attrs.items() if k in ("src", "href")]
    assert not addresses and "url(" not in page and "@import" not in page
    assert all("aria-label" in attrs for tag, attrs in parser.seen if tag == "svg")
    assert all("scope" in attrs for tag, attrs in parser.seen if tag == "th")


def test_trained_tokens_are_marked_and_context_is_not(page: str) -> None:
    kinds = set(re.findall(r'class="span (\w+) trained"', page))
    assert {"thought", "call", "answer"} <= kinds
    results = re.findall(r'<div class="result (\w+)">', page)
    assert {"ok", "bad"} <= set(results)
    assert not re.findall(r'class="result[^"]*trained', page)


def test_text_from_a_model_is_escaped(finished_run: Path, small_chat: Chat) -> None:
    path = finished_run / "summary.json"
    path.write_text(json.dumps({"note": "<script>alert(1)</script>"}))
    assert "&lt;script&gt;alert(1)" in write_report(finished_run, small_chat).read_text()


def test_a_run_without_evaluations_still_has_a_page(finished_run: Path, small_chat: Chat) -> None:
    for path in finished_run.glob("eval/*.json"):
        path.unlink()
    assert "A run on Orders" in write_report(finished_run, small_chat).read_text()


def test_no_run_no_page(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"no config\.toml"):
        write_report(tmp_path)


def test_scripted_trajectories_never_pass(
    write_run: Callable[..., None], heldout: Callable[[int], list[Task]], tmp_path: Path
) -> None:
    write_run(tmp_path / "run", heldout(2), kind="scripted")
    with pytest.raises(ProvenanceError, match=r"came from a scripted engine .* plays with vllm"):
        write_report(tmp_path / "run")


def test_provenance_of_a_run(finished_run: Path) -> None:
    found = check_provenance(finished_run)
    assert found.trajectories == 72 and [e.trajectories for e in found.engines] == [72]
    assert [(p.policy.version, p.trajectories) for p in found.policies] == [
        (0, 24),
        (1, 24),
        (21, 24),
    ]


@pytest.mark.parametrize(
    ("engine", "digest", "message"),
    [
        (EngineId("e", "vllm", 1, "n"), "d", None),
        (EngineId("e", "vllm", 2, "n"), "d", "not one of the 1 that this run registered"),
        (EngineId("e", "transformers", 1, "n"), "d", "came from a transformers engine"),
        (EngineId("e", "vllm", 1, "n"), "x", "which this run never published"),
    ],
)
def test_origins(engine: EngineId, digest: str, message: str | None, tmp_path: Path) -> None:
    registered = {
        "engines": [{"engine": "e", "kind": "vllm", "pid": 1, "node": "n"}],
        "policies": [{"name": "p", "version": 1, "digest": "d"}],
    }
    path = tmp_path / "provenance.json"
    path.write_text(json.dumps(registered))
    origin = Origin("shard: trajectory 0.0", engine, PolicyRef("p", 1, digest))
    if message is None:
        assert check_origins([origin], path, "vllm").trajectories == 1
    else:
        with pytest.raises(ProvenanceError, match=message):
            check_origins([origin], path, "vllm")


def test_nothing_to_check_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ProvenanceError, match="is missing"):
        check_origins([], tmp_path / "provenance.json", "vllm")
    (tmp_path / "provenance.json").write_text('{"engines": [], "policies": []}')
    with pytest.raises(ProvenanceError, match="no trajectories"):
        check_origins([], tmp_path / "provenance.json", "vllm")


def test_ticks_are_round_and_cover() -> None:
    assert nice_ticks(0, 1, 4) == [0, 0.5, 1.0]
    assert nice_ticks(0.07, 0.21, 4) == [0.05, 0.1, 0.15, 0.2, 0.25]
    assert nice_ticks(-3, 12, 4) == [-5, 0, 5, 10, 15]


def test_a_chart_names_its_numbers() -> None:
    series = [Series("a <b>", (1, 2), (0.25, 0.5), (0.2, 0.4), (0.3, 0.6))]
    chart = draw("Rate", series, percent=True)
    assert chart.words == "a <b> 25 % → 50 %"
    assert "a &lt;b&gt;, step 2: 50 %" in chart.svg and 'class="band c0"' in chart.svg
    with pytest.raises(ValueError, match="no values"):
        draw("Empty", [Series("x", (), ())])
    assert "polyline" in draw("Flat", [Series("x", (3,), (1.0,))]).svg


def test_endings_of_training_add_up() -> None:
    """What is cut off is a share of what has a verdict, not of all that was played."""
    lost = {"rollout/trajectories": 100, "failed/env": 0, "failed/infra": 50, "truncated": 1.0}
    row = training_failures([lost, {"rollout/trajectories": 10, "truncated": 0.5}])
    assert row is not None
    assert (row.trajectories, row.answered, row.truncated, row.infra) == (110, 5, 55, 50)
