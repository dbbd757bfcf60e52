"""`tooldojo/Dialogue-v0`: the tools of a help desk, and the customer who answers its messages.

State: `accounts` by number, `orders` and `visits` by account, `boxes` in stock, and `user`, the
customer's side. The tools refuse what is impossible; what the rules forbid is left to the model,
and the verifier sees it in the final state of both sides.
"""

from __future__ import annotations

from random import Random
from typing import Any, ClassVar, Literal

from tooldojo.envs.dialogue.desk import DAYS, networks
from tooldojo.envs.dialogue.household import Customer, Household, lamp, shown
from tooldojo.envs.dialogue.tasks import UNSEEN_COMBOS, UNSEEN_WORDINGS, draft
from tooldojo.envs.draft import Draft
from tooldojo.envs.registry import register
from tooldojo.envs.tools import ToolError, tool
from tooldojo.envs.users import User
from tooldojo.envs.world import World
from tooldojo.verifiers.combine import Verifier, state_answer_and_look

_SYSTEM = """You run an internet provider's help desk with tools; the customer answers your \
messages. Rules:
1. Ask for what you need; say what to do on the box.
2. If a number read out is unknown, ask once more, then close (unknown).
3. Unbar a line or switch a plan only if nothing is owed, else refuse.
4. After unbarring, switching or binding, the customer must restart the box.
5. Once the customer set guest, filter, bridge or channel, check with read_box; repeat if not done.
6. Lamp: dark, cable in; red, line barred; yellow, restart; green, book a visit.
7. Who calls for someone else is refused; what neither tools nor box can do is unsupported. Then \
ask nothing.
8. Repeat a call that timed out.
Close with one line: Result: <code> <account>. Codes, for the last wish: set, restarted, booked, \
shipped, unbarred, switched, bound, refused; a fact's value. By name: unknown, rule 7, what needs \
no account."""


@register("tooldojo/Dialogue-v0")
class Dialogue(World):
    """A help desk: ask, look up, tell the customer what to do, act, check, or decline."""

    system_prompt: ClassVar[str] = _SYSTEM
    levels: ClassVar[tuple[int, ...]] = (1, 2, 3)
    verifier: ClassVar[Verifier] = state_answer_and_look("refused", "unsupported")
    unseen_combos: ClassVar[frozenset[tuple[str, str]]] = UNSEEN_COMBOS
    unseen_wordings: ClassVar[frozenset[int]] = UNSEEN_WORDINGS
    user: User | None = Customer()

    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        """One random task of a level."""
        return draft(rng, level)

    def user_side(self) -> Household:
        """The customer at home."""
        return Household(self.state)

    @tool(mutates=False, idempotent=True)
    def open_account(self, account: str) -> str:
        """Plan, line, debt and box of an account."""
        row = self._account(account)
        return (
            f"{row['name']}; plan {row['plan']}; line {row['line']}; owes {row['owes']}; "
            f"box {row['box']}"
        )

    @tool(mutates=False, idempotent=True)
    def read_box(self, account: str) -> str:
        """Settings of an account's box, from afar."""
        self._account(account)
        user = self.state["user"]
        if account != user["account"] or user["settings"]["cable"] == "out":
            raise ToolError(f"the box of {account} does not answer")
        return f"{shown(user['settings'])}; lamp {lamp(self.state)}"

    @tool(mutates=False, idempotent=True)
    def scan_channels(self, account: str) -> str:
        """Networks nearby on each channel."""
        return ", ".join(
            f"channel {channel}: {count}"
            for channel, count in networks(self._account(account)["box"]).items()
        )

    @tool(mutates=True)
    def unbar_line(self, account: str) -> str:
        """Open a barred line."""
        row = self._account(account)
        if row["line"] != "barred":
            raise ToolError(f"the line of {account} is not barred")
        row["line"] = "open"
        self._stale(account)
        return f"line of {account} is open"

    @tool(mutates=True)
    def switch_plan(self, account: str, plan: Literal["basic", "swift", "ultra"]) -> str:
        """Put an account on another plan."""
        row = self._account(account)
        if row["plan"] == plan:
            raise ToolError(f"{account} already has {plan}")
        row["plan"] = plan
        self._stale(account)
        return f"{account} is on {plan}"

    @tool(mutates=True)
    def bind_box(self, account: str, box: str) -> str:
        """Bind a box from stock to an account."""
        row = self._account(account)
        if box not in self.state["boxes"]:
            raise ToolError(f"no box {box} in stock")
        self.state["boxes"].remove(box)
        row["box"] = box
        self._stale(account)
        return f"{box} is bound to {account}"

    @tool(mutates=True)
    def ship_part(self, account: str, part: Literal["cable", "adapter", "antenna"]) -> str:
        """Send a part."""
        self._account(account)
        self.state["orders"].setdefault(account, []).append(part)
        return f"{part} goes to {account}"

    @tool(mutates=True)
    def book_visit(self, account: str, day: str) -> str:
        """Send a technician."""
        self._account(account)
        if day not in DAYS:
            raise ToolError(f"no day {day}; there are {', '.join(DAYS)}")
        self.state["visits"].setdefault(account, []).append(day)
        return f"visit for {account} on {day}"

    def _account(self, account: str) -> dict[str, Any]:
        if account not in self.state["accounts"]:
            raise ToolError(f"no account {account}")
        return self.state["accounts"][account]

    def _stale(self, account: str) -> None:
        """What was changed from here reaches the box when it restarts."""
        if account == self.state["user"]["account"]:
            self.state["user"]["fresh"] = False
