"""Levels 2 and 3: settings that are checked, lines, plans, boxes, and customers who are wrong."""

from __future__ import annotations

from tooldojo.envs.dialogue.desk import PLANS, Desk, networks
from tooldojo.envs.dialogue.simple import misread
from tooldojo.envs.dialogue.story import Story
from tooldojo.envs.task import GoldTurn
from tooldojo.envs.templates import Sketch

_TURNED = {"on": "off", "off": "on"}


def switch(desk: Desk, condition: str) -> Sketch:
    """A switch of the box, told and checked; the customer may only say that it is done."""
    name, how = condition.split("_")
    value = _TURNED[desk.user["settings"][name]]
    story = Story(desk)
    story.ask()
    _set(desk, story, name, value, how == "forgets")
    fields = {"who": desk.user["name"], "name": name, "value": value}
    return Sketch(fields, story.end(f"The box shows {name} {value}, as wished.", "set"))


def _set(desk: Desk, story: Story, name: str, value: str, forgets: bool) -> None:
    story.tell(f"The customer has to set {name} to {value}.", name, value)
    story.check(name, value)
    if forgets:
        desk.user["slips"][name] = f"{name} is {value}"
        now = desk.user["settings"][name]
        story.tell(f"The box still shows {name} {now}, so I say it again.", name, value)
        story.check(name, value)


def channel(desk: Desk, condition: str) -> Sketch:
    """The channel with the fewest networks; the customer may only say that it is set."""
    seen = networks(desk.row["box"])
    best = min(seen, key=lambda each: seen[each])
    if desk.user["settings"]["channel"] == best:
        desk.user["settings"]["channel"] = next(each for each in seen if each != best)
    story = Story(desk)
    story.ask()
    why = f"I look how full the channels around {desk.account} are."
    story.do(why, "scan_channels", account=desk.account)
    _set(desk, story, "channel", best, condition == "forgets")
    done = f"The box shows channel {best}, the one with fewest networks."
    return Sketch({"who": desk.user["name"]}, story.end(done, "set"))


def unbar(desk: Desk, condition: str) -> Sketch:
    """A barred line is opened if nothing is owed; the account number may be misread."""
    money, how = condition.split("_")
    desk.row["line"] = "barred"
    if money == "owes":
        desk.owe()
    story = Story(desk)
    story.ask()
    if how == "slip":
        misread(desk, story)
    story.open(f"I open {desk.account} to see line and debt.")
    return Sketch({"who": desk.user["name"]}, _unbar(desk, story))


def _unbar(desk: Desk, story: Story) -> list[GoldTurn]:
    account, owes = desk.account, desk.row["owes"]
    if owes:
        return story.end(f"{account} owes {owes}, so the line stays barred.", "refused")
    why = f"{account} owes nothing and is barred, so I unbar it."
    story.do(why, "unbar_line", account=account)
    story.restart("The line was unbarred, so the box must be restarted.")
    return story.end("Line and box are fine again, so I close.", "unbarred")


def lamp(desk: Desk, condition: str) -> Sketch:
    """Nothing works: the lamp's colour decides what has to be done."""
    story = Story(desk)
    story.ask("the lamp", "the day")
    return Sketch({"who": desk.user["name"]}, _by_lamp(desk, story, condition))


def _by_lamp(desk: Desk, story: Story, condition: str) -> list[GoldTurn]:
    if condition == "green":
        why = f"Green needs a visit; {desk.user['day']} suits the customer."
        story.do(why, "book_visit", account=desk.account, day=desk.user["day"])
        return story.end(f"The visit for {desk.account} is booked.", "booked")
    if condition == "yellow":
        desk.user["fresh"] = False
        story.restart("Yellow means that the box needs a restart.")
        return story.end("The box was restarted and the lamp is green.", "restarted")
    if condition == "dark":
        desk.user["settings"]["cable"] = "out"
        story.plug()
        return story.end("The cable is in now, so this is set.", "set")
    desk.row["line"] = "barred"
    if condition == "owes":
        desk.owe()
    story.open(f"Red means barred; I open {desk.account} to see the debt.")
    return _unbar(desk, story)


def plan(desk: Desk, condition: str) -> Sketch:
    """Another plan, if nothing is owed; the account number may be misread."""
    money, how = condition.split("_")
    new = desk.rng.choice([each for each in PLANS if each != desk.row["plan"]])
    if money == "owes":
        desk.owe()
    story, account = Story(desk), desk.account
    story.ask()
    if how == "slip":
        misread(desk, story)
    story.open(f"I open {account} to see whether something is owed.")
    fields = {"who": desk.user["name"], "plan": new}
    if money == "owes":
        why = f"{account} owes {desk.row['owes']}, so there is no new plan."
        return Sketch(fields, story.end(why, "refused"))
    story.do(f"{account} owes nothing, so I switch it.", "switch_plan", account=account, plan=new)
    story.restart("The plan was switched, so the box must be restarted.")
    return Sketch(fields, story.end(f"{account} is on {new} and restarted.", "switched"))


def new_box(desk: Desk, condition: str) -> Sketch:
    """A box from stock is bound to the account, by its number; that may be misread."""
    box, account = desk.box(), desk.account
    desk.boxes.append(box)
    desk.user["box"] = box
    story = Story(desk)
    story.ask("the box number")
    if condition == "slip":
        wrong = desk.box()
        desk.user["slips"]["box"] = wrong
        why = f"I bind box {wrong} to the account {account}."
        story.do(why, "bind_box", account=account, box=wrong)
        story.ask_again(wrong, "box number")
    story.do(f"I bind box {box} to the account {account}.", "bind_box", account=account, box=box)
    story.restart("A box was bound, so it must be restarted.")
    done = f"{box} is bound to {account} and restarted."
    return Sketch({"who": desk.user["name"]}, story.end(done, "bound"))


def both(desk: Desk, condition: str) -> Sketch:
    """A part is sent and a switch is set, told and checked."""
    item, name = condition.split("_")
    value = _TURNED[desk.user["settings"][name]]
    story = Story(desk)
    story.ask()
    why = f"First I send the {item} to {desk.account}."
    story.do(why, "ship_part", account=desk.account, part=item)
    _set(desk, story, name, value, False)
    fields = {"who": desk.user["name"], "part": item, "name": name, "value": value}
    return Sketch(fields, story.end(f"The {item} is sent and {name} is {value}.", "set"))


def moving(desk: Desk, condition: str) -> Sketch:
    """After a move: another plan if nothing is owed, a new box and a visit."""
    box, account, day = desk.box(), desk.account, desk.user["day"]
    new = desk.rng.choice([each for each in PLANS if each != desk.row["plan"]])
    desk.boxes.append(box)
    desk.user["box"] = box
    story = Story(desk)
    story.ask("the box number", "the day")
    story.open(f"I open {account} to see whether something is owed.")
    if condition == "owes":
        desk.owe()
        why = f"{account} owes {desk.row['owes']}, so I only bind {box}."
    else:
        why = f"{account} owes nothing, so I switch the plan."
        story.do(why, "switch_plan", account=account, plan=new)
        why = f"The plan is {new}; now I bind box {box}."
    story.do(why, "bind_box", account=account, box=box)
    why = f"The box is bound; {day} suits the customer for a visit."
    story.do(why, "book_visit", account=account, day=day)
    story.restart("A box was bound, so it must be restarted.")
    fields = {"who": desk.user["name"], "plan": new}
    return Sketch(fields, story.end(f"The visit for {account} came last and is booked.", "booked"))
