"""Level 1: questions and single changes, in two calls or fewer, and requests without any call."""

from __future__ import annotations

from tooldojo.envs.office.scene import HOURS, WEEKEND, WISHES, Scene
from tooldojo.envs.office.story import Story, pick
from tooldojo.envs.templates import Sketch

LABELS = ("urgent", "later")
_THINGS = {
    "rooms": ("a meeting room", "a parking space", "a hot desk", "a podium"),
    "food": ("a buffet lunch", "a coffee round", "a birthday cake", "a fruit basket"),
    "calls": ("a phone call", "a video link", "a fax", "a voice message"),
    "papers": ("a signed contract", "an invoice", "a visitor pass", "a name tag"),
}
THING_KINDS = tuple(_THINGS)


def mail_fact(scene: Scene, condition: str) -> Sketch:
    """The topic, the sender or the label of one mail; or the mail does not exist."""
    mail = scene.mail(scene.person(), scene.topic(), label=scene.rng.choice((*LABELS, "private")))
    known = condition != "unknown"
    asked = mail if known else scene.mail_id()
    fact = condition if known else scene.rng.choice(("topic", "sender", "label"))
    story = Story(scene)
    story.do(f"I open mail {asked} to read its {fact}.", "open_mail", mail_id=asked)
    why, line = f"There is no mail {asked}, so it is unknown.", f"Result: unknown {asked}"
    if known:
        value = scene.mails[mail][fact]
        why, line = f"The {fact} of mail {asked} is {value}.", f"Result: {value} {asked}"
    return Sketch({"mail": asked, "fact": fact}, story.close(why, line))


def first_free(scene: Scene, condition: str) -> Sketch:
    """The earliest or latest free hour of a person."""
    who, day = scene.person(), scene.day()
    hours = scene.agenda([who], day, 0 if condition == "none" else scene.rng.randint(2, 4))
    wish = condition if hours else scene.rng.choice(WISHES)
    story = Story(scene)
    story.plan(f"I look at the free hours of {who} on {day}.", who, day)
    fields = {"who": who, "day": day, "wish": wish}
    if not hours:
        return Sketch(fields, story.end_none(who, day))
    hour = pick(hours, wish)
    why = f"The {wish} free hour of {who} is {hour}."
    return Sketch(fields, story.close(why, f"Result: {hour} {who}"))


def book_named(scene: Scene, condition: str) -> Sketch:
    """Set a meeting at a given hour; somebody may be busy then."""
    who, other, day, topic = scene.person(), scene.person(), scene.day(), scene.topic()
    hours = scene.agenda([who, other], day, scene.rng.randint(2, 3))
    hour = scene.rng.choice(hours)
    busy, free = scene.rng.sample([who, other], 2)
    if condition == "busy":
        hour = scene.rng.choice([each for each in HOURS if each not in hours])
        scene.only_busy(busy, free, day, hour)
    fields = {"who": who, "other": other, "day": day, "time": hour, "topic": topic}
    story = Story(scene)
    thought = f"The hour is given, {day} at {hour}, so I set the meeting."
    meeting = story.book(thought, topic, day, hour, [who, other])
    if condition == "free":
        return Sketch(fields, story.end_booked(meeting))
    why = f"{busy} is busy at {hour}, so nothing is set."
    return Sketch(fields, story.close(why, f"Result: busy {busy}"))


def book_own(scene: Scene, condition: str) -> Sketch:
    """Set an hour for one person; a few visitors change nothing."""
    who, day, topic = scene.person(), scene.day(), scene.topic()
    hours = scene.agenda([who], day, 0 if condition == "none" else scene.rng.randint(2, 4))
    wish = condition if condition in WISHES else "earliest"
    more = f" Expect {scene.rng.randint(1, 4)} visitors." if condition == "visitors" else ""
    if condition == "after":
        more = f" It must not start before {hours[1]}."
    fields = {"who": who, "day": day, "topic": topic, "wish": wish, "more": more}
    story = Story(scene)
    story.plan(f"I need the free hours of {who} on {day}.", who, day)
    if not hours:
        return Sketch(fields, story.end_none(who, day))
    hour = hours[1] if condition == "after" else pick(hours, wish)
    late = f" from {hours[1]} on" if condition == "after" else ""
    why = f"{hour} is the {wish} free hour{late}, so I set it."
    return Sketch(fields, story.end_booked(story.book(why, topic, day, hour, [who])))


def _two_meetings(scene: Scene, who: str) -> list[str]:
    return [
        scene.meeting(scene.topic(), scene.day(), scene.rng.choice(HOURS), [who, scene.person()])
        for _ in range(2)
    ]


def cancel_named(scene: Scene, condition: str) -> Sketch:
    """Cancel a meeting by its number, if the person who asks attends it."""
    who = scene.person()
    own = _two_meetings(scene, who)
    foreign = scene.meeting(scene.topic(), scene.day(), scene.rng.choice(HOURS), [scene.person()])
    asked = scene.rng.choice(own) if condition == "own" else foreign
    story = Story(scene)
    story.do(f"I check that {who} attends {asked}.", "find_meetings", person=who)
    fields = {"who": who, "meeting": asked}
    if condition == "foreign":
        why = f"{asked} is not listed for {who}, so I refuse."
        return Sketch(fields, story.close(why, f"Result: refused {who}"))
    why = f"{asked} is listed for {who}, so I cancel it."
    story.do(why, "cancel_meeting", meeting_id=asked)
    done = f"The meeting {asked} of {who} is cancelled."
    return Sketch(fields, story.close(done, f"Result: cancelled {asked}"))


def cancel_topic(scene: Scene, condition: str) -> Sketch:
    """Cancel a person's meeting about a topic, if there is one."""
    who = scene.person()
    found = scene.rng.choice(_two_meetings(scene, who))
    topic = scene.meetings[found]["topic"] if condition == "match" else scene.topic()
    story = Story(scene)
    story.do(f"I look for the {topic} meeting of {who}.", "find_meetings", person=who)
    fields = {"who": who, "topic": topic}
    if condition == "missing":
        why = f"No meeting of {who} is about {topic}."
        return Sketch(fields, story.close(why, f"Result: none {who}"))
    story.do(f"{found} is about {topic}, so I cancel it.", "cancel_meeting", meeting_id=found)
    done = f"The {topic} meeting {found} is now cancelled."
    return Sketch(fields, story.close(done, f"Result: cancelled {found}"))


def label_named(scene: Scene, condition: str) -> Sketch:
    """Label a mail by its number; it may not exist."""
    mail = scene.mail(scene.person(), scene.topic())
    asked = scene.mail_id() if condition == "unknown" else mail
    label = condition if condition in LABELS else scene.rng.choice(LABELS)
    story = Story(scene)
    story.do(f"I label mail {asked} as {label}.", "label_mail", mail_id=asked, label=label)
    why, line = f"Mail {asked} is now labelled {label}.", f"Result: labelled {asked}"
    if condition == "unknown":
        why, line = f"There is no mail {asked}, so it is unknown.", f"Result: unknown {asked}"
    return Sketch({"mail": asked, "label": label}, story.close(why, line))


def reply_named(scene: Scene, condition: str) -> Sketch:
    """Answer a mail with yes or no; one that has an answer keeps it."""
    mail = scene.mail(scene.person(), scene.topic())
    word = condition if condition in ("yes", "no") else scene.rng.choice(("yes", "no"))
    story = Story(scene)
    story.do(f"I answer mail {mail} with {word}.", "answer_mail", mail_id=mail, reply=word)
    why, line = f"Mail {mail} is now answered with {word}.", f"Result: answered {mail}"
    if condition == "answered":
        scene.mails[mail]["reply"] = scene.rng.choice(("yes", "no"))
        why, line = f"Mail {mail} already has an answer and keeps it.", f"Result: kept {mail}"
    return Sketch({"mail": mail, "word": word}, story.close(why, line))


def forward_named(scene: Scene, condition: str) -> Sketch:
    """Forward a mail, unless it is private."""
    who = scene.person()
    label = "private" if condition == "private" else scene.rng.choice((*LABELS, "none"))
    sender = scene.person()
    mail = scene.mail(sender, scene.topic(), label=label)
    story = Story(scene)
    story.do(f"I check whether mail {mail} is private.", "open_mail", mail_id=mail)
    fields = {"who": who, "mail": mail}
    if condition == "private":
        why = f"Mail {mail} is labelled private, so I refuse."
        return Sketch(fields, story.close(why, f"Result: refused {mail} {sender}"))
    why = f"Its label is {label}, so I forward it to {who}."
    story.do(why, "forward_mail", mail_id=mail, person=who)
    return Sketch(fields, story.close(f"{who} now has mail {mail}.", f"Result: forwarded {mail}"))


def unsupported(scene: Scene, condition: str) -> Sketch:
    """Something that no tool can do, perhaps under a condition; no call."""
    who, day, topic, thing = (
        scene.person(), scene.day(), scene.topic(), scene.rng.choice(_THINGS[condition]),
    )  # fmt: skip
    scene.agenda([who], day, scene.rng.choice((0, 2)))
    fields = {"who": who, "day": day, "topic": topic, "thing": thing}
    why = f"No tool can arrange {thing}, so I call nothing."
    return Sketch(fields, Story(scene).close(why, f"Result: unsupported {who}"))


def declined(scene: Scene, condition: str) -> Sketch:
    """A meeting that the policy excludes; no call."""
    who, topic, day = scene.person(), scene.topic(), scene.day()
    other, wish, more = scene.day(), scene.rng.choice(WISHES), ""
    scene.agenda([who], day, 2)
    if condition == "weekend":
        day, other = scene.rng.sample(WEEKEND, 2)
        why = f"No meetings are held on {day}, so I call nothing."
    else:
        visitors = scene.rng.randint(5, 9)
        more = f" Expect {visitors} visitors."
        why = f"{visitors} visitors are over 4, so I call nothing."
    fields = {"who": who, "topic": topic, "day": day, "next": other, "wish": wish, "more": more}
    return Sketch(fields, Story(scene).close(why, f"Result: refused {who}"))
