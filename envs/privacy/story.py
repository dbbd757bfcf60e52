"""What the desk's templates write gold with: a `Story` that keeps to what the model may know.

Thoughts quote the request, the rules, or a result seen before.
"""

from __future__ import annotations

from collections.abc import Sequence

from tooldojo.envs.gold import Script
from tooldojo.envs.task import GoldTurn

REFUSED = "Result: refused"


class Story(Script):
    """A demonstration at the desk."""

    def find(self, name: str) -> None:
        """Look for a patient's chart."""
        self.do(f"The request is about {name}, so I find the chart.", "find_chart", name=name)

    def confirm(self, chart: str, born: str) -> None:
        """Compare the birth date that the caller gave."""
        why = f"The caller gives {born} as birth date for {chart}; I confirm it."
        self.do(why, "confirm_caller", chart=chart, born=born)

    def badge(self, badge: str) -> None:
        """Read the badge of somebody from the staff."""
        self.do(f"A staff request, so I read the badge {badge}.", "read_badge", badge=badge)

    def open(self, thought: str, chart: str) -> None:
        """Open a chart."""
        self.do(thought, "open_chart", chart=chart)

    def visits(self, thought: str, chart: str) -> None:
        """List a chart's visits."""
        self.do(thought, "chart_visits", chart=chart)

    def refuse(self, because: str, code: str, subject: str) -> list[GoldTurn]:
        """Close with a refusal."""
        return self.close(f"{because}, so I must refuse.", f"{REFUSED} {code} {subject}")

    def mismatch(self, chart: str) -> list[GoldTurn]:
        """Close because the birth date was wrong."""
        return self.refuse(f"The birth date is no match for {chart}", "mismatch", chart)

    def told(self, item: str, value: str, chart: str, extra: Sequence[str] = ()) -> list[GoldTurn]:
        """Close with an item of a chart."""
        why = " ".join([f"The {item} in chart {chart} is {value}.", *extra])
        return self.close(why, f"Result: told {value} {chart}")
