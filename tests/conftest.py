"""A small tokenizer, a sampler of adjustable skill, and a run directory as training leaves one."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tooldojo.configs.loading import load_recipe
from tooldojo.envs.seeding import derive_seed
from tooldojo.envs.source import take
from tooldojo.envs.task import Call, GoldTurn, Split, Task
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.formats import call_format
from tooldojo.rollouts.local_fleet import LocalFleet
from tooldojo.rollouts.player import Limits, PlaySettings
from tooldojo.rollouts.records import EngineId, Group, PolicyRef
from tooldojo.rollouts.sampler import Sampled, SampleRequest
from tooldojo.rollouts.store import TrajectoryStore
from tooldojo.rollouts.whole_files import write_json
from tooldojo.training.evaluation.evaluate import evaluate
from tooldojo.training.runs.metrics import MetricsLog, StepTimings, TrajectorySeconds
from tooldojo.training.runs.run_dir import RunDirectory
from tooldojo.training.serving.listen import address, listening
from tooldojo.verifiers.reward import RewardShape

LIMITS = Limits(max_turns=8, max_turn_tokens=256, max_context=4096, temperature=0.0)
WORLD = "tooldojo/Orders-v0"
NEEDED = {"Files-v0": "bubblewrap", "Coding-v0": "isolation"}  # their tools run in the sandbox
ENGINES = ("tests/e2e/", "tests/rollouts/engine/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Engines first, as they take long. Tests of a world whose tools need the sandbox skip where
    the machine has none.
    """
    items.sort(key=lambda item: not item.nodeid.startswith(ENGINES))
    for item in items:
        for world, fixture in NEEDED.items():
            if world in item.name and isinstance(item, pytest.Function):
                item.fixturenames.insert(0, fixture)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """With several processes tests with engines keep to one of them, for memory's sake, and the
    others to that of their file, for its fixtures'.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByEngine(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "engines" if nodeid.startswith(ENGINES) else nodeid.partition("::")[0]

    return ByEngine(config, log)


@cache
def make_small_chat() -> Chat:
    """A byte-level tokenizer of 600 tokens with the project's own chat template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    from tooldojo.training.base.template import CHAT_TEMPLATE, SPECIALS

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=list(SPECIALS),
        show_progress=False,
    )
    texts = [f"{task.prompt} {task.gold}" for task in take([WORLD], Split.TRAIN, 1, 40)]
    raw.train_from_iterator(texts, trainer)
    made = PreTrainedTokenizerFast(
        tokenizer_object=raw, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    made.chat_template = CHAT_TEMPLATE
    return Chat(made, call_format("hermes"))


@dataclass
class SkilledSampler:
    """Plays the gold of a share `skill` of all tasks, and spoils calls, format or answer elsewhere.

    Whether a task is within its skill depends on the task alone, so more skill solves the same
    tasks and some more.
    """

    skill: float
    engine: EngineId

    async def sample(self, request: SampleRequest) -> Sampled:
        task, chat = request.task, make_small_chat()
        played = request.turn < len(task.gold)
        turn = task.gold[request.turn] if played else GoldTurn("", (), "Sorry.")
        luck = Random(derive_seed("luck", task.id))
        wrong = luck.random() >= self.skill
        ids = chat.gold_ids(_spoilt(turn, luck) if wrong else turn)
        if wrong and turn.calls and luck.random() < 0.15:
            text = chat.text(ids[:-1]).replace("}", "", 1)
            ids = [*chat.tokenizer.encode(text, add_special_tokens=False), chat.stop_ids[0]]
        ids = ids[: request.sampling.max_tokens]
        noise = Random(request.seed)
        logprobs = tuple(-0.3 * noise.random() for _ in ids)
        finish = "stop" if ids[-1] in chat.stop_ids else "length"
        return Sampled(tuple(ids), logprobs, finish, request.policy, 0.01, 0.05)


def _spoilt(turn: GoldTurn, luck: Random) -> GoldTurn:
    if turn.message is not None:
        return replace(turn, message=turn.message.rsplit(" ", 1)[0] + " W0000")
    calls = tuple(Call(call.name, _reversed(call.arguments, luck)) for call in turn.calls)
    return replace(turn, calls=calls)


def _reversed(arguments: dict, luck: Random) -> dict:
    texts = [name for name, value in arguments.items() if isinstance(value, str)]
    name = luck.choice(texts) if texts else None
    return {k: v[::-1] if k == name else v for k, v in arguments.items()}


def skilled_player(skill: float, version: int, kind: str = "vllm") -> LocalFleet:
    engine = EngineId("engine-0", kind, 4711, "laptop")
    policy = PolicyRef("policy", version, "base" if version == 0 else f"{version:016x}")
    settings = PlaySettings(LIMITS, RewardShape(), 0)
    return LocalFleet(SkilledSampler(skill, engine), make_small_chat(), settings, policy=policy)


def make_run(directory: Path, tasks: Sequence[Task], kind: str = "vllm") -> None:
    """A finished run as the loop leaves it, played by samplers of rising skill."""
    recipe = load_recipe("quickstart", [f"run.dir={directory}", "learner.steps=20"])
    run = RunDirectory(directory, recipe, resume=False)
    store = TrajectoryStore(directory / "trajectories")
    for stage, skill, version in (("base", 0.1, 0), ("sft", 0.6, 1), ("rl", 0.9, 21)):
        groups: list[Group] = []
        player = skilled_player(skill, version, kind)
        done = evaluate(player, tasks, stage, temperature=0.0, seed=0, on_group=groups.append)
        store.append(groups, stage, version)
        run.record_provenance(done.engines, done.policies)
        write_json(run / "eval" / f"{stage}.json", done.to_json())
    with MetricsLog(directory) as log:
        for step in range(1, 21):
            log.write(step, step_figures(step))
    run.close()


def step_figures(step: int) -> dict[str, float]:
    """A step's metrics under the names that the loop uses."""
    success = 0.6 + 0.3 * (1 - 0.9**step)
    stages = {"rollout": 6.9, "learner": 2.4, "publish": 0.1, "checkpoint": 0.2}
    inside = TrajectorySeconds(prefill=30, decode=500, tool=8, waiting=60)
    timings = StepTimings(10.0, stages, inside, 23, 16, trajectories=184, max_inflight=128)
    figures = {"reward": success - 0.02, "success": success, "entropy": 0.2 * 0.97**step}
    figures |= {"kl": 0.001 * step, "turns": 3.4, "truncated": 0.01, "groups/dead": 0.3}
    validated = {"val/success": success, "val/success/low": success - 0.08}
    if step % 10 == 0:
        figures |= validated | {"val/success/high": success + 0.07}
    return figures | {"failed/infra": float(step == 7)} | timings.to_metrics()


@pytest.fixture(scope="session")
def _one_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("runs") / "run"
    make_run(directory, take([WORLD], Split.TEST, 0, 24))
    return directory


@pytest.fixture
def finished_run(_one_run: Path, tmp_path: Path) -> Path:
    """A run directory of 24 held-out tasks; the test's own copy."""
    return Path(shutil.copytree(_one_run, tmp_path / "run"))


@pytest.fixture
def write_run() -> Callable[..., None]:
    """`write_run(directory, tasks, kind="vllm")`: see `make_run`."""
    return make_run


@pytest.fixture
def small_chat() -> Chat:
    """See `make_small_chat`."""
    return make_small_chat()


@pytest.fixture
def skilled() -> Callable[..., LocalFleet]:
    """`skilled(skill, version)`: a player that solves that share of all tasks."""
    return skilled_player


@pytest.fixture
def heldout() -> Callable[[int], list[Task]]:
    """`heldout(count)`: tasks of the orders world that training never sees."""
    return lambda count: take([WORLD], Split.TEST, 0, count)


@pytest.fixture(scope="session")
def capable() -> Callable[[int], bool]:
    """`capable(number)`: whether this process has a right of root's, as numbered by Linux."""
    status = Path("/proc/self/status").read_text()
    effective = int(status.split("CapEff:")[1].split()[0], 16)
    return lambda number: bool(effective >> number & 1)


@pytest.fixture(scope="session")
def isolation(capable: Callable[[int], bool]) -> None:
    """Skips where the kernel cannot isolate; it is asked here, without the survey under test, so
    that a survey which overlooks something fails.
    """
    version = ctypes.c_uint(1)  # asks landlock_create_ruleset for the version, -1 for none
    landlock = ctypes.CDLL(None).syscall(ctypes.c_long(444), None, ctypes.c_size_t(0), version)
    if landlock < 1 or not Path("/proc/sys/kernel/seccomp/actions_avail").exists():
        pytest.skip("this kernel has no Landlock or no seccomp filters")
    if os.geteuid() == 0 and not (capable(6) and capable(7)):  # CAP_SETGID, CAP_SETUID
        pytest.skip("root cannot change its uid here")


@pytest.fixture(scope="session")
def bubblewrap(isolation: None) -> None:
    """Skips where there is no bubblewrap, or where it fails by itself."""
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")
    command = ["bwrap", "--unshare-all", "--unshare-user", "--ro-bind", "/", "/", "true"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"bubblewrap fails here: {done.stderr.strip()}")


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """The address of an ASGI application that really listens, on a thread of its own."""
    import uvicorn

    with listening("127.0.0.1", 0) as made:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [made]})
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield address(made)
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def served() -> Iterator[Callable[[Any], str]]:
    """`served(app)`: its address, until the end of the test."""
    with ExitStack() as stack:
        yield lambda app: stack.enter_context(serving(app))
