"""Conversation to text, twice: the jinja template that ships with the model and its fast twin for
the corpus.

Owns: `CHAT_TEMPLATE`, the special tokens, and `segments`, which also says what the assistant
wrote itself.
Refuses: dropping or rewriting earlier turns; the rendering of a conversation is a prefix of every
longer one.
Invariant: joining `segments` gives what the template gives.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

SPECIALS = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"),
    *("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<tools>", "</tools>"),
)
PAD, END_OF_TURN = SPECIALS[0], SPECIALS[2]
HOW_TO_CALL = 'Call a tool with <tool_call>{"name": …, "arguments": {…}}</tool_call>.'

CHAT_TEMPLATE = """\
{%- if messages[0].role == 'system' %}
    {%- set system = messages[0].content %}{%- set turns = messages[1:] %}
{%- else %}
    {%- set system = '' %}{%- set turns = messages %}
{%- endif %}
{%- if system or tools %}
    {{- '<|im_start|>system\\n' + system }}
    {%- if tools %}
        {{- ('\\n\\n' if system else '') + '# Tools\\n<tools>\\n' }}
        {%- for tool in tools %}
            {%- set f = tool.function or tool %}
            {%- set needed = f.parameters.required or [] %}
            {{- f.name + '(' }}
            {%- for name, p in f.parameters.properties.items() %}
                {{- name + ('' if name in needed else '?') }}
                {%- if p.enum %}{{- ': ' + p.enum | join('|') }}
                {%- elif p.type == 'string' %}
                {%- elif p.type in ['integer', 'number', 'boolean'] %}{{- ': ' + p.type }}
                {%- else %}{{- ': ' + p | tojson }}
                {%- endif %}
                {{- ' (' + p.description + ')' if p.description else '' }}
                {{- '' if loop.last else ', ' }}
            {%- endfor %}
            {{- '): ' + f.description + '\\n' }}
        {%- endfor %}
        {{- '</tools>\\nHOW_TO_CALL' }}
    {%- endif %}
    {{- '<|im_end|>\\n' }}
{%- endif %}
{%- for turn in turns %}
    {%- if turn.role == 'tool' %}
        {%- if loop.first or loop.previtem.role != 'tool' %}{{- '<|im_start|>user' }}{%- endif %}
        {{- '\\n<tool_response>\\n' }}
        {{- turn.content if turn.content is string else (turn.content | tojson) }}
        {{- '\\n</tool_response>' }}
        {%- if loop.last or loop.nextitem.role != 'tool' %}{{- '<|im_end|>\\n' }}{%- endif %}
    {%- elif turn.role == 'assistant' %}
        {{- '<|im_start|>assistant\\n' }}
        {%- generation %}
        {%- if turn.reasoning_content %}
            {{- '<think>\\n' + turn.reasoning_content + '\\n</think>\\n\\n' }}
        {%- endif %}
        {{- turn.content or '' }}
        {%- for call in turn.tool_calls or [] %}
            {%- set call = call.function or call %}
            {{- '\\n' if not loop.first or turn.content else '' }}
            {{- '<tool_call>\\n{"name": ' + (call.name | tojson) + ', "arguments": ' }}
            {{- call.arguments if call.arguments is string else (call.arguments | tojson) }}
            {{- '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>' }}
        {%- endgeneration %}
        {{- '\\n' }}
    {%- else %}
        {{- '<|im_start|>' + turn.role + '\\n' + turn.content + '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}
""".replace("HOW_TO_CALL", HOW_TO_CALL)

Json = dict[str, Any]  # a message, a schema, arguments: as the chat template takes them


@dataclass(frozen=True)
class Segment:
    """A piece of a rendered conversation; `sampled` marks what the assistant writes and learns
    from.

    A message with `learn` False is written by the assistant but is a mistake, so it counts as
    given.
    """

    text: str
    sampled: bool


def compact(value: object) -> str:
    """JSON as the template writes it."""
    return json.dumps(value, ensure_ascii=False)


def signature(tool: Json) -> str:
    """A tool as one line, `name(string, number: type, optional?: a|b): description`.

    A third of the tokens of its JSON schema; every prompt carries all tools.
    """
    function = tool.get("function", tool)
    assert isinstance(function, dict)
    parameters = function["parameters"]
    needed = parameters.get("required") or []
    parts = [
        name + ("" if name in needed else "?") + _type(about)
        for name, about in parameters["properties"].items()
    ]
    return f"{function['name']}({', '.join(parts)}): {function['description']}"


def _type(about: dict) -> str:
    """What stands behind an argument's name; a plain string goes without saying."""
    if about.get("enum"):
        text = ": " + "|".join(map(str, about["enum"]))
    elif about.get("type") == "string":
        text = ""
    elif about.get("type") in ("integer", "number", "boolean"):
        text = f": {about['type']}"
    else:
        text = ": " + compact(about)
    return text + (f" ({about['description']})" if about.get("description") else "")


def segments(messages: list[Json], tools: list[Json] | None) -> list[Segment]:
    """The conversation as alternating given and sampled pieces; see the module's invariant."""
    out: list[Segment] = []
    given: list[str] = []
    start = 1 if messages[0]["role"] == "system" else 0
    system = str(messages[0]["content"]) if start else ""
    if system or tools:
        given.append("<|im_start|>system\n" + system)
        if tools:
            lines = "".join(signature(tool) + "\n" for tool in tools)
            given.append(
                ("\n\n" if system else "") + f"# Tools\n<tools>\n{lines}</tools>\n{HOW_TO_CALL}"
            )
        given.append("<|im_end|>\n")
    for i, turn in enumerate(messages[start:], start):
        role = turn["role"]
        if role == "assistant":
            given.append("<|im_start|>assistant\n")
            out += [
                Segment("".join(given), False),
                Segment(_sampled(turn), bool(turn.get("learn", True))),
            ]
            given = ["\n"]
        elif role == "tool":
            given.append("<|im_start|>user" if messages[i - 1]["role"] != "tool" else "")
            given.append(f"\n<tool_response>\n{turn['content']}\n</tool_response>")
            last = i + 1 == len(messages) or messages[i + 1]["role"] != "tool"
            given.append("<|im_end|>\n" if last else "")
        else:
            given.append(f"<|im_start|>{role}\n{turn['content']}<|im_end|>\n")
    if "".join(given):
        out.append(Segment("".join(given), False))
    return out


def _sampled(turn: Json) -> str:
    """What the assistant writes in one turn, end token included."""
    thought = turn.get("reasoning_content")
    text = f"<think>\n{thought}\n</think>\n\n" if thought else ""
    text += str(turn.get("content") or "")
    calls = turn.get("tool_calls") or []
    assert isinstance(calls, list)
    blocks = [
        f'<tool_call>\n{{"name": {compact(c["function"]["name"])}, "arguments": '
        f"{compact(c['function']['arguments'])}}}\n</tool_call>"
        for c in calls
    ]
    joined = "\n".join(blocks)
    return text + ("\n" if turn.get("content") and blocks else "") + joined + END_OF_TURN
