"""`tooldojo/Orders-v0`: the tools of a web shop, and the policy on what they may be used for.

The tools refuse only what is impossible (an unknown id, a variant out of stock). What the policy
forbids they do, so that the final state measures whether the policy was followed. Each write leaves
a trace that counts, so that a doubled one shows.
"""

from __future__ import annotations

import re
from random import Random
from typing import Any, Literal

from tooldojo.envs.draft import Draft
from tooldojo.envs.orders.shop import listed_orders, money, total
from tooldojo.envs.orders.tasks import UNSEEN_COMBOS, UNSEEN_WORDINGS, draft_task
from tooldojo.envs.registry import register
from tooldojo.envs.tools import ToolError, tool
from tooldojo.envs.world import World
from tooldojo.verifiers.combine import state_answer_and_look

POLICY = """You serve a web shop. Rules:
1. Cancel only pending orders.
2. Refund or exchange only in delivered orders, within 30 days of delivery; damaged items within 90.
3. Exchange only for a variant in stock of the same product.
4. Nothing else is possible (address, discount, payment, other): call no tool.
5. After a time-out call again. For an unknown order id take the email's latest order.
6. Refuse what is forbidden; where a fallback fails too, name its reason.
End with one line:
Result: status <status> <order>
Result: stock <count> <variant> <product>
Result: total <amount> <orders as asked>
Result: cancelled <orders, oldest first>
Result: refunded <order> <item>
Result: exchanged <order> <item>
Result: refused <not_pending|not_delivered|too_late|no_stock> <order>
Result: unsupported <address|discount|payment|other> <order>
For all orders of a customer, total and refused name the customer id."""


@register("tooldojo/Orders-v0")
class Orders(World):
    """A clerk's desk: find orders, then cancel, refund, exchange or refuse as the policy says."""

    system_prompt = POLICY
    levels = (1, 2, 3)
    verifier = state_answer_and_look("unsupported")
    unseen_combos = UNSEEN_COMBOS
    unseen_wordings = UNSEEN_WORDINGS

    @tool(mutates=False, idempotent=True)
    def find_customer(self, email: str) -> dict[str, str]:
        """Customer id and name for an email."""
        for customer, person in self.state["customers"].items():
            if person["email"] == email:
                return {"customer_id": customer, "name": person["name"]}
        raise ToolError(f"no customer with email {email}")

    @tool(mutates=False, idempotent=True)
    def list_orders(self, customer_id: str) -> dict[str, str]:
        """A customer's orders with status, numbered, oldest first."""
        if customer_id not in self.state["customers"]:
            raise ToolError(f"no customer {customer_id}")
        return listed_orders(self.state, customer_id)

    @tool(mutates=False, idempotent=True)
    def get_order(self, order_id: str) -> dict[str, Any]:
        """Status, days since delivery, total and items of an order, cheapest first."""
        order = self._order(order_id)
        rows = sorted(order["items"].items(), key=lambda row: row[1]["price"])
        items = {item["product"]: _item_line(key, item) for key, item in rows}
        days = {"days": order["days"]} if order["days"] is not None else {}
        return {"status": order["status"], **days, "total": money(total(order)), "items": items}

    @tool(mutates=False, idempotent=True)
    def get_product(self, product: str) -> dict[str, int]:
        """Stock of a product by variant."""
        return dict(self._product(product)["stock"])

    @tool(mutates=False, idempotent=True)
    def add_amounts(self, amounts: list[str]) -> str:
        """Sum of amounts like 4.50."""
        return money(sum(_amount(each) for each in amounts))

    @tool(mutates=True)
    def cancel_order(self, order_id: str, reason: Literal["mistake", "delay", "unwanted"]) -> str:
        """Cancel an order."""
        order = self._order(order_id)
        order["status"] = "cancelled"
        order["cancellations"].append(reason)
        return f"{order_id} cancelled"

    @tool(mutates=True)
    def refund_item(
        self, order_id: str, item_id: str, reason: Literal["damaged", "unwanted"]
    ) -> str:
        """Refund one item of an order."""
        self._item(order_id, item_id)["refunds"].append(reason)
        return f"{item_id} refunded"

    @tool(mutates=True)
    def exchange_item(self, order_id: str, item_id: str, variant: str) -> str:
        """Exchange one item for another variant."""
        item = self._item(order_id, item_id)
        stock = self._product(item["product"])["stock"]
        if variant not in stock:
            raise ToolError(f"no variant {variant} of {item['product']}")
        if stock[variant] == 0:
            raise ToolError(f"{variant} {item['product']} is out of stock")
        stock[variant] -= 1
        item["variant"] = variant
        return f"{item_id} exchanged for {variant}"

    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        """See `tasks`."""
        return draft_task(rng, level)

    def _order(self, order_id: str) -> dict[str, Any]:
        if order_id not in self.state["orders"]:
            raise ToolError(f"no order {order_id}")
        return self.state["orders"][order_id]

    def _item(self, order_id: str, item_id: str) -> dict[str, Any]:
        items = self._order(order_id)["items"]
        if item_id not in items:
            raise ToolError(f"no item {item_id} in order {order_id}")
        return items[item_id]

    def _product(self, name: str) -> dict[str, Any]:
        if name not in self.state["products"]:
            raise ToolError(f"no product {name}")
        return self.state["products"][name]


def _amount(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,9}([.][0-9]{1,2})?", text):
        raise ToolError(f"{text} is not an amount like 4.50")
    return float(text)


def _item_line(key: str, item: dict[str, Any]) -> str:
    parts = [key, item["variant"], money(item["price"])]
    return ", ".join([*parts, "refunded"] if item["refunds"] else parts)
