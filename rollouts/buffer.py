"""`TokenBuffer`: the append-only token sequence of one trajectory, and the check of what it became.

Refuses edits: there is no way to change or remove a token. Invariants (see `check_segment`):
exactly the sampled tokens carry a policy version and a logprob (none of them does where the sampler
knows none); turns are ordered and between them stands only context, so a turn's ids start with
those of the turn before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tooldojo.rollouts.chat import ParsedTurn
from tooldojo.rollouts.records import SAMPLED_KINDS, Segment, SpanKind, Timings, Turn
from tooldojo.rollouts.sampler import Sampled

LOGPROB_TOLERANCE = 1e-4  # engines round: a certain token's logprob may come out just above 0
_DTYPES = {
    "ids_T": np.int32,
    "kinds_T": np.uint8,
    "call_T": np.int16,
    "logprobs_T": np.float32,
    "versions_T": np.int32,
}


class BadSegment(ValueError):
    """A token record breaks its invariants: a bug in a sampler or in the rollout code."""


class TokenBuffer:
    """Grows by context and by sampled turns; `freeze` gives the record.

    first_turn: the number of the first turn to come; above 0 in a branch.
    """

    def __init__(self, first_turn: int = 0) -> None:
        self._first_turn = first_turn
        self.ids: list[int] = []
        self._kinds: list[int] = []
        self._calls: list[int] = []
        self._logprobs: list[float] = []
        self._versions: list[int] = []
        self._turns: list[Turn] = []

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def turns(self) -> int:
        """Assistant turns so far, those before a branch included."""
        return self._first_turn + len(self._turns)

    def remaining(self, max_context: int) -> int:
        """How many tokens still fit; never negative."""
        return max(0, max_context - len(self.ids))

    def append_context(self, ids: Sequence[int], kind: SpanKind) -> None:
        """Add tokens that no policy sampled."""
        if kind in SAMPLED_KINDS:
            raise BadSegment(f"context cannot be of kind {kind.name}; that is for sampled tokens")
        self.ids.extend(ids)
        self._kinds.extend([int(kind)] * len(ids))
        self._calls.extend([-1] * len(ids))
        self._logprobs.extend([float("nan")] * len(ids))
        self._versions.extend([-1] * len(ids))

    def append_sampled(self, sampled: Sampled, parsed: ParsedTurn) -> None:
        """Add one sampled turn; its parser's spans must cover all of its tokens.

        Raises:
            BadSegment: for an answer without tokens, or with another number of logprobs or spans.
        """
        count = len(sampled.ids)
        if not count or len(sampled.logprobs) != count:
            raise BadSegment(f"a turn of {count} tokens came with {len(sampled.logprobs)} logprobs")
        start = len(self.ids)
        for span in parsed.spans:
            self._kinds.extend([int(span.kind)] * (span.end - span.start))
            self._calls.extend([span.call] * (span.end - span.start))
        self.ids.extend(sampled.ids)
        if len(self._kinds) != len(self.ids):
            raise BadSegment(f"spans cover {len(self._kinds) - start} of {count} sampled tokens")
        self._logprobs.extend(sampled.logprobs)
        self._versions.extend([sampled.policy.version] * count)
        self._turns.append(
            Turn(
                index=self.turns,
                start=start,
                end=len(self.ids),
                text=parsed.text,
                calls=len(parsed.calls),
                malformed=parsed.malformed,
                finish=sampled.finish,
                timings=Timings(sampled.prefill, sampled.decode, 0.0),
            )
        )

    def took(self, tool_seconds: float) -> None:
        """Note how long the last turn's calls ran."""
        last = self._turns[-1]
        self._turns[-1] = replace(last, timings=replace(last.timings, tool=tool_seconds))

    def freeze(self) -> Segment:
        """The checked record of everything so far.

        Raises:
            BadSegment: when an invariant does not hold.
        """
        segment = Segment(
            np.array(self.ids, np.int32),
            np.array(self._kinds, np.uint8),
            np.array(self._calls, np.int16),
            np.array(self._logprobs, np.float32),
            np.array(self._versions, np.int32),
            tuple(self._turns),
        )
        check_segment(segment)
        return segment


def check_segment(segment: Segment) -> None:
    """Check the invariants of a token record.

    Raises:
        BadSegment: naming the first one that does not hold.
    """
    size = len(segment.ids_T)
    for name, dtype in _DTYPES.items():
        array: np.ndarray = getattr(segment, name)
        if array.shape != (size,) or array.dtype != dtype:
            found = f"{array.dtype}{array.shape}"
            raise BadSegment(f"{name} is {found}, expected {np.dtype(dtype)}({size},)")
    sampled_T = segment.sampled_T
    _check_turns(segment, sampled_T)
    known_T = sampled_T & ~np.isnan(segment.logprobs_T[sampled_T]).all()
    for wrong_T, what in (
        (segment.ids_T < 0, "negative token id"),
        (segment.versions_T < -1, "policy version below -1"),
        (np.isfinite(segment.logprobs_T) != known_T, "logprob that does not match its mask"),
        (~sampled_T & ~np.isnan(segment.logprobs_T), "logprob at a token that was not sampled"),
        (sampled_T & (segment.logprobs_T > LOGPROB_TOLERANCE), "logprob above 0"),
        (segment.kinds_T > max(SpanKind), "unknown kind"),
        (np.isin(segment.kinds_T, list(SAMPLED_KINDS)) != sampled_T, "kind that denies its mask"),
        ((segment.kinds_T == SpanKind.CALL) != (segment.call_T >= 0), "call without its index"),
    ):
        if wrong_T.any():
            raise BadSegment(f"{what} at token {int(np.argmax(wrong_T))} of {size}")


def _check_turns(segment: Segment, sampled_T: np.ndarray) -> None:
    """Turns are ordered and numbered in a row, and cover exactly the sampled tokens."""
    expected_T = np.zeros(len(segment.ids_T), bool)
    previous = 0
    for place, turn in enumerate(segment.turns):
        if turn.index != segment.turns[0].index + place:
            raise BadSegment(f"turn {turn.index} stands at place {place}")
        if not previous <= turn.start < turn.end <= len(expected_T) or turn.start == 0:
            raise BadSegment(f"turn {turn.index} spans [{turn.start}, {turn.end}) after {previous}")
        expected_T[turn.start : turn.end] = True
        previous = turn.end
    wrong_T = expected_T != sampled_T
    if wrong_T.any():
        raise BadSegment(f"turns and mask disagree at token {int(np.argmax(wrong_T))}")
