"""Five wordings for each kind of question; the last of each is kept for the held-out wordings."""

from __future__ import annotations

_BY_NAME = (
    "What is the {fact} of {name}?",
    "Tell me the {fact} of {name}.",
    "I want to know the {fact} of {name}.",
    "Which {fact} does the archive give for {name}?",
    "About {name}: find out the {fact}.",
)
_AS_IT_IS = (
    "{request}",
    "Please: {request}",
    "{request} Thank you.",
    "A wish of mine: {request}",
    "One more thing. {request}",
)
WORDINGS: dict[str, tuple[str, ...]] = {
    "fact_of": (
        "What is the {fact} of {name}, by article {article}?",
        "Article {article}: tell me the {fact} of {name}.",
        "Which {fact} does {article} give for {name}?",
        "I want to know from {article} the {fact} of {name}.",
        "Look into {article} for the {fact} of {name}.",
    ),
    "fact_by_name": _BY_NAME,
    "edition": _BY_NAME,
    "unstated": _BY_NAME,
    "event": (
        "For which year does article {article} record a {event}?",
        "Article {article}: when was there a {event}?",
        "Tell me the year of the {event} in {article}.",
        "I want to know from {article} in which year a {event} came.",
        "A {event} is mentioned in {article}; which year was that?",
    ),
    "table": (
        "{asked}, by article {article}?",
        "Article {article}, please: {asked}?",
        "{asked}, going by the table in {article}?",
        "I look at {article} and ask: {asked}?",
        "See the table in {article}. {asked}?",
    ),
    "opinion": _AS_IT_IS,
    "chore": _AS_IT_IS,
    "hop": (
        "What is the {fact} of the {by} of {name} (article {article})?",
        "Article {article} names the {by} of {name}. Tell me the {fact} of that.",
        "Take the {by} of {name} from {article}; which {fact} does it have?",
        "By {article} {name} has a {by}; I want to know the {fact} of that one.",
        "Look into {article} for the {by} of {name} and find out its {fact}.",
    ),
    "hop_by_name": (
        "What is the {fact} of the {by} of {name}?",
        "{name} has a {by}. Tell me the {fact} of that.",
        "Take the {by} of {name}; which {fact} does it have?",
        "I want to know the {fact} of whatever is the {by} of {name}.",
        "Find the {by} of {name} first and then the {fact} of that.",
    ),
    "compare": (
        "Which has the {wish} {fact}, {one} ({a}) or {two} ({b})?",
        "Compare {one} ({a}) and {two} ({b}): whose {fact} is {wish}?",
        "Of {one} ({a}) and {two} ({b}), tell me which has the {wish} {fact}.",
        "Is the {fact} {wish} for {one} ({a}) or for {two} ({b})?",
        "See {a} on {one} and {b} on {two}; name the one with the {wish} {fact}.",
    ),
    "total": (
        "Add up the {fact} of {one} ({a}) and of {other}.",
        "What do you get for the {fact} of {one} ({a}) and {other} together?",
        "Sum the {fact} over {one} ({a}) and {other}.",
        "I want one figure: the {fact} of {one} ({a}) plus that of {other}.",
        "Put together the {fact} of {one} ({a}) and that of {other}; how much is it?",
    ),
    "grown": (
        "In which year had the {by} of {name} the {wish} {of}?",
        "Tell me the year with the {wish} {of} for the {by} of {name}.",
        "Take the {by} of {name}; which year shows the {wish} {of}?",
        "I want to know when the {by} of {name} counted the {wish} {of}.",
        "Find the {by} of {name}, then the year of its {wish} {of}.",
    ),
}
