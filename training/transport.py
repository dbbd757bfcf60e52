"""How published policies reach a run's engines: settled before the engines start, and on record.

`rollout.transport = "measured"` tries both ways on the run's own engines and worlds and takes the
faster one. A trial is what a step asks for: a batch played to its end, then a delivery with its
proof. Invariant: a resumed run keeps what `transport.json` says.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from tooldojo.configs.schema import Recipe
from tooldojo.envs.seeding import derive_seed
from tooldojo.envs.source import GeneratedTasks
from tooldojo.envs.task import IssuedTask, Split
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.engine import choose_transport
from tooldojo.rollouts.publish import Transport
from tooldojo.rollouts.whole_files import write_json
from tooldojo.training.learning.learner import Learner
from tooldojo.training.players import base_and_adapter, open_fleet
from tooldojo.training.policy import DTYPES, Policy
from tooldojo.training.runs.run_dir import TRANSPORT, RunDirectory
from tooldojo.training.stages.demonstrations import demonstration


@dataclass(frozen=True, slots=True)
class Trial:
    """Seconds that one transport took. play: a batch of groups; publish: to export, deliver and
    prove a version."""

    transport: Transport
    play: float
    publish: float


TryOut = Callable[[Recipe, Transport], Trial]


def settle_transport(recipe: Recipe, run: RunDirectory, try_out: TryOut) -> Recipe:
    """The recipe with a transport of its own; both are tried where it asks for that and the run has
    no record yet."""
    record = run / TRANSPORT
    if not record.exists():
        asked, trials = recipe.rollout.transport, list[Trial]()
        chosen = choose_transport(recipe.rollout)
        if asked == "measured":
            trials = [try_out(_through(recipe, each), each) for each in Transport]
            chosen = min(trials, key=lambda trial: trial.play + trial.publish).transport
        found = [asdict(trial) for trial in trials]
        write_json(record, {"asked": asked, "chosen": chosen, "trials": found})
    return _through(recipe, Transport(json.loads(record.read_text())["chosen"]))


def tried(recipe: Recipe, transport: Transport, policy: Policy, chat: Chat) -> Trial:
    """A batch and a publish on engines of its own, started for this and stopped again."""
    section, seed = recipe.objective, derive_seed(recipe.run.seed, "transport")
    source = GeneratedTasks(recipe.task.worlds, Split.TRAIN, seed, recipe.task.levels)
    issued: list[IssuedTask] = [source.next() for _ in range(section.groups)]
    alone = recipe.learner.model_copy(update={"ranks": 1})
    learner = Learner(policy, alone, section, demonstration(issued[0].task, chat).input_ids)
    dtype = DTYPES[recipe.rollout.engine_dtype] if transport is Transport.MERGED else None
    model, _ = base_and_adapter(recipe, None)
    with open_fleet(recipe, model, recipe.task.worlds) as fleet:
        fleet.publish(learner.export(1, dtype))
        for _ in fleet.play(issued[:1], section.group_size):
            pass  # the engine's first requests, which are slower
        began = time.perf_counter()
        for _ in fleet.play(issued, section.group_size):
            pass
        played = time.perf_counter()
        fleet.publish(learner.export(2, dtype))
        return Trial(transport, played - began, time.perf_counter() - played)


def _through(recipe: Recipe, transport: Transport) -> Recipe:
    rollout = recipe.rollout.model_copy(update={"transport": transport.value})
    return recipe.model_copy(update={"rollout": rollout})
