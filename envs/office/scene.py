"""Random offices: people, their hours, meetings and mails, drawn from one generator.

Meetings and mails carry random numbers and people random initials, so that no closing line fits
two tasks. Invariant: a meeting's people are free of any other engagement at its hour.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from tooldojo.envs.templates import Names
from tooldojo.verifiers.canonical import content_hash

_NAMES = """
    Astrid Ingvar Oskar Ulrike Edvard Agnes Isolde Anton Elspeth Albin Ursel Ottilie Egbert Alfred
    Imogen Oswald Ingrid Ansgar Esther Olga Elmer Astor Espen Ivan Orson Umberto Alwin Edna
"""
INITIALS = "BCDEFGHJKLMNOPRSTVWYZ"
_TOPICS = """
    payroll hiring roadmap kickoff audit backlog onboarding newsletter merger branding rota
    intranet procurement sponsorship compliance appraisal outreach logistics
"""
NAMES, TOPICS = _NAMES.split(), _TOPICS.split()
WEEK = ("Mon", "Tue", "Wed", "Thu", "Fri")
WEEKEND = ("Sat", "Sun")
DAYS = (*WEEK, *WEEKEND)
HOURS = tuple(f"{hour:02d}:00" for hour in range(9, 17))
WISHES = ("earliest", "latest")


def free_hours(state: dict[str, Any], person: str, day: str) -> list[str]:
    """The hours of a day at which a person has neither a meeting nor anything else to do."""
    taken = set(state["busy"].get(person, {}).get(day, ()))
    for meeting in state["meetings"].values():
        if meeting["day"] == day and person in meeting["people"]:
            taken.add(meeting["time"])
    return [hour for hour in HOURS if hour not in taken]


def new_meeting_id(meetings: dict, topic: str, people: Sequence[str]) -> str:
    """The id of a new meeting: derived from what it is, so that the order does not matter."""
    number = int(content_hash([topic, *sorted(people)]), 16) % 9000
    while f"I{1000 + number}" in meetings:
        number = (number + 1) % 9000
    return f"I{1000 + number}"


class Scene:
    """A world under construction, and the names used in it so far."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.people: list[str] = []
        self.busy: dict[str, dict[str, list[str]]] = {}
        self.meetings: dict[str, dict[str, Any]] = {}
        self.mails: dict[str, dict[str, Any]] = {}
        self._names = Names()

    def world(self) -> dict[str, Any]:
        """The state that the scene has become."""
        return {
            "people": sorted(self.people), "busy": self.busy,
            "meetings": self.meetings, "mails": self.mails,
        }  # fmt: skip

    def person(self) -> str:
        """A new person."""
        name = self._names.new(lambda: f"{self.rng.choice(NAMES)} {self._initials()}")
        self.people.append(name)
        return name

    def _initials(self) -> str:
        return "".join(self.rng.choices(INITIALS, k=2))

    def topic(self) -> str:
        """A new topic."""
        return self._names.new(lambda: self.rng.choice(TOPICS))

    def day(self) -> str:
        """A new working day."""
        return self._names.new(lambda: self.rng.choice(WEEK))

    def mail_id(self) -> str:
        """A new mail number, of a mail that need not exist."""
        return self._names.new(lambda: f"C{self.rng.randint(1000, 9999)}")

    def agenda(self, people: Sequence[str], day: str, common: int) -> list[str]:
        """Give people their free hours of a day, `common` of them shared by all; the shared."""
        hours = self.rng.sample(HOURS, len(HOURS))
        shared, rest = hours[:common], hours[common:]
        for hour in rest:
            lucky = [person for person in people if self.rng.random() < 0.4]
            if len(lucky) == len(people):
                lucky.remove(self.rng.choice(lucky))
            for person in people:
                if person not in lucky:
                    self.busy.setdefault(person, {}).setdefault(day, []).append(hour)
        return sorted(shared)

    def only_busy(self, busy: str, free: str, day: str, hour: str) -> None:
        """Of two people without meetings that day, let one be busy at an hour and one be free."""
        for person in (busy, free):
            taken = self.busy.setdefault(person, {}).setdefault(day, [])
            taken[:] = [each for each in taken if each != hour]
        self.busy[busy][day].append(hour)

    def reserve_meeting(self, topic: str, people: Sequence[str]) -> str:
        """The id that a meeting set now gets; no meeting put in later takes it."""
        meeting_id = new_meeting_id(self.meetings, topic, people)
        self._names.reserve(meeting_id)
        return meeting_id

    def meeting(self, topic: str, day: str, time: str, people: Sequence[str]) -> str:
        """Put a meeting into the calendar; its hour is kept free of anything else."""
        meeting_id = self._names.new(lambda: f"I{self.rng.randint(1000, 9999)}")
        entry = {"topic": topic, "day": day, "time": time, "people": sorted(people)}
        self.meetings[meeting_id] = entry
        for person in people:
            hours = self.busy.get(person, {}).get(day, [])
            if time in hours:
                hours.remove(time)
        return meeting_id

    def mail(self, sender: str, topic: str, asks: str = "nothing", label: str = "none") -> str:
        """Put a mail into the inbox."""
        mail_id = self.mail_id()
        entry = {"sender": sender, "topic": topic, "asks": asks, "label": label}
        self.mails[mail_id] = entry | {"reply": "none", "sent_to": []}
        return mail_id

    def clutter(self) -> None:
        """A mail and a meeting of other people."""
        one, two = self.person(), self.person()
        self.mail(one, self.topic())
        self.meeting(self.topic(), self.rng.choice(WEEK), self.rng.choice(HOURS), [one, two])
