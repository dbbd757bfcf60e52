"""A `trl.GRPOTrainer` that plays a world by the rules of one of our recipes.

Owns what TRL 1.16 needs beyond its public options on this stack, each with its reason:

- Tool schemas. TRL renders an environment's methods by docstring and in alphabetical order; the
  policy was taught on the world's own schemas in the world's own order, so `make_trainer` puts
  these in.
- Reading calls. TRL knows response templates by the exact text of a chat template, and refuses any
  other; ours writes turns as Qwen3 does, so it gets Qwen3's.
- vLLM without a GPU. TRL streams weights through `model.load_weights`, but vLLM's CPU build packs
  them when it has loaded them, and fails ("'Parameter' object has no attribute 'weight_loader'").
  `reload_weights` takes the same tensors.
- Limits. TRL limits a whole completion; the limit of one turn goes through `generation_kwargs`,
  that of a trajectory with its prompt is the engine's context. Without vLLM, TRL asks the model's
  own configuration for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from datasets import Dataset
from transformers import PrinterCallback, TrainerCallback
from trl import GRPOConfig, GRPOTrainer
from trl.chat_template_utils import qwen3_template

from tooldojo.configs.schema import Recipe
from tooldojo.envs.registry import world_class
from tooldojo.envs.seeding import derive_seed
from tooldojo.envs.source import GeneratedTasks
from tooldojo.envs.task import Split
from tooldojo.rollouts.chat import Chat
from tooldojo.training.players import reward_shape
from tooldojo.training.policy import Policy
from tooldojo.training.precision import autocasts
from trl_peer.environment import PlayRules, environment_class, world_rewards
from trl_peer.settings import PeerSettings

if TYPE_CHECKING:
    from trl.generation.vllm_generation import VLLMGeneration

STREAM = 1 << 16  # tasks that TRL's sampler can see; they are drawn when their turn comes


def make_rules(recipe: Recipe, chat: Chat) -> PlayRules:
    """The rules of a recipe.

    Raises:
        ValueError: for a recipe of several worlds, of which TRL's dataset would need a column.
    """
    if len(recipe.task.worlds) != 1:
        raise ValueError(f"the peer plays one world, not {', '.join(recipe.task.worlds)}")
    return PlayRules(
        world=world_class(recipe.task.worlds[0]),
        chat=chat,
        shape=reward_shape(recipe),
        max_turns=recipe.rollout.max_turns,
        invitation=qwen3_template["start_anchor"],
    )


def make_trainer(
    recipe: Recipe,
    settings: PeerSettings,
    policy: Policy,
    chat: Chat,
    folder: Path,
    steps: int,
    callbacks: Sequence[TrainerCallback] = (),
    rules: PlayRules | None = None,
) -> GRPOTrainer:
    """The trainer, ready to `train()`; it changes the policy's adapter in place.

    rules: those of the recipe by default.
    """
    rules = rules or make_rules(recipe, chat)
    chat.tokenizer.response_template = qwen3_template
    if settings.engine == "transformers":
        policy.network.config.max_position_embeddings = recipe.rollout.max_context
    trainer = GRPOTrainer(
        model=policy.model,
        reward_funcs=[world_rewards],
        args=grpo_config(recipe, settings, rules, folder, steps),
        train_dataset=task_stream(recipe, rules),
        processing_class=chat.tokenizer,
        environment_factory=environment_class(rules),
        callbacks=list(callbacks),
    )
    trainer.remove_callback(PrinterCallback)
    trainer._env_tools = {None: rules.schemas}
    if settings.engine == "vllm" and not torch.cuda.is_available():
        reload_whole_weights(trainer.vllm_generation)
    return trainer


def grpo_config(
    recipe: Recipe, settings: PeerSettings, rules: PlayRules, folder: Path, steps: int
) -> GRPOConfig:
    """The peer's settings, and the recipe's limits in TRL's words."""
    rollout, vllm = recipe.rollout, settings.engine == "vllm"
    shortest = len(rules.chat.prompt_ids(rules.world.system_prompt, rules.schemas, ""))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    turn_limit = {"max_tokens" if vllm else "max_new_tokens": rollout.max_turn_tokens}
    fixed: dict[str, Any] = {
        "output_dir": str(folder),
        "use_cpu": device == "cpu",
        "seed": derive_seed(recipe.run.seed, "trl") % 2**31,
        "bf16": autocasts(recipe.learner.autocast, device),
        "per_device_train_batch_size": settings.micro_batch,
        "gradient_accumulation_steps": settings.trajectories // settings.micro_batch,
        "num_generations": settings.group_size,
        "temperature": rollout.temperature,
        "max_tool_calling_iterations": rollout.max_turns - 1,  # the first turn is none
        "max_completion_length": rollout.max_context - shortest,
        "generation_kwargs": turn_limit,
        "use_vllm": vllm,
        "vllm_max_model_length": rollout.max_context,
        "shuffle_dataset": False,
        "max_steps": steps,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "log_level": "error",
        "dataloader_pin_memory": False,
    }
    return GRPOConfig(**{**settings.grpo, **fixed})


def task_stream(recipe: Recipe, rules: PlayRules) -> Dataset:
    """The tasks that our own loop gets, in the same order."""
    source = GeneratedTasks(recipe.task.worlds, Split.TRAIN, recipe.run.seed, recipe.task.levels)

    def rows(batch: dict[str, list[int]]) -> dict[str, list[Any]]:
        drawn = [rules.row(source.task(ordinal)) for ordinal in batch["ordinal"]]
        return {name: [row[name] for row in drawn] for name in ("prompt", "task")}

    return Dataset.from_dict({"ordinal": list(range(STREAM))}).with_transform(rows)


def reload_whole_weights(generation: VLLMGeneration) -> None:
    """Let vLLM take the merged weights by `reload_weights`; see the module's text."""

    def sync_weights() -> None:
        # Copies: TRL takes the adapter out of the weights again while vLLM may still hold some.
        merged = [(name, each.detach().clone()) for name, each in generation._iter_named_params()]
        kwargs = {"weights_iterator": iter(merged), "is_checkpoint_format": True}
        generation.llm.collective_rpc("reload_weights", kwargs=kwargs)
        generation.llm.reset_prefix_cache()

    generation.sync_weights = sync_weights
