"""The goals of the shop, each with its conditions, its levels and its demonstration.

A template is a goal together with how the request points at the order; a condition is the branch of
the policy that applies. Level 1 takes 0-2 calls, level 2 takes 2-3 and level 3 takes 3-6, a retry
after a time-out included.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tooldojo.envs.draft import Draft
from tooldojo.envs.gold import with_timeout
from tooldojo.envs.orders.case import Case
from tooldojo.envs.orders.shop import money, numbered, total
from tooldojo.envs.orders.wordings import (
    EMAIL,
    SENTENCES,
    UNSEEN_WORDINGS,
    UNSUPPORTED,
    WORDINGS,
)

__all__ = ["TEMPLATES", "UNSEEN_COMBOS", "UNSEEN_WORDINGS", "draft_task"]

CALLS = {1: (0, 2), 2: (2, 3), 3: (3, 6)}  # fewest and most calls of a level's demonstrations
FAULT_RATE = 0.22  # of the tasks with room for one more call
ORDINALS = ("first", "second")
UNSUPPORTED_WEIGHT = 3  # makes about a third of level 1, a tenth of all tasks


def status(case: Case) -> None:
    """Say where an order is."""
    order = case.place()
    case.reach(order)
    now = case.order(order)["status"]
    case.close(f"The status of order {order} is {now}.", f"status {now} {order}")


def stock(case: Case) -> None:
    """Say how many of a variant there are."""
    name, product = case.rng.choice(list(case.shop.state["products"].items()))
    variant = case.rng.choice(list(product["stock"]))
    if case.condition == "no_stock":
        product["stock"][variant] = 0
    case.slots |= {"product": name, "variant": variant}
    case.act(f"I check the stock of the {name}.", "get_product", product=name)
    count = product["stock"][variant]
    thought = f'The {name} has "{variant}": {count} in stock.'
    case.close(thought, f"stock {count} {variant} {name}")


def unsupported(case: Case) -> None:
    """Recognise that no tool can do this; the kind of wish is the condition."""
    order = case.shop.add_order(case.customer)
    case.slots["order"] = order
    what = case.condition
    thought = f"This is about {order} and of the kind {what}, which no tool can do."
    case.close(thought, f"unsupported {what} {order}")


def cancel(case: Case) -> None:
    """Cancel a pending order, refuse any other."""
    order = case.place()
    reason = case.give_reason(case.rng.choice(["mistake", "delay", "unwanted"]))
    case.reach(order)
    if case.order(order)["status"] != "pending":
        return case.refuse_cancel(order)
    case.cancel(order, reason)
    return case.close(f"The cancellation of {order} is done.", f"cancelled {order}")


def refund(case: Case) -> None:
    """Refund an item within the window that its reason opens."""
    order = case.place()
    item = case.name_item(order)
    reason = case.give_reason(case.rng.choice(case.branch.reasons))
    case.reach(order)
    if case.may_return(order, reason):
        because = case.return_reason(order, reason)
        case.refund(order, item, reason, because, case.label(order, item))


def cancel_or_refund(case: Case) -> None:
    """Cancel if pending, otherwise refund the cheapest item."""
    order = case.place(min_items=2)
    reason = case.give_reason("unwanted")
    case.reach(order)
    if case.order(order)["status"] == "pending":
        case.cancel(order, reason)
        return case.close(f"The cancellation of {order} is done.", f"cancelled {order}")
    if not case.may_return(order, reason):
        return None
    item = case.cheapest(order)
    label = f'the cheapest of "items": {{{case.entry(order, item)}'
    return case.refund(order, item, reason, case.return_reason(order, reason), label)


def exchange(case: Case) -> None:
    """Exchange an item for the variant asked for; where that is out of stock, refuse."""
    _exchange(case, or_refund=False)


def exchange_or_refund(case: Case) -> None:
    """Exchange an item for the variant asked for; where that is out of stock, refund it."""
    _exchange(case, or_refund=True)


def _exchange(case: Case, or_refund: bool) -> None:
    order = case.place()
    item = case.name_item(order)
    row = case.order(order)["items"][item]
    levels = case.shop.state["products"][row["product"]]["stock"]
    variant = case.rng.choice([name for name in levels if name != row["variant"]])
    if case.condition == "no_stock":
        levels[variant] = 0
    case.slots["variant"] = variant
    reason = case.rng.choice(case.branch.reasons)
    case.give_reason(reason, "unsuited" if reason == "unwanted" else "")
    case.reach(order)
    if not case.may_return(order, reason):
        return None
    thought = f"{case.return_reason(order, reason)}, so I exchange {case.label(order, item)}."
    case.act(thought, "exchange_item", order_id=order, item_id=item, variant=variant)
    if levels[variant] > 0:
        return case.close(
            f"The exchange of {item} in {order} is done.", f"exchanged {order} {item}"
        )
    because = f"The {row['product']} in {variant} is out of stock"
    if or_refund:
        return case.refund(order, item, reason, because)
    return case.refuse(order, "no_stock", because)


def exchange_any(case: Case) -> None:
    """Exchange an item for the one other variant that is in stock."""
    order = case.place()
    item = case.name_item(order, by_name=True)
    row = case.order(order)["items"][item]
    name, levels = row["product"], case.shop.state["products"][row["product"]]["stock"]
    others = [variant for variant in levels if variant != row["variant"]]
    kept = None if case.condition == "no_stock" else case.rng.choice(others)
    levels |= {variant: 0 for variant in others if variant != kept}
    reason = case.rng.choice(case.branch.reasons)
    case.give_reason(reason, "unsuited" if reason == "unwanted" else "")
    case.reach(order)
    if not case.may_return(order, reason):
        return None
    because = case.return_reason(order, reason)
    thought = f"{because}, so I check the stock for {case.entry(order, item, row['variant'])}."
    case.act(thought, "get_product", product=name)
    counts = ", ".join(f'"{each}": {count}' for each, count in levels.items())
    fact = f"{item} is {row['variant']} now, the stock is {counts}"
    if kept is None:
        return case.refuse(order, "no_stock", f"{fact}, no other in stock")
    thought = f"{fact}, so I exchange {item} for {kept}."
    case.act(thought, "exchange_item", order_id=order, item_id=item, variant=kept)
    return case.close(f"The exchange of {item} in {order} is done.", f"exchanged {order} {item}")


def dearer(case: Case) -> None:
    """Cancel the dearer of two orders if it is pending; the cheaper one tempts by being pending."""
    shop, rng = case.shop, case.rng
    target = shop.add_order(case.customer, case.condition, min_items=2)
    other = shop.add_order(case.customer, "pending", max_items=2)
    cost = {order: total(case.order(order)) for order in (target, other)}
    while cost[target] <= cost[other]:  # raise the price tag of the target, not of the product
        row = rng.choice(list(case.order(target)["items"].values()))
        row["price"] += rng.randint(1, 20) / 2
        cost[target] = total(case.order(target))
    first, second = rng.sample([target, other], 2)
    case.slots |= {"first": first, "second": second}
    reason = case.give_reason(rng.choice(["mistake", "delay", "unwanted"]))
    facts = [
        f"the {which} is {money(cost[order])}, {case.order(order)['status']}"
        for which, order in zip(ORDINALS, (first, second), strict=False)
    ]
    case.act(f"I read the first {first}.", "get_order", order_id=first)
    case.act(f"{facts[0]}, I read the second {second}.", "get_order", order_id=second)
    which = "first" if target == first else "second"
    fact = f"{facts[0]}, {facts[1]}, the dearer is {which} {target}, {case.condition}"
    if case.condition != "pending":
        return case.refuse(target, "not_pending", fact)
    case.cancel(target, reason, fact)
    return case.close(f"The cancellation of {target} is done.", f"cancelled {target}")


def add_up(case: Case) -> None:
    """The total of two or three orders, named by id or all that a customer has."""
    count = {"two": 2, "three": 3}[case.condition]
    orders = [case.shop.add_order(case.customer, max_items=2) for _ in range(count)]
    about = case.customer
    if case.access == "latest":
        case.slots["listed"] = "all"
        case.list_orders("I look up the email first.")
    else:
        case.rng.shuffle(orders)
        case.slots["listed"] = ", ".join(f"{k} {v}" for k, v in numbered(orders).items())
        case.slots["orders"] = f"{', '.join(orders[:-1])} and {orders[-1]}"
        about = " ".join(orders)
    costs: list[str] = []
    for label, order in numbered(orders).items():
        so_far = f"costs {' '.join(costs)}, " if costs else ""
        case.act(f"{so_far}{label} is {order}, so I read it.", "get_order", order_id=order)
        costs.append(money(total(case.order(order))))
    thought = f"{count} of {count} was the last, costs {' '.join(costs)}, so I add them."
    case.act(thought, "add_amounts", amounts=list(costs))
    amount = money(sum(total(case.order(order)) for order in orders))
    case.close(f"The sum is {amount}.", f"total {amount} {about}")


def cancel_all(case: Case) -> None:
    """Cancel each pending order of a customer; the condition says how many there are."""
    count = {"none": 0, "one": 1, "two": 2, "three": 3}[case.condition]
    others = case.rng.randint(1, 2) if count < 3 else 1
    statuses = ["pending"] * count + case.rng.choices(["shipped", "delivered"], k=others)
    case.rng.shuffle(statuses)
    orders = [case.shop.add_order(case.customer, each) for each in statuses]
    reason = case.give_reason(case.rng.choice(["mistake", "delay", "unwanted"]))
    case.list_orders("I look up the email first.")
    done: list[str] = []
    read: list[str] = []  # what the thought says of the list, from where the last one stopped
    for order, (label, entry) in zip(orders, case.listed_orders().items(), strict=True):
        read.append(f'"{label}": "{entry}"')
        if case.order(order)["status"] == "pending":
            case.cancel(order, reason, ", ".join(read))
            done.append(order)
            read = [f"done {' '.join(done)} up to {label}"]
    if not done:
        return case.refuse(case.customer, "not_pending", f"{', '.join(read)}, none is pending")
    return case.close(f"{', '.join(read)}, no more.", f"cancelled {' '.join(done)}")


@dataclass(frozen=True, slots=True)
class Template:
    """A goal, how the request points at its order, and by level the conditions that occur there."""

    build: Callable[[Case], None]
    access: str
    conditions: dict[int, str]
    wording: str = ""


STATUSES = "pending shipped delivered"
TEMPLATES = {
    "status": Template(status, "id", {1: STATUSES}),
    "stock": Template(stock, "id", {1: "in_stock no_stock"}),
    "unsupported": Template(unsupported, "id", {1: " ".join(UNSUPPORTED)}),
    "cancel": Template(cancel, "id", {1: STATUSES}),
    "refund": Template(
        refund, "id", {1: "in_window late damaged_late damaged_too_late not_delivered"}
    ),
    "exchange": Template(
        exchange, "id", {1: "in_stock late not_delivered", 2: "in_stock no_stock damaged_late"}
    ),
    "latest_status": Template(status, "latest", {1: STATUSES, 2: STATUSES}),
    "check_status": Template(
        status,
        "check",
        {1: STATUSES, 2: "unknown_pending unknown_shipped", 3: "unknown_pending unknown_shipped"},
    ),
    "check_cancel": Template(
        cancel, "check", {1: "pending shipped", 2: "pending", 3: "unknown_pending unknown_shipped"}
    ),
    "cancel_latest": Template(cancel, "latest", {2: STATUSES}),
    # Level 1 mixes in what goes through, so that asking for a return does not predict a refusal.
    "cancel_or_refund": Template(
        cancel_or_refund, "id", {1: "pending in_window late", 2: "pending in_window"}
    ),
    "exchange_or_refund": Template(
        exchange_or_refund, "id", {1: "in_stock late", 2: "in_stock no_stock"}
    ),
    "exchange_any": Template(exchange_any, "id", {1: "no_stock late", 2: "in_stock no_stock"}),
    "dearer": Template(dearer, "id", {2: STATUSES}),
    "total": Template(add_up, "id", {2: "two", 3: "three"}, "total"),
    "cancel_all": Template(cancel_all, "latest", {2: "none", 3: "one two three"}),
    "refund_latest": Template(
        refund,
        "latest",
        {2: "not_delivered", 3: "in_window late damaged_late damaged_too_late"},
    ),
    "exchange_latest": Template(
        exchange, "latest", {2: "not_delivered", 3: "in_stock no_stock damaged_late late"}
    ),
    "cancel_or_refund_latest": Template(cancel_or_refund, "latest", {3: "pending in_window late"}),
    "exchange_or_refund_latest": Template(
        exchange_or_refund, "latest", {3: "in_stock no_stock late"}
    ),
    "total_customer": Template(add_up, "latest", {3: "two three"}, "total_customer"),
}

# Held out for good. Each half of a pair occurs in training with another partner.
UNSEEN_COMBOS = frozenset(
    {
        ("refund", "damaged_late"),
        ("dearer", "shipped"),
        ("exchange_or_refund", "no_stock"),
        ("cancel_or_refund_latest", "late"),
        ("check_cancel", "unknown_shipped"),
    }
)


def _menu(level: int) -> list[tuple[str, str]]:
    return [
        (name, condition)
        for name, template in TEMPLATES.items()
        for condition in template.conditions.get(level, "").split()
        for _ in range(UNSUPPORTED_WEIGHT if name == "unsupported" else 1)
    ]


MENUS = {level: _menu(level) for level in CALLS}


def draft_task(rng: Random, level: int) -> Draft:
    """One random task: template, condition, shop, request, demonstration, perhaps a time-out."""
    name, condition = rng.choice(MENUS[level])
    template = TEMPLATES[name]
    case = Case(rng, condition, template.access)
    template.build(case)
    wording = rng.randrange(WORDINGS)
    goal = template.wording or template.build.__name__
    sentence = (UNSUPPORTED[condition] if name == "unsupported" else SENTENCES[goal])[wording]
    case.plan(template.build.__name__)
    lines = [sentence, *([EMAIL[wording]] if case.needs_email else [])]
    prompt = " ".join(lines).format(**case.slots)
    has_room = len(case.turns) - 1 < CALLS[level][1]
    timed = with_timeout(rng, case.turns, FAULT_RATE if has_room else 0.0)
    world = case.shop.finish()
    return Draft(prompt, world, timed.gold, name, condition, wording, timed.faults)
