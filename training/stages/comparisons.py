"""Comparisons from a file: one JSON object a line, as people or other programs write them.

Owns the format {prompt, response_a, response_b, preference}. Refuses lines that it cannot read, by
number. Invariant: only what an assistant wrote is labelled, never a prompt or a tool's result.

prompt: text of the user, or messages (system, user) in a list; tools: OpenAI-style schemas, where
there are any. A response: the assistant's text, or messages: {"role": "assistant", "content": the
whole turn with its calls as the call format writes them} and {"role": "tool", "content": result}.
preference: "a", "b" or "tie".
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Literal

import pydantic
from pydantic import BaseModel, ConfigDict, JsonValue

from tooldojo.rollouts.chat import Chat
from tooldojo.training.stages.demonstrations import IGNORE, TokenRow
from tooldojo.training.stages.preferences import Judged, Pair, PreferenceError, Preferences
from tooldojo.verifiers.canonical import content_hash


class Message(BaseModel):
    """One message of a prompt or response."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    role: Literal["system", "user", "assistant", "tool"]
    content: str


class Comparison(BaseModel):
    """One line of the file; other keys (who judged, which trajectories) are kept out of it."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    prompt: str | tuple[Message, ...]
    response_a: str | tuple[Message, ...]
    response_b: str | tuple[Message, ...]
    preference: Literal["a", "b", "tie"]
    tools: tuple[dict[str, JsonValue], ...] = ()


def read_comparisons(path: Path, chat: Chat) -> Preferences:
    """The comparisons of a JSONL file as token rows; ties are counted and left out.

    Raises:
        PreferenceError: naming the first line that cannot be read, and why.
    """
    judged: list[Judged] = []
    pairs: list[Pair] = []
    skipped: Counter[str] = Counter()
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            comparison = Comparison.model_validate_json(line)
            a, b = (_row(comparison, each, chat) for each in _responses(comparison))
        except pydantic.ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the line"
            raise PreferenceError(f"{path}:{number}: {where}: {first['msg'].lower()}") from None
        except ValueError as error:
            raise PreferenceError(f"{path}:{number}: {error}") from None
        if comparison.preference == "tie":
            skipped["ties"] += 1
            continue
        chosen, rejected = (a, b) if comparison.preference == "a" else (b, a)
        key = content_hash(comparison.model_dump(mode="json", include={"prompt", "tools"}))
        pairs.append(Pair(key, chosen, rejected))
        judged += [Judged(key, chosen, True), Judged(key, rejected, False)]
    return Preferences(tuple(judged), tuple(pairs), dict(skipped))


def _responses(comparison: Comparison) -> tuple[tuple[Message, ...], tuple[Message, ...]]:
    a, b = (
        (Message(role="assistant", content=each),) if isinstance(each, str) else each
        for each in (comparison.response_a, comparison.response_b)
    )
    return a, b


def _row(comparison: Comparison, response: tuple[Message, ...], chat: Chat) -> TokenRow:
    system, user = _prompt(comparison.prompt)
    row = TokenRow([], [])
    row.extend(chat.prompt_ids(system, comparison.tools, user), learn=False)
    results: list[str] = []
    if not response or response[-1].role != "assistant":
        raise ValueError("a response ends with an assistant message")
    for message in response:
        if message.role == "tool":
            results.append(message.content)
            continue
        if message.role != "assistant":
            raise ValueError(f"a response holds no {message.role} message")
        if results:
            row.extend(chat.observation_ids(results), learn=False)
        elif row.labels[-1] != IGNORE:
            raise ValueError("two assistant messages in a row; a tool's result stands between")
        results = []
        row.extend(chat.turn_ids(message.content), learn=True)
    return row


def _prompt(prompt: str | tuple[Message, ...]) -> tuple[str, str]:
    """System and user text."""
    if isinstance(prompt, str):
        return "", prompt
    roles = [message.role for message in prompt]
    if roles not in (["user"], ["system", "user"]):
        raise ValueError(f"a prompt is a user message, or system and user; got {roles}")
    return (prompt[0].content if len(prompt) == 2 else ""), prompt[-1].content
