"""The task in TRL: a plain environment class under the tool loop of a real `GRPOTrainer`.

Timed is `_generate_and_score_completions` for a batch: `reset`, chat template and tokenising, the
tool loop, parsing, rewards, padding. Only `_generate_single_turn` is replaced: it gives the ids of
the script's turn in place of sampled ones; a clock runs along with two functions. With aligned
steps and without a KL term TRL asks the model (here a tiny one with random weights) for nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any

from env_peers.playing import Clock, Play, Side
from env_peers.shop import PROMPT, SYSTEM, TURNS, Orders, fresh, get_order, reward, set_status

os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"

import trl.trainer.grpo_trainer as grpo
from datasets import Dataset
from transformers import Qwen3Config, Qwen3ForCausalLM
from trl import GRPOConfig, GRPOTrainer
from trl.chat_template_utils import qwen3_template

from tooldojo.training.policy import load_tokenizer

BATCH, GROUP = 64, 8
LONGEST = 8192  # tokens of a trajectory


class Shop:
    """What TRL sees: `reset`, and the two tools; both are told by their docstrings."""

    def reset(self, records: int, **_: object) -> None:
        """Orders of its own for a trajectory."""
        self._orders: Orders = fresh(records)

    def get_order(self, order: str) -> str:
        """Look at an order.

        Args:
            order: The order.
        """
        return get_order(self._orders, order)

    def set_status(self, order: str, status: str) -> str:
        """Change an order.

        Args:
            order: The order.
            status: Its new status.
        """
        return set_status(self._orders, order, status)


def _trainer(records: int, folder: str, judge: Callable[..., list[float]]) -> Any:
    """A trainer with a tiny model and the tokenizer of the default policy."""
    tokenizer = load_tokenizer("default")
    tokenizer.response_template = qwen3_template  # TRL knows templates by their exact text
    tiny = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        max_position_embeddings=LONGEST,
    )
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": PROMPT}]
    return GRPOTrainer(
        model=Qwen3ForCausalLM(tiny),
        reward_funcs=[judge],
        args=GRPOConfig(
            output_dir=folder,
            use_cpu=True,
            per_device_train_batch_size=BATCH,
            num_generations=GROUP,
            max_completion_length=LONGEST,
            beta=0.0,
            report_to=[],
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_list([{"prompt": messages, "records": records}] * BATCH),
        processing_class=tokenizer,
        environment_factory=Shop,
    )


def _told_apart(owner: Any, name: str, clock: Clock, part: str) -> None:
    """Count the calls of a function as a part of the time."""
    function = getattr(owner, name)

    def counted(*args: Any, **kwargs: Any) -> Any:
        with clock.part(part):
            return function(*args, **kwargs)

    setattr(owner, name, counted)


@contextmanager
def _playing(records: int, clock: Clock) -> Iterator[Play]:
    earned: list[float] = []

    def judge(environments: list[Shop], completions: list[Any], **_: object) -> list[float]:
        ends = zip(environments, completions, strict=True)
        found = [reward(env._orders, said[-1]["content"], records) for env, said in ends]
        earned.extend(found)
        return found

    with TemporaryDirectory() as folder:
        trainer = _trainer(records, folder, judge)
        tokenizer, rows = trainer.processing_class, list(trainer.train_dataset)
        script = [tokenizer.encode(text + tokenizer.eos_token) for text in TURNS]
        _told_apart(tokenizer, "apply_chat_template", clock, "template and tokenising")
        _told_apart(grpo, "parse_response", clock, "parsing")

        def play(episodes: int) -> float:
            earned.clear()
            turns = iter(script)  # a batch plays in lockstep
            trainer._generate_single_turn = lambda ids, *_, **__: (
                (said := next(turns)) and [list(said) for _ in ids],
                None,
            )
            trainer._generate_and_score_completions(rows[:episodes])
            return sum(earned)

        trainer.model.train()
        yield play


SIDE = Side(
    "trl",
    False,
    "a response template of transformers, on tokens",
    "token ids and masks",
    _playing,
    batch=BATCH,
)
