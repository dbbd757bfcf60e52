"""`Case`: one task of the shop in the making: its world and its demonstration, side by side.

Invariant: a demonstration uses only what the request says or an earlier tool result showed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from tooldojo.envs.orders.shop import Shop, listed_orders
from tooldojo.envs.orders.wordings import PLANS, REASONS
from tooldojo.envs.task import Call, GoldTurn
from tooldojo.verifiers.records import Json

WINDOW = {"unwanted": 30, "damaged": 90}  # days after delivery in which an item can come back
BOTH = ("unwanted", "damaged")


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch of the policy: what the order in question looks like and why the customer asks."""

    statuses: tuple[str, ...]
    days: tuple[int, int] = (1, 120)
    reasons: tuple[str, ...] = ("unwanted",)


BRANCHES = {
    "pending": Branch(("pending",)),
    "shipped": Branch(("shipped",)),
    "delivered": Branch(("delivered",)),
    "unknown_pending": Branch(("pending",)),
    "unknown_shipped": Branch(("shipped",)),
    "not_delivered": Branch(("pending", "shipped"), reasons=BOTH),
    "in_window": Branch(("delivered",), (1, 30), BOTH),
    "late": Branch(("delivered",), (31, 120)),
    "damaged_late": Branch(("delivered",), (31, 90), ("damaged",)),
    "damaged_too_late": Branch(("delivered",), (91, 150), ("damaged",)),
    "in_stock": Branch(("delivered",), (1, 30), BOTH),
    "no_stock": Branch(("delivered",), (1, 30), BOTH),
}


@dataclass(slots=True)
class Case:
    """What a template works on.

    access: how the request points at the order: `id`, `latest` (of an email) or `check` (an id that
    may be unknown, and an email). slots: what the wording is filled with. asked: the order id that
    the request gives. opened: orders whose items the demonstration has seen. reason: why the
    customer asks.
    """

    rng: Random
    condition: str
    access: str
    shop: Shop = field(init=False)
    turns: list[GoldTurn] = field(default_factory=list)
    slots: dict[str, str] = field(default_factory=dict)
    opened: set[str] = field(default_factory=set)
    needs_email: bool = False
    customer: str = ""
    asked: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        self.shop = Shop(self.rng)
        self.customer = self.shop.add_customer()
        self.needs_email = self.access != "id"
        self.slots["email"] = self.person["email"]

    @property
    def person(self) -> dict[str, Any]:
        """The customer who asks."""
        return self.shop.state["customers"][self.customer]

    @property
    def branch(self) -> Branch:
        """The branch of the policy that this case is about."""
        return BRANCHES[self.condition]

    def order(self, order: str) -> dict[str, Any]:
        """An order's row."""
        return self.shop.state["orders"][order]

    # The world and the request

    def place(self, min_items: int = 1) -> str:
        """Put the order in question among the customer's, and refer to it as `access` says."""
        unknown = self.condition.startswith("unknown")
        known = self.access == "check" and not unknown
        for _ in range(self.rng.randint(0, 2)):
            self.shop.add_order(self.customer)
        days = self.rng.randint(*self.branch.days)
        order = self.shop.add_order(
            self.customer, self.rng.choice(self.branch.statuses), days, min_items
        )
        for _ in range(self.rng.randint(1, 2) if known else 0):  # so that the latest is another one
            self.shop.add_order(self.customer)
        self.asked = self.shop.fresh_id("W", 6) if unknown else order
        self.slots["order"] = (
            "my latest order" if self.access == "latest" else f"order {self.asked}"
        )
        return order

    def give_reason(self, reason: str, clause: str = "") -> str:
        """Let the request say why; `clause` picks other words for the same reason."""
        self.slots["why"] = self.rng.choice(REASONS[clause or reason])
        self.reason = reason
        return reason

    def name_item(self, order: str, by_name: bool = False) -> str:
        """Choose an item and refer to it by id or name; who gives no order id gives no item id."""
        items = self.order(order)["items"]
        item = self.rng.choice(list(items))
        by_name = by_name or self.access == "latest" or self.rng.random() < 0.5
        self.slots["item"] = f"the {items[item]['product']}" if by_name else f"item {item}"
        return item

    # The demonstration

    def plan(self, goal: str) -> None:
        """Begin the first thought with what is asked and the others with a word on it, so that
        later turns need not read the request anew.
        """
        if goal not in PLANS:
            return
        in_full, in_brief = PLANS[goal]
        asked = in_full.format(reason=self.reason, **self.slots)
        brief = ", ".join(filter(None, (in_brief, self.reason)))
        first, *later = self.turns  # at least one: the closing line
        self.turns[0] = replace(first, thought=f"Asked: {asked}. {first.thought}")
        self.turns[1:] = [replace(turn, thought=f"{brief}: {turn.thought}") for turn in later]

    def act(self, thought: str, tool: str, **arguments: Json) -> None:
        """One call."""
        self.turns.append(GoldTurn(thought, (Call(tool, arguments),)))

    def close(self, thought: str, line: str) -> None:
        """The final message."""
        self.turns.append(GoldTurn(thought, (), f"Result: {line}"))

    def reach(self, order: str) -> None:
        """Find out the order's status the shortest way."""
        if self.access == "latest":
            return self.list_orders("I look up the email first.")
        self.act(f"I read order {self.asked} before I decide.", "get_order", order_id=self.asked)
        if self.asked == order:
            self.opened.add(order)
        else:
            self.list_orders(f"{self.asked} is unknown, so I look up the customer by email.")
        return None

    def list_orders(self, thought: str) -> None:
        """From the email to the customer's orders."""
        self.act(thought, "find_customer", email=self.person["email"])
        name = self.person["name"]
        then = f"{name} is {self.customer}, so I list the orders."
        self.act(then, "list_orders", customer_id=self.customer)

    def open(self, order: str) -> None:
        """See the order's items, unless they have been seen."""
        if order not in self.opened:
            self.act(f"{self.state_of(order)}, so I read its items.", "get_order", order_id=order)
            self.opened.add(order)

    def cancel(self, order: str, reason: str, because: str = "") -> None:
        """The call that cancels."""
        thought = f"{because or self.state_of(order)}, so I cancel it."
        self.act(thought, "cancel_order", order_id=order, reason=reason)

    def state_of(self, order: str) -> str:
        """What a thought says of an order's status; the latest one as the list of orders ends."""
        if order == self.asked and self.access != "latest":
            return f"{order} is {self.order(order)['status']}"
        label, entry = list(self.listed_orders().items())[-1]
        return f'the latest is "{label}": "{entry}"'

    def listed_orders(self) -> dict[str, str]:
        """The customer's orders as the tool lists them."""
        return listed_orders(self.shop.state, self.customer)

    def refuse(self, order: str, code: str, because: str) -> None:
        """Close with a refusal."""
        self.close(f"{because}, so I must refuse.", f"refused {code} {order}")

    def refuse_cancel(self, order: str) -> None:
        """Close because the order is past cancelling."""
        self.refuse(order, "not_pending", f"{self.state_of(order)} and no longer pending")

    def may_return(self, order: str, reason: str) -> bool:
        """Whether an item may come back; if not, close with the refusal."""
        status = self.order(order)["status"]
        if status != "delivered":
            self.refuse(order, "not_delivered", f"{self.state_of(order)} and not delivered yet")
            return False
        self.open(order)
        days, limit = self.order(order)["days"], WINDOW[reason]
        if days > limit:
            self.refuse(order, "too_late", f"{self.return_window(order, reason)}, too late")
            return False
        return True

    def return_window(self, order: str, reason: str) -> str:
        """What decides whether an item may come back; the verdict follows, so that it can be read
        off.
        """
        days = self.order(order)["days"]
        return f"{order} came {days} days ago, {reason} has {WINDOW[reason]}"

    def return_reason(self, order: str, reason: str) -> str:
        """Why an item may come back, as the first half of a thought."""
        return f"{self.return_window(order, reason)}, in time"

    def refund(self, order: str, item: str, reason: str, because: str, label: str = "") -> None:
        """The call that refunds, and the end."""
        thought = f"{because}, so I refund {label or item}."
        self.act(thought, "refund_item", order_id=order, item_id=item, reason=reason)
        self.close(f"The refund of {item} in {order} is done.", f"refunded {order} {item}")

    def label(self, order: str, item: str) -> str:
        """The item's id; where the request gives its name, as the tool shows it behind that."""
        return item if self.slots["item"].startswith("item ") else self.entry(order, item)

    def entry(self, order: str, item: str, *more: str) -> str:
        """The item as the tool that reads its order writes it, so that it can be copied."""
        return f'"{self.order(order)["items"][item]["product"]}": "{", ".join((item, *more))}"'

    def cheapest(self, order: str) -> str:
        """The item with the lowest price."""
        items = self.order(order)["items"]
        return min(items, key=lambda item: items[item]["price"])
