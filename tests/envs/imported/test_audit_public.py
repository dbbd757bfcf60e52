"""The public audit finds the known faults of the stand-in's data sets, under aliases."""

# pyright: reportMissingImports=false
from __future__ import annotations

import audit_public
import pytest

from tooldojo.envs.imported.outside import Outside

NAMES = ["runner", "sums", "careful", "anything", "unstored"]


def test_faults_are_found_without_names(
    stand_in: Outside, capsys: pytest.CaptureFixture[str]
) -> None:
    processes = [stand_in, stand_in.twin(0), stand_in.twin(1)]
    reports = audit_public.audit_all(NAMES, 3, processes)
    for process in processes[1:]:
        process.close()
    found = audit_public.figures(NAMES, reports)
    assert found["blocked"] == {
        "anything": ["pays_gibberish"],
        "careful": ["executes_answers"],
        "runner": ["executes_answers"],
        "unstored": ["no_reference"],
    }
    assert found["verdicts"] == {"blocked": 4, "passed": 1}
    shown = capsys.readouterr().out
    assert not [name for name in NAMES if name in shown]
    assert not list(stand_in.folder.glob("canary*"))
