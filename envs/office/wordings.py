"""Five wordings for each kind of request; the last of each is kept for the held-out wordings.

The person who asks is always the first person named: the policy's closing line relies on it.
"""

from __future__ import annotations

_OWN = (
    "{who} needs an hour for {topic} on {day}: the {wish} free one.{more}",
    "For {who} block the {wish} free hour on {day}, topic {topic}.{more}",
    "Please set {who} an hour alone about {topic}; {day}, the {wish} that is free.{more}",
    "{who} wants to work on {topic} on {day}. Set the {wish} free hour.{more}",
    "The calendar of {who} should get {topic} on {day}, at the {wish} free hour.{more}",
)
_EITHER = (
    "{who} needs an hour for {topic} on {day}, or on {next} if {day} has none: the {wish} free "
    "one.{more}",
    "For {who} block the {wish} free hour on {day}, topic {topic}; only without any free hour "
    "there, on {next}.{more}",
    "Set {who} an hour alone about {topic}: the {wish} free one on {day}, failing that the "
    "{wish} one on {next}.{more}",
    "{who} wants to work on {topic} on {day}. If that day is full, take {next}. Set the {wish} "
    "free hour.{more}",
    "The calendar of {who} should get {topic} at the {wish} free hour of {day}, or of {next} "
    "where {day} is full.{more}",
)

WORDINGS: dict[str, tuple[str, ...]] = {
    "mail_fact": (
        "What is the {fact} of mail {mail}?",
        "Tell me the {fact} of {mail}.",
        "Mail {mail}: give me its {fact}.",
        "I would like to know the {fact} of the mail {mail}.",
        "Which {fact} does mail {mail} have?",
    ),
    "first_free": (
        "What is the {wish} free hour of {who} on {day}? Set nothing.",
        "Only tell me when {who} is free on {day}: the {wish} hour.",
        "On {day}, which is the {wish} hour that {who} has free? I just ask.",
        "Name the {wish} free hour of {who}, {day}.",
        "How does {day} look for {who}: which hour is the {wish} free one?",
    ),
    "book_named": (
        "{who} meets {other} on {day} at {time} about {topic}. Set it.",
        "Set a meeting of {who} and {other}, {day} {time}, topic {topic}.",
        "Please put {who} together with {other} on {day} at {time} for {topic}.",
        "For {who}: a {topic} meeting with {other}, {time} on {day}.",
        "{who} would like to see {other} about {topic}; the hour is {time} on {day}.",
    ),
    "book_own": _OWN,
    "declined": _OWN,
    "cancel_named": (
        "{who} asks to cancel meeting {meeting}.",
        "Cancel {meeting} for {who}.",
        "Please cancel meeting {meeting}; {who} wants that.",
        "{who} does not need {meeting} any longer. Cancel it.",
        "Meeting {meeting} should be called off, says {who}.",
    ),
    "cancel_topic": (
        "{who} asks to cancel the {topic} meeting.",
        "Cancel the meeting of {who} about {topic}.",
        "Please cancel what {who} has in the calendar about {topic}.",
        "{who} skips {topic}. Cancel that meeting.",
        "The {topic} meeting is off for {who}; take it out of the calendar.",
    ),
    "label_named": (
        "Label mail {mail} as {label}.",
        "Mail {mail} should be labelled {label}.",
        "Please put the label {label} on {mail}.",
        "{mail} is {label}; label it so.",
        "Give the mail {mail} the {label} label.",
    ),
    "reply_named": (
        "Answer mail {mail} with {word}.",
        "Reply {word} to {mail}.",
        "Please answer {mail}: {word}.",
        "The answer to mail {mail} is {word}. Send it.",
        "Say {word} to the mail {mail}.",
    ),
    "forward_named": (
        "{who} asks for mail {mail}. Forward it.",
        "Forward mail {mail} to {who}.",
        "Please let {who} have {mail}.",
        "{who} should read mail {mail}; forward it.",
        "Pass the mail {mail} on to {who}.",
    ),
    "unsupported": (
        "{who} needs {thing} on {day}. Please arrange it.",
        "For {who} order {thing}, {day}.",
        "Please get {who} {thing} for {day}.",
        "{who} asks for {thing} on {day}, for {topic}.",
        "I want {thing} for {who} on {day}.",
    ),
    "unsupported_plan": (
        "{who} needs {thing} at the first free hour on {day}.",
        "Look when {who} is free on {day}, then arrange {thing} for that hour.",
        "If {who} is free on {day}, get {thing} for the {topic} hour; otherwise do nothing.",
        "For {who} set {topic} on {day} and order {thing} along with it.",
        "See which hour on {day} suits {who} and have {thing} ready then.",
    ),
    "declined_plan": _EITHER,
    "book_pair": (
        "{who} meets {other} on {day} about {topic}. Set the {wish} hour free for both.",
        "Find the {wish} hour on {day} that suits {who} and {other}; set {topic}.",
        "Set a {topic} meeting for {who} with {other}, {day}, {wish} hour possible.",
        "On {day} {who} and {other} talk about {topic}: take the {wish} hour both have free.",
        "Bring {who} and {other} together for {topic} on {day}, at the {wish} hour they share.",
    ),
    "either_day": _EITHER,
    "move_named": (
        "{who} asks to move meeting {meeting} to {day} at {time}.",
        "Move {meeting} for {who} to {day}, {time}.",
        "Please change meeting {meeting} to {time} on {day}; {who} wants that.",
        "{who} would rather have {meeting} on {day} at {time}. Move it.",
        "Meeting {meeting} should go to {day} {time}, says {who}.",
    ),
    "triage": (
        "Label mail {mail} as {label} if {test}, otherwise as {else}.",
        "If {test}, mail {mail} is {label}; if not, {else}. Label it.",
        "Look at {mail}: {label} if {test}, else {else}. Set the label.",
        "Mail {mail} gets the label {label} when {test} and {else} when not.",
        "Provided that {test}, put {label} on the mail {mail}, or else {else}.",
    ),
    "reply_if_free": (
        "Mail {mail} asks {who} to a meeting. Answer yes if that hour is free, otherwise no.",
        "Is {who} free at the hour that mail {mail} asks for? Answer the mail yes or no.",
        "Answer {mail} for {who}: yes with that hour free, no without.",
        "For {who} answer mail {mail} by whether the hour named there is free: yes or no.",
        "Check the hour in {mail} against the plan of {who} and say yes or no to the mail.",
    ),
    "forward_topic": (
        "{who} wants the mail of {sender} about {topic}. Forward it.",
        "Forward to {who} what {sender} wrote about {topic}.",
        "Please let {who} have the {topic} mail by {sender}.",
        "For {who}: find the mail from {sender} on {topic} and forward it.",
        "{who} has not seen what came from {sender} about {topic}; pass it on.",
    ),
    "mail_invite": (
        "{who} got mail {mail}. Set what it asks for, at the {wish} hour free for {who} and the "
        "sender, and answer yes; without such an hour only answer no.",
        "For {who} see to mail {mail}: if sender and {who} share a free hour, set the {wish} and "
        "answer yes, else answer no.",
        "Let {who} meet the sender of {mail} as asked there, {wish} hour free for both; answer "
        "the mail yes, or no if there is none.",
        "{who} accepts mail {mail} if an hour suits both: set the {wish} one and answer yes. "
        "Otherwise answer no.",
        "Mail {mail} invites {who}. Take the {wish} hour that both have free, set it and say yes; "
        "if they share none, just say no.",
    ),
    "mail_request": (
        "Do what mail {mail} asks if the rules allow it and answer yes; otherwise answer no.",
        "See to mail {mail}: yes as the answer if it can be done, no if not.",
        "Carry out mail {mail} by the rules, then answer it: yes if done, else no.",
        "Mail {mail} wants a change in the calendar. Make it if you may; answer yes or no.",
        "Handle the wish in {mail} and reply yes, or reply no where it fails or is not allowed.",
    ),
    "book_three": (
        "{who} meets {other} and {third} on {day} about {topic}. Set the {wish} hour free for all.",
        "Find the {wish} hour on {day} that suits {who}, {other} and {third}; set {topic}.",
        "Set a {topic} meeting for {who} with {other} and {third}, {day}, {wish} hour possible.",
        "On {day} {who}, {other} and {third} talk about {topic}: the {wish} hour all have free.",
        "Bring {who}, {other} and {third} together for {topic} on {day}, at the {wish} hour they "
        "share.",
    ),
    "shift": (
        "{who} has a {topic} meeting. Move it to the {wish} hour of its day free for all in it if "
        "that is {better}; otherwise keep it.",
        "Can the {topic} meeting of {who} be {better} the same day? Move it to the {wish} hour "
        "that suits all, or keep it.",
        "Move the {topic} meeting of {who} within its day to the {wish} shared hour, only if "
        "{better} than now; else keep it.",
        "For {who} make {topic} {better}: same day, the {wish} hour free for everyone in it. If "
        "there is none, keep it.",
        "See whether {who} can have the {topic} meeting {better} that day; take the {wish} hour "
        "open to all its people, if not leave it.",
    ),
    "fallback": (
        "{who} meets {other} about {topic} on {day} at {time}; if somebody is busy then, at the "
        "{wish} hour free for both.",
        "Try {day} {time} for {who} with {other}, topic {topic}. If refused, take the {wish} hour "
        "both have free that day.",
        "Set {who} and {other} for {topic}, {day} at {time}; should that fail, the {wish} hour "
        "that suits both.",
        "{who} wants {other} at {time} on {day} for {topic}, or else at the {wish} hour they "
        "share that day.",
        "Put {who} and {other} down for {topic} at {time} on {day}; where that is taken, the "
        "{wish} common hour of the day will do.",
    ),
    "forward_label": (
        "{who} wants the mail of {sender} about {topic}. Forward it if allowed, and label it "
        "{label} in any case.",
        "Forward to {who} what {sender} wrote about {topic}, unless the rules forbid it; then "
        "label it {label} either way.",
        "For {who}: find the mail from {sender} on {topic}, forward it if it may be, and mark it "
        "{label} whatever happens.",
        "{who} should get the {topic} mail by {sender} where the rules permit. Label the mail "
        "{label} afterwards, forwarded or not.",
        "Pass on to {who} what came from {sender} about {topic}, if that is allowed; with or "
        "without that, its label becomes {label}.",
    ),
}
