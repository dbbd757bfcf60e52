"""Stored trajectories of a world in a user's file, read by other processes in other folders."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tooldojo.rollouts.origins import WorldMissing, load_worlds, note_worlds
from tooldojo.rollouts.store import TrajectoryStore
from tooldojo.training.cli.main import app

PEGS = """
from tooldojo import Draft, World, call, steps, tool


class Pegs(World):
    @tool(mutates=True)
    def hang(self, peg: str, coat: str) -> None:
        "Hang a coat on a peg."
        self.state[peg] = coat

    @classmethod
    def draft(cls, rng, level):
        peg, coat = f"P{rng.randrange(10**6)}", f"coat {rng.randrange(10**6)}"
        gold = steps(call("hang", peg=peg, coat=coat), say=f"Result: {peg} {coat}")
        return Draft(f"Hang {coat} on {peg}.", {peg: ""}, gold)


def broken(evidence, goal):
    return evidence["no such thing"]
"""
FRESH = """
import json, sys
from typer.testing import CliRunner
from tooldojo.training.cli.main import app
done = [CliRunner().invoke(app, [*words, "--json"]) for words in json.loads(sys.argv[1])]
print(json.dumps([[each.exit_code, json.loads(each.stdout.splitlines()[-1])] for each in done]))
"""


def elsewhere(folder: Path, *commands: list[str]) -> list[tuple[int, dict[str, Any]]]:
    """Exit code and JSON of commands, run in a process that has loaded no world of a user."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-c", FRESH, json.dumps(commands)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return [(code, data) for code, data in json.loads(done.stdout.splitlines()[-1])]


def run(*args: str) -> tuple[int, dict[str, Any]]:
    done = CliRunner().invoke(app, [*args, "--json"])
    return done.exit_code, json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def rolled(small_chat: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What `rollout` stored of a wrapped world in a relative file, and the model that reads it."""
    small_chat.tokenizer.save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text('{"model_type": "qwen3"}')
    (tmp_path / "pegs.py").write_text(PEGS)
    monkeypatch.chdir(tmp_path)
    keys = ("policy.model=model", "rollout.max_context=4096", "rollout.max_turn_tokens=256")
    worlds = 'task.worlds=["pegs.py:Pegs?rename=1"]'
    options = ("--policy", "gold", "--tasks", "2", "--group-size", "2", "--out", "out")
    code, data = run("rollout", worlds, *keys, *options)
    assert code == 0 and data["success"]["rate"] == 1.0, data
    return [str(tmp_path / "out"), "--model", str(tmp_path / "model")]


def test_another_process_verifies_judges_and_shows(rolled: list[str], tmp_path: Path) -> None:
    out, file = rolled[0], tmp_path / "pegs.py"
    assert json.loads((Path(out) / "worlds.json").read_text()) == {"user/Pegs-v0": f"{file}:Pegs"}
    rescore = ["rescore", out, "--stage", "rollout"]
    verified, judged, failed, pairs = elsewhere(
        tmp_path / "other",
        ["replay", *rolled, "--verify"],
        rescore,
        [*rescore, "--into", "none", "--verifier", f"{file}:broken"],
        ["prefer", out],
    )
    assert verified[0] == 0 and verified[1]["trajectories"] == 4, verified
    assert judged[0] == 0 and (judged[1]["rows"], judged[1]["changed"]) == (4, 0), judged
    assert failed[0] == 1 and "none of 4 trajectories got a verdict" in failed[1]["error"]
    assert f"is not subscriptable ({file}, line 19)" in failed[1]["error"]
    assert pairs[0] == 2 and "holds no two different trajectories" in pairs[1]["error"]
    assert {path.name.partition("-")[0] for path in TrajectoryStore(out).shards()} == {
        "rollout",
        "rollout_rescored",
    }

    moved = file.rename(tmp_path / "moved.py")
    rescore += ["--into", "moved"]
    missing, given = elsewhere(tmp_path, rescore, [*rescore, "--world", f"{moved.name}:Pegs"])
    assert missing[0] == 2 and given[0] == 0, (missing, given)
    assert f"user/Pegs-v0, which came from {file}:Pegs; it is not here" in missing[1]["error"]
    assert missing[1]["error"].endswith("--world FILE.py:Class") and given[1]["rows"] == 4


def test_a_run_that_noted_nothing_is_read_by_its_recipe(tmp_path: Path) -> None:
    """The ids of these worlds are new to this process until their files are loaded."""
    for name in ("Racks", "Rails"):
        (tmp_path / f"{name.lower()}.py").write_text(PEGS.replace("Pegs", name))
    named = [f"{tmp_path}/{name.lower()}.py:{name}?seed=1&rename=1" for name in ("Racks", "Rails")]
    with pytest.raises(WorldMissing, match="holds trajectories of user/Racks-v0; it is not here"):
        load_worlds(tmp_path, {"user/Racks-v0"}, (), named[1:])
    load_worlds(tmp_path, {"user/Racks-v0?rename=1&seed=1", "tooldojo/Orders-v0"}, (), named)
    note_worlds(tmp_path, {"user/Racks-v0?rename=1&seed=1", "tooldojo/Orders-v0"})
    noted = {"user/Racks-v0": f"{tmp_path}/racks.py:Racks"}
    assert json.loads((tmp_path / "worlds.json").read_text()) == noted
    note_worlds(tmp_path, {"user/Nobody-v0"})  # not loaded by reference: nothing to keep
    assert json.loads((tmp_path / "worlds.json").read_text()) == noted


@pytest.mark.parametrize(
    ("worlds", "message"),
    [
        ('[":"]', "':' is no 'module:name' and no 'file.py:name'"),
        ('["worlds/w:A"]', "did you mean 'worlds/w.py:A'?"),
        ('["worlds/w.py:A"]', "worlds/w.py:A: SyntaxError"),
        ('["worlds/mute.py:Mute"]', "tool 'hang' has no docstring"),
        ('["worlds/late.py:Late"]', "Late: no task can be made: NameError: name 'steps' is not"),
    ],
)
def test_mistakes_in_a_world_are_the_users(
    worlds: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "worlds"
    folder.mkdir()
    (folder / "w.py").write_text("class A(:\n")
    mute = PEGS.replace('        "Hang a coat on a peg."\n', "").replace("Pegs", "Mute")
    (folder / "mute.py").write_text(mute)
    (folder / "late.py").write_text(PEGS.replace("call, steps", "call").replace("Pegs", "Late"))
    monkeypatch.chdir(tmp_path)
    code, data = run("rollout", f"task.worlds={worlds}", "--policy", "gold", "--out", "none")
    assert code == 2 and message in data["error"], data
    assert "unexpected" not in data["error"] and not (tmp_path / "none").exists()
