"""What a resumed run may change, and what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tooldojo.configs.loading import load_recipe
from tooldojo.training.runs.run_dir import Claim, RunDirectory, RunDirectoryError


@pytest.mark.parametrize("key", ["rollout.max_inflight=64", "learner.threads=2"])
def test_a_deterministic_run_keeps_what_its_sums_depend_on(key: str, tmp_path: Path) -> None:
    for exact in ("false", "true"):
        keys = [f"run.deterministic={exact}", f"run.dir={tmp_path / exact}"]
        RunDirectory(tmp_path / exact, load_recipe(None, keys), resume=False).close()
        changed = load_recipe(None, [*keys, key])
        if exact == "false":
            RunDirectory(tmp_path / exact, changed, resume=True).close()
            continue
        name, _, value = key.partition("=")
        with pytest.raises(RunDirectoryError, match=f"was started with {name} = .*, not {value}"):
            RunDirectory(tmp_path / exact, changed, resume=True)
        longer = load_recipe(None, [*keys, "learner.steps=99"])
        RunDirectory(tmp_path / exact, longer, resume=True).close()


def test_a_run_exists_from_its_config_on(tmp_path: Path) -> None:
    recipe = load_recipe(None, [f"run.dir={tmp_path}"])
    (tmp_path / "versions.json").write_text("{}")  # as a kill right at the start leaves it
    with pytest.raises(RunDirectoryError, match="leave --resume out"):
        RunDirectory(tmp_path, recipe, resume=True)
    RunDirectory(tmp_path, recipe, resume=False).close()
    assert (tmp_path / "config.toml").exists()


def everything(folder: Path) -> dict[str, str | None]:
    """The content of each file under a directory, None for a directory."""
    found = sorted(folder.rglob("*"))
    return {str(p.relative_to(folder)): None if p.is_dir() else p.read_text() for p in found}


def failing(path: Path, *written: str, error: type[BaseException] = ValueError) -> None:
    """A start that fails after a stage has written some files; a name with / is a directory."""
    with pytest.raises(error), RunDirectory(path, load_recipe(None), resume=False):
        for name in written:
            target = path / name
            (target if name.endswith("/") else target.parent).mkdir(parents=True, exist_ok=True)
            if not name.endswith("/"):
                target.write_text("{}")
        raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_start_that_fails_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "runs" / "one"
    failing(path, "trajectories/", "sft/a/", error=error)
    assert everything(tmp_path) == {}
    RunDirectory(path, load_recipe(None, ["run.seed=1"]), resume=False).close()


def test_what_was_there_before_stays(tmp_path: Path) -> None:
    for name in ("notes.txt", "versions.json", ".lock"):
        (tmp_path / name).write_text("mine")
    (tmp_path / "empty").mkdir()
    before = everything(tmp_path) | {".lock": ""}
    failing(tmp_path)
    after = everything(tmp_path)
    assert after.keys() == before.keys() and after["notes.txt"] == "mine"


def test_what_a_stage_has_written_stays_and_goes_on(tmp_path: Path) -> None:
    failing(tmp_path / "run", "sft/checkpoint-1/state.json")
    left = everything(tmp_path / "run")
    assert {"config.toml", "versions.json", "sft/checkpoint-1/state.json"} <= left.keys()
    with (
        pytest.raises(ValueError),
        RunDirectory(tmp_path / "run", load_recipe(None), resume=True),
    ):
        raise ValueError
    assert everything(tmp_path / "run") == left


def test_one_process_at_a_time(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path, load_recipe(None), resume=False)
    before = everything(tmp_path)
    with pytest.raises(RunDirectoryError, match="another process is running in"):
        RunDirectory(tmp_path, load_recipe(None), resume=True)
    with pytest.raises(RunDirectoryError, match="another process"), Claim(tmp_path):
        pass
    assert everything(tmp_path) == before
    run.close()
    with Claim(tmp_path):
        pass


def test_a_lock_whose_file_is_gone_is_no_lock(tmp_path: Path) -> None:
    first = Claim(tmp_path / "run")
    (tmp_path / "run" / ".lock").unlink()  # as a refused start does while another one waits
    second = Claim(tmp_path / "run")
    with pytest.raises(RunDirectoryError, match="another process"):
        Claim(tmp_path / "run")
    first.close()
    second.close()
