"""`Chat`: tokenizer, chat template and call format as one thing that turns turns into token ids.

Owns every token that a policy does not sample, and the way back from sampled ids to calls. Sampled
text is never re-tokenised. Refuses, by `check_prefix`, templates and tokenizers for which that
cannot hold. Invariant: prompt + sampled turn + observation + ... is what the template would write.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2

from tooldojo.envs.registry import world_class
from tooldojo.envs.task import Call, GoldTurn, Task
from tooldojo.rollouts.bytelevel import ByteLevel
from tooldojo.rollouts.formats import CallFormat, Span, call_format
from tooldojo.rollouts.records import SpanKind
from tooldojo.verifiers.records import Json

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Message = dict[str, Json]
_MARK = "qz7xk"  # a word that no template writes by itself
_DATE = "26 Jul 2024"  # Llama's templates print the date; a fixed one keeps prompts reproducible
_PROBE_TOOL: dict[str, Json] = {
    "type": "function",
    "function": {
        "name": f"{_MARK}_tool",
        "description": "A probe.",
        "parameters": {"type": "object", "properties": {"x": {"type": "string"}}},
    },
}
_CACHED = 4096  # renderings kept: members of a group ask for the same ones


class TemplateError(ValueError):
    """The tokenizer's chat template cannot be used for rollouts; one line says why."""


@dataclass(frozen=True, slots=True)
class ParsedTurn:
    """A sampled turn taken apart: `ParsedText` with spans over tokens, covering all of them.

    The stop id belongs to the last span; a token that crosses a border belongs to its first
    character's span.
    """

    text: str
    thought: str
    message: str
    calls: tuple[Call, ...]
    malformed: str | None
    spans: tuple[Span, ...]

    @property
    def spoken(self) -> bool:
        """Whether it is a message alone, which a world's user answers, if there is one."""
        return not self.calls and self.malformed is None


class Chat:
    """What one policy's tokenizer, template and call format make of prompts, turns and results."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, call_format: CallFormat) -> None:
        if not tokenizer.chat_template:
            raise TemplateError(f"{tokenizer.name_or_path!r} has no chat template; tools need one")
        self.tokenizer, self.format = tokenizer, call_format
        self._bytes = ByteLevel(tokenizer)
        self._rendered: dict[str, list[int]] = {}

    @classmethod
    def load(cls, model: str | Path, call_format_name: str) -> Chat:
        """From a directory or a Hugging Face id; `check_prefix` says whether it is usable."""
        from transformers import AutoTokenizer

        return cls(AutoTokenizer.from_pretrained(str(model)), call_format(call_format_name))

    # What the template says

    @cached_property
    def template_hash(self) -> str:
        """16 hex digits of the chat template's text."""
        template = json.dumps(self.tokenizer.chat_template, sort_keys=True)
        return hashlib.blake2b(template.encode(), digest_size=8).hexdigest()

    @cached_property
    def stop(self) -> str:
        """The token that the template writes at the end of an assistant turn.

        Raises:
            TemplateError: where it writes none.
        """
        said = self._render([_said("user", "u"), _said("assistant", _MARK)], None, False)
        tail = self._encode(said.rpartition(_MARK)[2])
        if not tail or tail[0] not in self.tokenizer.added_tokens_decoder:
            raise TemplateError(f"{self._name} writes no stop token after an assistant message")
        return self.tokenizer.added_tokens_decoder[tail[0]].content

    @cached_property
    def stop_ids(self) -> tuple[int, ...]:
        """Ids that end a turn: the template's stop token first, then tokenizer's and format's."""
        known = {token.content: i for i, token in self.tokenizer.added_tokens_decoder.items()}
        wanted = [self.stop, str(self.tokenizer.eos_token), *self.format.stops]
        return tuple(dict.fromkeys(known[word] for word in wanted if word in known))

    # From records to ids

    def prompt_ids(self, system: str, tools: Sequence[dict[str, Json]], user: str) -> list[int]:
        """The whole prompt up to the first place to sample; `tools` are OpenAI-style schemas."""
        key = json.dumps([system, list(tools), user])
        if key not in self._rendered:
            head = [_said("system", system)] if system else []
            messages = [*head, _said("user", self._harmless(user))]
            self._remember(key, self._encode(self._render(messages, list(tools) or None, True)))
        return list(self._rendered[key])

    def task_prompt_ids(self, task: Task) -> list[int]:
        """The prompt of a task, with its world's system prompt and tools."""
        world = world_class(task.env)
        tools = [spec.schema for spec in world.listed_tools()]
        return self.prompt_ids(world.system_prompt, tools, task.prompt)

    def observation_ids(self, results: Sequence[str], spoken: bool = False) -> list[int]:
        """Everything between the assistant's stop token and the next place to sample.

        spoken: the turn was a message, and the one result is what the user replied; it is rendered
        as a user turn.
        """
        key = json.dumps([spoken, *results])
        if key not in self._rendered:
            self._remember(key, self._encode(self._suffix(results, spoken)))
        return list(self._rendered[key])

    def gold_ids(self, turn: GoldTurn) -> list[int]:
        """What an ideal policy would sample for a turn, stop id included.

        Raises:
            ValueError: where the call format cannot write the turn, or special tokens are in it.
        """
        ids = [*self._encode(self.format.render(turn)), self.stop_ids[0]]
        parsed = self.parse(ids)
        if parsed.malformed or parsed.calls != turn.calls or set(ids[:-1]) & set(self.stop_ids):
            raise ValueError(
                f"a turn does not survive tokenising; does it hold special tokens? {turn}"
            )
        return ids

    def turn_ids(self, text: str) -> list[int]:
        """An assistant turn from its raw text, calls included, with the stop id behind it.

        Raises:
            ValueError: where the text holds a stop token.
        """
        ids = self._encode(text)
        if set(ids) & set(self.stop_ids):
            raise ValueError(f"a turn's text holds a stop token: {text!r}; cut it there")
        return [*ids, self.stop_ids[0]]

    def written_ids(self, text: str) -> list[int]:
        """A turn that somebody else wrote as text, stop id included; a space goes into every stop
        token within it.
        """
        for stop in self.stop_ids:
            word = self.tokenizer.added_tokens_decoder[stop].content
            text = text.replace(word, f"{word[0]} {word[1:]}")
        return self.turn_ids(text)

    def dialogue_ids(
        self, messages: Sequence[Message], tools: Sequence[dict[str, Json]]
    ) -> list[int]:
        """Any conversation as the template writes it, up to the next place to sample.

        Raises:
            TemplateError: for messages that the template refuses.
        """
        given = [
            message | {"content": self._harmless(str(message["content"]))}
            if message["role"] in ("user", "tool")
            else message
            for message in messages
        ]
        return self._encode(self._render(given, list(tools) or None, True))

    # From ids to records

    def text(self, ids: Sequence[int]) -> str:
        """The text of any ids, special tokens included."""
        return self._bytes.decode(ids).text

    def parse(self, ids: Sequence[int]) -> ParsedTurn:
        """Take a sampled turn apart; never raises."""
        body = ids[:-1] if ids and ids[-1] in self.stop_ids else ids
        decoded = self._bytes.decode(body)
        parsed = self.format.parse(decoded.text)
        spans: list[Span] = []
        rest = list(parsed.spans)
        for index, start in enumerate(decoded.starts):
            while len(rest) > 1 and rest[0].end <= start:
                rest.pop(0)
            kind, call = (rest[0].kind, rest[0].call) if rest else (SpanKind.ANSWER, -1)
            _extend(spans, index, kind, call)
        if len(body) < len(ids):
            last = spans[-1] if spans else Span(0, 0, SpanKind.ANSWER)
            _extend(spans, len(body), last.kind, last.call)
        return ParsedTurn(
            decoded.text,
            parsed.thought,
            parsed.message,
            parsed.calls,
            parsed.malformed,
            tuple(spans),
        )

    # The self-test

    def check_prefix(self) -> None:
        """Check that rollouts can be built from this template.

        Raises:
            TemplateError: naming the first promise that does not hold.
        """
        probe = "é漢😀 a\n\tb  12"
        if self.text(self._encode(probe)) != probe:
            raise TemplateError(
                f"{self._name}: the tokenizer is not byte-level BPE; no other works"
            )
        prompt = self._render([_said("user", "u")], [_PROBE_TOOL], True)
        if f"{_MARK}_tool" not in prompt:
            raise TemplateError(
                f"{self._name} does not render tools; choose a model made for tools"
            )
        if prompt.rstrip().endswith("<think>"):
            raise TemplateError(f"{self._name} opens a thought in the prompt, which is unsupported")
        self._check_call_syntax()
        for results in (("r1" + _MARK,), ("r1" + _MARK, "r2" + _MARK)):
            self._check_suffix(results, spoken=False)
        self._check_suffix(("r1",), spoken=True)

    def _check_call_syntax(self) -> None:
        header = self._render([_said("user", "u")], None, True)
        whole = self._dialogue(("r",))
        if not whole.startswith(header):
            raise TemplateError(f"{self._name} rewrites the prompt once the assistant has answered")
        turn = whole[len(header) :].partition(self.stop)[0]
        calls = self.format.parse(turn).calls
        if calls != (Call(f"{_MARK}_tool", {"x": _MARK}),):
            name = self.format.name
            raise TemplateError(
                f"{self._name} writes calls that the format {name!r} cannot read ({turn!r}); "
                "choose another policy.call_format"
            )

    def _check_suffix(self, results: Sequence[str], spoken: bool) -> None:
        suffix = self._suffix(results, spoken)
        places = [suffix.find(result) for result in results]
        if min(places) < 0 or places != sorted(places):
            raise TemplateError(f"{self._name} does not write {len(results)} tool results in order")
        whole = self._dialogue(results, spoken)
        head = whole.removesuffix(suffix)
        if self._encode(head) + self._encode(suffix) != self._encode(whole):
            raise TemplateError(f"{self._name}: tokens grow across the end of an assistant turn")
        header = self._render([_said("user", "u")], None, False)
        ready = self._render([_said("user", "u")], None, True)
        if not suffix.endswith(ready.removeprefix(header)) or ready == header:
            raise TemplateError(f"{self._name} does not invite an assistant turn after results")

    # Rendering

    @property
    def _name(self) -> str:
        return f"the chat template of {self.tokenizer.name_or_path or 'this tokenizer'!r}"

    def _dialogue(self, results: Sequence[str], spoken: bool = False) -> str:
        """A dummy conversation that ends with these results and the next place to sample."""
        if spoken:
            heard = [_said("user", self._harmless(result)) for result in results]
            return self._render([_said("user", "u"), _said("assistant", _MARK), *heard], None, True)
        arguments: dict[str, Json] = {"x": _MARK}
        function: Json = {"name": f"{_MARK}_tool", "arguments": arguments}
        call: Json = [{"type": "function", "function": function}]
        messages: list[Message] = [
            _said("user", "u"),
            _said("assistant", "") | {"tool_calls": call},
            *(_said("tool", self._harmless(result)) for result in results),
        ]
        return self._render(messages, None, True)

    def _suffix(self, results: Sequence[str], spoken: bool) -> str:
        """What the template writes behind the stop token of the turn that these results answer.

        Cut at the first stop token behind the call's argument or the message, because some
        templates (Qwen3) rewrite earlier turns once results follow, so that a plain prefix would
        not match.
        """
        whole = self._dialogue(results, spoken)
        start = whole.index(_MARK if spoken else f'{_MARK}"')
        return whole[start:].partition(self.stop)[2]

    def _render(
        self, messages: list[Message], tools: list[dict[str, Json]] | None, invite: bool
    ) -> str:
        try:
            rendered = self.tokenizer.apply_chat_template(
                messages,  # type: ignore[arg-type]
                tools=tools,  # type: ignore[arg-type]
                add_generation_prompt=invite,
                tokenize=False,
                date_string=_DATE,
            )
        except jinja2.TemplateError as error:
            roles = " ".join(str(message["role"]) for message in messages)
            raise TemplateError(f"{self._name} refuses {roles}: {error}") from error
        return str(rendered)

    def _encode(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(text, add_special_tokens=False))

    @cached_property
    def _markup(self) -> re.Pattern[str]:
        """The added tokens that look like markup, longest first."""
        added = [token.content for token in self.tokenizer.added_tokens_decoder.values()]
        tags = sorted((word for word in added if re.fullmatch(r"[<\[].+[>\]]", word)), key=len)
        return re.compile("|".join(map(re.escape, reversed(tags))) or r"(?!)")

    def _harmless(self, text: str) -> str:
        """World data with a space in everything that would become a control token."""
        return self._markup.sub(lambda found: found[0][0] + " " + found[0][1:], text)

    def _remember(self, key: str, ids: list[int]) -> None:
        if len(self._rendered) >= _CACHED:
            self._rendered.clear()
        self._rendered[key] = ids


def _said(role: str, content: str) -> Message:
    return {"role": role, "content": content}


def _extend(spans: list[Span], index: int, kind: SpanKind, call: int) -> None:
    """Add one token: to the last span if it is of the same kind, else as a new one."""
    if spans and (spans[-1].kind, spans[-1].call) == (kind, call):
        spans[-1] = Span(spans[-1].start, index + 1, kind, call)
    else:
        spans.append(Span(index, index + 1, kind, call))
