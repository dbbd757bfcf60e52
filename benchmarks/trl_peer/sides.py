"""The two sides and their evaluation, each run in a process of its own.

Owns what both sides share: process settings, the policy and its adapter, the budget. Invariant:
both start from the same adapter, play the same stream of tasks, and are evaluated by the same code
on the same held-out tasks.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tooldojo.configs.schema import Recipe
from trl_peer.report import until_good
from trl_peer.settings import PeerSettings
from trl_peer.timeline import Budget, Timeline

if TYPE_CHECKING:
    from transformers import TrainerCallback

    from tooldojo.envs.task import Task
    from tooldojo.rollouts.chat import Chat
    from tooldojo.training.policy import Policy
    from tooldojo.training.session import Session
    from tooldojo.verifiers.intervals import Proportion

CURVE = "curve.json"


class BudgetSpent(Exception):
    """Ends our loop, which knows steps only, where the seconds end."""


def play_ours(recipe: Recipe, budget: Budget, folder: Path) -> None:
    """Our loop until the budget is spent; the timeline lands in `folder`."""
    from tooldojo.training.loop import train
    from tooldojo.training.session import open_session

    timeline: Timeline

    def on_step(step: int, metrics: dict[str, float], line: str) -> None:
        played = int(metrics["rollout/trajectories"])
        if timeline.add(played, int(metrics["tokens/sampled"]), metrics["reward"]):
            raise BudgetSpent

    timeline = Timeline(folder, budget, lambda path: session.policy.save_adapter(path))
    with open_session(recipe, resume=False) as session:
        learning = session.start_learning()
        timeline.begin()
        try:
            train(session, learning, on_step)
        except BudgetSpent:
            pass
        finally:
            learning.metrics.close()
    timeline.write({"recipe": recipe.model_dump(mode="json")})


def play_trl(recipe: Recipe, settings: PeerSettings, budget: Budget, folder: Path) -> None:
    """TRL's loop until the budget is spent; the timeline lands in `folder`."""
    timeline = Timeline(folder, budget, lambda path: loaded.policy.save_adapter(path))
    loaded = load_peer(recipe, settings)
    import torch

    from trl_peer.trainer import make_trainer

    note = _noting(timeline, settings.trajectories)
    policy, chat = loaded.policy, loaded.chat
    trainer = make_trainer(recipe, settings, policy, chat, folder, budget.steps, [note])
    timeline.begin()
    trainer.train()
    about = {"recipe": recipe.model_dump(mode="json"), "settings": settings.to_json()}
    timeline.write({**about, "threads": torch.get_num_threads()})


@dataclass(frozen=True, slots=True)
class LoadedPeer:
    """What TRL's trainer is made of."""

    policy: Policy
    chat: Chat


def load_peer(recipe: Recipe, settings: PeerSettings) -> LoadedPeer:
    """Policy and chat, in a process that is made ready for TRL and its engine; torch must not have
    been imported before.
    """
    for name, value in _engine_environment(recipe).items():
        os.environ[name] = value
    import torch

    from tooldojo.rollouts.chat import Chat
    from tooldojo.rollouts.formats import call_format
    from tooldojo.training.card import conventions_of
    from tooldojo.training.policy import load_policy, load_tokenizer
    from tooldojo.training.runs.runtime import tune_process

    tune_process(recipe.learner.threads)
    chat = Chat(load_tokenizer(recipe.policy.model), call_format(recipe.policy.call_format))
    section = recipe.policy.model_copy(update={"dtype": settings.dtype})
    policy = load_policy(section, conventions_of(chat, recipe.task.worlds))
    if torch.cpu._is_amx_tile_supported():
        torch.cpu._init_amx()  # else vLLM's bfloat16 kernels may die
    return LoadedPeer(policy, chat)


def _engine_environment(recipe: Recipe) -> dict[str, str]:
    """What the peer's process needs before torch is imported; the same as our engines get."""
    threads = recipe.learner.threads or len(os.sched_getaffinity(0))
    return {
        "OMP_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "passive",
        "TOKENIZERS_PARALLELISM": "false",
        "TRL_EXPERIMENTAL_SILENCE": "1",
        "VLLM_CPU_KVCACHE_SPACE": str(max(1, round(recipe.rollout.kv_cache_gib))),
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # TRL reaches into the engine's worker
        "VLLM_LOGGING_LEVEL": "ERROR",
        "VLLM_NO_USAGE_STATS": "1",
    }


def _noting(timeline: Timeline, trajectories: int) -> TrainerCallback:
    """Adds each step that TRL logs to the timeline, and stops at the end of the budget."""
    from transformers import TrainerCallback

    class Noting(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if logs and "completions/mean_length" in logs:  # the last line sums the run up
                tokens = round(float(logs["completions/mean_length"]) * trajectories)
                spent = timeline.add(trajectories, tokens, float(logs["reward"]))
                control.should_training_stop = control.should_training_stop or spent

    return Noting()


def evaluate_adapters(
    recipe: Recipe, adapters: Sequence[Sequence[str]], tasks: int, split: str, target: float
) -> None:
    """Success of adapters, played by our evaluator; `curve.json` has them by path.

    adapters: chains in order of training; of each the first ones until one has at least `target`,
    and the last. split: `test` or `val` for so many held-out tasks; `train` for the tasks of a
    world of few, each as often.
    """
    from tooldojo.rollouts.whole_files import write_json
    from tooldojo.training.session import open_session

    few = split == "train"
    drawn = _few(recipe, tasks) if few else _held_out(recipe, split, tasks)
    tries = tasks // len(drawn) if few else 1
    curve: dict[str, Any] = {}
    with open_session(recipe, resume=False) as session:
        play = _Evaluator(session)
        for chain in adapters:
            curve |= until_good(chain, lambda path: play.success(Path(path), drawn, tries), target)
        play.close()
    write_json(Path(recipe.run.dir) / CURVE, curve)


def _held_out(recipe: Recipe, split: str, count: int) -> list[Task]:
    from tooldojo.envs.seeding import derive_seed
    from tooldojo.envs.source import take
    from tooldojo.envs.task import Split

    seed = derive_seed(recipe.run.seed, "held-out")
    return take(recipe.task.worlds, Split(split), seed, count, recipe.task.levels)


def _few(recipe: Recipe, draws: int) -> list[Task]:
    """All tasks of a world that has few, as far as so many draws find them."""
    from tooldojo.envs.source import GeneratedTasks
    from tooldojo.envs.task import Split

    source = GeneratedTasks(recipe.task.worlds, Split.TRAIN, recipe.run.seed, recipe.task.levels)
    return list({task.id: task for task in map(source.task, range(draws))}.values())


class _Evaluator:
    """One open session into which adapters are published, one after the other."""

    def __init__(self, session: Session) -> None:
        self.session, self.learning = session, session.start_learning()

    def success(self, adapter: Path, tasks: Sequence[Task], tries: int) -> dict[str, Any]:
        """Rate, 95 % interval and number of trajectories; `tries` of each task."""
        from safetensors.torch import load_file

        from tooldojo.training.policy import ADAPTER_WEIGHTS

        self.learning.step += 1
        self.session.policy.load_adapter_tensors(load_file(adapter / ADAPTER_WEIGHTS))
        self.session.publish(self.learning)
        if tries > 1:
            rate = self._sampled(tasks, tries)
        else:
            stage = f"{self.learning.step:04d}"
            rate = self.session.evaluate(tasks, stage).summary().success
        return {"success": rate.rate, "ci95": [rate.low, rate.high], "n": rate.trials}

    def _sampled(self, tasks: Sequence[Task], tries: int) -> Proportion:
        from tooldojo.envs.task import IssuedTask
        from tooldojo.verifiers.intervals import wilson

        recipe = self.session.recipe
        player = self.session.fleet.at(recipe.eval.temperature, recipe.run.seed + 1)
        issued = [IssuedTask(ordinal, task) for ordinal, task in enumerate(tasks)]
        scored = [t for group in player.play(issued, tries) for t in group.scored]
        return wilson(sum(bool(t.score and t.score.success) for t in scored), len(scored))

    def close(self) -> None:
        """Close the session's metrics."""
        self.learning.metrics.close()
