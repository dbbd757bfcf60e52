"""Free-running play on generated dialogues: the model writes every turn, the script answers with
the true results.

Owns: batched greedy generation through transformers and the comparison with the true turns.
Refuses: worlds; a dialogue stops at the first wrong call, because the script has no result for it.
Invariant: a call is compared as parsed JSON, a closing line as text.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from transformers import PreTrainedTokenizerFast, Qwen3ForCausalLM

from tooldojo.training.base.corpus_parts import Document
from tooldojo.training.base.evaluate import Count, Counts
from tooldojo.training.base.template import Json

BLOCK = re.compile(r"<tool_call>\s*(.*?)\s*</tool_call>", re.S)


@dataclass
class Game:
    """One dialogue under way: how many messages of the script are in the context."""

    document: Document
    at: int = 0
    over: bool = False
    failed: bool = False
    written: list[str] = field(default_factory=list)

    def forward(self) -> None:
        """Move to the next turn that the model has to write; mistakes that the script plants are
        given.
        """
        messages = self.document.messages
        while self.at < len(messages):
            turn = messages[self.at]
            if turn["role"] == "assistant" and turn.get("learn", True):
                return
            self.at += 1
        self.over = True


@torch.no_grad()
def generate(
    model: Qwen3ForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    prompts: Sequence[str],
    limit: int = 220,
) -> list[str]:
    """Greedy completions, special tokens kept, up to and without the end of the turn."""
    tokenizer.padding_side = "left"
    batch = tokenizer(list(prompts), return_tensors="pt", padding=True, add_special_tokens=False)
    out = model.generate(  # type: ignore[attr-defined]
        input_ids=batch["input_ids"],
        attention_mask=batch["attention_mask"],
        max_new_tokens=limit,
        do_sample=False,
    )
    texts = tokenizer.batch_decode(out[:, batch["input_ids"].shape[1] :], skip_special_tokens=False)
    return [text.split("<|im_end|>")[0] for text in texts]


def calls_in(text: str) -> list[object]:
    """Parsed calls of a turn; a call that is no JSON counts as its text."""
    found: list[object] = []
    for body in BLOCK.findall(text):
        try:
            found.append(json.loads(body))
        except json.JSONDecodeError:
            found.append(body)
    return found


def true_calls(turn: Json) -> list[object]:
    blocks = turn.get("tool_calls") or []
    assert isinstance(blocks, list)
    return [
        {"name": b["function"]["name"], "arguments": b["function"]["arguments"]} for b in blocks
    ]


def play(
    model: Qwen3ForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    documents: Sequence[Document],
    batch: int = 32,
) -> Counts:
    """Counts of exact calls, closing lines and whole dialogues; family "all" pools them."""
    counts: Counts = defaultdict(lambda: defaultdict(Count))
    games = [Game(d) for d in documents]
    for game in games:
        game.forward()
    while open_games := [g for g in games if not g.over]:
        group = open_games[:batch]
        prompts = [
            str(
                tokenizer.apply_chat_template(
                    g.document.messages[: g.at],
                    tools=g.document.tools,  # type: ignore[arg-type]
                    add_generation_prompt=True,
                    tokenize=False,
                )
            )
            for g in group
        ]
        for game, text in zip(group, generate(model, tokenizer, prompts), strict=True):
            _score(game, text, counts)
    return counts


def _score(game: Game, text: str, counts: Counts) -> None:
    """Compare one written turn with the script and move on."""
    document, turn = game.document, game.document.messages[game.at]
    game.written.append(text)
    wanted = true_calls(turn)
    last = game.at == len(document.messages) - 1
    if last:
        ok = not calls_in(text) and text.rstrip().endswith(document.closing)
    else:
        ok = calls_in(text) == wanted if wanted else text.endswith(str(turn["content"]))
    for kind in (document.kind, "all"):
        if wanted:
            counts[kind]["call"].add(ok)
        if last:
            counts[kind]["closing"].add(ok)
        if last or not ok:
            counts[kind]["dialogue"].add(ok)
    game.at += 1
    game.failed = not ok
    game.over = last or not ok
    if not game.over:
        game.forward()
