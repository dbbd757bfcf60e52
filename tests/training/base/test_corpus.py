"""The generated corpus, its template and its tokenizer: deterministic, aligned, prefix-
preserving.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from torch.nn import functional as F
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from tooldojo.training.base.corpus import FAMILIES, Stage, corpus_documents, document
from tooldojo.training.base.corpus_parts import Document
from tooldojo.training.base.data import encode, shard
from tooldojo.training.base.drill import recall_rows
from tooldojo.training.base.evaluate import Count, mark
from tooldojo.training.base.model import Network, Shape, to_transformers
from tooldojo.training.base.start import start_near_recall
from tooldojo.training.base.template import SPECIALS, segments
from tooldojo.training.base.tokenizer import train_tokenizer, wrap


def text_of(d: Document) -> str:
    return "".join(s.text for s in segments(d.messages, d.tools))


@pytest.fixture(scope="module")
def documents() -> list[Document]:
    return corpus_documents(3, 150) + corpus_documents(3, 80, Stage.SHORT)


@pytest.fixture(scope="module")
def tokenizer(documents: list[Document]) -> Tokenizer:
    return train_tokenizer(map(text_of, documents), 4200)


@pytest.fixture(scope="module")
def fast(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    return wrap(tokenizer)


def test_a_document_is_a_function_of_seed_and_index() -> None:
    assert corpus_documents(5, 30) == corpus_documents(5, 30)
    assert corpus_documents(5, 30)[17] == document(5, 17)
    assert corpus_documents(5, 5) != corpus_documents(6, 5)


def test_every_family_occurs(documents: list[Document]) -> None:
    assert {d.kind for d in documents} == set(FAMILIES)


def test_held_out_tools_never_occur_in_training() -> None:
    def names(heldout: bool) -> set[str]:
        found = corpus_documents(1, 300, heldout=heldout)
        return {t["function"]["name"] for d in found for t in d.tools or []}  # type: ignore[index]

    # the two tools with fixed nouns in `sql` are drawn from few names, so only the split itself
    # is tested
    assert not names(True) & names(False)


def test_calls_are_made_of_known_tools_and_closing_lines_end(documents: list[Document]) -> None:
    for d in documents:
        known = {t["function"]["name"] for t in d.tools or []}  # type: ignore[index]
        for turn in d.messages:
            for call in turn.get("tool_calls") or []:  # type: ignore[attr-defined]
                assert call["function"]["name"] in known
        assert str(d.messages[-1]["content"]).endswith(d.closing)
        assert d.closing


def test_template_and_segments_agree(documents: list[Document], fast: Any) -> None:
    for d in documents:
        assert fast.apply_chat_template(d.messages, tools=d.tools, tokenize=False) == text_of(d)


def test_template_preserves_prefixes(documents: list[Document], fast: Any) -> None:
    for d in documents[:60]:
        whole = fast.apply_chat_template(d.messages, tools=d.tools, tokenize=False)
        for k, turn in enumerate(d.messages):
            if turn["role"] == "assistant":
                part = fast.apply_chat_template(
                    d.messages[:k], tools=d.tools, tokenize=False, add_generation_prompt=True
                )
                assert str(whole).startswith(str(part))


def test_template_shape(fast: Any) -> None:
    properties = {
        "x": {"type": "integer"},
        "y": {"type": "string", "description": "why"},
        "z": {"type": "string", "enum": ["p", "q"]},
    }
    parameters = {"type": "object", "properties": properties, "required": ["x", "y"]}
    tools = [
        {"type": "function", "function": {"name": n, "description": "Dé.", "parameters": p}}
        for n, p in (("a", parameters), ("b", {"type": "object", "properties": {}}))
    ]
    call = {"type": "function", "function": {"name": "a", "arguments": {"x": 1, "y": "ü"}}}
    messages = [
        {"role": "system", "content": "S"},
        {"role": "user", "content": "U"},
        {"role": "assistant", "content": "", "reasoning_content": "T", "tool_calls": [call, call]},
        {"role": "tool", "content": "r1"},
        {"role": "tool", "content": "r2"},
        {"role": "assistant", "content": "M"},
    ]
    block = '<tool_call>\n{"name": "a", "arguments": {"x": 1, "y": "ü"}}\n</tool_call>'
    assert fast.apply_chat_template(messages, tools=tools, tokenize=False) == (
        "<|im_start|>system\nS\n\n# Tools\n<tools>\n"
        "a(x: integer, y (why), z?: p|q): Dé.\nb(): Dé.\n</tools>\n"
        'Call a tool with <tool_call>{"name": …, "arguments": {…}}</tool_call>.<|im_end|>\n'
        "<|im_start|>user\nU<|im_end|>\n"
        f"<|im_start|>assistant\n<think>\nT\n</think>\n\n{block}\n{block}<|im_end|>\n"
        "<|im_start|>user\n<tool_response>\nr1\n</tool_response>\n<tool_response>\nr2\n</tool_response><|im_end|>\n"
        "<|im_start|>assistant\nM<|im_end|>\n"
    )
    alone = fast.apply_chat_template([messages[1]], tokenize=False, add_generation_prompt=True)
    assert alone == "<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n"


def test_loss_covers_what_the_assistant_writes(
    documents: list[Document], fast: Any, tokenizer: Tokenizer
) -> None:
    clean = [d for d in documents if all(m.get("learn", True) for m in d.messages)][:80]
    for d, row in zip(clean, encode(clean, tokenizer), strict=True):
        out = fast.apply_chat_template(
            d.messages, tools=d.tools, return_dict=True, return_assistant_tokens_mask=True
        )
        assert row.ids == out["input_ids"]
        assert row.marks == [bool(m) for m in out["assistant_masks"]]


def test_planted_mistakes_carry_no_loss(tokenizer: Tokenizer) -> None:
    found = [
        d for d in corpus_documents(11, 400) if not all(m.get("learn", True) for m in d.messages)
    ]
    assert found
    wrong = sum(not m.get("learn", True) for d in found for m in d.messages)
    calls = sum(m["role"] == "assistant" for d in found for m in d.messages)
    sampled = sum(s.sampled for d in found for s in segments(d.messages, d.tools))
    assert sampled == calls - wrong


def test_tokenizer_round_trips(documents: list[Document], tokenizer: Tokenizer) -> None:
    odd = [
        "naïve — 東京 \t\n\n x=1;  y",
        "Ünïcode… #W-12/34.5%",
        '{"a": [1, 2.50, "b c"], "d": {}}\n',
    ]
    for text in [*map(text_of, documents[:50]), *odd]:
        assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == text


def test_a_value_has_the_same_tokens_everywhere(tokenizer: Tokenizer) -> None:
    def pieces(text: str) -> str:
        return " ".join(map(str, tokenizer.encode(text).ids))

    for value in ("#K-48219", "Zorbat", "zorbat_8831", "2025-03-14", "149.95", "a.b@c.example"):
        inside = pieces(value)
        for frame in ("see {} now", '{{"id": "{}", "n": 1}}', "x:\n{}\n", "({})"):
            assert inside in pieces(frame.format(value))


def test_digits_go_by_three_and_specials_are_single(tokenizer: Tokenizer) -> None:
    assert [tokenizer.decode([i]) for i in tokenizer.encode("48219071").ids] == ["482", "190", "71"]
    assert all(len(tokenizer.encode(f"{i}").ids) == 1 for i in range(1000))
    assert [tokenizer.encode(s).ids for s in SPECIALS] == [[i] for i in range(len(SPECIALS))]


def test_shards_repeat_and_stay_in_bounds(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tooldojo.training.base.data.SHARD_DOCUMENTS", 64)
    first, again = (shard(1, Stage.SHORT, 2, tokenizer, 4096) for _ in range(2))
    for a, b in zip(first, again, strict=True):
        assert np.array_equal(a.ids_BT, b.ids_BT)
        assert np.array_equal(a.where_N, b.where_N)
        assert a.ids_BT.max() < tokenizer.get_vocab_size()
        assert (a.where_N % a.ids_BT.shape[1]).min() > 0


def test_drill_marks_only_what_was_seen() -> None:
    for repeats in (0.0, 1.0):
        rows = recall_rows(np.random.default_rng(0), 11, 500, 20, 96, repeats, 40)
        for ids, loss in zip(rows.ids_BT, rows.loss_BT, strict=True):
            for at in np.flatnonzero(loss):
                assert ids[at] in ids[:at]


def test_network_equals_qwen3() -> None:
    torch.manual_seed(0)
    shape = Shape(vocab=256, hidden=128, layers=2, heads=2, kv_heads=2, ffn=96)
    network = Network(shape, torch.float32)
    start_near_recall(network)
    model = Qwen3ForCausalLM(Qwen3Config(**shape.transformers_config()))
    model.load_state_dict(to_transformers(network), strict=False)
    model.tie_weights()
    ids = torch.randint(0, 256, (3, 20))
    where = torch.tensor([1, 5, 25, 41, 59])
    ours, theirs = network(ids, where), model(ids).logits.flatten(0, 1)[where - 1]
    assert torch.allclose(ours, theirs, atol=1e-4)
    assert torch.allclose(
        network.loss(ids, where), F.cross_entropy(theirs, ids.flatten()[where]), atol=1e-4
    )


def test_units_of_the_evaluation(documents: list[Document], tokenizer: Tokenizer) -> None:
    d = next(d for d in documents if d.kind == "act")
    marked = mark(d, tokenizer)
    shown = {
        u.metric: tokenizer.decode(marked.row.ids[u.start : u.end], skip_special_tokens=False)
        for u in marked.units
    }
    assert shown["closing"].removesuffix("<|im_end|>") == d.closing
    assert shown["call"].startswith("<tool_call>\n") and shown["call"].endswith("</tool_call>")
    assert shown["tool"].startswith('<tool_call>\n{"name": "')


def test_wilson_interval() -> None:
    low, high = Count(95, 100).interval()
    assert round(low, 3) == 0.888
    assert round(high, 3) == 0.978
