"""Call formats: how an assistant turn is written as text, and read back.

Owns `Hermes` (Qwen) and `Llama3`; each renders and parses. Refuses tokens and templates (see
`rollouts.chat`). Invariants: parsing never raises; the spans of a parsed turn cover every
character, in order; what `render` wrote, `parse` reads back unchanged. A text that was meant as a
call but is none is a labelled turn: `malformed` says why, in words for the model, and no call of it
runs.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn, Protocol

from tooldojo.envs.calls import MALFORMED, MAX_DEPTH
from tooldojo.envs.task import Call, GoldTurn
from tooldojo.rollouts.records import SpanKind
from tooldojo.verifiers.records import Json

_OPEN, _CLOSE = "<tool_call>", "</tool_call>"


@dataclass(frozen=True, slots=True)
class Span:
    """[start, end) with its kind; call is the call's index within the turn, -1 for other kinds.

    Counts characters in a `ParsedText` and tokens in a `rollouts.chat.ParsedTurn`.
    """

    start: int
    end: int
    kind: SpanKind
    call: int = -1


@dataclass(frozen=True, slots=True)
class ParsedText:
    """An assistant turn taken apart; `calls` is empty where `malformed` says why it cannot run."""

    thought: str
    message: str
    calls: tuple[Call, ...]
    malformed: str | None
    spans: tuple[Span, ...]


class CallFormat(Protocol):
    """One way of writing calls."""

    @property
    def name(self) -> str:
        """As in `policy.call_format`."""
        ...

    @property
    def stops(self) -> tuple[str, ...]:
        """Tokens that end a turn besides the template's own."""
        ...

    def parse(self, text: str) -> ParsedText:
        """Take a turn apart; the stop token is not part of `text`."""
        ...

    def render(self, turn: GoldTurn) -> str:
        """Write a turn.

        Raises:
            ValueError: for a turn that `parse` would not read back unchanged.
        """
        ...


class Malformed(Exception):
    """Why a text is not a call; caught by `parse` and shown to the model."""


@dataclass(frozen=True, slots=True)
class Hermes:
    """Qwen's format: an optional thought, an optional message, then any number of calls.

    The thought is `<think>\\n...\\n</think>\\n\\n`, a call
    `<tool_call>\\n{"name": ..., "arguments": {...}}\\n</tool_call>`. Text after a call makes the
    turn malformed: templates cannot write it, and it is usually an invented result.
    """

    name: str = "hermes"
    stops: tuple[str, ...] = ()

    def parse(self, text: str) -> ParsedText:
        """Take a turn apart; white space before and after a call belongs to the call."""
        thought, at, unclosed = _leading_thought(text)
        spans = [Span(0, at, SpanKind.THINK)] if at else []
        if unclosed:
            return ParsedText(thought, "", (), "<think> is never closed", tuple(spans))
        first = text.find(_OPEN, at)
        end = len(text) if first < 0 else first
        message = text[at:end].strip()
        if at < end and (message or first < 0):
            spans.append(Span(at, end, SpanKind.ANSWER))
            at = end
        calls: list[Call] = []
        problem = _stray(message)
        for number, region in enumerate(_regions(text, first)):
            spans.append(Span(at, region.end, SpanKind.CALL, number))
            found = _try_call(region, "arguments", number)
            if isinstance(found, Call):
                calls.append(found)
            else:
                problem = problem or found
            at = region.following
            if region.end < at:
                spans.append(Span(region.end, at, SpanKind.ANSWER))
                problem = problem or "text after a call; end the turn after the last call"
        return ParsedText(thought, message, () if problem else tuple(calls), problem, tuple(spans))

    def render(self, turn: GoldTurn) -> str:
        """Write a turn; thought and message are stripped of outer white space."""
        thought, message = turn.thought.strip(), (turn.message or "").strip()
        head = f"<think>\n{thought}\n</think>\n\n" if thought else ""
        calls = [f"{_OPEN}\n{_escaped(call, 'arguments')}\n{_CLOSE}" for call in turn.calls]
        return _proven(self, turn, head + "\n".join([message, *calls] if message else calls))


@dataclass(frozen=True, slots=True)
class Llama3:
    """`{"name": ..., "parameters": {...}}` as the whole turn, or else a message.

    One call a turn, after an optional `<|python_tag|>`. A thought has no place beside a call and is
    not rendered. A message that starts with `{` or the tag is meant as a call.
    """

    name: str = "llama3"
    stops: tuple[str, ...] = ("<|eom_id|>",)

    def parse(self, text: str) -> ParsedText:
        """Take a turn apart."""
        body = text.strip()
        tagged = body.startswith("<|python_tag|>")
        body = body.removeprefix("<|python_tag|>").strip()
        if not tagged and not body.startswith("{"):
            spans = (Span(0, len(text), SpanKind.ANSWER),) if text else ()
            return ParsedText("", body, (), None, spans)
        found = _try_call(_Region(body, True, len(text), len(text)), "parameters", 0)
        spans = (Span(0, len(text), SpanKind.CALL, 0),)
        if isinstance(found, Call):
            return ParsedText("", "", (found,), None, spans)
        return ParsedText("", "", (), found, spans)

    def render(self, turn: GoldTurn) -> str:
        """Write a turn; the thought is left out."""
        if len(turn.calls) > 1:
            raise ValueError(f"llama3 writes one call a turn, not {len(turn.calls)}; use hermes")
        bare = GoldTurn("", turn.calls, None if turn.calls else turn.message)
        text = _escaped(turn.calls[0], "parameters") if turn.calls else (turn.message or "").strip()
        return _proven(self, bare, text)


FORMATS: dict[str, CallFormat] = {"hermes": Hermes(), "llama3": Llama3()}


def call_format(name: str) -> CallFormat:
    """The format of that name.

    Raises:
        LookupError: for an unknown name, with the names there are.
    """
    if name not in FORMATS:
        raise LookupError(f"unknown call format {name!r}; there are {', '.join(FORMATS)}")
    return FORMATS[name]


def _leading_thought(text: str) -> tuple[str, int, bool]:
    """The thought, where it ends (white space included), and whether it was left open."""
    head = re.match(r"\s*<think>", text)
    if head is None:
        return "", 0, False
    close = text.find("</think>", head.end())
    if close < 0:
        return text[head.end() :].strip(), len(text), True
    end = close + len("</think>")
    end += len(text[end:]) - len(text[end:].lstrip())
    return text[head.end() : close].strip(), end, False


def _stray(message: str) -> str | None:
    for marker in ("</tool_call>", "<think>", "</think>"):
        if marker in message:
            return f"{marker} out of place"
    return None


@dataclass(frozen=True, slots=True)
class _Region:
    """One call: the text between its markers, and where it ends with the white space behind it.

    following: where the next call starts, or the length of the text.
    """

    body: str
    closed: bool
    end: int
    following: int


def _regions(text: str, start: int) -> Iterator[_Region]:
    """The calls from `start` on; none where `start` is -1."""
    while start >= 0:
        inside = start + len(_OPEN)
        start = text.find(_OPEN, inside)
        following = len(text) if start < 0 else start
        close = text.find(_CLOSE, inside, following)
        if close < 0:
            yield _Region(text[inside:following], False, following, following)
        else:
            end = close + len(_CLOSE)
            tail = text[end:following]
            end += len(tail) - len(tail.lstrip())
            yield _Region(text[inside:close], True, end, following)


def _try_call(region: _Region, key: str, number: int) -> Call | str:
    """The call in a region, or the reason why there is none; `number` is for the reason only."""
    try:
        if not region.closed:
            raise Malformed(f"{_OPEN} is never closed")
        return _call_of(region.body, key)
    except Malformed as reason:
        return f"call {number + 1}: {reason}" if number else str(reason)


def _call_of(body: str, key: str) -> Call:
    """The call that `{"name": ..., key: {...}}` stands for.

    Raises:
        Malformed: when the text is anything else.
    """
    try:
        value = json.loads(
            body, object_pairs_hook=_pairs, parse_constant=_constant, parse_float=_number
        )
    except json.JSONDecodeError as error:
        more = "text after the call" if error.msg == "Extra data" else error.msg.lower()
        raise Malformed(f"not valid JSON: {more}, character {error.pos}") from None
    except RecursionError:
        raise Malformed(f"nested deeper than {MAX_DEPTH}") from None
    except ValueError:
        raise Malformed("a number is too long") from None
    if not isinstance(value, dict):
        raise Malformed("a call must be an object")
    name, arguments = value.get("name"), value.get(key)
    if not isinstance(name, str) or not name:
        raise Malformed("name is missing")
    if name == MALFORMED:
        raise Malformed(f"no tool is called {MALFORMED}")
    if not isinstance(arguments, dict):
        raise Malformed(f"{key} must be an object")
    extra = [k for k in value if k not in ("name", key) and (k, value[k]) != ("type", "function")]
    if extra:
        raise Malformed(f"unexpected key {extra[0]!r}")
    _check_plain([name, arguments], MAX_DEPTH)
    return Call(name, arguments)


def _pairs(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for i, (key, _) in enumerate(pairs) if key in dict(pairs[:i]))
        raise Malformed(f"{twice!r} is given twice")
    return found


def _constant(word: str) -> NoReturn:
    raise Malformed(f"{word} is not a JSON number")


def _number(word: str) -> float:
    value = float(word)
    if not math.isfinite(value):
        raise Malformed("a number is too large")
    return value


def _check_plain(value: Json, depth: int) -> None:
    """Refuse what later layers cannot carry: deep nesting, and half of a surrogate pair."""
    if depth < 0:
        raise Malformed(f"nested deeper than {MAX_DEPTH}")
    if isinstance(value, str):
        if any("\ud800" <= char <= "\udfff" for char in value):
            raise Malformed("a string holds half a character")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_plain(key, depth)
            _check_plain(item, depth - 1)
    elif isinstance(value, list):
        for item in value:
            _check_plain(item, depth - 1)


def _escaped(call: Call, key: str) -> str:
    """The call as JSON; a tag inside its strings becomes an escape, so that it is not markup."""
    text = json.dumps({"name": call.name, key: call.arguments}, ensure_ascii=False, allow_nan=False)
    return re.sub(r"<(?=\||/?[a-z_]+>)", r"\\u003c", text)


def _proven(form: CallFormat, turn: GoldTurn, text: str) -> str:
    """`text`, if it reads back as `turn`."""
    back = form.parse(text)
    if back.malformed is None and back.calls == turn.calls:
        wanted = (turn.thought.strip(), (turn.message or "").strip())
        if (back.thought, back.message) == wanted:
            return text
    why = back.malformed or "it would be read as something else"
    raise ValueError(f"{form.name} cannot write this turn: {why}: {text[:200]!r}")
