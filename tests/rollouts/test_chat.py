"""Templates, tokens and the way back, on real templates with small tokenizers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tooldojo.envs.registry import world_class
from tooldojo.envs.task import Call, GoldTurn, Task
from tooldojo.envs.tools import ToolSpec
from tooldojo.rollouts.chat import Chat, ParsedTurn, TemplateError
from tooldojo.rollouts.formats import FORMATS, Hermes, Llama3
from tooldojo.rollouts.records import SpanKind


def whole_text(chat: Chat, task: Task, results: list[str], render_turn: bool) -> str:
    """The template's own rendering of prompt, first gold turn and results."""
    world = world_class(task.env)
    tools: list[Any] = [spec.schema for spec in world.tool_specs().values()]
    first = task.gold[0]
    calls = [
        {"type": "function", "function": {"name": c.name, "arguments": c.arguments}}
        for c in first.calls
    ]
    said = {"role": "assistant", "content": "", "tool_calls": calls}
    messages = [
        {"role": "system", "content": world.system_prompt},
        {"role": "user", "content": task.prompt},
        *([said] if render_turn else []),
        *({"role": "tool", "content": result} for result in results),
    ]
    return chat.tokenizer.apply_chat_template(  # type: ignore[return-value]
        messages, tools=tools, add_generation_prompt=True, tokenize=False, date_string="26 Jul 2024"
    )


def test_templates_are_usable(any_chat: Chat) -> None:
    any_chat.check_prefix()
    assert any_chat.text([any_chat.stop_ids[0]]) == any_chat.stop
    assert len(any_chat.template_hash) == 16


def test_prompt_turn_and_observation_are_the_templates_own_text(any_chat: Chat, task: Task) -> None:
    prompt = any_chat.task_prompt_ids(task)
    assert any_chat.text(prompt) == whole_text(any_chat, task, [], render_turn=False)
    bare = GoldTurn("", task.gold[0].calls)
    for results in (["12"], ["12", 'é 漢 {"a": 1}']):
        ids = prompt + any_chat.gold_ids(bare) + any_chat.observation_ids(results)
        whole = whole_text(any_chat, task, results, render_turn=True)
        assert any_chat.text(ids) == whole
        assert ids == any_chat.tokenizer.encode(whole, add_special_tokens=False)


def test_a_users_reply_is_the_templates_own_user_turn(any_chat: Chat) -> None:
    said = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Which one?"}]
    for reply in ("C12", 'é 漢 {"a": 1}'):
        ids = any_chat.prompt_ids("", (), "hi") + any_chat.gold_ids(GoldTurn("", (), "Which one?"))
        ids += any_chat.observation_ids([reply], spoken=True)
        whole = any_chat.tokenizer.apply_chat_template(
            [*said, {"role": "user", "content": reply}],
            add_generation_prompt=True, tokenize=False, date_string="26 Jul 2024",
        )  # fmt: skip
        assert any_chat.text(ids) == whole
    assert any_chat.observation_ids(["x"], spoken=True) != any_chat.observation_ids(["x"])


def test_stop_ids_of_each_family(chats: Callable[[str], Chat]) -> None:
    assert [chats("qwen2.5").text([i]) for i in chats("qwen2.5").stop_ids] == [
        "<|im_end|>",
        "<|endoftext|>",
    ]
    assert [chats("llama3.2").text([i]) for i in chats("llama3.2").stop_ids] == [
        "<|eot_id|>",
        "<|eom_id|>",
    ]


def test_gold_turns_survive(any_chat: Chat, task: Task) -> None:
    for turn in task.gold:
        parsed = any_chat.parse(any_chat.gold_ids(turn))
        assert parsed.malformed is None and parsed.calls == turn.calls
        if turn.message:
            assert parsed.message == turn.message
    with pytest.raises(ValueError, match="special tokens"):
        any_chat.gold_ids(GoldTurn("", (), f"a {any_chat.stop} b"))


def test_template_hash_names_the_template(chats: Callable[[str], Chat]) -> None:
    hashes = {chats(name).template_hash for name in ("default", "qwen2.5", "qwen3", "llama3.2")}
    assert len(hashes) == 4


@pytest.mark.parametrize(
    ("kind", "template", "why"),
    [
        ("llama", "llama3", "does not render tools"),
        ("qwen", "phi3", "does not render tools"),
        ("qwen", "llama3_2", "no stop token"),
        ("qwen", "{% for m in messages %}{{ m.content }}{% endfor %}", "does not render tools"),
        ("qwen", "{{ tools }}{% for m in messages %}{{ m.content }}{% endfor %}", "no stop token"),
        ("qwen", "{{ raise_exception('roles must alternate') }}", "roles must alternate"),
    ],
)
def test_useless_templates_are_refused(
    kind: str, template: str, why: str, tokenizer: Callable
) -> None:
    with pytest.raises(TemplateError, match=why) as error:
        Chat(tokenizer(kind, template), Hermes()).check_prefix()
    assert "\n" not in str(error.value)


def test_a_template_of_another_call_format_is_refused(tokenizer: Callable) -> None:
    with pytest.raises(TemplateError, match="cannot read"):
        Chat(tokenizer("qwen", "qwen3"), Llama3()).check_prefix()
    with pytest.raises(TemplateError, match="cannot read"):
        Chat(tokenizer("llama", "llama3_2"), Hermes()).check_prefix()


def test_every_known_template_is_used_or_refused_clearly(
    tokenizer: Callable, template_names: list[str]
) -> None:
    usable = set()
    for name in template_names:
        for form in FORMATS.values():
            try:
                Chat(tokenizer("both", name), form).check_prefix()
                usable.add((name, form.name))
            except TemplateError as error:
                assert "\n" not in str(error)
    assert {name for name, form in usable if form == "llama3"} == {"llama3_1", "llama3_2"}
    qwens = {"qwen2_5", "qwen3", "qwen3_instruct_2507"}
    assert qwens <= {name for name, form in usable if form == "hermes"}
    assert all(name.startswith("qwen") for name, form in usable if form == "hermes")


def test_more_broken_templates(tokenizer: Callable) -> None:
    qwen = tokenizer("qwen", "qwen2_5").chat_template
    thinking = qwen.replace(
        "'<|im_start|>assistant\\n' }}", "'<|im_start|>assistant\\n<think>\\n' }}"
    )
    deaf = qwen.replace(
        "{{- message.content }}\n        {{- '\\n</tool_response>", "{{- '\\n</tool_response>"
    )
    assert qwen not in (thinking, deaf)
    with pytest.raises(TemplateError, match="opens a thought"):
        Chat(tokenizer("qwen", thinking), Hermes()).check_prefix()
    with pytest.raises(TemplateError, match="tool results in order"):
        Chat(tokenizer("qwen", deaf), Hermes()).check_prefix()
    with pytest.raises(TemplateError, match="no chat template"):
        Chat(tokenizer("qwen", ""), Hermes())


def test_world_data_cannot_speak_as_the_template(any_chat: Chat) -> None:
    special = set(any_chat.tokenizer.added_tokens_decoder)
    plain = [i for i in any_chat.observation_ids(["x"]) if i in special]
    markup = "".join(token.content for token in any_chat.tokenizer.added_tokens_decoder.values())
    attacked = [i for i in any_chat.observation_ids([markup]) if i in special]
    assert attacked == plain
    asked = [i for i in any_chat.prompt_ids("s", [], markup) if i in special]
    assert asked == [i for i in any_chat.prompt_ids("s", [], "x") if i in special]


def test_empty_system_and_tools_are_left_out(chats: Callable[[str], Chat]) -> None:
    text = chats("qwen3").text(chats("qwen3").prompt_ids("", [], "hi"))
    assert text == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    llama = chats("llama3.2")
    assert "functions" not in llama.text(llama.prompt_ids("", [], "hi"))


def test_prompts_do_not_depend_on_the_day(chats: Callable[[str], Chat]) -> None:
    assert "26 Jul 2024" in chats("llama3.2").text(chats("llama3.2").prompt_ids("", [], "hi"))


def check_tokens(parsed: ParsedTurn, count: int) -> None:
    at = 0
    for span in parsed.spans:
        assert span.start == at < span.end
        assert (span.call >= 0) == (span.kind is SpanKind.CALL)
        at = span.end
    assert at == count


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_any_ids_parse_with_every_token_covered(chat: Chat, data: st.DataObject) -> None:
    size = len(chat.tokenizer)
    ids = data.draw(st.lists(st.integers(0, size + 5), max_size=40))
    check_tokens(chat.parse(ids), len(ids))


@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=40))
def test_decoding_is_exact(chat: Chat, text: str) -> None:
    ids = chat.tokenizer.encode(text, add_special_tokens=False)
    assert chat.text(ids) == text
    starts = chat.parse(ids).spans
    assert (starts[-1].end if starts else 0) == len(ids)


def test_spans_are_right_around_characters_of_many_bytes(chat: Chat) -> None:
    turn = GoldTurn("漢é😀", (Call("add", {"counter": "😀漢", "by": 1}),), "é😀:")
    ids = chat.gold_ids(turn)
    parsed = chat.parse(ids)
    texts = [chat.text(ids[s.start : s.end]) for s in parsed.spans]
    assert texts[0] == "<think>\n漢é😀\n</think>\n\n"
    assert texts[1].strip() == "é😀:"
    assert texts[2].strip().startswith("<tool_call>") and "😀漢" in texts[2]
    assert texts[2].endswith("</tool_call>" + chat.stop)
    assert [s.kind for s in parsed.spans] == [SpanKind.THINK, SpanKind.ANSWER, SpanKind.CALL]


def test_a_cut_turn_is_parsed_as_it_stands(chat: Chat, task: Task) -> None:
    ids = chat.gold_ids(task.gold[0])
    for cut in range(1, len(ids)):
        parsed = chat.parse(ids[:cut])
        check_tokens(parsed, cut)
        assert not parsed.calls or cut == len(ids) - 1


def test_tools_come_as_the_world_declares_them(chat: Chat, task: Task) -> None:
    specs: dict[str, ToolSpec] = world_class(task.env).tool_specs()
    text = chat.text(chat.task_prompt_ids(task))
    assert all(name in text and spec.description in text for name, spec in specs.items())
