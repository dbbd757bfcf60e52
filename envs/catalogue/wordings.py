"""Five wordings for each kind of request; the last of each is kept for the held-out wordings."""

from __future__ import annotations

WORDINGS: dict[str, tuple[str, ...]] = {
    "tell_field": (
        "What is the {field} of {noun} {id}?",
        "Tell me the {field} of the {noun} {id}.",
        "I want to know which {field} the {noun} {id} has.",
        "For {noun} {id}, report the {field}.",
        "{noun} {id}: its {field}, please.",
    ),
    "find_id": (
        "Which id has the {noun} {name}?",
        "Tell me the id of the {noun} called {name}.",
        "I look for the {noun} {name}; what is its id?",
        "Under which id is the {noun} {name} kept?",
        "{name} is a {noun}, and I lack its id.",
    ),
    "set_field": (
        "Set the {field} of {noun} {id} to {value}.",
        "The {noun} {id} should have {field} {value}. Please set it.",
        "Please make {value} the {field} of {noun} {id}.",
        "Change {noun} {id}: {field} {value}.",
        "From today the {field} of the {noun} {id} has to be {value}.",
    ),
    "guest": (
        "I am a guest. Please {change}.",
        "As a guest here I ask you to {change}.",
        "Could you {change}? I have a guest account.",
        "Please {change}; I am logged in as a guest.",
        "A guest like me would love it if you {change}.",
    ),
    "unsupported": (
        "Please {do} the {noun} {id}.",
        "I would like you to {do} {noun} {id}.",
        "Can the catalogue {do} the {noun} {id} for me?",
        "The {noun} {id} is what you should {do}.",
        "It is time to {do} the {noun} {id}; see to it.",
    ),
    "best_of": (
        "Which {noun} with {by} {kind} has the {wish} {field}?",
        "Of each {noun} whose {by} is {kind}, find the one with the {wish} {field}.",
        "Name the {noun} with the {wish} {field} among those with {by} {kind}.",
        "I want the id of the {noun} with {by} {kind} and the {wish} {field}.",
        "Where the {by} is {kind}, what {noun} comes with the {wish} {field}?",
    ),
    "compare": (
        "Which {noun} has the {wish} {field}, {one} or {two}?",
        "Compare {noun} {one} with {two}: which one has the {wish} {field}?",
        "Of the {noun} records {one} and {two}, name the one with the {wish} {field}.",
        "Tell me whether {noun} {one} or {noun} {two} has the {wish} {field}.",
        "{one} against {two}: the {noun} with the {wish} {field} wins.",
    ),
    "remove_row": (
        "Remove the {noun} {id}.",
        "Please delete {noun} {id}.",
        "The {noun} {id} is to be removed from the records.",
        "I no longer need the {noun} {id}; remove it.",
        "Get rid of the record of {noun} {id}.",
    ),
    "create_row": (
        "Create a {noun} called {name}: {what}.",
        "Please add the {noun} {name} with {what}.",
        "A new {noun} {name} has arrived, {what}. Create its record.",
        "Register a {noun} named {name}: {what}.",
        "There is one more {noun}, {name}, which needs a record: {what}.",
    ),
    "hand_over": (
        "Set the warden of {noun} {id} to {warden}.",
        "The {noun} {id} should have {warden} as warden. Please set it.",
        "Please make {warden} the warden of {noun} {id}.",
        "Hand the {noun} {id} over to the warden {warden}.",
        "From today {warden} is to be warden for the {noun} {id}.",
    ),
    "set_by_name": (
        "Set the {field} of the {noun} {name} to {value}.",
        "The {noun} called {name} should have {field} {value}. Please set it.",
        "Please make {value} the {field} of the {noun} {name}.",
        "Change the {noun} named {name}: {field} {value}.",
        "From today the {field} of {name}, a {noun}, has to be {value}.",
    ),
    "change_best": (
        "Set the {target} to {value} for the {noun} with {by} {kind} and the {wish} {field}.",
        "Of each {noun} whose {by} is {kind}, that with the {wish} {field} gets {target} {value}.",
        "Find the {noun} with {by} {kind} that has the {wish} {field}; make its {target} {value}.",
        "Among those with {by} {kind}, take the {noun} with the {wish} {field}: {target} {value}.",
        "Where the {by} is {kind}, the {noun} with the {wish} {field} needs {target} {value}.",
    ),
    "retire": (
        "Remove the warden {id}; if {id} is in use, {other}.",
        "Please delete warden {id}, or if that fails because of use, {other}.",
        "The warden {id} is to be removed. Should somebody need {id}, {other}.",
        "Take warden {id} from the rota; where this is refused as in use, {other}.",
        "We part with warden {id}, yet if records still use {id}, {other}.",
    ),
}
