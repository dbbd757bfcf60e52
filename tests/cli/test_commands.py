"""The commands as a user meets them: output, JSON, exit codes, one-line errors."""

from __future__ import annotations

import json
import re
import shlex
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tooldojo.envs.task import Task
from tooldojo.training.cli import boundary
from tooldojo.training.cli.main import app
from tooldojo.training.cli.recipes import resolve
from tooldojo.verifiers.intervals import wilson

COMMANDS = [
    "envs",
    "new",
    "check",
    "audit",
    "survey",
    "play",
    "rollout",
    "sandbox",
    "quickstart",
    "sft",
    "train",
    "base",
    "export",
    "eval",
    "replay",
    "rescore",
    "report",
    "dpo",
    "kto",
    "reward",
    "prefer",
    "doctor",
    "study",
    "serve",
    "mcp",
    "openenv",
]


def run(*args: str) -> Result:
    return CliRunner().invoke(app, list(args))


def result_of(done: Result) -> dict[str, Any]:
    """The JSON object in the last line of stdout."""
    return json.loads(done.stdout.splitlines()[-1])


def error_line(done: Result) -> str:
    """The only line that an error may print."""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), done.stderr
    return lines[0]


def test_help_lists_every_command_quickly() -> None:
    began = time.perf_counter()
    heavy = "{'torch', 'ray', 'vllm', 'transformers', 'matplotlib', 'gymnasium'} & set(sys.modules)"
    code = (
        "import sys; sys.argv = ['tooldojo', '--help']\n"
        "from tooldojo.training.cli.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"assert not ({heavy} - {{'gymnasium'}}), {heavy}\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert time.perf_counter() - began < 10
    for command in COMMANDS:
        assert f" {command} " in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself_and_takes_json(command: str) -> None:
    done = run(command, "--help")
    assert done.exit_code == 0 and "--json" in done.stdout and "--traceback" in done.stdout


def test_envs() -> None:
    done = run("envs", "--json")
    worlds = {world["id"]: world for world in result_of(done)["worlds"]}
    orders = worlds["tooldojo/Orders-v0"]
    assert done.exit_code == 0 and len(worlds) == 12
    assert orders["levels"] == [1, 2, 3] and orders["flags"]["replayable"]
    assert "cancel_order" in [tool["name"] for tool in orders["tools"] if tool["mutates"]]
    assert "pending" in orders["templates"]["cancel"]
    shown = run("envs", "tooldojo/Orders-v0")
    assert shown.exit_code == 0 and "refund_item" in shown.stdout


FAULTY = """
from tooldojo import Draft, World, call, steps, tool
from tooldojo.verifiers.combine import all_of
from tooldojo.verifiers.criteria import answer

class Sconces(World):
    system_prompt = "You switch lamps. Close with one line: Result: <lamp> is <on|off>."
    verifier = all_of(answer=answer)

    @tool(mutates=True)
    def switch(self, lamp: str, power: str) -> str:
        "Switch one lamp."
        self.state[lamp] = power
        return "done"

    @classmethod
    def draft(cls, rng, level):
        lamp, power = f"L{rng.randrange(10, 99)}", rng.choice(["on", "off"])
        gold = steps(call("switch", lamp=lamp, power=power), say=f"Result: {lamp} is {power}")
        return Draft(f"Switch lamp {lamp} {power}.", {lamp: "dim"}, gold)
"""


def test_check_and_audit_pass_a_native_world() -> None:
    done = run("check", "tooldojo/Travel-v0", "--tasks", "2", "--json")
    data = result_of(done)
    assert done.exit_code == 0 and data["ok"] and "gold_scores_one" in data["checks"]
    assert data["worlds"] == [
        {"world": "tooldojo/Travel-v0", "passed": True, "tasks": 2, "findings": []}
    ]
    done = run("audit", "tooldojo/Travel-v0", "--trajectories", "60", "--json")
    world = result_of(done)["worlds"][0]
    assert done.exit_code == 0 and world["passed"] and world["trajectories"] == 60
    assert world["false_accepts"]["errors"] == world["false_rejects"]["errors"] == 0
    assert world["false_accepts"]["rate"]["low"] == 0 < world["false_accepts"]["rate"]["high"] < 0.2
    shown = run("audit", "tooldojo/Travel-v0", "--trajectories", "30")
    assert shown.exit_code == 0 and "false accepts" in shown.stdout


def test_check_and_audit_exit_with_1_on_a_finding(tmp_path: Path) -> None:
    path = tmp_path / "lamps.py"
    path.write_text(FAULTY)
    done = run("audit", f"{path}:Sconces", "--trajectories", "80", "--json")
    data = result_of(done)
    assert done.exit_code == 1 and not data["ok"] and data["kind"] == "CheckFailed"
    assert data["error"] == "user/Sconces-v0 failed the audit"
    assert data["worlds"][0]["false_accepts"]["errors"] > 0
    assert "drop_call" in {finding["check"] for finding in data["worlds"][0]["findings"]}
    unseeded = "(cls, rng, level):\n        import random; rng = random"
    path.write_text(FAULTY.replace("(cls, rng, level):", unseeded))
    moved = path.rename(tmp_path / "moved.py")
    done = run("check", f"{moved}:Sconces", "--tasks", "2", "--json")
    found = {finding["check"] for finding in result_of(done)["worlds"][0]["findings"]}
    assert done.exit_code == 1 and "tasks_are_deterministic" in found
    assert run("check", "tooldojo/Order-v0").exit_code == 2


def test_survey_counts_floors_and_the_oracle() -> None:
    done = run("survey", "tooldojo/Travel-v0", "--tasks", "4", "--json")
    (world,) = result_of(done)["worlds"]
    assert done.exit_code == 0 and world["policy"] is None and world["tasks"] == 4
    rates = {row["policy"]: (row["success"]["successes"], row["value"]) for row in world["scripts"]}
    assert rates.pop("gold") == (4, 1.0)
    rates.pop("guess")
    assert set(rates.values()) == {(0, 0.0)} and len(rates) == 4
    shown = run("survey", "tooldojo/Travel-v0", "--tasks", "2")
    assert shown.exit_code == 0 and "do_nothing" in shown.stdout
    alias = run("envs", "report", "tooldojo/Travel-v0", "--tasks", "2")
    assert alias.exit_code == 0 and alias.stdout == shown.stdout
    assert "takes a model" in error_line(run("survey", "--policy", "gold"))
    assert "there is no split 'trian'" in error_line(run("survey", "--split", "trian"))


def test_play_gold_solves_its_task() -> None:
    done = run("play", "tooldojo/Orders-v0", "--level", "2", "--seed", "3", "--json")
    data = result_of(done)
    assert done.exit_code == 0 and data["ok"] and data["played"]["success"] is True
    assert data["task"]["level"] == 2 and len(data["played"]["turns"]) >= 2
    shown = run("play", "tooldojo/Orders-v0", "--level", "2", "--seed", "3")
    assert "✓ solved" in shown.stdout and data["task"]["prompt"].split()[0] in shown.stdout


@pytest.mark.parametrize(
    "policy", ["random_tool", "do_nothing", "constant_reply", "nearest_demonstration"]
)
def test_other_scripts_fail_and_say_why(policy: str) -> None:
    done = run("play", "--policy", policy, "--seed", "5", "--level", "3", "--json")
    played = result_of(done)["played"]
    assert done.exit_code == 0 and played["success"] is False and played["why"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["play", "tooldojo/Order-v0"], "did you mean 'tooldojo/Orders-v0'?"),
        (["play", "--policy", "glod"], "did you mean 'gold'?"),
        (["play", "--level", "9"], "has no level 9; it has 1, 2, 3"),
        (["play", "--split", "tests"], "there are train, val, test, test_combos, test_wordings"),
        (["play", "--policy", "/no/such/model"], "there is no directory '/no/such/model'"),
        (["play", "nosuchmodule:World"], "nosuchmodule"),
        (["play", "/no/such/file.py:World"], "no file '/no/such/file.py'"),
        (["envs", "--jsn"], "No such option: --jsn"),
        (["nosuchcommand"], "No such command 'nosuchcommand'"),
        (["rollout", "--policy", "/tmp", "policy.model=x"], "name two policies"),
        (["train", "learner.stps=3"], "did you mean 'learner.steps'?"),
        (["train", "learner.steps=0"], "learner.steps = 0: input should be greater than 0"),
        (["train", "learner=3"], "is not of the form section.key=value"),
        (["sft", "quikstart"], "did you mean 'quickstart'?"),
        (["quickstart", "--until", "ppo"], "takes base, sft or rl"),
        (["eval", "--stage", "a b"], "made of a-z, 0-9 and _"),
        (["eval", "--against", "/no/file.json"], "there is no such file"),
        (["replay", "/no/run"], "holds no trajectories"),
        (["report", "/no/run"], "no config.toml"),
        (["rescore", "/no/run"], "holds no trajectories"),
        (["rollout", "--policy", "openai:m"], "is not of the form openai:MODEL@URL"),
        (["rollout", "--policy", "openai:m@http://127.0.0.1:9/v1"], "check endpoint.url"),
        (["eval", "--policy", "gold"], "`tooldojo rollout --policy gold` plays a script"),
        (["rollout", "rollout.engine=openai"], "needs endpoint.url"),
        (["train", "rollout.engine=openai"], "nothing can train on what it plays"),
        (["train", "rollout.engine=transformers"], "set rollout.engine=vllm"),
        (["serve", "rollout.engine=openai", "--port", "0"], "set rollout.engine=vllm"),
        (["mcp", "tooldojo/Orders-v0", "--transport", "sse"], "takes stdio or http"),
        (["openenv", "tooldojo/Order-v0"], "did you mean 'tooldojo/Orders-v0'?"),
        (["export", "/no/adapter", "/tmp/no-such-target"], "no adapter directory"),
        (["export", "/no/a", "/tmp/no-such-target", "--add", "/no/b"], "no adapter directory"),
        (["doctor", "/no/run"], "holds no run"),
        (["prefer", "/no/run"], "holds no trajectories"),
        (["dpo", "--data", "/no/file.jsonl"], "there is no such file or directory"),
        (["reward", "--data", "/tmp"], "holds no trajectories"),
        (["kto", "--data", "/tmp", "preference.beta=0"], "preference.beta = 0"),
        (["study", "/no/grid.toml"], "there is no such file"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(args: list[str], message: str) -> None:
    done = run(*args)
    assert done.exit_code == 2 and message in error_line(done) and done.stdout == ""
    with_json = result_of(run(*args, "--json"))
    assert with_json["ok"] is False and message in with_json["error"]


def test_a_broken_check_is_exit_code_1(
    write_run: Callable[..., None], heldout: Callable[[int], list[Task]], tmp_path: Path
) -> None:
    write_run(tmp_path / "run", heldout(2), kind="scripted")
    done = run("report", str(tmp_path / "run"), "--json")
    assert done.exit_code == 1 and "came from a scripted engine" in error_line(done)
    assert result_of(done)["kind"] == "ProvenanceError"


@pytest.fixture
def model(small_chat: Any, tmp_path: Path) -> Path:
    """A model directory with the tokenizer that the synthetic run was played with."""
    folder = tmp_path / "model"
    small_chat.tokenizer.save_pretrained(folder)
    (folder / "config.json").write_text('{"model_type": "qwen3"}')
    return folder


def test_report_writes_the_page(finished_run: Path, model: Path) -> None:
    done = run("report", str(finished_run), "--model", str(model), "--json")
    assert done.exit_code == 0, done.stderr
    data = result_of(done)
    assert Path(data["path"]).stat().st_size == data["bytes"] > 30_000


def test_replay_shows_and_verifies(finished_run: Path, model: Path) -> None:
    at = (str(finished_run), "--model", str(model))
    shown = run("replay", *at, "--stage", "rl", "--count", "2", "--json")
    assert shown.exit_code == 0 and len(result_of(shown)["trajectories"]) == 2
    proven = run("replay", *at, "--verify", "--json")
    assert proven.exit_code == 0, proven.stderr
    assert result_of(proven)["trajectories"] == 72 and result_of(proven)["divergences"] == []
    nothing = run("replay", *at, "--ordinal", "1")
    assert nothing.exit_code == 2 and "no such trajectory" in error_line(nothing)


def test_rollout_stores_what_a_script_played(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "rolled"
    keys = (f"policy.model={model}", "rollout.max_context=4096", "rollout.max_turn_tokens=256")
    options = ("--policy", "gold", "--tasks", "3", "--group-size", "2", "--out", str(out))
    done = run("rollout", *keys, *options, "--json")
    assert done.exit_code == 0, done.stderr
    data = result_of(done)
    assert data["trajectories"] == 6 and data["success"]["rate"] == 1.0 and not data["failed"]
    again = run("replay", str(out), "--model", str(model), "--verify", "--json")
    assert result_of(again)["trajectories"] == 6


def test_rescore_adds_a_stage(finished_run: Path, model: Path) -> None:
    judge = finished_run / "judge.py"
    judge.write_text(
        "from tooldojo.verifiers.records import Score\n"
        "def few_calls(evidence, goal):\n"
        "    few = len(evidence.calls) < 3\n"
        "    return Score(few, float(few), {'few': float(few)})\n"
    )
    options = ("--stage", "rl", "--verifier", f"{judge}:few_calls", "--json")
    done = run("rescore", str(finished_run), *options)
    assert done.exit_code == 0, done.stderr
    data = result_of(done)
    assert (data["stage"], data["rows"], data["failed"]) == ("rl_rescored", 24, 0)
    assert data["changed"] == data["gained"] + data["lost"] > 0
    again = run("rescore", str(finished_run), *options)
    assert again.exit_code == 2 and "the stage 'rl_rescored' exists already" in error_line(again)
    shown = run("replay", str(finished_run), "--model", str(model), "--stage", "rl_rescored")
    assert shown.exit_code == 0


@pytest.mark.skipif(find_spec("openenv") is not None, reason="its package is installed")
def test_a_missing_extra_is_named() -> None:
    done = run("openenv", "tooldojo/Orders-v0")
    assert done.exit_code == 2 and "install tooldojo[openenv]" in error_line(done)


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for words in (["serve"], ["mcp", "tooldojo/Orders-v0", "--transport", "http"]):
            done = run(*words, "--port", port)
            assert done.exit_code == 2 and f"port {port} on 127.0.0.1 is in use" in error_line(done)


def test_a_replay_that_diverges_fails(finished_run: Path, small_chat: Any, tmp_path: Path) -> None:
    other = tmp_path / "other"
    tokenizer = small_chat.tokenizer
    template = tokenizer.chat_template
    tokenizer.chat_template = template.replace("# Tools", "# Some tools")
    tokenizer.save_pretrained(other)
    tokenizer.chat_template = template
    (other / "config.json").write_text('{"model_type": "qwen3"}')
    done = run("replay", str(finished_run), "--model", str(other), "--verify", "--json")
    assert done.exit_code == 1 and "72 of 72 trajectories did not replay" in error_line(done)
    assert len(result_of(done)["divergences"]) == 72


def test_keys_win_over_options_and_a_run_directory_is_a_recipe(tmp_path: Path) -> None:
    assert resolve(None, None, "run.seed=3").run.seed == 3
    assert resolve("quickstart", ["run.seed=5"], "run.seed=3").run.seed == 5
    assert resolve("run.seed=7", ["learner.steps=2"], "run.seed=3").run.seed == 7
    (tmp_path / "config.toml").write_text("[learner]\nsteps = 4\n[run]\ndir = 'where/it/was'\n")
    moved = resolve(str(tmp_path), ["run.seed=1"])
    assert (moved.learner.steps, moved.run.dir) == (4, str(tmp_path))


STOPPABLE = {  # command: where its work happens, its options, and the file that it keeps
    "train": ("tooldojo.training.loop.run_training", "run.dir={}", "config.toml"),
    "sft": ("tooldojo.training.stages.sft.run_sft", "run.dir={}", "config.toml"),
    "quickstart": ("tooldojo.training.quickstart.run_quickstart", "--dir={}", "config.toml"),
    "eval": ("tooldojo.training.evaluation.evaluate.run_eval", "--out={}", "policy.toml"),
    "base": ("tooldojo.training.base.__main__.main", "--out={}", "checkpoint.pt"),
}


@pytest.mark.parametrize("command", STOPPABLE)
def test_ctrl_c_is_130_and_says_how_to_go_on(
    command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    work, option, kept = STOPPABLE[command]

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(work, stop)
    words = [command, option.format(tmp_path / "a run")]
    early = run(*words)
    assert early.exit_code == 130 and early.stderr.strip() == "stopped"
    (tmp_path / "a run").mkdir()
    (tmp_path / "a run" / kept).touch()
    done = run(*words, "--json")
    typed = shlex.split(result_of(done)["go_on"])
    assert done.exit_code == 130 and typed[1:] == [*words, "--json", "--resume"]
    assert f"go on with: {result_of(done)['go_on']}" in done.stderr.replace("\n", "")
    assert shlex.split(result_of(run(*words, "--resume", "--json"))["go_on"]).count("--resume") == 1


def test_a_stopped_rescoring_says_how_to_go_on_once_a_shard_is_written(
    finished_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tooldojo.rollouts import rescore as judging

    judge, words = judging.rescore, ["rescore", str(finished_run), "--stage", "rl", "--json"]

    def stop_at_once(*_: object) -> None:
        raise KeyboardInterrupt

    def stop_later(*args: Any) -> None:
        judge(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(judging, "rescore", stop_at_once)
    assert result_of(run(*words))["go_on"] is None
    monkeypatch.setattr(judging, "rescore", stop_later)
    typed = shlex.split(result_of(run(*words))["go_on"])
    assert typed[1:] == [*words, "--resume"]
    monkeypatch.setattr(judging, "rescore", judge)
    assert run(*typed[1:]).exit_code == 0


def test_there_must_be_something_to_resume(tmp_path: Path) -> None:
    for command, (_, option, _) in STOPPABLE.items():
        done = run(command, option.format(tmp_path / "none"), "--resume")
        assert done.exit_code == 2 and "leave --resume out" in error_line(done), command


def test_a_bug_is_one_line_unless_its_trace_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    import tooldojo.envs.registry as registry

    def fail(_: str) -> None:
        raise KeyError("boom")

    monkeypatch.setattr(registry, "world_class", fail)
    done = run("envs")
    assert done.exit_code == 1 and "unexpected KeyError: 'boom'" in error_line(done)
    traced = run("envs", "--traceback")
    assert "Traceback (most recent call last)" in traced.stderr and traced.exit_code == 1


def test_our_own_value_errors_are_bad_input_and_others_are_bugs() -> None:
    with pytest.raises(ValueError) as ours:
        wilson(3, 2)
    assert boundary._judged(ours.value) == (2, "3 successes of 2 trials is no proportion")
    with pytest.raises(ValueError) as other:
        int("x")
    assert boundary._judged(other.value)[0] == 1


def test_a_missing_package_is_of_an_extra_or_of_a_file() -> None:
    with (Path(__file__).parents[2] / "pyproject.toml").open("rb") as file:
        listed = tomllib.load(file)["project"]["optional-dependencies"]["train"]
    names = {re.split("[=<>]", each)[0] for each in listed}
    assert {name for name, extra in boundary._EXTRAS.items() if "train" in extra} == names
    for name in ("torch", "torch.nn"):
        absent = ModuleNotFoundError(f"No module named {name!r}", name=name)
        needs = "this command needs 'torch'; install tooldojo[train] or run `make setup`"
        assert boundary._judged(absent) == (2, needs)
    with pytest.raises(ModuleNotFoundError) as other:
        import no_such_package.part  # type: ignore[import-not-found]  # noqa: F401
    code, told = boundary._judged(other.value)
    assert code == 2 and re.fullmatch(
        rf"{__file__}, line \d+ imports 'no_such_package', which is not there; install "
        "'no_such_package'",
        told,
    )


def test_ray_errors_are_unwrapped() -> None:
    inner = type("DeliveryError", (RuntimeError,), {})("engine 0 holds version 3, not 4")
    wrapper = type("RayTaskError", (Exception,), {"__module__": "ray.exceptions"})("long text")
    wrapper.cause = inner  # type: ignore[attr-defined]
    assert boundary._judged(boundary._cause(wrapper)) == (1, "engine 0 holds version 3, not 4")


def test_the_doctor_says_what_is_wrong(finished_run: Path) -> None:
    done = run("doctor", str(finished_run), "--json")
    assert done.exit_code == 0 and result_of(done) == {"ok": True, "steps": 20, "findings": []}
    rows = [json.loads(line) for line in (finished_run / "metrics.jsonl").read_text().splitlines()]
    for row in rows:
        row["truncated"] = 0.5
    (finished_run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = run("doctor", str(finished_run), "--json")
    data = result_of(done)
    assert done.exit_code == 1 and data["ok"] is False
    (finding,) = data["findings"]
    assert finding["rule"] == "truncated" and "50%" in finding["seen"]
    assert "rollout.max_turns" in finding["advice"]


def test_a_page_of_pairs_is_written(tmp_path: Path) -> None:
    worlds = ('task.worlds=["tooldojo/Orders-v0"]', "task.levels=[1]")
    for policy in ("gold", "do_nothing"):
        options = ("--policy", policy, "--tasks", "3", "--out", str(tmp_path / policy))
        assert run("rollout", *worlds, *options).exit_code == 0
    page = tmp_path / "prefer.html"
    options = ("--against", str(tmp_path / "do_nothing"), "--out", str(page), "--json")
    done = run("prefer", str(tmp_path / "gold"), *options)
    assert done.exit_code == 0 and result_of(done)["pairs"] == 3
    assert "const lines = [" in page.read_text()
    alone = run("prefer", str(tmp_path / "gold"), "--out", str(page))
    assert alone.exit_code == 2 and "give --against" in error_line(alone)


def test_ctrl_c_while_the_commands_load_is_as_quiet_as_later() -> None:
    script = (
        "import sys\n"
        "class Pressed:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'typer':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Pressed())\n"
        "from tooldojo.training.cli.__main__ import main\n"
        "main()\n"
    )
    command = [sys.executable, "-c", script, "envs", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "stopped\n")
    assert json.loads(done.stdout) == {
        "ok": False, "error": "stopped", "kind": "KeyboardInterrupt", "go_on": None,
    }  # fmt: skip
