"""Five wordings for each kind of problem; the last of each is kept for the held-out wordings."""

from __future__ import annotations

_COST = (
    "Ledger {ledger}: {who} buys {n} of {item}. What is the cost?{more}",
    "By ledger {ledger}, how much does {who} pay for {n} of {item}?{more}",
    "{who} takes {n} of {item}, prices as in ledger {ledger}. Find the cost.{more}",
    "What do {n} of {item} cost {who} by the prices of {ledger}?{more}",
    "Work out for {who} the price of {n} of {item} from ledger {ledger}.{more}",
)
_ASKED = (
    "Ledger {ledger}: {request}.",
    "For ledger {ledger}, {request}.",
    "This belongs to ledger {ledger}: {request}.",
    "Under {ledger} somebody wrote: {request}.",
    "The ledger is {ledger} and the wish: {request}.",
)
WORDINGS: dict[str, tuple[str, ...]] = {
    "cost": _COST,
    "missing": _COST,
    "undetermined": _ASKED,
    "unsupported": _ASKED,
    "convert": (
        "Ledger {ledger}: how many {other} are {n} {one}?{more}",
        "For ledger {ledger}, turn {n} {one} into {other}.{more}",
        "{n} {one} are how many {other}? The ledger is {ledger}.{more}",
        "Somebody measured {n} {one}; give it in {other} for ledger {ledger}.{more}",
        "What is {n} {one} when counted in {other}, ledger {ledger}?{more}",
    ),
    "percent": (
        "Ledger {ledger}: {asked}?",
        "For ledger {ledger} I ask: {asked}?",
        "{asked}? This is for ledger {ledger}.",
        "A question under {ledger}: {asked}?",
        "{asked}, please, with ledger {ledger}?",
    ),
    "equation": (
        "Ledger {ledger}: {a} times a number plus {b} makes {c}. Which number?{more}",
        "For ledger {ledger}, find x with {a} x + {b} = {c}.{more}",
        "A number times {a}, plus {b}, gives {c}; find it for ledger {ledger}.{more}",
        "{a} equal boxes and {b} loose nails make {c} nails; how many in a box? "
        "Ledger {ledger}.{more}",
        "What must be taken {a} times to reach {c} once {b} is added? Ledger {ledger}.{more}",
    ),
    "carry_on": (
        "Ledger {ledger}: what is note {note} {step}?",
        "For ledger {ledger}, take the note {note} and work out that {step}.",
        "Note {note} in {ledger}, {step}: what is it?",
        "Start from {note} in ledger {ledger}; what is that {step}?",
        "In {ledger} stands a note {note}. Tell me what it is {step}.",
    ),
    "copy": (
        "Ledger {ledger}: note the value of {name} as {note}.",
        "For ledger {ledger}, look up {name} and note it as {note}.",
        "Copy {name} in ledger {ledger} to the note {note}.",
        "The entry {name} of {ledger} should also stand in note {note}.",
        "Keep what {ledger} says for {name} under the note {note}.",
    ),
    "share": (
        "Ledger {ledger}: {who} buys {n} of {item}, paid by {k} people in equal parts. "
        "What does each pay?{more}",
        "By ledger {ledger}, {k} people share the cost of {n} of {item} for {who}; "
        "how much is it for each?{more}",
        "{who} takes {n} of {item} at the price in {ledger}, and {k} people split that evenly. "
        "Find one part.{more}",
        "Divide the price of {n} of {item}, ledger {ledger}, among {k} friends of {who}.{more}",
        "What is each part if {k} people pay {n} of {item} for {who} by ledger {ledger}?{more}",
    ),
    "change": (
        "Ledger {ledger}: {who} has {c} and wants {n} of {item}. How much is left or lacking?",
        "By ledger {ledger}, what remains of {c} after {who} buys {n} of {item}, or how much "
        "is it short?",
        "{who} pays {n} of {item} with {c}, prices as in {ledger}. Find the difference.",
        "With {c} in hand {who} asks for {n} of {item}; by {ledger}, what is over or short?",
        "How far apart are {c} and the price of {n} of {item} for {who}, ledger {ledger}?",
    ),
    "discount": (
        "Ledger {ledger}: {who} buys {n} of {item}, {by}. What is the total?{more}",
        "By ledger {ledger}, how much does {who} pay for {n} of {item}, {by}?{more}",
        "{who} takes {n} of {item} at the price in {ledger}, {by}. Find the total.{more}",
        "The price of {n} of {item} in {ledger}, {by}: what is it for {who}?{more}",
        "Work out what {n} of {item} come to, {by}, for {who} and ledger {ledger}.{more}",
    ),
    "budget": (
        "Ledger {ledger}: {who} has {c}, buys one {item} and spends the rest on {other}. "
        "How many of {other}?{more}",
        "By ledger {ledger}, {c} pays exactly for one {item} and some {other}; "
        "how many {other} does {who} get?{more}",
        "{who} spends {c} on one {item} and otherwise on {other}, prices as in {ledger}. "
        "Find how many {other}.{more}",
        "After one {item} the rest of {c} goes into {other}; how many for {who} by {ledger}?{more}",
        "How many of {other} make {c} together with one {item} for {who}, ledger {ledger}?{more}",
    ),
    "bill": (
        "Ledger {ledger}: {who} buys {n} of {item} and {m} of {other}. {asked}?{more}",
        "By ledger {ledger}, {who} takes {n} of {item} and {m} of {other}. {asked}?{more}",
        "{who} orders {n} of {item} and {m} of {other}, prices as in {ledger}. {asked}?{more}",
        "On the list of {who}: {n} of {item}, {m} of {other}, ledger {ledger}. {asked}?{more}",
        "There are {n} of {item} and {m} of {other} for {who} by {ledger}. {asked}?{more}",
    ),
    "freight": (
        "Ledger {ledger}: {who} buys {n} {one} of {item}, which is priced for one {other}. "
        "What is the cost?{more}",
        "By ledger {ledger}, where {item} has a price for each {other}, what do {n} {one} "
        "cost {who}?{more}",
        "{who} takes {n} {one} of {item}; ledger {ledger} prices one {other} of it. "
        "Find the cost.{more}",
        "One {other} of {item} is priced in {ledger}; {who} wants {n} {one}. How much is it?{more}",
        "How much for {n} {one} of {item} if {ledger} says what one {other} costs {who}?{more}",
    ),
    "grow": (
        "Ledger {ledger}: what is note {note}, {by} by the {rate} in percent from it?{more}",
        "For ledger {ledger}, take the note {note}, {by} by as many percent as {rate} says.{more}",
        "Note {note} in {ledger}, {by} by the percentage under {rate}: what is it?{more}",
        "Start from {note} in ledger {ledger}, {by} by {rate} percent as entered there.{more}",
        "What does the note {note} of {ledger} become, {by} by the entry {rate} in percent?{more}",
    ),
}
