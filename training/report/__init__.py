"""`tooldojo report`: one self-contained HTML page about a run."""

from __future__ import annotations

from pathlib import Path

from tooldojo.rollouts.chat import Chat
from tooldojo.training.report.inputs import ReportError, read_run
from tooldojo.training.report.page import build_page, render
from tooldojo.training.report.provenance import Provenance, ProvenanceError, check_provenance

__all__ = ["Provenance", "ProvenanceError", "ReportError", "check_provenance", "write_report"]


def write_report(run: Path, chat: Chat | None = None) -> Path:
    """Write `report.html` into a run directory; chat: of the run's policy, by default the recipe's.

    Raises:
        ReportError: where there is no run. ProvenanceError: where a trajectory came from elsewhere.
    """
    target = run / "report.html"
    target.write_text(render(build_page(read_run(run, chat))), encoding="utf-8")
    return target
