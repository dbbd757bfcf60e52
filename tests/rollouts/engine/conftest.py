"""A small random model with a real tokenizer, LoRA versions of it, and engines to play them on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.utils import get_peft_model_state_dict
from safetensors.torch import save
from transformers import Qwen3Config, Qwen3ForCausalLM

from tooldojo.envs.source import take
from tooldojo.envs.task import Split, Task
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.engine import EngineSpec, VllmSampler, environment
from tooldojo.rollouts.publish import BASE, Transport, digest_of
from tooldojo.rollouts.records import PolicyRef
from tooldojo.rollouts.sampler import SampleRequest, SamplingSpec
from tooldojo.rollouts.updates import PolicyUpdate, Probe

WORLD = '''
from random import Random
from tooldojo.envs.draft import Draft, call, steps
from tooldojo.envs.tools import tool
from tooldojo.envs.world import World


class Bulbs(World):
    """One lamp."""

    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        word = str(rng.randint(0, 10**6))
        return Draft(f"Name it {word}.", {"name": ""}, steps(call("name", word=word), say=word))

    @tool(mutates=True)
    def name(self, word: str) -> str:
        """Name the lamp."""
        self.state["name"] = word
        return word
'''
LORA = LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM")
STEP = 2e-4  # one Adam step moves every LoRA weight by about the learning rate


@dataclass(frozen=True)
class Lab:
    """The model on disk, its context, and a user's world in a file."""

    path: Path
    world: str
    vocab: int

    def model(self) -> Qwen3ForCausalLM:
        return Qwen3ForCausalLM.from_pretrained(self.path, dtype=torch.float32).eval()

    def ids(self, seed: int, length: int) -> tuple[int, ...]:
        generator = torch.Generator().manual_seed(seed)
        return tuple(torch.randint(20, self.vocab, (length,), generator=generator).tolist())

    def request(self, key: int, ids: Sequence[int], **about: object) -> SampleRequest:
        settings = {
            "temperature": 1.0,
            "max_tokens": 24,
            "stop_ids": (),
            "policy": BASE,
            "seed": key,
        }
        settings |= about
        sampling = SamplingSpec(*(settings[k] for k in ("temperature", "max_tokens", "stop_ids")))
        seed, policy = settings["seed"], settings["policy"]
        return SampleRequest(f"r{key}", ids, sampling, seed, policy, self.task, 0, ())

    @property
    def task(self) -> Task:
        return take([self.world], Split.TRAIN, 0, 1)[0]


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory, chat: Chat) -> Lab:
    path = tmp_path_factory.mktemp("lab")
    (path / "bulbs.py").write_text(WORLD)
    vocab = len(chat.tokenizer)
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=vocab,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=32,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        initializer_range=0.15,  # sharp enough that greedy decoding has no near ties
        bos_token_id=None,
        eos_token_id=chat.tokenizer.convert_tokens_to_ids(str(chat.tokenizer.eos_token)),
    )
    Qwen3ForCausalLM(config).save_pretrained(path / "model")
    chat.tokenizer.save_pretrained(path / "model")
    return Lab(path / "model", f"{path / 'bulbs.py'}:Bulbs", vocab)


@pytest.fixture(scope="session")
def start(lab: Lab) -> Callable[..., AbstractContextManager[VllmSampler]]:
    """`start(transport, ...)`: an engine for the time of a `with`."""

    @contextmanager
    def begin(transport: Transport, **settings: object) -> Iterator[VllmSampler]:
        wanted = {"kv_cache_gib": 0.25, "lora_rank": 8, "max_inflight": 32} | settings
        spec = EngineSpec(str(lab.path), transport=transport, **wanted)  # type: ignore[arg-type]
        os.environ.update(environment(spec))
        sampler = VllmSampler(spec)
        try:
            yield sampler
        finally:
            sampler.close()

    return begin


class Learner:
    """LoRA on the lab's model: each version is one Adam step of size `STEP` from the one before."""

    def __init__(self, lab: Lab) -> None:
        torch.manual_seed(1)
        self.model: PeftModel = get_peft_model(lab.model(), LORA)  # type: ignore[assignment]
        weights = [p for p in self.model.parameters() if p.requires_grad]
        self.optimiser = torch.optim.Adam(weights, lr=STEP)
        self.probe, self.before, self.version = lab.ids(9, 64), None, 0

    def logprobs(self, ids: Sequence[int]) -> tuple[float, ...]:
        with torch.no_grad():
            scores = self.model(torch.tensor([ids])).logits[0, :-1].log_softmax(-1)
        return tuple(scores.gather(1, torch.tensor(ids[1:])[:, None])[:, 0].tolist())

    def step(self) -> PolicyUpdate:
        ids = torch.tensor([self.probe])
        self.optimiser.zero_grad()
        self.model(ids, labels=ids).loss.backward()
        self.optimiser.step()
        self.version += 1
        adapter = {k: t.clone() for k, t in get_peft_model_state_dict(self.model).items()}
        self.model.merge_adapter()
        state = self.model.get_base_model().state_dict()
        merged = {
            k.replace(".base_layer", ""): t.clone() for k, t in state.items() if "base_layer" in k
        }
        self.model.unmerge_adapter()
        now = self.logprobs(self.probe)
        probe, self.before = Probe(self.probe, now, self.before), now
        config = {**LORA.to_dict(), "base_model_name_or_path": "lab"}
        plain = {k: sorted(v) if isinstance(v, set) else v for k, v in config.items()}
        return PolicyUpdate(
            PolicyRef("policy", self.version, digest_of(adapter)),
            save(adapter),
            json.dumps(plain, default=str),
            save(merged),
            digest_of(merged),
            probe,
        )


@pytest.fixture
def learner(lab: Lab) -> Learner:
    return Learner(lab)


def forward_logprobs(model: torch.nn.Module, ids: Sequence[int]) -> np.ndarray:
    """Logprobs of ids[1:] by a plain forward pass."""
    with torch.no_grad():
        scores = model(torch.tensor([list(ids)])).logits[0, :-1].log_softmax(-1)
    return scores.gather(1, torch.tensor(list(ids[1:]))[:, None])[:, 0].numpy()


@pytest.fixture(scope="session")
def forward() -> Callable[[torch.nn.Module, Sequence[int]], np.ndarray]:
    return forward_logprobs
