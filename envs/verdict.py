"""What an audit said of an imported world, and whether it may train.

Owns the one rule: worlds of ours train; imported ones only where the recipe says so, and never one
that the audit blocked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from tooldojo.configs.loading import RecipeError


class Audit(StrEnum):
    """How an audit of an imported world ended."""

    PASSED = "passed"  # nothing found; its verifier is still somebody else's
    FLAGGED = "flagged"  # faults that cost accuracy, listed as reasons
    BLOCKED = "blocked"  # pays what is wrong, runs model text or cannot be judged: refused
    UNAUDITED = "unaudited"  # never attacked in this version


@dataclass(frozen=True, slots=True)
class Verdict:
    """An audit's result with its reasons; `of` names what was audited, version included."""

    audit: Audit
    reasons: tuple[str, ...] = ()
    of: str = ""

    def __str__(self) -> str:
        why = f" ({'; '.join(self.reasons)})" if self.reasons else ""
        return f"{self.audit.value}{why}"


def refuse_untrusted(verdicts: Sequence[tuple[str, Verdict | None]], allowed: bool) -> None:
    """Pass where every world may train; `verdicts` are ids with None for worlds of ours.

    Raises:
        RecipeError: naming the first world that may not, its verdict and the key to set.
    """
    for env_id, verdict in verdicts:
        if verdict is None:
            continue
        if verdict.audit is Audit.BLOCKED:
            raise RecipeError(f"{env_id} does not train: {verdict}; choose another world")
        if not allowed:
            raise RecipeError(
                f"{env_id} is imported and its audit says {verdict}; "
                "set task.allow_unaudited=true to train on it nevertheless"
            )
