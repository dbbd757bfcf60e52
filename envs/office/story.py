"""What office templates write gold with: a `Story` that keeps to what the model may know.

Thoughts quote the prompt, the policy, or a result seen before.
"""

from __future__ import annotations

from collections.abc import Sequence

from tooldojo.envs.gold import Script
from tooldojo.envs.office.scene import Scene
from tooldojo.envs.task import GoldTurn


class Story(Script):
    """A demonstration on a scene; it knows which id a new meeting will get."""

    def __init__(self, scene: Scene) -> None:
        super().__init__()
        self._scene = scene

    def plan(self, thought: str, person: str, day: str) -> None:
        """Look at a person's free hours."""
        self.do(thought, "day_plan", person=person, day=day)

    def plans(self, people: Sequence[str], day: str) -> None:
        """Look at the free hours of several people, one after the other."""
        self.plan(f"First I need the free hours of {people[0]} on {day}.", people[0], day)
        for person in people[1:]:
            self.plan(f"Now the free hours of {person} on {day}, to compare.", person, day)

    def book(self, thought: str, topic: str, day: str, time: str, people: Sequence[str]) -> str:
        """Set a meeting; the id that it gets, if nobody is busy."""
        self.do(thought, "set_meeting", topic=topic, day=day, time=time, people=list(people))
        return self._scene.reserve_meeting(topic, people)

    def end_booked(self, meeting_id: str) -> list[GoldTurn]:
        """Close after a new meeting."""
        return self.close(
            f"The new meeting is {meeting_id}, so this is done.", f"Result: booked {meeting_id}"
        )

    def end_none(self, who: str, day: str) -> list[GoldTurn]:
        """Close where no hour suits."""
        return self.close(
            f"No hour on {day} suits, so there is nothing to set.", f"Result: none {who}"
        )


def pick(hours: Sequence[str], wish: str) -> str:
    """The first or the last of sorted hours."""
    return hours[0] if wish == "earliest" else hours[-1]
