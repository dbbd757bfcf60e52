"""The typed schema of a recipe: one TOML file, sections as below, every key with a vetted default.

Refuses unknown keys. A function takes its section, never the whole recipe.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """Frozen, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class TaskSection(Section):
    """Which tasks."""

    worlds: tuple[str, ...] = ("tooldojo/Orders-v0",)
    levels: tuple[int, ...] = ()
    """Empty: all levels of each world, in equal shares."""
    demos: Positive = 300
    """Verified gold demonstrations for the SFT warm start."""
    val_tasks: Positive = 96


class PolicySection(Section):
    """Which model, and its adapter."""

    model: str = "default"
    """`default` (ships with the package), a directory, or a Hugging Face id."""
    call_format: Literal["hermes", "llama3"] = "hermes"
    dtype: Literal["float32", "bfloat16"] = "float32"
    quantization: Literal["none", "nf4"] = "none"
    lora_rank: Positive = 32
    lora_alpha: Positive = 64
    lora_dropout: Share = 0.0


class SftSection(Section):
    """The warm start on demonstrations."""

    epochs: Annotated[float, Field(gt=0)] = 6.0
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    batch_size: Positive = 16
    rehearsal: Share = 0.1
    """Share of base-corpus documents mixed in against forgetting; 0 for models without a corpus."""
    eval_every: Positive = 40
    """Optimiser steps between evaluations of the validation loss; the best checkpoint is kept."""


class RolloutSection(Section):
    """How trajectories are played."""

    engine: Literal["vllm", "transformers"] = "vllm"
    workers: Positive = 1
    transport: Literal["auto", "merged", "adapter"] = "auto"
    eta: Annotated[int, Field(ge=0)] = 0
    """Allowed staleness in policy versions; 0 is exactly on-policy."""
    max_inflight: Positive = 128
    temperature: Annotated[float, Field(gt=0)] = 1.0
    max_turns: Positive = 8
    max_turn_tokens: Positive = 96
    max_context: Positive = 1024
    max_malformed: Positive = 3
    engine_dtype: Literal["float32", "bfloat16"] = "float32"
    enforce_eager: bool = True
    tensor_parallel: Positive = 1
    gpus_per_worker: Annotated[float, Field(ge=0)] = 0.0
    kv_cache_gib: Annotated[float, Field(gt=0)] = 1.0
    deadline: Annotated[float, Field(gt=0)] = 120.0
    """Seconds of wall clock for one engine answer or one tool call."""


class LearnerSection(Section):
    """The optimiser and its memory."""

    steps: Positive = 30
    learning_rate: Annotated[float, Field(gt=0)] = 2e-4
    warmup_steps: Annotated[int, Field(ge=0)] = 2
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    minibatches: Positive = 1
    """Optimiser steps per batch of groups; 1 keeps the update exactly on-policy."""
    tokens_per_microbatch: Positive = 16384
    autocast: Literal["off", "bfloat16"] = "bfloat16"
    threads: Annotated[int, Field(ge=0)] = 0
    """Torch threads; 0 takes all cores."""


class ObjectiveSection(Section):
    """Advantage, loss and reward shaping."""

    groups: Positive = 16
    """Groups with a learning signal per step."""
    group_size: Annotated[int, Field(ge=2)] = 8
    advantage: Literal["grpo", "dr_grpo", "rloo"] = "grpo"
    aggregation: Literal["token_mean", "sequence_mean", "constant"] = "token_mean"
    constant_length: Positive = 512
    """Tokens by which `constant` divides each trajectory's sum."""
    clip_low: Annotated[float, Field(gt=0)] = 0.2
    clip_high: Annotated[float, Field(gt=0)] = 0.28
    kl_coef: Annotated[float, Field(ge=0)] = 0.0
    dynamic_sampling: bool = True
    """Replace groups whose rewards are all equal by further groups, within `max_oversampling`."""
    max_oversampling: Annotated[float, Field(ge=1)] = 3.0
    call_error_penalty: Annotated[float, Field(ge=0)] = 0.05
    truncated_penalty: Annotated[float, Field(ge=0)] = 0.0


class EvalSection(Section):
    """Held-out evaluation."""

    tasks: Positive = 300
    temperature: Annotated[float, Field(ge=0)] = 0.0
    every: Annotated[int, Field(ge=0)] = 10
    """Learner steps between validations; 0 switches them off."""
    transfer_worlds: tuple[str, ...] = ()
    transfer_tasks: Positive = 100


class RunSection(Section):
    """Where, and under which seed."""

    dir: str = "runs/run"
    seed: Annotated[int, Field(ge=0)] = 0
    checkpoint_every: Positive = 5
    keep_checkpoints: Positive = 2
    deterministic: bool = False
    tensorboard: bool = True


class Recipe(Section):
    """A whole recipe."""

    task: TaskSection = TaskSection()
    policy: PolicySection = PolicySection()
    sft: SftSection = SftSection()
    rollout: RolloutSection = RolloutSection()
    learner: LearnerSection = LearnerSection()
    objective: ObjectiveSection = ObjectiveSection()
    eval: EvalSection = EvalSection()
    run: RunSection = RunSection()
