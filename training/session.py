"""Everything that one run has open: directory, chat, policy, fleet, store, and the learner once
there is one.

Owns opening, resuming and closing them in the right order. Invariant: engines play only versions
that `publish` has delivered and proven, and every such version is on record in provenance.json.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tooldojo.configs.loading import RecipeError
from tooldojo.configs.schema import Recipe
from tooldojo.envs.curriculum import LearnableTasks
from tooldojo.envs.registry import world_class
from tooldojo.envs.seeding import derive_seed
from tooldojo.envs.selfplay import SelfPlayTasks
from tooldojo.envs.source import GeneratedTasks, take
from tooldojo.envs.task import Split, Task, TaskSource
from tooldojo.envs.verdict import refuse_untrusted
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.fleet import Fleet
from tooldojo.rollouts.publish import Transport
from tooldojo.rollouts.records import Group
from tooldojo.rollouts.store import TrajectoryStore
from tooldojo.rollouts.whole_files import write_json
from tooldojo.training.card import conventions_of
from tooldojo.training.evaluation.evaluate import Evaluation, evaluate_logged
from tooldojo.training.evaluation.log import EvaluationLog
from tooldojo.training.learning.learner import Learner
from tooldojo.training.learning.team import TeamLearner, first_home
from tooldojo.training.players import base_and_adapter, check_fleet, open_fleet, recipe_chat
from tooldojo.training.policy import DTYPES, Policy, load_policy
from tooldojo.training.runs.checkpoint import Checkpoint, latest, save_checkpoint
from tooldojo.training.runs.metrics import MetricsLog
from tooldojo.training.runs.run_dir import RunDirectory, has_started
from tooldojo.training.runs.runtime import tune_process
from tooldojo.training.sampling import DynamicSampler, Pipeline
from tooldojo.training.stages.demonstrations import demonstration
from tooldojo.training.transport import settle_transport, tried

OnGroup = Callable[[Group], None]
TRAIN = "train"  # stage of the trajectories that were trained on


@dataclass(slots=True)
class Learning:
    """The part of a run that only training needs. step: finished learner steps."""

    learner: Learner
    tasks: DynamicSampler
    metrics: MetricsLog
    step: int = 0

    @property
    def version(self) -> int:
        """Of the policy as it stands; the start is version 1."""
        return self.step + 1

    def close(self) -> None:
        """End the learner's other ranks and the log of metrics."""
        self.learner.close()
        self.metrics.close()


@dataclass(slots=True)
class Session:
    """An open run. `on_group` sees every group as it finishes."""

    recipe: Recipe
    run: RunDirectory
    chat: Chat
    policy: Policy
    fleet: Fleet
    store: TrajectoryStore
    on_group: OnGroup = lambda group: None

    def wait_for_engines(self) -> None:
        """Return when every engine can play, with its identity on record."""
        self.run.record_provenance(self.fleet.engines, (self.fleet.policy,))

    def record_players(self) -> None:
        """Put every engine so far on record, replaced ones too, and the policy that they hold."""
        self.run.record_provenance(self.fleet.engines_so_far, (self.fleet.policy,))

    def start_learning(self) -> Learning:
        """The learner on the policy as it stands, or as the last checkpoint left it; published."""
        recipe, seed = self.recipe, self.recipe.run.seed
        generated = GeneratedTasks(recipe.task.worlds, Split.TRAIN, seed, recipe.task.levels)
        probe = demonstration(generated.task(0), self.chat).input_ids
        if recipe.eval.every:
            self.validation_tasks()  # a world with too few says so before it is trained on
        source: TaskSource = generated
        if recipe.task.curriculum == "learnable":
            source = LearnableTasks(generated, recipe.objective.group_size)
        elif recipe.task.curriculum == "selfplay":
            source = SelfPlayTasks(generated)
        learner = self._learner(probe)
        tasks = self._sampler(source)
        checkpoint = latest(self.run / "state")
        step = 0
        if checkpoint is not None:
            step = checkpoint.step
            learner.load_state_dict(checkpoint.learner)
            source.load_state_dict(checkpoint.source)
            self.save_adapter(f"v{step + 1}")  # a kill may have come between the two
        self.wait_for_engines()  # one that cannot start is said before anything is written
        self.store.discard_after(TRAIN, step - 1)
        metrics = MetricsLog(self.run.path, step + 1, recipe.run.tensorboard)
        learning = Learning(learner, tasks, metrics, step)
        self.publish(learning)
        if checkpoint is not None:
            tasks.load_state_dict(checkpoint.sampler, checkpoint.groups, learning.version)
        return learning

    def _learner(self, probe: Sequence[int]) -> Learner:
        recipe, temperature = self.recipe, self.recipe.rollout.temperature
        if recipe.learner.ranks == 1:
            return Learner(self.policy, recipe.learner, recipe.objective, probe, temperature)
        return TeamLearner.open(
            self.policy, recipe.policy, recipe.learner, recipe.objective, probe, temperature
        )

    def _sampler(self, source: TaskSource) -> DynamicSampler:
        rollout, objective = self.recipe.rollout, self.recipe.objective
        stream = self.fleet.stream(objective.group_size, ahead=rollout.eta > 0)
        pipeline = Pipeline(source, stream)
        return DynamicSampler(
            objective,
            pipeline,
            eta=rollout.eta,
            over_issue=rollout.over_issue,
            max_failed=rollout.max_failed,
        )

    def publish(self, learning: Learning) -> None:
        """Hand the learner's policy to every engine and prove the delivery; the start is version
        1.
        """
        merged = self.fleet.transport is Transport.MERGED
        dtype = DTYPES[self.recipe.rollout.engine_dtype] if merged else None
        update = learning.learner.export(learning.version, dtype)
        self.run.record_provenance(self.fleet.engines_so_far, (update.ref,))
        self.fleet.publish(update)

    def checkpoint(self, learning: Learning) -> None:
        """Everything that the next step depends on, and the adapter in plain PEFT files."""
        pipeline = learning.tasks.pipeline
        pipeline.settle(self.on_group)
        state = Checkpoint(
            step=learning.step,
            learner=learning.learner.state_dict(),
            source=pipeline.source.state_dict(),
            policy=self.fleet.policy,
            sampler=learning.tasks.state_dict(),
            groups=tuple(pipeline.played.values()),
        )
        save_checkpoint(self.run / "state", state, self.recipe.run.keep_checkpoints)
        self.save_adapter(f"v{learning.version}")

    def save_adapter(self, name: str) -> Path:
        """The adapter as it stands, under adapters/; replaces one of a step that was run again."""
        folder = self.run / "adapters" / name
        self.policy.save_adapter(folder)
        return folder

    def validate(self, learning: Learning) -> dict[str, float]:
        """Success on the validation tasks: for curves and choices; test tasks are not looked at."""
        stage = f"val_{learning.step:04d}"
        return self.evaluate(self.validation_tasks(), stage, folder="validation").figures("val")

    def validation_tasks(self) -> list[Task]:
        """The recipe's validation tasks, the same at every step.

        Raises:
            LookupError: when the worlds have too few.
        """
        task, seed = self.recipe.task, derive_seed(self.recipe.run.seed, "validation")
        return take(task.worlds, Split.VAL, seed, task.val_tasks, task.levels)

    def evaluate(self, tasks: Sequence[Task], stage: str, folder: str = "eval") -> Evaluation:
        """Play each task once with the policy that the engines hold; rows and trajectories are
        kept.
        """
        temperature = self.recipe.eval.temperature
        seed = derive_seed(self.recipe.run.seed, "evaluation") % 2**31
        player = self.fleet.at(temperature, seed)
        with EvaluationLog(
            self.store,
            stage,
            self.fleet.policy,
            seed,
            keep=not self.recipe.run.deterministic,  # there a batch is what it is as a whole
            replace=True,  # of a step that was trained again after a kill
            before_store=self.record_players,
        ) as log:
            evaluation = evaluate_logged(player, tasks, log, temperature, self.on_group)
        write_json(self.run / folder / f"{stage}.json", evaluation.to_json())
        return evaluation


@dataclass(frozen=True, slots=True)
class OpenPolicy:
    """A locked run directory and a loaded policy with its chat, before any engine."""

    run: RunDirectory
    chat: Chat
    policy: Policy


def check_start(recipe: Recipe, resume: bool, extra_worlds: Sequence[str] = ()) -> None:
    """Refuse what shows before anything is opened or written.

    Raises:
        RecipeError: for an endpoint, on which nothing can train, and a world that may not train.
        LookupError, TypeError: for a world without the recipe's levels, or with a tool that is
            none.
        RunDirectoryError: when the directory cannot be started or resumed.
    """
    if recipe.rollout.engine == "openai":
        raise RecipeError(
            'rollout.engine = "openai": an endpoint gives no logprobs of its tokens, so nothing '
            "can train on what it plays; set rollout.engine=vllm, or use `eval` or `rollout`"
        )
    worlds, seed = recipe.task.worlds, recipe.run.seed
    verdicts = [(each, world_class(each).verdict) for each in worlds]
    refuse_untrusted(verdicts, recipe.task.allow_unaudited)
    train = GeneratedTasks(worlds, Split.TRAIN, seed, recipe.task.levels)
    tasks = [train.task(ordinal) for ordinal in range(len(worlds))]
    tasks += [GeneratedTasks([each], Split.TEST, seed).task(0) for each in extra_worlds]
    for task in tasks:
        world_class(task.env)()  # which reads its tools
    has_started(Path(recipe.run.dir), resume)


@contextmanager
def open_policy(
    recipe: Recipe,
    resume: bool,
    adapter: Path | None = None,
    extra_worlds: Sequence[str] = (),
    device: str | None = None,
) -> Iterator[OpenPolicy]:
    """Lock the run directory and load the policy; adapter: what to start from, else a fresh one.
    device: see `load_policy`.

    A start that fails before anything was written leaves no run behind; for what it raises see
    `check_start`, `RunDirectory` and `load_policy`.
    """
    check_start(recipe, resume, extra_worlds)
    _, adapter = base_and_adapter(recipe, adapter)
    chat = recipe_chat(recipe)
    conventions = conventions_of(chat, [*recipe.task.worlds, *extra_worlds])
    with RunDirectory(Path(recipe.run.dir), recipe, resume) as run:
        tune_process(recipe.learner.threads, recipe.run.deterministic)
        seed = derive_seed(recipe.run.seed, "adapter") % 2**31
        policy = load_policy(recipe.policy, conventions, adapter, seed, device)
        yield OpenPolicy(run, chat, policy)


@contextmanager
def open_session(
    recipe: Recipe, resume: bool, adapter: Path | None = None, extra_worlds: Sequence[str] = ()
) -> Iterator[Session]:
    """Open a whole run, and close it whatever happens; see `open_policy` for the arguments.

    Raises:
        RecipeError: for an engine that no fleet has.
        FleetError: when this machine is too small.
    """
    if recipe.rollout.engine == "transformers":
        raise RecipeError(
            'rollout.engine = "transformers" is for `play`, `rollout`, `eval` and `serve`; '
            "training samples with vLLM: set rollout.engine=vllm"
        )
    model, _ = base_and_adapter(recipe, adapter)
    check_fleet(recipe, model)
    worlds, home = [*recipe.task.worlds, *extra_worlds], first_home(recipe.learner)
    with open_policy(recipe, resume, adapter, extra_worlds, home) as opened:
        try_out = partial(tried, policy=opened.policy, chat=opened.chat)
        recipe = settle_transport(recipe, opened.run, try_out)
        with open_fleet(recipe, model, worlds) as fleet:
            store = TrajectoryStore(opened.run / "trajectories")
            yield Session(recipe, opened.run, opened.chat, opened.policy, fleet, store)
