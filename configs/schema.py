"""The typed schema of a recipe: one TOML file, sections as below, every key with a vetted default.

Refuses unknown keys. A function takes its section, never the whole recipe.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tooldojo.configs.methods import filled

Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(gt=0, le=1)]  # of AdamW, whose steps are as long as its rate
Epochs = Annotated[float, Field(gt=0, le=1000)]  # all of them are laid out row by row
Seconds = Annotated[float, Field(gt=0, le=86_400)]  # operating systems wait for no century
Name = Annotated[str, Field(min_length=1)]
Autocast = Literal["auto", "off", "bfloat16"]
Levels = Annotated[tuple[int, ...], Field(strict=False)]  # not strict: TOML has lists, no tuples
Worlds = Annotated[tuple[str, ...], Field(strict=False)]


class Section(BaseModel):
    """Frozen, and strict about unknown keys and types; every float is finite."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


class TaskSection(Section):
    """Which tasks."""

    worlds: Annotated[Worlds, Field(min_length=1)] = ("tooldojo/Orders-v0",)
    """Ids, `module:Class` or `file.py:Class`; they take turns."""
    levels: Levels = ()
    """Empty: all levels of each world, in equal shares."""
    curriculum: Literal["uniform", "learnable", "selfplay"] = "uniform"
    """How training tasks are drawn: all alike, rather those whose groups have disagreed, or also
    new ones made of those that were solved."""
    demos: Positive = 300
    """Verified gold demonstrations for the SFT warm start."""
    allow_unaudited: bool = False
    """Train on imported worlds too, whose verifiers others wrote; blocked ones stay refused."""
    val_tasks: Positive = 96
    """Validation tasks, played every `eval.every` steps; the choice of checkpoints may use them."""


class PolicySection(Section):
    """Which model, and its adapter."""

    model: Name = "default"
    """`default` (ships with the package), a directory, also of an adapter, or a Hugging Face id."""
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
    lora_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """In SFT only; what is sampled is sampled without."""


class SftSection(Section):
    """The warm start on demonstrations."""

    epochs: Epochs = 6.0
    """Passes over the demonstrations."""
    learning_rate: Rate = 1e-3
    """Peak rate; cosine schedule after a short warm-up."""
    batch_size: Positive = 16
    """Demonstrations per optimiser step."""
    rehearsal: Share = 0.1
    """Share of base-corpus documents mixed in against forgetting; 0 for models without a corpus."""
    eval_every: Positive = 40
    """Optimiser steps between evaluations of the validation loss; the best checkpoint is kept."""
    autocast: Autocast = "auto"
    """Of matrix products, as `learner.autocast`."""


class PreferenceSection(Section):
    """DPO, KTO and the reward model, on comparisons."""

    epochs: Epochs = 3.0
    """Passes over the comparisons."""
    learning_rate: Rate = 2e-4
    """Peak rate; cosine schedule after a short warm-up."""
    batch_size: Annotated[int, Field(ge=2)] = 8
    """Pairs per optimiser step; of KTO, single trajectories."""
    eval_every: Positive = 20
    """Optimiser steps between losses on held-out comparisons; the best checkpoint is kept."""
    autocast: Autocast = "auto"
    """Of matrix products, as `learner.autocast`."""
    beta: Annotated[float, Field(gt=0)] = 0.1
    """Of DPO and KTO: how strongly the policy is held to the one that training started from."""
    pairs_per_task: Positive = 4
    """Of a task's successes and failures, at most so many pairs."""
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of the tasks whose comparisons never train; accuracy is measured on them."""


class RolloutSection(Section):
    """How trajectories are played."""

    user: str = ""
    """Who answers in worlds with a user, instead of their scripted one: `module:function` or
    `file.py:function`, from chat messages to text; see docs/worlds.md."""
    engine: Literal["vllm", "transformers", "openai"] = "vllm"
    """What samples: vLLM; transformers (`play`, `rollout`, `eval` and `serve` only); or the
    endpoint of the section `endpoint` (`rollout` and `eval` only)."""
    workers: Positive = 1
    """Engines, each in a Ray actor of its own."""
    transport: Literal["auto", "measured", "merged", "adapter"] = "auto"
    """How a new policy reaches the engines; auto is adapter on GPUs, merged weights on CPUs. With
    measured, a run that trains tries both first, and takes the faster one."""
    eta: Annotated[int, Field(ge=0)] = 0
    """Allowed staleness in policy versions: engines play on while the learner updates, up to this
    many batches ahead. 0 is exactly on-policy."""
    over_issue: Share = 0.0
    """Share of a batch by which playing may run further ahead, to fill engines in a long tail;
    the bound on staleness stays. Needs `eta` of 1 or more."""
    max_failed: Share = 0.5
    """A step ends the run when more than this share of its trajectories has no verdict."""
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
    deadline: Seconds = 120.0
    """Seconds of wall clock for one engine answer or one tool call."""


class EndpointSection(Section):
    """An OpenAI-compatible endpoint that plays (`rollout.engine = "openai"`); `policy.model` then
    only names the tokenizer in whose tokens its trajectories are stored."""

    url: str = ""
    """Up to the version, say `http://localhost:8000/v1`."""
    model: str = ""
    """As the endpoint calls it."""
    key_variable: str = "OPENAI_API_KEY"
    """The environment variable that holds the key; local servers need none."""
    max_turn_tokens: Positive = 1024
    """Of one answer, in the endpoint's own tokens; stands for `rollout.max_turn_tokens`."""
    timeout: Seconds = 60.0
    """Seconds for one request."""
    retries: Annotated[int, Field(ge=0)] = 4
    """Of one request after a time-out, a refused connection, status 429 or 5xx; the waits in
    between double, or are what the endpoint asks for."""
    patience: Seconds = 600.0
    """Seconds for one answer with all retries and waits; stands for `rollout.deadline`."""
    requests_per_minute: Annotated[int, Field(ge=0)] = 0
    """Requests are spread out so that there are no more; 0 sets no limit. So few trajectories play
    at once that none waits longer than half of `patience` for its request."""
    input_price: Annotated[float, Field(ge=0)] = 0.0
    """US dollars per million tokens read."""
    output_price: Annotated[float, Field(ge=0)] = 0.0
    """US dollars per million tokens written."""
    budget: Annotated[float, Field(ge=0)] = 0.0
    """US dollars at these prices, after which nothing more is asked and the command ends; 0 sets no
    limit. Answers under way are still paid for."""
    leave_out: Annotated[tuple[Literal["seed", "temperature"], ...], Field(strict=False)] = ()
    """Fields that the endpoint does not take."""


class LearnerSection(Section):
    """The optimiser and its memory."""

    steps: Positive = 30
    """Steps of the whole run; each samples, updates and publishes once."""
    learning_rate: Rate = 2e-4
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
    autocast: Autocast = "auto"
    """Of the learner's matrix products; auto takes bfloat16 where the device computes in it."""
    threads: Annotated[int, Field(ge=0)] = 0
    """Torch threads; 0 takes all cores."""
    critic_learning_rate: Rate = 1e-3
    """Of the critic's own AdamW; only with `objective.advantage = "gae"`."""
    ranks: Positive = 1
    """Processes that share every update, each with a copy of the adapter."""
    shard_base: bool = False
    """Spread the frozen base over the ranks (FSDP2), for one that does not fit a device."""


class ObjectiveSection(Section):
    """Advantage, loss and reward shaping; docs/objectives.md has the equations."""

    method: Literal[
        "dapo",
        "grpo",
        "dr_grpo",
        "gspo",
        "luspo",
        "cispo",
        "sapo",
        "vespo",
        "rloo",
        "reinforce_pp",
        "reinforce_pp_baseline",
        "psr",
        "nsr",
        "w_reinforce",
        "turn_grpo",
        "gigpo",
        "toolpo",
        "ppo",
        "turn_ppo",
    ] = "dapo"
    """A published method: fills in the keys below that the recipe leaves out."""
    groups: Positive = 16
    """Groups with a learning signal per step."""
    group_size: Annotated[int, Field(ge=2)] = 8
    """Trajectories per task."""
    advantage: Literal[
        "grpo", "dr_grpo", "rloo", "reinforce", "reinforce_pp", "reinforce_pp_baseline", "gae"
    ] = "grpo"
    """How rewards become advantages: by the group, by the whole batch, or with a critic (`gae`)."""
    credit: Literal["trajectory", "turn", "state", "tool", "token"] = "trajectory"
    """What gets an advantage of its own: the trajectory; each turn, from the rewards to come; each
    turn besides, against others taken in the same state; tool calls, from the penalties for bad
    ones; each token (`gae` only)."""
    discount: Share = 1.0
    """Of rewards to come, per turn or token of `credit`."""
    positive_weight: Annotated[float, Field(ge=0)] = 1.0
    """Factor on positive advantages."""
    negative_weight: Annotated[float, Field(ge=0)] = 1.0
    """Factor on negative advantages."""
    loss: Literal["clip", "gspo", "cispo", "sapo", "vespo", "trajectory_clip"] = "clip"
    """The policy's loss per token."""
    aggregation: Literal["token_mean", "sequence_mean", "constant"] = "token_mean"
    """How token losses become one loss."""
    constant_length: Positive = 512
    """Tokens by which `constant` divides each trajectory's sum."""
    clip_low: Annotated[float, Field(gt=0)] = 0.2
    """The ratio is clipped below at 1 - this."""
    clip_high: Annotated[float, Field(gt=0)] = 0.28
    """The ratio is clipped above at 1 + this."""
    dual_clip: Annotated[float, Field(ge=0)] = 0.0
    """Bound on the ratio where the advantage is negative; 0 is none."""
    proximal: Literal["sampler", "learner"] = "sampler"
    """Whose logprobs the ratio is taken against: the sampler's, or the learner's before the update
    (decoupled loss; for staleness above 1, or engines whose numbers differ)."""
    correction: Literal[
        "none", "token_truncate", "token_mask", "sequence_truncate", "sequence_mask"
    ] = "none"
    """Weight of learner / sampler probabilities on the loss, truncated above, or masked outside
    [1/max, max], per token or over the trajectory."""
    correction_max: Annotated[float, Field(gt=1)] = 2.0
    """The bound of `correction`."""
    kl_coef: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the KL penalty towards the policy that training started from."""
    kl: Literal["k1", "k2", "k3", "reward"] = "k3"
    """How the penalty enters: as a loss term by one of three estimators, or in the reward."""
    entropy_coef: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the entropy bonus."""
    gae_lambda: Share = 0.95
    """Of generalised advantage estimation."""
    value_clip: Annotated[float, Field(gt=0)] = 0.2
    """How far the critic's values may move in an update before its loss stops improving."""
    dynamic_sampling: bool = True
    """Replace groups whose rewards are all equal by further groups, within `max_oversampling`."""
    max_oversampling: Annotated[float, Field(ge=1)] = 3.0
    """At most this many times `groups` are played for a step."""
    call_error_penalty: Annotated[float, Field(ge=0)] = 0.05
    """Subtracted from the reward per malformed, unknown or invalid call."""
    truncated_penalty: Annotated[float, Field(ge=0)] = 0.0
    """Subtracted once when a limit ended the trajectory."""
    mask_truncated: bool = False
    """Trajectories that a limit ended count in baselines, but their tokens do not train."""
    overlong_length: Annotated[int, Field(ge=0)] = 0
    """Sampled tokens at which a trajectory has lost 1 reward for its length; 0 switches it off."""
    overlong_buffer: Annotated[int, Field(ge=0)] = 0
    """Tokens before `overlong_length` over which that loss grows from 0."""
    reward_weights: dict[str, float] = {}
    """Weights of named components in the reward: `success` (1), those of the worlds' verifiers (0),
    the worlds' own rewards, `tool_selection`, `argument_accuracy` and `call_form` (0)."""
    judge: str = ""
    """Who answers judged components: `module:function` or `file.py:function`; see
    docs/rewards.md."""

    @model_validator(mode="before")
    @classmethod
    def _of_method(cls, given: Any) -> Any:
        return filled(given) if isinstance(given, dict) else given


class EvalSection(Section):
    """Held-out evaluation."""

    tasks: Positive = 300
    """Held-out tasks of the test split; the harder splits get a quarter as many each."""
    temperature: Annotated[float, Field(ge=0)] = 0.0
    """0 takes the most likely token."""
    every: Annotated[int, Field(ge=0)] = 10
    """Learner steps between validations; 0 switches them off."""
    transfer_worlds: Worlds = ()
    """Worlds to evaluate on without ever training on them."""
    transfer_tasks: Positive = 100
    """Tasks in all transfer worlds together."""


class RunSection(Section):
    """Where, and under which seed."""

    dir: Name = "runs/run"
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
    address: str = ""
    """A running Ray cluster, `host:port`, for rollout workers and further learner ranks; empty:
    that of the variable RAY_ADDRESS, or without it a Ray on this machine for this run alone."""


class Recipe(Section):
    """A whole recipe."""

    task: TaskSection = TaskSection()
    policy: PolicySection = PolicySection()
    sft: SftSection = SftSection()
    preference: PreferenceSection = PreferenceSection()
    rollout: RolloutSection = RolloutSection()
    endpoint: EndpointSection = EndpointSection()
    learner: LearnerSection = LearnerSection()
    objective: ObjectiveSection = ObjectiveSection()
    eval: EvalSection = EvalSection()
    run: RunSection = RunSection()
