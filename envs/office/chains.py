"""Level 3: chains of three to five calls, where results decide, and recovery from refusals."""

from __future__ import annotations

from tooldojo.envs.office.scene import HOURS, WISHES, Scene
from tooldojo.envs.office.simple import LABELS
from tooldojo.envs.office.story import Story, pick
from tooldojo.envs.templates import Sketch

REQUESTS = ("move_own", "move_foreign", "move_busy", "cancel_own", "cancel_foreign")
SHIFTS = tuple(f"{wish}_{end}" for wish in WISHES for end in ("moved", "kept"))
PASSES = tuple(f"{label}_{kind}" for label in LABELS for kind in ("plain", "private"))


def mail_invite(scene: Scene, condition: str) -> Sketch:
    """Set the meeting that a mail asks for, at an hour that suits both, and answer it."""
    who, sender, day, topic = scene.person(), scene.person(), scene.day(), scene.topic()
    full = condition == "none"
    hours = scene.agenda([who, sender], day, 0 if full else scene.rng.randint(2, 3))
    wish = "earliest" if full else condition
    mail = scene.mail(sender, topic, f"meet on {day}")
    fields = {"who": who, "mail": mail, "wish": wish}
    story = Story(scene)
    story.do(f"I open mail {mail} to see who asks for which day.", "open_mail", mail_id=mail)
    story.plan(f"{sender} asks for {day}; first the hours of {who}.", who, day)
    story.plan(f"Now the free hours of {sender} on {day}.", sender, day)
    if full:
        why = f"No hour on {day} suits both, so the answer is no."
        story.do(why, "answer_mail", mail_id=mail, reply="no")
        done = f"Mail {mail} is answered with no."
        return Sketch(fields, story.close(done, f"Result: answered {mail}"))
    hour = pick(hours, wish)
    why = f"{hour} is the {wish} hour free for both, so I set it."
    meeting = story.book(why, topic, day, hour, [who, sender])
    why = f"The meeting {meeting} is set, so the answer is yes."
    story.do(why, "answer_mail", mail_id=mail, reply="yes")
    return Sketch(fields, story.end_booked(meeting))


def mail_request(scene: Scene, condition: str) -> Sketch:
    """Move or cancel the meeting that a mail names, if its sender attends it; answer the mail."""
    deed, end = condition.split("_")
    sender, other, day = scene.person(), scene.person(), scene.day()
    hour = scene.rng.choice(scene.agenda([sender, other], day, 3))
    attends = [other, scene.person()] if end == "foreign" else [sender, other]
    meeting = scene.meeting(scene.topic(), scene.day(), scene.rng.choice(HOURS), attends)
    scene.meeting(scene.topic(), scene.day(), scene.rng.choice(HOURS), [sender])
    if end == "busy":
        scene.busy.setdefault(other, {}).setdefault(day, []).append(hour)
    asks = f"move {meeting} to {day} {hour}" if deed == "move" else f"cancel {meeting}"
    mail = scene.mail(sender, scene.topic(), asks)
    story = Story(scene)
    story.do(f"I open mail {mail} to see what it asks for.", "open_mail", mail_id=mail)
    why = f"It asks to {deed} {meeting}; I check that {sender} attends it."
    story.do(why, "find_meetings", person=sender)
    said, why = "no", f"{meeting} is not listed for {sender}, so I answer no."
    if end != "foreign":
        why = f"{meeting} is listed for {sender}, so I {deed} it."
        if deed == "move":
            story.do(why, "move_meeting", meeting_id=meeting, day=day, time=hour)
        else:
            story.do(why, "cancel_meeting", meeting_id=meeting)
        said, why = "yes", f"That worked for {meeting}, so I answer yes."
        if end == "busy":
            said, why = "no", f"{other} is busy at {hour}, so I answer no."
    story.do(why, "answer_mail", mail_id=mail, reply=said)
    line = f"answered {mail}"
    if said == "yes":
        line = f"moved {meeting}" if deed == "move" else f"cancelled {meeting}"
    done = f"Mail {mail} is answered with {said}."
    return Sketch({"mail": mail}, story.close(done, f"Result: {line}"))


def book_three(scene: Scene, condition: str) -> Sketch:
    """The earliest or latest hour that three people share."""
    people, day, topic = [scene.person() for _ in range(3)], scene.day(), scene.topic()
    none = condition == "none"
    hours = scene.agenda(people, day, 0 if none else scene.rng.randint(2, 3))
    wish = "earliest" if none else condition
    who, other, third = people
    fields = {"who": who, "other": other, "third": third, "day": day, "topic": topic, "wish": wish}
    story = Story(scene)
    story.plans(people, day)
    if none:
        return Sketch(fields, story.end_none(who, day))
    hour = pick(hours, wish)
    why = f"{hour} is the {wish} hour free for all three, so I set it."
    return Sketch(fields, story.end_booked(story.book(why, topic, day, hour, people)))


def shift(scene: Scene, condition: str) -> Sketch:
    """Move a meeting to the best shared hour of its day, if it is not there already."""
    wish, end = condition.split("_")
    who, other, day, topic = scene.person(), scene.person(), scene.day(), scene.topic()
    hours = scene.agenda([who, other], day, scene.rng.randint(3, 4))
    best = pick(hours, wish)
    now = best if end == "kept" else scene.rng.choice([hour for hour in hours if hour != best])
    meeting = scene.meeting(topic, day, now, [who, other])
    scene.meeting(scene.topic(), scene.day(), scene.rng.choice(HOURS), [who])
    better = "earlier" if wish == "earliest" else "later"
    fields = {"who": who, "topic": topic, "wish": wish, "better": better}
    story = Story(scene)
    story.do(f"I look for the {topic} meeting of {who}.", "find_meetings", person=who)
    story.plan(f"{meeting} is on {day} at {now}; first {who}.", who, day)
    story.plan(f"{other} attends it, too, so I look at {other}.", other, day)
    if end == "kept":
        why = f"No hour free for both is {better} than {now}, so {meeting} stays."
        return Sketch(fields, story.close(why, f"Result: kept {meeting}"))
    why = f"{best} is the {wish} hour free for both and {better} than {now}."
    story.do(why, "move_meeting", meeting_id=meeting, day=day, time=best)
    done = f"The meeting {meeting} is now on {day} at {best}."
    return Sketch(fields, story.close(done, f"Result: moved {meeting}"))


def fallback(scene: Scene, condition: str) -> Sketch:
    """Set a meeting at a given hour; where somebody is busy then, at another shared hour."""
    who, other, day, topic = scene.person(), scene.person(), scene.day(), scene.topic()
    none = condition == "none"
    hours = scene.agenda([who, other], day, 0 if none else scene.rng.randint(2, 3))
    asked = scene.rng.choice([hour for hour in HOURS if hour not in hours])
    wish = "earliest" if none else condition
    fields = {"who": who, "other": other, "day": day, "time": asked, "topic": topic, "wish": wish}
    story = Story(scene)
    story.book(f"{asked} is wanted first of all, so I try it.", topic, day, asked, [who, other])
    story.plan(f"{asked} is refused, so I need the free hours of {who}.", who, day)
    story.plan(f"Now the free hours of {other} on {day}.", other, day)
    if none:
        return Sketch(fields, story.end_none(who, day))
    hour = pick(hours, wish)
    why = f"{hour} is the {wish} hour free for both, so I set it."
    return Sketch(fields, story.end_booked(story.book(why, topic, day, hour, [who, other])))


def forward_label(scene: Scene, condition: str) -> Sketch:
    """Find a mail, forward it unless it is private, and label it in either case."""
    label, kind = condition.split("_")
    who, sender, topic = scene.person(), scene.person(), scene.topic()
    scene.mail(sender, scene.topic(), label=scene.rng.choice(("private", "none")))
    mail = scene.mail(sender, topic, label="private" if kind == "private" else "none")
    fields = {"who": who, "sender": sender, "topic": topic, "label": label}
    story = Story(scene)
    story.do(f"I look for a mail of {sender} about {topic}.", "list_inbox", sender=sender)
    story.do(f"{mail} is about {topic}; I check its label.", "open_mail", mail_id=mail)
    if kind == "plain":
        why = f"Its label is none, so I forward it to {who}."
        story.do(why, "forward_mail", mail_id=mail, person=who)
        why = f"It is forwarded; now I label it as {label}."
        line = f"Result: forwarded {mail}"
    else:
        why = f"{mail} is private, so I only label it as {label}."
        line = f"Result: labelled {mail}"
    story.do(why, "label_mail", mail_id=mail, label=label)
    return Sketch(fields, story.close(f"Mail {mail} is now labelled {label}.", line))
