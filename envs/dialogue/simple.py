"""Level 1: one question to the customer and one act, and requests that need neither."""

from __future__ import annotations

from tooldojo.envs.dialogue.desk import Desk
from tooldojo.envs.dialogue.story import Story
from tooldojo.envs.templates import Sketch

FACTS = {"plan": "plan", "owes": "debt", "box": "box number on file"}
_WISHES = {
    "devices": ("repair my laptop", "unlock my tablet", "install a printer", "back up my photos"),
    "television": ("add a sports channel", "record a film", "rent me a decoder", "mute the advert"),
    "telephone": (
        "block a caller",
        "port my mobile number",
        "divert my calls",
        "sell me a handset",
    ),
    "papers": ("print my contract", "send a paper bill", "sign a lease", "change my surname"),
}
WISHES = tuple(_WISHES)
_ERRANDS = {
    "plan": ("the plan of {who}", "which plan {who} has"),
    "debt": ("what {who} owes", "the debt of {who}"),
    "visit": ("a visit for {who}", "a technician at the house of {who}"),
    "part": ("a cable for {who}", "an adapter for {who}"),
}
ERRANDS = tuple(_ERRANDS)


def fact(desk: Desk, condition: str) -> Sketch:
    """Something on file about the customer, who may misread the account number."""
    item, _, how = condition.partition("_")
    if item == "owes":
        desk.owe()
    story = Story(desk)
    account = desk.account
    story.ask()
    if how:
        account = misread(desk, story)
    story.open(f"With {account} I can look up the account.")
    value = desk.row[item]
    done = f"The {FACTS[item]} of {account} is {value}."
    return Sketch({"who": desk.user["name"], "item": FACTS[item]}, story.end(done, str(value)))


def misread(desk: Desk, story: Story) -> str:
    """The customer misreads the account number; it is unknown and asked for again."""
    wrong = desk.number()
    desk.user["slips"]["account"] = wrong
    story.open(f"With {wrong} I can look up the account.", wrong)
    story.ask_again(wrong)
    return desk.account


def unknown(desk: Desk, condition: str) -> Sketch:
    """An account number that is wrong both times; the condition is what was wanted."""
    desk.user["account"] = desk.number()
    story = Story(desk)
    story.ask()
    misread(desk, story)
    right = desk.user["account"]
    story.open(f"Now it is {right}; I look that one up.", right)
    done = f"{right} is not known either, so I close."
    fields = {"who": desk.user["name"], "item": FACTS[condition]}
    return Sketch(fields, story.end(done, "unknown", fields["who"]))


def part(desk: Desk, condition: str) -> Sketch:
    """A part is sent; the condition says which."""
    story = Story(desk)
    story.ask()
    why = f"The account is {desk.account}, so I send the {condition}."
    story.do(why, "ship_part", account=desk.account, part=condition)
    done = f"The {condition} is on its way to {desk.account}."
    return Sketch({"who": desk.user["name"], "part": condition}, story.end(done, "shipped"))


def visit(desk: Desk, condition: str) -> Sketch:
    """A technician comes on the day that suits the customer, or on a given day."""
    day = desk.user["day"]
    asks = condition == "asked"
    story = Story(desk)
    story.ask(*(["the day"] if asks else []))
    why = f"{day} is the day for {desk.account}, so I book that."
    story.do(why, "book_visit", account=desk.account, day=day)
    when = "on a day that suits me" if asks else f"on {day}"
    done = f"The visit for {desk.account} is booked for {day}."
    return Sketch({"who": desk.user["name"], "when": when}, story.end(done, "booked"))


def stale(desk: Desk, condition: str) -> Sketch:
    """A yellow lamp or a dark one, which the customer names: a restart, or the cable."""
    story, who = Story(desk), desk.user["name"]
    if condition == "yellow":
        desk.user["fresh"] = False
        story.restart("Yellow means that the box needs a restart.")
        gold = story.end("The box was restarted and the lamp is fine.", "restarted", who)
    else:
        desk.user["settings"]["cable"] = "out"
        story.plug()
        gold = story.end("The cable is in now, so this is set.", "set", who)
    return Sketch({"who": who, "lamp": condition}, gold)


def unsupported(desk: Desk, condition: str) -> Sketch:
    """What neither a tool nor the box can do; the condition is of which kind."""
    wish, who = desk.rng.choice(_WISHES[condition]), desk.user["name"]
    why = f"To {wish} is nothing that tools or box can do."
    return Sketch({"who": who, "do": wish}, Story(desk).end(why, "unsupported", who))


def foreign(desk: Desk, condition: str) -> Sketch:
    """Somebody calls for another person; the condition is about what."""
    who, other = desk.user["name"], desk.person()
    errand = desk.rng.choice(_ERRANDS[condition]).format(who=other)
    why = f"{who} calls for {other}, so I must refuse."
    return Sketch({"who": who, "errand": errand}, Story(desk).end(why, "refused", who))
