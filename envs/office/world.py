"""The office world: its policy and its ten tools.

State: `people`, their `busy` hours by day, `meetings` and `mails` by id. The tools reject what is
impossible; what the policy forbids is left to the model, and the verifier sees it in the final
state.
"""

from __future__ import annotations

from random import Random
from typing import Any, ClassVar, Literal

from tooldojo.envs.draft import Draft
from tooldojo.envs.office.scene import DAYS, HOURS, free_hours, new_meeting_id
from tooldojo.envs.office.tasks import UNSEEN_COMBOS, UNSEEN_WORDINGS, draft
from tooldojo.envs.registry import register
from tooldojo.envs.tools import ToolError, tool
from tooldojo.envs.world import World
from tooldojo.verifiers.combine import Verifier, state_answer_and_look

_SYSTEM = """You keep an office's calendar and mail with tools. Rules:
1. All who attend a meeting must be free.
2. Refuse meetings with over 4 visitors or on Sat or Sun; what no tool can do is unsupported. \
If any part is so, also in a branch not taken, all is: call nothing.
3. Refuse to move or cancel a meeting for a person who does not attend it, and to forward \
private mail.
4. Repeat a call that timed out.
Close with one line: Result: <code> <id>. The first code that applies: booked, moved, cancelled, \
kept (meeting); forwarded, labelled, answered, unknown, kept (mail); busy (who is); refused \
(private mail: mail and sender); none, refused, unsupported (first person named). For facts the \
code is the value, the id its mail or person."""


@register("tooldojo/Office-v0")
class Office(World):
    """A calendar and an inbox: look up, set, move, cancel, answer, forward, label, or decline."""

    system_prompt: ClassVar[str] = _SYSTEM
    levels: ClassVar[tuple[int, ...]] = (1, 2, 3)
    verifier: ClassVar[Verifier] = state_answer_and_look("refused", "unsupported")
    unseen_combos: ClassVar[frozenset[tuple[str, str]]] = UNSEEN_COMBOS
    unseen_wordings: ClassVar[frozenset[int]] = UNSEEN_WORDINGS

    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        """One random task of a level."""
        return draft(rng, level)

    @tool(mutates=False)
    def day_plan(self, person: str, day: str) -> str:
        """Free hours of a day."""
        self._known(person)
        _check(day, DAYS, "day")
        return ", ".join(free_hours(self.state, person, day)) or "no free hour"

    @tool(mutates=False)
    def find_meetings(self, person: str) -> str:
        """Meetings of a person."""
        self._known(person)
        found = [
            f"{meeting_id}: {meeting['topic']}, {meeting['day']} {meeting['time']}"
            + "".join(f", {other}" for other in meeting["people"] if other != person)
            for meeting_id, meeting in sorted(self.state["meetings"].items())
            if person in meeting["people"]
        ]
        return "; ".join(found) or "no meetings"

    @tool(mutates=True)
    def set_meeting(self, topic: str, day: str, time: str, people: list[str]) -> str:
        """Enter a new meeting."""
        if not people or len(set(people)) < len(people):
            raise ToolError("people must be named, each once")
        self._check_free(people, day, time)
        meetings = self.state["meetings"]
        meeting_id = new_meeting_id(meetings, topic, people)
        entry = {"topic": topic, "day": day, "time": time, "people": sorted(people)}
        meetings[meeting_id] = entry
        return f"set {meeting_id}"

    @tool(mutates=True)
    def move_meeting(self, meeting_id: str, day: str, time: str) -> str:
        """Change the hour."""
        meeting = self._meeting(meeting_id)
        self._check_free(meeting["people"], day, time)
        meeting.update(day=day, time=time)
        return f"moved {meeting_id}"

    @tool(mutates=True)
    def cancel_meeting(self, meeting_id: str) -> str:
        """Cancel a meeting."""
        self._meeting(meeting_id)
        del self.state["meetings"][meeting_id]
        return f"cancelled {meeting_id}"

    @tool(mutates=False)
    def list_inbox(self, sender: str) -> str:
        """Mails of a sender."""
        self._known(sender)
        found = [
            f"{mail_id}: {mail['topic']}"
            for mail_id, mail in sorted(self.state["mails"].items())
            if mail["sender"] == sender
        ]
        return "; ".join(found) or "no mails"

    @tool(mutates=False)
    def open_mail(self, mail_id: str) -> str:
        """Read a mail."""
        mail = self._mail(mail_id)
        facts = f"{mail['topic']}, from {mail['sender']}, label {mail['label']}"
        return f"{facts}, asks: {mail['asks']}"

    @tool(mutates=True)
    def answer_mail(self, mail_id: str, reply: Literal["yes", "no"]) -> str:
        """Answer a mail."""
        mail = self._mail(mail_id)
        if mail["reply"] != "none":
            raise ToolError(f"{mail_id} already has the answer {mail['reply']}")
        mail["reply"] = reply
        return f"answered {mail_id}"

    @tool(mutates=True)
    def forward_mail(self, mail_id: str, person: str) -> str:
        """Forward a mail."""
        mail = self._mail(mail_id)
        self._known(person)
        if person in mail["sent_to"]:
            raise ToolError(f"{person} already has {mail_id}")
        mail["sent_to"] = sorted([*mail["sent_to"], person])
        return f"forwarded {mail_id}"

    @tool(mutates=True, idempotent=True)
    def label_mail(self, mail_id: str, label: Literal["urgent", "later"]) -> str:
        """Label a mail."""
        self._mail(mail_id)["label"] = label
        return f"labelled {mail_id}"

    def _known(self, person: str) -> None:
        if person not in self.state["people"]:
            raise ToolError(f"no person {person}")

    def _check_free(self, people: list[str], day: str, time: str) -> None:
        _check(day, DAYS, "day")
        _check(time, HOURS, "hour")
        for person in people:
            self._known(person)
            if time not in free_hours(self.state, person, day):
                raise ToolError(f"{person} is busy on {day} at {time}")

    def _meeting(self, meeting_id: str) -> dict[str, Any]:
        if meeting_id not in self.state["meetings"]:
            raise ToolError(f"no meeting {meeting_id}")
        return self.state["meetings"][meeting_id]

    def _mail(self, mail_id: str) -> dict[str, Any]:
        if mail_id not in self.state["mails"]:
            raise ToolError(f"no mail {mail_id}")
        return self.state["mails"][mail_id]


def _check(value: str, allowed: tuple[str, ...], what: str) -> None:
    if value not in allowed:
        raise ToolError(f"no {what} {value}; there are {', '.join(allowed)}")
