"""The token record: what may be appended, and that every broken invariant is noticed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tooldojo.rollouts.buffer import BadSegment, TokenBuffer, check_segment
from tooldojo.rollouts.chat import ParsedTurn
from tooldojo.rollouts.formats import Span
from tooldojo.rollouts.records import PolicyRef, Segment, SpanKind
from tooldojo.rollouts.sampler import Sampled

ids = st.lists(st.integers(0, 1000), min_size=1, max_size=6)


def add_turn(buffer: TokenBuffer, tokens: list[int], version: int, cut: int) -> None:
    """A turn whose first `cut` tokens are a thought and whose others are call 0."""
    cut = min(cut, len(tokens))
    spans = [Span(0, cut, SpanKind.THINK), Span(cut, len(tokens), SpanKind.CALL, 0)]
    spans = [span for span in spans if span.end > span.start]
    sampled = Sampled(
        tuple(tokens), tuple(-0.5 for _ in tokens), "stop", PolicyRef("p", version, "d"), 0.1, 0.2
    )
    buffer.append_sampled(sampled, ParsedTurn("text", "", "", (), None, tuple(spans)))


@st.composite
def buffers(draw: st.DrawFn) -> tuple[TokenBuffer, list[list[int]]]:
    """A buffer, and its whole ids after every append."""
    buffer = TokenBuffer()
    buffer.append_context(draw(ids), SpanKind.PROMPT)
    seen = [list(buffer.ids)]
    for _ in range(draw(st.integers(0, 4))):
        add_turn(buffer, draw(ids), draw(st.integers(0, 3)), draw(st.integers(0, 6)))
        seen.append(list(buffer.ids))
        if draw(st.booleans()):
            buffer.append_context(draw(ids), SpanKind.OBSERVATION)
            seen.append(list(buffer.ids))
    return buffer, seen


@settings(max_examples=150, deadline=None)
@given(buffers())
def test_a_record_only_grows_and_keeps_its_invariants(
    made: tuple[TokenBuffer, list[list[int]]],
) -> None:
    buffer, seen = made
    segment = buffer.freeze()
    for before in seen:
        assert segment.ids_T[: len(before)].tolist() == before
    sampled = [i for t in segment.turns for i in range(t.start, t.end)]
    assert np.flatnonzero(segment.sampled_T).tolist() == sampled
    assert np.flatnonzero(np.isfinite(segment.logprobs_T)).tolist() == sampled
    assert len(segment.turns) == buffer.turns
    assert buffer.remaining(10) == max(0, 10 - len(segment.ids_T))


def sample_segment() -> Segment:
    buffer = TokenBuffer()
    buffer.append_context([1, 2], SpanKind.PROMPT)
    add_turn(buffer, [3, 4, 5], 0, 1)
    buffer.append_context([6, 7], SpanKind.OBSERVATION)
    add_turn(buffer, [8, 9], 1, 0)
    buffer.took(0.5)
    return buffer.freeze()


def put(segment: Segment, name: str, place: int, value: float) -> Segment:
    array = getattr(segment, name).copy()
    array[place] = value
    return replace(segment, **{name: array})


@pytest.mark.parametrize(
    ("name", "place", "value", "why"),
    [
        ("ids_T", 0, -1, "negative token id at token 0"),
        ("versions_T", 0, 1, "turns and mask disagree at token 0"),
        ("versions_T", 3, -1, "turns and mask disagree at token 3"),
        ("versions_T", 5, -2, "version below -1"),
        ("logprobs_T", 0, -0.1, "logprob that does not match"),
        ("logprobs_T", 2, np.nan, "logprob that does not match"),
        ("logprobs_T", 2, -np.inf, "logprob that does not match"),
        ("logprobs_T", 5, np.inf, "logprob at a token that was not sampled"),
        ("logprobs_T", 2, 0.01, "logprob above 0"),
        ("kinds_T", 1, SpanKind.CALL, "kind that denies"),
        ("kinds_T", 3, SpanKind.OBSERVATION, "kind that denies"),
        ("kinds_T", 1, 77, "unknown kind"),
        ("kinds_T", 3, SpanKind.ANSWER, "call without its index"),
        ("call_T", 1, 0, "call without its index"),
    ],
)
def test_every_broken_invariant_is_noticed(name: str, place: int, value: float, why: str) -> None:
    with pytest.raises(BadSegment, match=why):
        check_segment(put(sample_segment(), name, place, value))


def test_rounding_above_zero_is_tolerated() -> None:
    check_segment(put(sample_segment(), "logprobs_T", 2, 5e-5))


def test_broken_turns_and_shapes_are_noticed() -> None:
    segment = sample_segment()
    first, second = segment.turns
    assert second.timings.tool == 0.5
    for turns, why in (
        ((first,), "disagree"),
        ((second, first), "stands at place|after"),
        ((first, replace(second, index=5)), "turn 5 stands at place 1"),
        ((replace(first, start=0), second), r"spans \[0, 5\)"),
        ((first, replace(second, end=99)), "spans"),
    ):
        with pytest.raises(BadSegment, match=why):
            check_segment(replace(segment, turns=turns))
    with pytest.raises(BadSegment, match="call_T is"):
        check_segment(replace(segment, call_T=segment.call_T[:-1]))
    with pytest.raises(BadSegment, match="ids_T is int64"):
        check_segment(replace(segment, ids_T=segment.ids_T.astype(np.int64)))


def test_appending_nonsense_is_refused() -> None:
    buffer = TokenBuffer()
    with pytest.raises(BadSegment, match="CALL"):
        buffer.append_context([1], SpanKind.CALL)
    policy = PolicyRef("p", 0, "d")
    parsed = ParsedTurn("", "", "", (), None, (Span(0, 1, SpanKind.ANSWER),))
    with pytest.raises(BadSegment, match="0 tokens"):
        buffer.append_sampled(Sampled((), (), "stop", policy, 0, 0), parsed)
    with pytest.raises(BadSegment, match="2 tokens came with 1"):
        buffer.append_sampled(Sampled((1, 2), (-1.0,), "stop", policy, 0, 0), parsed)
    with pytest.raises(BadSegment, match="cover 1 of 2"):
        buffer.append_sampled(Sampled((1, 2), (-1.0, -1.0), "stop", policy, 0, 0), parsed)
