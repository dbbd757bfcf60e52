"""Random shops in plain data: customers, orders with items, a catalogue with variants and stock.

Invariant: ids never repeat within a shop, all catalogue prices differ, and so do the products of
an order; so "the cheapest item" and "the quiet lamp of order W..." mean one thing.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any


def _words(text: str) -> list[str]:
    return text.split()


FIRST_NAMES = _words(
    "ada ben cleo dan eva finn gina hugo iris jack kira liam mona nils olga paul rita sven tara "
    "umar vera walt yara zoe anna boris carla dora emil flora greta hans ines jonas karin lena "
    "marco nina oscar petra"
)
LAST_NAMES = _words(
    "adler berg cole diaz egger frost grant hall ivers jung keller lopez meyer novak olsen parker "
    "quinn reyes stone toth unger vogel weber young zeller baker costa dahl evans fuchs gomez hahn "
    "ibsen jansen klein lund marsh nagy"
)
DOMAINS = ("post.net", "mail.org", "inbox.com", "web.eu")
ADJECTIVES = _words(
    "quiet bright slim round heavy soft plain tall warm rapid smooth sturdy modern simple narrow "
    "gentle curved folding classic compact"
)
COLOURED = _words(
    "lamp chair mug vase clock basket kettle table pillow rug backpack umbrella bottle tray bench"
)
SIZED = _words("jacket shirt sweater coat robe vest hoodie dress")
COLOURS = _words("red blue green black white grey yellow brown")
SIZES = ("small", "medium", "large")
STATUSES = ("pending", "shipped", "delivered")


class Shop:
    """A shop under construction; `state` is the world that a task starts from."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.state: dict[str, Any] = {"customers": {}, "orders": {}, "products": {}}
        self._ids: set[str] = set()
        # Half units up to 60, and no two prices alike.
        for price in rng.sample(range(10, 120), rng.randint(4, 6)):
            self._add_product(price / 2)

    def fresh_id(self, letter: str, digits: int) -> str:
        """An id that nothing in this shop has.

        The digits come first: what tells ids apart follows at once on what stands before them, and
        so a small model finds it there.
        """
        while True:
            found = f"{self.rng.randrange(10 ** (digits - 1), 10**digits)}{letter}"
            if found not in self._ids:
                self._ids.add(found)
                return found

    def _add_product(self, price: float) -> None:
        noun = self.rng.choice(COLOURED + SIZED)
        name = f"{self.rng.choice(ADJECTIVES)} {noun}"
        if any(noun in taken for taken in self.state["products"]):
            return self._add_product(price)
        variants = SIZES if noun in SIZED else self.rng.sample(COLOURS, 3)
        stock = {variant: self.rng.randint(2, 9) for variant in variants}
        self.state["products"][name] = {"price": price, "stock": stock}

    def add_customer(self) -> str:
        """A customer without orders; returns the id."""
        people = self.state["customers"].values()
        while True:
            first, last = self.rng.choice(FIRST_NAMES), self.rng.choice(LAST_NAMES)
            email = f"{first}.{last}@{self.rng.choice(DOMAINS)}"
            if all(person["email"] != email for person in people):
                break
        customer = self.fresh_id("C", 4)
        name = f"{first.title()} {last.title()}"
        self.state["customers"][customer] = {"name": name, "email": email, "orders": []}
        return customer

    def add_order(
        self, customer: str, status: str = "", days: int = 0, min_items: int = 1, max_items: int = 3
    ) -> str:
        """The customer's next order; `days` since delivery counts only where it is delivered."""
        status = status or self.rng.choice(STATUSES)
        order = self.fresh_id("W", 6)
        count = self.rng.randint(min_items, max_items)
        items = {}
        for name in self.rng.sample(list(self.state["products"]), count):
            product = self.state["products"][name]
            variant = self.rng.choice(list(product["stock"]))
            item = {"product": name, "variant": variant, "price": product["price"], "refunds": []}
            items[self.fresh_id("I", 3)] = item
        delivered = (days or self.rng.randint(1, 120)) if status == "delivered" else None
        self.state["orders"][order] = {
            "status": status, "days": delivered, "items": items, "cancellations": [],
        }  # fmt: skip
        self.state["customers"][customer]["orders"].append(order)
        return order

    def finish(self) -> dict[str, Any]:
        """The state with bystanders (2-4 customers, 3-6 orders) and its tables in random order."""
        customers, orders = self.state["customers"], self.state["orders"]
        while len(customers) < 2 or (len(customers) < 4 and self.rng.random() < 0.3):
            self.add_customer()
        bystanders = list(customers)[1:]
        while len(orders) < 3 or (len(orders) < 6 and self.rng.random() < 0.3):
            self.add_order(self.rng.choice(bystanders))
        for table in ("customers", "orders", "products"):
            rows = list(self.state[table].items())
            self.rng.shuffle(rows)
            self.state[table] = dict(rows)
        return self.state


def total(order: dict[str, Any]) -> float:
    """What an order costs."""
    return sum(item["price"] for item in order["items"].values())


def numbered(entries: Sequence[str]) -> dict[str, str]:
    """Entries under "1 of 3", "2 of 3" ...: each can be asked for, and the last one is known."""
    return {f"{i} of {len(entries)}": entry for i, entry in enumerate(entries, 1)}


def listed_orders(state: dict[str, Any], customer: str) -> dict[str, str]:
    """A customer's orders with status, oldest first."""
    orders = state["customers"][customer]["orders"]
    return numbered([f"{order}, {state['orders'][order]['status']}" for order in orders])


def money(amount: float) -> str:
    """An amount as tools and closing lines write it."""
    return f"{amount:.2f}"
