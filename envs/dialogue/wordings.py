"""Five wordings for each kind of request; the last of each is kept for the held-out wordings."""

from __future__ import annotations

_FACT = (
    "Hello, this is {who}. Can you tell me my {item}?",
    "{who} speaking. I would like to know my {item}.",
    "My name is {who}; what do you have as my {item}?",
    "Good day, {who} here, and I need my {item}.",
    "I forgot my {item}, could you look? I am {who}.",
)
WORDINGS: dict[str, tuple[str, ...]] = {
    "fact": _FACT,
    "unknown": _FACT,
    "part": (
        "Hello, this is {who}. I need a new {part} for my box.",
        "{who} speaking. My {part} broke, please send another.",
        "My name is {who}; the {part} that came with the box is gone.",
        "Good day, {who} here, can I get a {part} sent?",
        "Without a working {part} I am stuck, so post me one. I am {who}.",
    ),
    "visit": (
        "Hello, this is {who}. Please send a technician {when}.",
        "{who} speaking. I want somebody to come {when}.",
        "My name is {who}; can a technician come {when}?",
        "Good day, {who} here, please book a visit {when}.",
        "Somebody should look at my box {when}. I am {who}.",
    ),
    "stale": (
        "Hello, this is {who}. The lamp on my box is {lamp}.",
        "{who} speaking. My box has a {lamp} lamp and nothing works.",
        "My name is {who}; why is the lamp {lamp}?",
        "Good day, {who} here, the box shows a {lamp} lamp.",
        "There is a {lamp} lamp on this box. I am {who}.",
    ),
    "unsupported": (
        "Hello, this is {who}. Could you {do}?",
        "{who} speaking. I would like you to {do}.",
        "My name is {who}; please {do}.",
        "Good day, {who} here, can the desk {do}?",
        "What I want is that you {do}. I am {who}.",
    ),
    "foreign": (
        "Hello, this is {who}. I call about {errand}.",
        "{who} speaking. It is about {errand}, for a friend.",
        "My name is {who}; I ask on behalf of someone else about {errand}.",
        "Good day, {who} here, I need {errand}, though it is not my account.",
        "I promised to see to {errand}. I am {who}.",
    ),
    "switch": (
        "Hello, this is {who}. I want {name} {value} on my box.",
        "{who} speaking. How do I get {name} {value}?",
        "My name is {who}; {name} should be {value}.",
        "Good day, {who} here, help me to have {name} {value}.",
        "On this box {name} ought to be {value}. I am {who}.",
    ),
    "channel": (
        "Hello, this is {who}. My radio is slow, please find me the emptiest channel.",
        "{who} speaking. Which channel has the fewest networks? I want to use that.",
        "My name is {who}; I want the channel with the least traffic around.",
        "Good day, {who} here, too many neighbours share my channel, give me the quietest.",
        "The air is full of networks, get me on the best channel. I am {who}.",
    ),
    "unbar": (
        "Hello, this is {who}. My line is barred, please open it.",
        "{who} speaking. Can you unbar my line?",
        "My name is {who}; somebody barred my line and I want it back.",
        "Good day, {who} here, please take the bar off my line.",
        "It says that my line is barred, do something. I am {who}.",
    ),
    "lamp": (
        "Hello, this is {who}. Nothing works at home, please help.",
        "{who} speaking. I have no internet at all.",
        "My name is {who}; the internet is gone, what now?",
        "Good day, {who} here, my connection is dead.",
        "Since this morning I cannot get online. I am {who}.",
    ),
    "plan": (
        "Hello, this is {who}. I want the plan {plan}.",
        "{who} speaking. Please switch me to {plan}.",
        "My name is {who}; from now on I would like {plan}.",
        "Good day, {who} here, can I have {plan} instead of my plan?",
        "The plan for me is {plan}, not what I have. I am {who}.",
    ),
    "new_box": (
        "Hello, this is {who}. I bought a new box, please connect it.",
        "{who} speaking. There is a new box here that must be bound to my account.",
        "My name is {who}; I have another box now and want to use it.",
        "Good day, {who} here, please bind my new box.",
        "A fresh box stands in front of me, get it going. I am {who}.",
    ),
    "moving": (
        "Hello, this is {who}. I moved: put me on {plan} if I owe nothing, bind my new box and "
        "send a technician when it suits me.",
        "{who} speaking, after a move. Plan {plan}, provided I owe nothing; a new box to bind; "
        "a visit on a day I can be there.",
        "My name is {who}; in the new flat I want {plan} unless I owe something, my new box "
        "bound, and somebody to come.",
        "Good day, {who} here, we moved. Without debts I would like {plan}; then bind the box "
        "I bought and book a visit.",
        "New home, new box to bind, and {plan} should nothing be owed; last, a technician on my "
        "day. I am {who}.",
    ),
    "both": (
        "Hello, this is {who}. I need a new {part}, and I want {name} {value}.",
        "{who} speaking. Please send a {part}; besides, how do I get {name} {value}?",
        "My name is {who}; post me a {part} and help me to have {name} {value}.",
        "Good day, {who} here, my {part} is lost and {name} should be {value}.",
        "Two things: a {part} in the mail, and {name} ought to be {value}. I am {who}.",
    ),
}
