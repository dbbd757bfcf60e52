"""Small random models and hand-made groups for the learner's tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from tooldojo.configs.schema import LearnerSection, ObjectiveSection, PolicySection
from tooldojo.envs.task import Split, Task
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.endings import ENDINGS
from tooldojo.rollouts.records import (
    EngineId,
    Group,
    PolicyRef,
    Segment,
    SpanKind,
    Timings,
    Trajectory,
    Turn,
)
from tooldojo.training.card import Conventions
from tooldojo.training.learning.learner import Learner
from tooldojo.training.policy import Policy, load_policy
from tooldojo.verifiers.records import Goal, Reward, Score, StopReason

VOCAB = 97
ARCHITECTURES = {
    "qwen3": (Qwen3Config, Qwen3ForCausalLM, {"head_dim": 16, "tie_word_embeddings": True}),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM, {"tie_word_embeddings": False}),
    "llama": (LlamaConfig, LlamaForCausalLM, {"head_dim": 16, "tie_word_embeddings": False}),
}
CONVENTIONS = Conventions("template", ("system",), "hermes", (1,))
TASK = Task("test/World-v0", "prompt", {}, Goal(answer="yes"), (), 1, Split.TRAIN)
PROBE = tuple(range(3, 27))


def write_model(folder: Path, kind: str) -> Path:
    """A random model with sharp, asymmetric weights (biases and norms too), and a word-level
    tokenizer."""
    config, model, extra = ARCHITECTURES[kind]
    sizes = {
        "hidden_size": 64,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 96,
    }
    torch.manual_seed(7)
    network = model(
        config(vocab_size=VOCAB, num_hidden_layers=2, max_position_embeddings=512, **sizes, **extra)
    )
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    network.save_pretrained(folder)
    words = Tokenizer(models.WordLevel({f"t{i}": i for i in range(VOCAB)}, unk_token="t0"))
    PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="t0", eos_token="t1", pad_token="t2"
    ).save_pretrained(folder)
    return folder


def trajectory(
    prompt: Sequence[int],
    spans: Sequence[tuple[int, bool]],
    reward: float,
    member: int,
    rng: np.random.Generator,
    stop: StopReason = StopReason.ANSWERED,
) -> Trajectory:
    """A trajectory of one segment: the prompt, then spans of (length, sampled?) with random ids and
    old logprobs. A sampled span is a turn; all but the last are calls, and in odd members the first
    one is bad."""
    sampled = np.array(
        [False] * len(prompt) + [kind for length, kind in spans for _ in range(length)]
    )
    ids = np.concatenate([np.array(prompt), rng.integers(3, VOCAB, len(sampled) - len(prompt))])
    old = np.where(sampled, -4.5 + 0.3 * rng.standard_normal(len(ids)), np.nan)
    turns = turns_of(sampled)
    kinds = np.where(sampled, SpanKind.ANSWER, SpanKind.OBSERVATION).astype(np.uint8)
    for turn in turns[:-1]:
        kinds[turn.start : turn.end] = SpanKind.CALL
    segment = Segment(
        ids_T=ids.astype(np.int32),
        kinds_T=kinds,
        call_T=np.where(kinds == SpanKind.CALL, 0, -1).astype(np.int16),
        logprobs_T=old.astype(np.float32),
        versions_T=np.where(sampled, 0, -1).astype(np.int32),
        turns=turns,
    )
    ending, error = ENDINGS[stop], -0.05 * (member % 2)
    rewards = np.zeros(len(turns))
    rewards[:1] += error
    rewards[-1:] += reward - error
    parts = {"success": reward - error, "call_error": error}
    return Trajectory(
        task_id=TASK.id,
        env=TASK.env,
        ordinal=0,
        member=member,
        attempt=0,
        seed=0,
        segments=(segment,),
        ending=ending,
        score=Score(reward > 0.5, reward, {}) if ending.trains else None,
        reward=Reward(reward, tuple(rewards.tolist()), parts) if ending.trains else None,
        evidence=None,
        hashes=("start", *(f"{member % 2}.{turn.index}" for turn in turns)),
        engine=EngineId("engine", "scripted", 0, "node"),
        policy=PolicyRef("policy", 0, "base"),
        prompt_tokens=len(prompt),
        seconds=0.1,
    )


def turns_of(sampled: np.ndarray) -> tuple[Turn, ...]:
    """Runs of sampled tokens as turns."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], sampled.astype(np.int8), [0]])))
    nothing = Timings(0, 0, 0)
    return tuple(
        Turn(index, int(start), int(end), "", 0, None, "stop", nothing)
        for index, (start, end) in enumerate(edges.reshape(-1, 2))
    )


def groups(count: int = 3, size: int = 4, prompt: int = 21, seed: int = 0) -> list[Group]:
    """Groups whose members differ in length, turns and reward; some start with sampled tokens, some
    do not."""
    rng = np.random.default_rng(seed)
    made = []
    for ordinal in range(count):
        shared = rng.integers(3, VOCAB, prompt + ordinal).tolist()
        members = []
        for member in range(size):
            spans = [
                (int(rng.integers(1, 6)), bool((member + i) % 2 == 0))
                for i in range(5 - member % 3)
            ]
            members.append(trajectory(shared, spans, float(rng.random()), member, rng))
        made.append(Group(ordinal, TASK, tuple(members)))
    return made


@pytest.fixture(scope="session")
def model_folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Architecture -> directory of a small random model, written once."""
    made: dict[str, Path] = {}

    def folder(kind: str) -> Path:
        if kind not in made:
            made[kind] = write_model(tmp_path_factory.mktemp(kind), kind)
        return made[kind]

    return folder


@pytest.fixture
def make_policy(model_folders: Callable[[str], Path]) -> Callable[..., Policy]:
    """Architecture -> a policy whose adapter already does something (B is not 0)."""

    def make(kind: str = "qwen3", **keys: object) -> Policy:
        section = PolicySection.model_validate(
            {"model": str(model_folders(kind)), "lora_rank": 4, "lora_alpha": 8, **keys}
        )
        policy = load_policy(section, CONVENTIONS, seed=3)
        generator = torch.Generator().manual_seed(5)
        with torch.no_grad():
            for linear in policy.linears:
                linear.b.copy_(0.1 * torch.randn(linear.b.shape, generator=generator))
        return policy

    return make


@pytest.fixture
def make_learner(make_policy: Callable[..., Policy]) -> Callable[..., Learner]:
    """Keys of the learner's and the objective's section, told apart by name; fp32 unless asked
    otherwise."""

    def make(kind: str = "qwen3", policy: Policy | None = None, **keys: object) -> Learner:
        mine = {k: v for k, v in keys.items() if k in LearnerSection.model_fields}
        theirs = {k: v for k, v in keys.items() if k in ObjectiveSection.model_fields}
        assert len(mine) + len(theirs) == len(keys), f"unknown keys among {sorted(keys)}"
        learner = LearnerSection.model_validate(
            {"autocast": "off", "threads": 1, "warmup_steps": 0, **mine}
        )
        return Learner(
            policy or make_policy(kind), learner, ObjectiveSection.model_validate(theirs), PROBE
        )

    return make


@pytest.fixture(name="make_trajectory")
def _make_trajectory() -> Callable[..., Trajectory]:
    return trajectory


@pytest.fixture(name="make_groups")
def _make_groups() -> Callable[..., list[Group]]:
    return groups


@pytest.fixture
def small_model(small_chat: Chat, tmp_path: Path) -> Path:
    """A random model of two layers with the small chat's tokenizer."""
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(small_chat.tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=4096,
    )
    folder = tmp_path / "model"
    Qwen3ForCausalLM(config).save_pretrained(folder)
    small_chat.tokenizer.save_pretrained(folder)
    return folder
