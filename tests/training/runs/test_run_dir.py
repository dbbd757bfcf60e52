"""What a resumed run may change, and what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tooldojo.configs.loading import load_recipe
from tooldojo.training.runs.run_dir import RunDirectory, RunDirectoryError


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
