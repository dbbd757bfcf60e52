"""Small tokenizers with real chat templates, and a small world that can be made to fail."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random

import pytest
import trl
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from tooldojo.envs.draft import Draft, call, steps
from tooldojo.envs.registry import register
from tooldojo.envs.task import Split, Task
from tooldojo.envs.tools import ToolError, ToolLost, tool
from tooldojo.envs.world import World
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.formats import call_format
from tooldojo.rollouts.player import Limits
from tooldojo.rollouts.records import PolicyRef
from tooldojo.training.base.template import CHAT_TEMPLATE

QWEN = [
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>", "<tools>", "</tools>"),
    *("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"),
]
LLAMA = [
    *("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>"),
    *("<|eot_id|>", "<|eom_id|>", "<|python_tag|>"),
]
TEMPLATES = Path(trl.__file__).parent / "chat_templates"
TEXT = [
    'Add 3 to counter C1, then set C2. {"name": "add", "arguments": {"counter": "C1", "by": 3}}',
    "system user assistant tool Done. The value is 12. How many? é 漢 😀",
] * 20
SHAPES = {  # name: (template of TRL or None for the project's own, special tokens, eos, format)
    "default": (None, QWEN, "<|im_end|>", "hermes"),
    "qwen2.5": ("qwen2_5", QWEN, "<|endoftext|>", "hermes"),
    "qwen3": ("qwen3", QWEN, "<|im_end|>", "hermes"),
    "llama3.2": ("llama3_2", LLAMA, "<|eot_id|>", "llama3"),
}


@cache
def tokenizer_of(template: str, specials: tuple[str, ...], eos: str) -> PreTrainedTokenizerFast:
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=list(specials),
        show_progress=False,
    )
    raw.train_from_iterator(TEXT, trainer)
    made = PreTrainedTokenizerFast(
        tokenizer_object=raw, eos_token=eos, pad_token=specials[0], bos_token=specials[0]
    )
    made.chat_template = template
    return made


KINDS = {
    "qwen": (QWEN, "<|im_end|>"),
    "llama": (LLAMA, "<|eot_id|>"),
    "both": ([*QWEN, *LLAMA], "<|im_end|>"),
}


def trl_template(name: str) -> str:
    return (TEMPLATES / f"{name}.jinja").read_text()


@cache
def make_chat(shape: str) -> Chat:
    file, specials, eos, form = SHAPES[shape]
    template = CHAT_TEMPLATE if file is None else trl_template(file)
    return Chat(tokenizer_of(template, tuple(specials), eos), call_format(form))


@register("test/Counters-v0")
class Counters(World):
    """Counters that can be raised; the fault tools are for endings."""

    system_prompt = "Keep the counters."
    levels = (1, 2)
    crash_on_score = False

    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        by = [rng.randint(1, 99) for _ in range(level)]
        start = rng.randint(0, 50)
        prompt = f"Add {' and then '.join(map(str, by))} to counter C1. What is it then?"
        calls = [call("add", counter="C1", by=each) for each in by]
        thoughts = [f"add {each}" for each in by] + ["é漢 done"]
        gold = steps(*calls, say=f"Value: {start + sum(by)}", thoughts=thoughts)
        return Draft(prompt, {"counters": {"C1": start, "C2": 0}}, gold)

    @tool(mutates=True)
    def add(self, counter: str, by: int) -> int:
        """Raise a counter."""
        if counter not in self.state["counters"]:
            raise ToolError(f"no counter {counter}")
        self.state["counters"][counter] += by
        return self.state["counters"][counter]

    @tool(mutates=False)
    def crash(self) -> str:
        """Fail."""
        raise KeyError("boom")

    @tool(mutates=True)
    def spoil(self) -> str:
        """Leave a state that is no plain data."""
        self.state["bad"] = {1, 2}
        return "spoilt"

    @tool(mutates=False)
    def lose(self) -> str:
        """Fail for no fault of anybody's."""
        raise ToolLost("the sandbox is gone")

    @tool(mutates=False)
    async def hang(self) -> str:
        """Wait for ever."""
        await asyncio.sleep(3600)
        return "never"


@register("test/Unjudged-v0")
class Unjudged(Counters):
    """Its verifier fails."""

    @staticmethod
    def verifier(evidence: object, goal: object) -> None:  # type: ignore[override]
        if getattr(goal, "calls", ()) is not None and Unjudged.crash_on_score:
            raise ZeroDivisionError("bad verifier")
        return Counters.verifier(evidence, goal)  # type: ignore[arg-type]


@register("test/Slow-v0")
class Slow(World):
    """A synchronous tool that sleeps, and counts how many do so at once."""

    slow_tools = True
    lock = threading.Lock()
    asleep = most_asleep = 0

    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        word = str(rng.randint(0, 999))
        gold = steps(call("nap", word=word), say=f"Said: {word}")
        return Draft(f"Nap with {word}.", {"naps": 0}, gold)

    @tool(mutates=True)
    def nap(self, word: str) -> str:
        """Sleep a little."""
        with Slow.lock:
            Slow.asleep += 1
            Slow.most_asleep = max(Slow.most_asleep, Slow.asleep)
        time.sleep(0.2)
        with Slow.lock:
            Slow.asleep -= 1
        self.state["naps"] += 1
        return word


def make_task(world: type[World] = Counters, level: int = 2, ordinal: int = 0) -> Task:
    return world.make_task(7, Split.TRAIN, level, ordinal)


@pytest.fixture(params=sorted(SHAPES), scope="session")
def any_chat(request: pytest.FixtureRequest) -> Chat:
    return make_chat(request.param)


@pytest.fixture(scope="session")
def chat() -> Chat:
    return make_chat("default")


@pytest.fixture
def chats() -> Callable[[str], Chat]:
    return make_chat


@pytest.fixture
def tokenizer() -> Callable[[str, str], PreTrainedTokenizerFast]:
    """A tokenizer of a kind (see `KINDS`) with a template: TRL's of that name, or a text."""

    def build(kind: str, template: str) -> PreTrainedTokenizerFast:
        text = trl_template(template) if re.fullmatch(r"\w+", template) else template
        specials, eos = KINDS[kind]
        return tokenizer_of(text, tuple(specials), eos)

    return build


@pytest.fixture
def template_names() -> list[str]:
    """All templates that TRL ships."""
    return sorted(path.stem for path in TEMPLATES.glob("*.jinja"))


@pytest.fixture
def task() -> Task:
    return make_task()


@pytest.fixture
def tasks() -> Callable[..., Task]:
    return make_task


@pytest.fixture
def limits() -> Limits:
    return Limits(max_turns=6, max_turn_tokens=200, max_context=3000, deadline=5.0)


@pytest.fixture
def policy() -> PolicyRef:
    return PolicyRef("base", 0, "base")
