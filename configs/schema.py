"""The typed schema of a recipe: one TOML file, sections as below, every key with a vetted default.

Refuses unknown keys. A function takes its section, never the whole recipe.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[int, Field(gt=0)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """Frozen, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class TaskSection(Section):
    """Which tasks."""

    worlds: tuple[str, ...] = ("tooldojo/Orders-v0",)
    """Ids, `module:Class` or `file.py:Class`; they take turns."""
    levels: tuple[int, ...] = ()
    """Empty: all levels of each world, in equal shares."""
    curriculum: Literal["uniform", "learnable"] = "uniform"
    """How training tasks are drawn: all alike, or rather those whose groups have disagreed."""
    demos: Positive = 300
    """Verified gold demonstrations for the SFT warm start."""
    val_tasks: Positive = 96
    """Validation tasks, played every `eval.every` steps; the choice of checkpoints may use them."""


class PolicySection(Section):
    """Which model, and its adapter."""

    model: str = "default"
    """`default` (ships with the package), a directory, or a Hugging Face id."""
    call_format: Literal["hermes", "llama3"] = "hermes"
    """How calls are written: what the model's chat template writes."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Of the base model's weights in the learner; the adapter is always float32."""
    quantization: Literal["none", "nf4"] = "none"
    """4-bit base weights (QLoRA); needs CUDA and bitsandbytes."""
    lora_rank: Positive = 32
    """Rank of the adapter on every linear layer."""
    lora_alpha: Positive = 64
    """Scale of the adapter: its product is multiplied by alpha / rank."""
    lora_dropout: Share = 0.0
    """In SFT only; what is sampled is sampled without."""


class SftSection(Section):
    """The warm start on demonstrations."""

    epochs: Annotated[float, Field(gt=0)] = 6.0
    """Passes over the demonstrations."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """Peak rate; cosine schedule after a short warm-up."""
    batch_size: Positive = 16
    """Demonstrations per optimiser step."""
    rehearsal: Share = 0.1
    """Share of base-corpus documents mixed in against forgetting; 0 for models without a corpus."""
    eval_every: Positive = 40
    """Optimiser steps between evaluations of the validation loss; the best checkpoint is kept."""


class RolloutSection(Section):
    """How trajectories are played."""

    engine: Literal["vllm", "transformers"] = "vllm"
    """What samples: vLLM, or transformers where vLLM is missing."""
    workers: Positive = 1
    """Engines, each in a Ray actor of its own."""
    transport: Literal["auto", "merged", "adapter"] = "auto"
    """How a new policy reaches the engines; auto is adapter on GPUs, merged weights on CPUs."""
    eta: Annotated[int, Field(ge=0)] = 0
    """Allowed staleness in policy versions; 0 is exactly on-policy."""
    max_inflight: Positive = 128
    """Trajectories under way at once, over all workers."""
    temperature: Annotated[float, Field(gt=0)] = 1.0
    """Of sampling in training; evaluation has its own."""
    max_turns: Positive = 8
    """Assistant turns before a trajectory is cut off and judged as it stands."""
    max_turn_tokens: Positive = 128
    """Sampled tokens per turn, likewise."""
    max_context: Positive = 1408
    """Tokens of a whole trajectory, prompt included, likewise."""
    max_malformed: Positive = 3
    """Malformed turns that are forgiven, likewise."""
    engine_dtype: Literal["float32", "bfloat16"] = "float32"
    """Of the engine's weights and arithmetic."""
    enforce_eager: bool = True
    """No compilation in vLLM: starts in half the time, samples slower."""
    tensor_parallel: Positive = 1
    """GPUs that one engine spreads over."""
    gpus_per_worker: Annotated[float, Field(ge=0)] = 0.0
    """GPUs reserved for each worker; a fraction shares one."""
    kv_cache_gib: Annotated[float, Field(gt=0)] = 2.0
    """Memory of an engine's key-value cache, in GiB."""
    deadline: Annotated[float, Field(gt=0)] = 120.0
    """Seconds of wall clock for one engine answer or one tool call."""


class LearnerSection(Section):
    """The optimiser and its memory."""

    steps: Positive = 30
    """Steps of the whole run; each samples, updates and publishes once."""
    learning_rate: Annotated[float, Field(gt=0)] = 2e-4
    """Of AdamW, constant after the warm-up."""
    warmup_steps: Annotated[int, Field(ge=0)] = 2
    """Steps of linear warm-up."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Decoupled, on the adapter's factors."""
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    """Gradients are scaled down to this norm."""
    minibatches: Positive = 1
    """Optimiser steps per batch of groups; 1 keeps the update exactly on-policy."""
    tokens_per_microbatch: Positive = 16384
    """Packed tokens per forward pass; bounds memory, never changes the update."""
    autocast: Literal["off", "bfloat16"] = "bfloat16"
    """Precision of the learner's matrix products."""
    threads: Annotated[int, Field(ge=0)] = 0
    """Torch threads; 0 takes all cores."""


class ObjectiveSection(Section):
    """Advantage, loss and reward shaping."""

    groups: Positive = 16
    """Groups with a learning signal per step."""
    group_size: Annotated[int, Field(ge=2)] = 8
    """Trajectories per task."""
    advantage: Literal["grpo", "dr_grpo", "rloo"] = "grpo"
    """How rewards of a group become advantages."""
    aggregation: Literal["token_mean", "sequence_mean", "constant"] = "token_mean"
    """How token losses become one loss."""
    constant_length: Positive = 512
    """Tokens by which `constant` divides each trajectory's sum."""
    clip_low: Annotated[float, Field(gt=0)] = 0.2
    """The ratio is clipped below at 1 - this."""
    clip_high: Annotated[float, Field(gt=0)] = 0.28
    """The ratio is clipped above at 1 + this."""
    kl_coef: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the KL penalty towards the policy that training started from."""
    dynamic_sampling: bool = True
    """Replace groups whose rewards are all equal by further groups, within `max_oversampling`."""
    max_oversampling: Annotated[float, Field(ge=1)] = 3.0
    """At most this many times `groups` are played for a step."""
    call_error_penalty: Annotated[float, Field(ge=0)] = 0.05
    """Subtracted from the reward per malformed, unknown or invalid call."""
    truncated_penalty: Annotated[float, Field(ge=0)] = 0.0
    """Subtracted once when a limit ended the trajectory."""
    reward_weights: dict[str, Finite] = {}
    """Weights of named components in the reward: `success` (1), those of the worlds' verifiers (0),
    the worlds' own rewards, `tool_selection`, `argument_accuracy` and `call_form` (0)."""
    judge: str = ""
    """Who answers judged components: `module:function` or `file.py:function`; see
    docs/rewards.md."""


class EvalSection(Section):
    """Held-out evaluation."""

    tasks: Positive = 300
    """Held-out tasks of the test split; the harder splits get half as many each."""
    temperature: Annotated[float, Field(ge=0)] = 0.0
    """0 takes the most likely token."""
    every: Annotated[int, Field(ge=0)] = 10
    """Learner steps between validations; 0 switches them off."""
    transfer_worlds: tuple[str, ...] = ()
    """Worlds to evaluate on without ever training on them."""
    transfer_tasks: Positive = 100
    """Tasks in all transfer worlds together."""


class RunSection(Section):
    """Where, and under which seed."""

    dir: str = "runs/run"
    """Where everything about the run is written; never overwritten."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Tasks, sampling, initial adapter and order of data derive from it."""
    checkpoint_every: Positive = 5
    """Steps between checkpoints that `--resume` can go on from."""
    keep_checkpoints: Positive = 2
    """Older ones are deleted."""
    deterministic: bool = False
    """Bit-equal reruns and resumes on one machine: float32, one engine, one thread unless
    `learner.threads` says more, one order; slower. Keys that it cannot honour are refused."""
    tensorboard: bool = True
    """Write TensorBoard files beside metrics.jsonl."""


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
