"""Level 2: one decision, by two plans, a refused move, or what a mail says."""

from __future__ import annotations

from tooldojo.envs.office.scene import HOURS, Scene
from tooldojo.envs.office.simple import LABELS
from tooldojo.envs.office.story import Story, pick
from tooldojo.envs.templates import Sketch

WAYS = ("first_earliest", "first_latest", "second_earliest", "second_latest")
TRIAGE = ("sender_yes", "sender_no", "topic_yes", "topic_no")


def book_pair(scene: Scene, condition: str) -> Sketch:
    """The earliest or latest hour that two people share."""
    who, other, day, topic = scene.person(), scene.person(), scene.day(), scene.topic()
    none = condition == "none"
    hours = scene.agenda([who, other], day, 0 if none else scene.rng.randint(2, 3))
    wish = "earliest" if none else condition
    fields = {"who": who, "other": other, "day": day, "topic": topic, "wish": wish}
    story = Story(scene)
    story.plans([who, other], day)
    if none:
        return Sketch(fields, story.end_none(who, day))
    hour = pick(hours, wish)
    why = f"{hour} is the {wish} hour free for both, so I set it."
    return Sketch(fields, story.end_booked(story.book(why, topic, day, hour, [who, other])))


def either_day(scene: Scene, condition: str) -> Sketch:
    """An hour on one day, or on another if the first has none."""
    place, wish = condition.split("_")
    who, day, other, topic = scene.person(), scene.day(), scene.day(), scene.topic()
    first = scene.agenda([who], day, 0 if place == "second" else scene.rng.randint(2, 4))
    second = scene.agenda([who], other, scene.rng.randint(2, 4))
    more = f" Expect {scene.rng.randint(1, 4)} visitors." if scene.rng.random() < 0.4 else ""
    fields = {"who": who, "day": day, "next": other, "topic": topic, "wish": wish, "more": more}
    story = Story(scene)
    story.plan(f"{day} comes first, so I look at {who} on {day}.", who, day)
    goes, hours = (day, first) if first else (other, second)
    if not first:
        story.plan(f"{who} has no free hour on {day}, so I look at {other}.", who, other)
    hour = pick(hours, wish)
    why = f"{hour} is the {wish} free hour on {goes}, so I set it."
    return Sketch(fields, story.end_booked(story.book(why, topic, goes, hour, [who])))


def move_named(scene: Scene, condition: str) -> Sketch:
    """Move a meeting to a given hour for somebody who attends it; another may be busy then."""
    who, other, day = scene.person(), scene.person(), scene.day()
    hours = scene.agenda([who, other], day, 3)
    hour = scene.rng.choice(hours)
    attends = [other, scene.person()] if condition == "foreign" else [who, other]
    asked = scene.meeting(scene.topic(), scene.day(), scene.rng.choice(HOURS), attends)
    scene.meeting(scene.topic(), scene.day(), scene.rng.choice(HOURS), [who])
    if condition == "busy":
        scene.busy.setdefault(other, {}).setdefault(day, []).append(hour)
    fields = {"who": who, "meeting": asked, "day": day, "time": hour}
    story = Story(scene)
    story.do(f"I check that {who} attends {asked}.", "find_meetings", person=who)
    if condition == "foreign":
        why = f"{asked} is not listed for {who}, so I refuse."
        return Sketch(fields, story.close(why, f"Result: refused {who}"))
    why = f"{asked} is listed for {who}, so I move it."
    story.do(why, "move_meeting", meeting_id=asked, day=day, time=hour)
    if condition == "busy":
        why = f"{other} is busy at {hour}, so {asked} is not moved."
        return Sketch(fields, story.close(why, f"Result: busy {other}"))
    done = f"The meeting {asked} is now on {day} at {hour}."
    return Sketch(fields, story.close(done, f"Result: moved {asked}"))


def triage(scene: Scene, condition: str) -> Sketch:
    """One of two labels, by the sender or the topic of a mail."""
    fact, verdict = condition.split("_")
    sender, topic = scene.person(), scene.topic()
    mail = scene.mail(sender, topic)
    value = sender if fact == "sender" else topic
    asked = value
    if verdict == "no":
        asked = scene.person() if fact == "sender" else scene.topic()
    labels = scene.rng.sample(LABELS, 2)
    label = labels[verdict == "no"]
    tests = {"sender": f"it comes from {asked}", "topic": f"it is about {asked}"}
    fields = {"mail": mail, "test": tests[fact], "label": labels[0], "else": labels[1]}
    story = Story(scene)
    story.do(f"The label depends on the {fact} of mail {mail}.", "open_mail", mail_id=mail)
    match = "as asked" if verdict == "yes" else f"not {asked}"
    why = f"The {fact} is {value}, {match}, so the label is {label}."
    story.do(why, "label_mail", mail_id=mail, label=label)
    return Sketch(
        fields, story.close(f"Mail {mail} is now labelled {label}.", f"Result: labelled {mail}")
    )


def reply_if_free(scene: Scene, condition: str) -> Sketch:
    """Answer an invitation by whether its hour is free."""
    who, sender, day = scene.person(), scene.person(), scene.day()
    hours = scene.agenda([who], day, scene.rng.randint(2, 5))
    taken = [hour for hour in HOURS if hour not in hours]
    hour = scene.rng.choice(hours if condition == "yes" else taken)
    mail = scene.mail(sender, scene.topic(), f"meet on {day} at {hour}")
    fields = {"who": who, "mail": mail}
    story = Story(scene)
    story.do(f"I open mail {mail} to see which hour it asks for.", "open_mail", mail_id=mail)
    story.plan(f"It asks for {day} at {hour}; I look at {who}.", who, day)
    found = "free" if condition == "yes" else "not free"
    why = f"{who} is {found} at {hour}, so the answer is {condition}."
    story.do(why, "answer_mail", mail_id=mail, reply=condition)
    done = f"Mail {mail} is now answered with {condition}."
    return Sketch(fields, story.close(done, f"Result: answered {mail}"))


def forward_topic(scene: Scene, condition: str) -> Sketch:
    """Find a mail by sender and topic and forward it, unless it is private."""
    who, sender, topic = scene.person(), scene.person(), scene.topic()
    scene.mail(sender, scene.topic())
    missing = condition == "missing"
    label = "private" if condition == "private" else scene.rng.choice((*LABELS, "none"))
    mail = scene.mail(scene.person() if missing else sender, topic, label=label)
    scene.mail(sender, scene.topic(), label="private" if condition == "plain" else "none")
    fields = {"who": who, "sender": sender, "topic": topic}
    story = Story(scene)
    story.do(f"I look for a mail of {sender} about {topic}.", "list_inbox", sender=sender)
    if missing:
        why = f"No mail of {sender} is about {topic}."
        return Sketch(fields, story.close(why, f"Result: none {who}"))
    story.do(f"{mail} is about {topic}; I check its label.", "open_mail", mail_id=mail)
    if condition == "private":
        why = f"Mail {mail} is labelled private, so I refuse."
        return Sketch(fields, story.close(why, f"Result: refused {mail} {sender}"))
    why = f"Its label is {label}, so I forward it to {who}."
    story.do(why, "forward_mail", mail_id=mail, person=who)
    return Sketch(fields, story.close(f"{who} now has mail {mail}.", f"Result: forwarded {mail}"))
