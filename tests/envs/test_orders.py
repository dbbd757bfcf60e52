"""The shop: what its tools do and refuse, what its policy says at the edges, its tasks."""

from __future__ import annotations

from collections import Counter
from functools import cache
from random import Random
from typing import Any

import pytest

from tooldojo.envs.orders.case import Case
from tooldojo.envs.orders.shop import Shop
from tooldojo.envs.orders.tasks import CALLS, TEMPLATES
from tooldojo.envs.orders.wordings import EMAIL, REASONS, SENTENCES, UNSUPPORTED, WORDINGS
from tooldojo.envs.orders.world import POLICY, Orders
from tooldojo.envs.source import take
from tooldojo.envs.task import Split, Task
from tooldojo.verifiers.canonical import differences
from tooldojo.verifiers.records import CallOutcome, Goal, Json

ITEM = {"product": "quiet lamp", "variant": "red", "price": 24.5, "refunds": []}
STATE: dict[str, Any] = {
    "customers": {"1234C": {"name": "Ada Berg", "email": "ada@post.net", "orders": ["111111W"]}},
    "orders": {
        "111111W": {
            "status": "delivered",
            "days": 12,
            "items": {"312I": ITEM, "418I": {**ITEM, "product": "tall mug", "price": 9.0}},
            "cancellations": [],
        }
    },
    "products": {
        "quiet lamp": {"price": 24.5, "stock": {"red": 3, "blue": 2, "green": 0}},
        "tall mug": {"price": 9.0, "stock": {"red": 2}},
    },
}


def desk() -> Orders:
    world = Orders()
    goal = Goal(world=STATE, answer="Result: x")
    task = Task(Orders.env_id, "?", STATE, goal, (), 1, Split.TRAIN)
    world.reset(options={"task": task, "max_turns": 50})
    return world


def do(world: Orders, name: str, **arguments: Json) -> str:
    seen, *_ = world.step({"calls": ({"name": name, "arguments": arguments},), "message": ""})
    return seen[0]


def changes(world: Orders) -> list[str]:
    return list(differences(world.state, STATE))


@cache
def tasks() -> list[Task]:
    return take([Orders.env_id], Split.TRAIN, 5, 150)


@pytest.mark.parametrize(
    ("name", "arguments", "shown"),
    [
        (
            "find_customer",
            {"email": "ada@post.net"},
            '{"customer_id": "1234C", "name": "Ada Berg"}',
        ),
        ("list_orders", {"customer_id": "1234C"}, '{"1 of 1": "111111W, delivered"}'),
        (
            "get_order",
            {"order_id": "111111W"},
            '{"status": "delivered", "days": 12, "total": "33.50", "items": '
            '{"tall mug": "418I, red, 9.00", "quiet lamp": "312I, red, 24.50"}}',
        ),
        ("get_product", {"product": "quiet lamp"}, '{"red": 3, "blue": 2, "green": 0}'),
        ("add_amounts", {"amounts": ["9.00", "24.50", "3"]}, "36.50"),
        (
            "add_amounts",
            {"amounts": ["9.00", "1e9"]},
            '{"error": "1e9 is not an amount like 4.50"}',
        ),
        ("find_customer", {"email": "b@x.eu"}, '{"error": "no customer with email b@x.eu"}'),
        ("list_orders", {"customer_id": "9C"}, '{"error": "no customer 9C"}'),
        ("get_order", {"order_id": "9W"}, '{"error": "no order 9W"}'),
        ("get_product", {"product": "lamp"}, '{"error": "no product lamp"}'),
    ],
)
def test_reads(name: str, arguments: dict[str, Json], shown: str) -> None:
    world = desk()
    assert do(world, name, **arguments) == shown
    assert not changes(world)


def test_tools_do_what_only_the_policy_forbids() -> None:
    """Cancelling a delivered order is possible; that it is wrong shows in the final state."""
    world = desk()
    do(world, "cancel_order", order_id="111111W", reason="delay")
    assert changes(world) == [
        "orders.111111W.cancellations: ['delay'], expected []",
        "orders.111111W.status: 'cancelled', expected 'delivered'",
    ]


def test_every_write_leaves_its_own_trace() -> None:
    world = desk()
    refund = {"order_id": "111111W", "item_id": "312I", "reason": "damaged"}
    do(world, "refund_item", **refund)
    do(world, "refund_item", **refund)
    assert changes(world) == [
        "orders.111111W.items.312I.refunds: ['damaged', 'damaged'], expected []"
    ]
    assert "312I, red, 24.50, refunded" in do(world, "get_order", order_id="111111W")
    do(world, "exchange_item", order_id="111111W", item_id="312I", variant="blue")
    do(world, "exchange_item", order_id="111111W", item_id="312I", variant="blue")
    assert world.state["products"]["quiet lamp"]["stock"]["blue"] == 0


@pytest.mark.parametrize(
    ("item", "variant", "error"),
    [
        ("999I", "blue", "no item 999I in order 111111W"),
        ("312I", "green", "green quiet lamp is out of stock"),
        ("312I", "pink", "no variant pink of quiet lamp"),
    ],
)
def test_impossible_exchanges_are_refused(item: str, variant: str, error: str) -> None:
    world = desk()
    do(world, "exchange_item", order_id="111111W", item_id=item, variant=variant)
    assert world.calls[-1].outcome is CallOutcome.TOOL_ERROR
    assert error in world.calls[-1].result
    assert not changes(world)


@pytest.mark.parametrize(
    ("reason", "days", "allowed"),
    [
        ("unwanted", 1, True), ("unwanted", 30, True), ("unwanted", 31, False),
        ("damaged", 31, True), ("damaged", 90, True), ("damaged", 91, False),
    ],
)  # fmt: skip
def test_window(reason: str, days: int, allowed: bool) -> None:
    case = Case(Random(1), "in_window", "id")
    order = case.place()
    case.order(order)["days"] = days
    assert case.may_return(order, reason) is allowed
    assert allowed or case.turns[-1].message == f"Result: refused too_late {order}"


def test_forbidden_writes_lose_refusal_tasks() -> None:
    """Doing what was asked for and then refusing in the right words is not good enough."""
    tried = 0
    for task in tasks():
        if task.template != "cancel" or task.condition == "pending":
            continue
        tried += 1
        order = (task.goal.answer or "").split()[-1]
        world = Orders()
        world.reset(options={"task": task})
        do(world, "cancel_order", order_id=order, reason="unwanted")
        world.step({"calls": (), "message": task.goal.answer})
        assert world.score is not None
        lost = {"final_state": 0.0, "no_side_effects": 0.0}
        assert world.score.components == {"answer": 1.0, "looked": 1.0, **lost}
        assert world.score.value == 0.0
    assert tried


def test_several_orders_are_closed_with_in_the_order_that_the_policy_says() -> None:
    found = Counter()
    for task in tasks():
        names = (task.goal.answer or "").split()[2:]
        if task.template == "cancel_all" and task.condition in ("two", "three"):
            customers: dict = task.world["customers"]  # type: ignore[assignment]
            listed = next(c["orders"] for c in customers.values() if names[0] in c["orders"])
            assert names == [order for order in listed if order in names]
            found["oldest first"] += 1
        if task.template == "total":
            assert names[1:] == sorted(names[1:], key=task.prompt.index)
            found["as asked"] += 1
    assert set(found) == {"oldest first", "as asked"}
    assert "cancelled <orders, oldest first>" in POLICY and "<orders as asked>" in POLICY


def test_results_stay_short() -> None:
    for task in tasks():
        world = Orders()
        world.replay_gold(task)
        assert max([len(call.result) for call in world.calls], default=0) <= 200
    assert len(POLICY.split()) <= 134


def test_demonstrations_keep_to_their_level() -> None:
    for task in tasks():
        fewest, most = CALLS[task.level]
        assert fewest <= sum(len(turn.calls) for turn in task.gold) <= most
        assert (task.template == "unsupported") == (len(task.gold) == 1)
        for turn in task.gold:
            assert 5 <= len(turn.thought.split()) <= 26, turn.thought
            assert turn.thought.endswith(".")
        assert task.gold[-1].message == task.goal.answer


def test_each_wording_can_be_filled() -> None:
    pools = [EMAIL, *SENTENCES.values(), *UNSUPPORTED.values()]
    assert all(len(set(pool)) == len(pool) == WORDINGS for pool in pools)
    assert all(len(clauses) == 3 for clauses in REASONS.values())
    drafted = Counter()
    for level in Orders.levels:
        rng = Random(level)
        for _ in range(800):
            draft = Orders.draft(rng, level)
            assert "{" not in draft.prompt
            drafted[draft.template, draft.condition] += 1
    wanted = {
        (name, condition)
        for name, template in TEMPLATES.items()
        for conditions in template.conditions.values()
        for condition in conditions.split()
    }
    assert set(drafted) == wanted


def test_shops_are_small_and_unambiguous() -> None:
    for seed in range(50):
        shop = Shop(Random(seed))
        shop.add_order(shop.add_customer(), "delivered", min_items=3)
        state = shop.finish()
        assert 2 <= len(state["customers"]) <= 4
        assert 3 <= len(state["orders"]) <= 6
        assert len({p["email"] for p in state["customers"].values()}) == len(state["customers"])
        for order in state["orders"].values():
            items = order["items"].values()
            assert len({item["product"] for item in items}) == len(items)
            assert len({item["price"] for item in items}) == len(items)
            assert (order["days"] is None) == (order["status"] != "delivered")
