"""Torn files are named, with what to do; a full disk is called one."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

from tooldojo.configs.loading import RecipeError, load_recipe
from tooldojo.rollouts.store import TrajectoryStore
from tooldojo.rollouts.whole_files import DamagedFile, read_json, write_text
from tooldojo.training.card import AdapterCard
from tooldojo.training.cli.boundary import _judged
from tooldojo.training.policy import PolicyError
from tooldojo.training.runs.metrics import read_metrics
from tooldojo.training.stages.trl_stage import CHECKPOINT_FILES, resume_point


def shard(folder: Path, columns: dict[str, list[int]]) -> Path:
    path = folder / "train-000001-ab.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def test_a_torn_and_a_foreign_shard_are_named(tmp_path: Path) -> None:
    path = shard(tmp_path, {"other": [1, 2]})
    with pytest.raises(
        DamagedFile, match=r"train-000001-ab\.parquet is damaged \(it has no column"
    ):
        list(TrajectoryStore(tmp_path).read())
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DamagedFile, match=r"train-000001-ab\.parquet is damaged"):
        list(TrajectoryStore(tmp_path).read())


def test_torn_json_and_torn_metrics_are_named(tmp_path: Path) -> None:
    for name, content in (("a.json", b'{"a": '), ("b.json", b"\xff\xfe{")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DamagedFile, match=f"{name} is damaged .*; delete it, or bring a whole"):
            read_json(tmp_path / name)
    log = tmp_path / "metrics.jsonl"
    log.write_text('{"step": 1}\n{"st')  # a kill: the last line does not count
    assert read_metrics(log) == [{"step": 1}]
    log.write_text('{"st\n{"step": 2}\n')
    with pytest.raises(DamagedFile, match=r"metrics\.jsonl is damaged"):
        read_metrics(log)


def checkpoint(folder: Path, step: int) -> Path:
    made = folder / f"checkpoint-{step}"
    made.mkdir(parents=True)
    for name in CHECKPOINT_FILES:
        if name.endswith("safetensors"):
            save_file({"w": torch.zeros(64)}, made / name)
        elif name.endswith("json"):
            (made / name).write_text(json.dumps({"best_model_checkpoint": None}))
        else:
            torch.save({"w": torch.zeros(64)}, made / name)
    return made


@pytest.mark.parametrize("name", CHECKPOINT_FILES)
def test_a_stage_goes_on_from_before_a_torn_checkpoint(tmp_path: Path, name: str) -> None:
    before, torn = checkpoint(tmp_path, 2), checkpoint(tmp_path, 4)
    assert resume_point(tmp_path) == str(torn)
    (torn / name).write_bytes((torn / name).read_bytes()[:-8])
    assert resume_point(tmp_path) == str(before)
    assert not torn.exists()


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "a.txt", "\ud800")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        RuntimeError("[enforce fail at inline_container.cc] file write failed"),
        type("SafetensorError", (Exception,), {})("I/O error: No space left (os error 28)"),
    ],
)
def test_a_full_disk_is_called_one(error: Exception) -> None:
    code, text = _judged(error)
    assert code == 1 and text.startswith("the disk is full")


def test_other_errors_are_not_called_a_full_disk() -> None:
    assert _judged(RuntimeError("shapes differ"))[1] == "unexpected RuntimeError: shapes differ"


def test_what_is_no_adapter_says_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="there is no adapter directory"):
        AdapterCard.read(tmp_path / "nope")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(PolicyError, match="a whole model, not an adapter"):
        AdapterCard.read(tmp_path)


def test_a_recipe_of_another_encoding_is_named(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_bytes("[run]\n".encode("utf-16"))
    with pytest.raises(RecipeError, match=r"r\.toml is not TOML"):
        load_recipe(str(path))
