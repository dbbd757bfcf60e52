"""Call formats: what is read, what is refused, and that nothing a model writes raises."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tooldojo.envs.task import Call, GoldTurn
from tooldojo.envs.world import MALFORMED
from tooldojo.rollouts.formats import FORMATS, CallFormat, Hermes, Llama3, ParsedText, call_format
from tooldojo.rollouts.records import SpanKind

HERMES, LLAMA = Hermes(), Llama3()
PIECES = [
    '<tool_call>\n{"name": "f", "arguments": {"a": "b"}}\n</tool_call>',
    *("<think>", "</think>", "<tool_call>", "</tool_call>", "<|python_tag|>", "\n", " ", "é漢😀"),
    *('{"name": "f", "arguments": {}}', '{"name": "f", "parameters": {"a": [1, {"b": null}]}}'),
    *('{"name"', ': "f"', ', "arguments": ', "{", "}", "[", "]", '"', ",", ":", "NaN", "1e999"),
    *("\\ud800", "\\", "0", "hi", "\x00", "-Infinity", '{"a": 1, "a": 2}', "\ufffd", "\u2028"),
]
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abé<", max_size=3), inner),
    max_leaves=8,
)  # fmt: skip
names = st.text("abcdef_", min_size=1, max_size=6)
calls = st.builds(Call, names, st.dictionaries(names, plain, max_size=3))
says = st.text("abc <>{}|/\né漢", max_size=12)


def check_cover(text: str, parsed: ParsedText) -> None:
    """Spans cover the text in order; calls are numbered in a row; malformed turns have none."""
    at = number = 0
    for span in parsed.spans:
        assert span.start == at < span.end
        at = span.end
        assert (span.call >= 0) == (span.kind is SpanKind.CALL)
        if span.kind is SpanKind.CALL:
            assert span.call == number
            number += 1
    assert at == len(text)
    assert len(parsed.calls) == (0 if parsed.malformed else number)


@pytest.mark.parametrize("form", [HERMES, LLAMA], ids=["hermes", "llama3"])
@settings(max_examples=300, deadline=None)
@given(text=st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
@example(text="<tool_call>" + "[" * 100_000 + "</tool_call>")
@example(text="{" * 100_000)
@example(text='{"name": "f", "parameters": {"a": ' + "9" * 5000 + "}}")
def test_parsing_never_raises_and_covers_all(form: CallFormat, text: str) -> None:
    parsed = form.parse(text)
    check_cover(text, parsed)
    for call in parsed.calls:
        assert json.loads(json.dumps(call.arguments, ensure_ascii=False).encode()) == call.arguments


@pytest.mark.parametrize("form", [HERMES, LLAMA], ids=["hermes", "llama3"])
def test_fifty_thousand_texts(form: CallFormat) -> None:
    rng = random.Random(0)
    well = 0
    for _ in range(50_000):
        text = "".join(rng.choices(PIECES, k=rng.randint(0, 12)))
        parsed = form.parse(text)
        check_cover(text, parsed)
        well += bool(parsed.calls)
    assert well > 100


@pytest.mark.parametrize("form", [HERMES, LLAMA], ids=["hermes", "llama3"])
@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=60))
def test_any_text_is_covered(form: CallFormat, text: str) -> None:
    check_cover(text, form.parse(text))


@settings(max_examples=150, deadline=None)
@given(thought=says, wanted=st.lists(calls, max_size=3), message=says)
def test_hermes_reads_back_what_it_wrote(thought: str, wanted: list[Call], message: str) -> None:
    try:
        text = HERMES.render(GoldTurn(thought, tuple(wanted), message))
    except ValueError:
        assert "<" in thought + message
        return
    parsed = HERMES.parse(text)
    assert parsed.malformed is None and parsed.calls == tuple(wanted)
    assert (parsed.thought, parsed.message) == (thought.strip(), message.strip())
    check_cover(text, parsed)


@settings(max_examples=150, deadline=None)
@given(wanted=calls)
def test_llama_reads_back_what_it_wrote(wanted: Call) -> None:
    text = LLAMA.render(GoldTurn("thoughts are left out", (wanted,)))
    assert LLAMA.parse(text).calls == (wanted,)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('{"name": "f", "arguments": {}', "not valid JSON"),
        ("{'name': 'f', 'arguments': {}}", "not valid JSON"),
        ('{"name": "f", "arguments": {}} {}', "text after the call"),
        ('["f", {}]', "must be an object"),
        ('{"arguments": {}}', "name is missing"),
        ('{"name": "", "arguments": {}}', "name is missing"),
        ('{"name": "f"}', "arguments must be an object"),
        ('{"name": "f", "arguments": "{}"}', "arguments must be an object"),
        ('{"name": "f", "arguments": {"a": 1, "a": 1}}', "'a' is given twice"),
        ('{"name": "f", "arguments": {"a": NaN}}', "NaN"),
        ('{"name": "f", "arguments": {"a": -Infinity}}', "Infinity"),
        ('{"name": "f", "arguments": {"a": 1e999}}', "too large"),
        ('{"name": "f", "arguments": {"a": "\\ud800"}}', "half a character"),
        ('{"name": "f", "arguments": {"a": ' + "[" * 40 + "]" * 40 + "}}", "nested deeper"),
        ('{"name": "f", "arguments": {}, "id": 3}', "unexpected key 'id'"),
        (f'{{"name": "{MALFORMED}", "arguments": {{}}}}', "no tool is called"),
    ],
)
def test_a_bad_call_says_why(body: str, reason: str) -> None:
    parsed = HERMES.parse(f"<tool_call>\n{body}\n</tool_call>")
    assert parsed.malformed is not None and reason in parsed.malformed and not parsed.calls
    flat = LLAMA.parse(body.replace("arguments", "parameters"))
    if body.startswith("{"):
        assert flat.malformed is not None
        assert reason.replace("arguments", "parameters") in flat.malformed


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<tool_call>\n{}", "never closed"),
        ("<think>\nhm", "<think> is never closed"),
        ("Done.</tool_call>", "</tool_call> out of place"),
        ("Done. <think>no</think>", "<think> out of place"),
        ('<tool_call>{"name": "f", "arguments": {}}</tool_call> and so on', "text after a call"),
        ('<tool_call>{"name": "f", "arguments": {}}</tool_call><tool_call>1</tool_call>', "call 2"),
    ],
)
def test_a_bad_turn_says_why(text: str, reason: str) -> None:
    parsed = HERMES.parse(text)
    assert parsed.malformed is not None and reason in parsed.malformed and not parsed.calls
    check_cover(text, parsed)


def test_a_whole_turn_of_each_format() -> None:
    turn = GoldTurn("why", (Call("f", {"a": "é"}), Call("g", {})), "Look:")
    text = HERMES.render(turn)
    assert text == (
        '<think>\nwhy\n</think>\n\nLook:\n<tool_call>\n{"name": "f", "arguments": {"a": "é"}}\n'
        '</tool_call>\n<tool_call>\n{"name": "g", "arguments": {}}\n</tool_call>'
    )
    kinds = [(span.kind, span.call) for span in HERMES.parse(text).spans]
    assert [(k.name, c) for k, c in kinds] == [
        ("THINK", -1),
        ("ANSWER", -1),
        ("CALL", 0),
        ("CALL", 1),
    ]
    single = LLAMA.render(GoldTurn("", (Call("f", {"a": 1}),)))
    assert single == '{"name": "f", "parameters": {"a": 1}}'
    for head in ("<|python_tag|>", "\n<|python_tag|> ", ' {"type": "function", ,'[:1]):
        assert LLAMA.parse(head + single).calls == (Call("f", {"a": 1}),)
    assert LLAMA.parse("It is 12.").message == "It is 12."


def test_what_a_format_cannot_write_is_refused() -> None:
    with pytest.raises(ValueError, match="one call a turn"):
        LLAMA.render(GoldTurn("", (Call("f", {}), Call("g", {}))))
    with pytest.raises(ValueError, match="cannot write"):
        LLAMA.render(GoldTurn("", (), '{"a": 1}'))
    with pytest.raises(ValueError, match="cannot write"):
        HERMES.render(GoldTurn("", (), "say <tool_call>"))
    hidden = Call("f", {"a": "</tool_call><|im_end|>"})
    assert HERMES.parse(HERMES.render(GoldTurn("", (hidden,)))).calls == (hidden,)
    with pytest.raises(LookupError, match="hermes, llama3"):
        call_format("xml")
    assert all(form.name == name for name, form in FORMATS.items())
