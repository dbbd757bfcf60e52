"""Five wordings for each kind of request; the last of each is kept for the held-out wordings.

A traveller's age follows the name between commas, so names never end a sentence where an age may
follow.
"""

from __future__ import annotations

_BEST = (
    "For {who} book the {wish} flight from {origin} to {city} on {date}.{more}",
    "{who} wants to fly from {origin} to {city} on {date}. Book the {wish} flight.{more}",
    "Please get {who} onto the {wish} flight {origin} to {city}, {date}.{more}",
    "On {date} {who} has to travel from {origin} to {city}: take the {wish} flight.{more}",
    "I need the {wish} flight on {date} for {who} leaving {origin} for {city}.{more}",
)
_DATE = (
    "For {who} book the {wish} flight from {origin} to {city} on {date}, or on {other} if {city} "
    "expects {if} on {date}.{more}",
    "{who} wants to fly from {origin} to {city} on {date}. If {if} is forecast in {city} that "
    "day, fly on {other} instead; take the {wish} flight.{more}",
    "Check {city} for {date}: without {if}, for {who} book the {wish} flight from {origin} that "
    "day, with {if} the {wish} one on {other}.{more}",
    "Unless {city} has {if} on {date}, that is the day on which {who} should fly there from "
    "{origin}; else {other}. Book the {wish} flight.{more}",
    "Send {who} by the {wish} flight {origin} to {city}: on {date} if the forecast there is "
    "anything but {if}, on {other} otherwise.{more}",
)

WORDINGS: dict[str, tuple[str, ...]] = {
    "weather_report": (
        "What is the weather in {city} on {date}?",
        "Tell me the forecast for {city} on {date}.",
        "How will the weather be on {date} in {city}?",
        "I travel to {city} on {date}. What weather should I expect?",
        "Weather for {date}, city {city}, please.",
    ),
    "flight_fact": (
        "What is the {fact} of flight {flight}?",
        "Tell me the {fact} of {flight}.",
        "For flight {flight}, give me the {fact}.",
        "I need to know the {fact} of flight {flight}.",
        "Flight {flight}: which {fact} does it have?",
    ),
    "find_flight": (
        "Which is the {wish} flight from {origin} to {city} on {date}? Book nothing.",
        "Only tell me the {wish} flight {origin} to {city}, {date}.",
        "On {date}, which flight from {origin} to {city} is the {wish}? I just want to know.",
        "Find the {wish} flight on {date} from {origin} to {city} without booking it.",
        "Name the {wish} connection leaving {origin} for {city} on {date}; no booking yet.",
    ),
    "book_named": (
        "For {who} book flight {flight}.",
        "{who} wants a seat on {flight}. Please book it.",
        "Please book {who} onto flight {flight}.",
        "Flight {flight} is the one that {who} has chosen; book it.",
        "Put {who} on {flight}, one seat.",
    ),
    "book_best": _BEST,
    "refused": _BEST,
    "cancel_named": (
        "{who} asks to cancel booking {booking}.",
        "Cancel {booking} for {who}.",
        "Please cancel booking {booking}; the traveller is {who}.",
        "{who} no longer needs {booking}. Cancel it.",
        "Booking {booking} should be dropped, says {who}.",
    ),
    "cancel_trip": (
        "{who} asks to cancel the trip to {city}.",
        "Cancel the flight of {who} to {city}.",
        "Please cancel what {who} has booked to {city}.",
        "{who} will not go to {city}. Cancel that booking.",
        "The journey to {city} is off for {who}; drop the booking.",
    ),
    "unsupported": (
        "Reserve a {thing} in {city} for {who} on {date}.",
        "{who} needs a {thing} in {city} on {date}. Please arrange it.",
        "Please get {who} a {thing} for {city}, {date}.",
        "On {date} {who} will be in {city}: book a {thing}.",
        "I want a {thing} in {city} for {who} from {date} on.",
    ),
    "unsupported_plan": (
        "Whether or not {city} has {if} on {date}, reserve a {thing} there for {who} that day.",
        "Check {city} for {if} on {date}, then arrange a {thing} there for {who}.",
        "For {who} take the {wish} flight from {origin} to {city} on {date} and reserve a "
        "{thing} there.",
        "{who} flies from {origin} to {city} on {date}. Find the {wish} flight and a {thing} to "
        "go with it.",
        "Get {who} a {thing} in {city} on {date} after checking the {wish} flight from {origin}.",
    ),
    "refused_plan": _DATE,
    "weather_city": (
        "For {who} book the {wish} flight from {origin} to {city} on {date}, or to {other} if "
        "{city} expects {if}.",
        "{who} leaves {origin} on {date} for {city}. If {if} is forecast there, go to {other} "
        "instead; take the {wish} flight.",
        "Unless {city} has {if} on {date}, for {who} book the {wish} flight there from {origin}; "
        "else the {wish} one to {other}.",
        "Check {city} for {date}: with {if} {who} flies from {origin} to {other}, without it to "
        "{city}. Book the {wish} flight.",
        "Send {who} from {origin} on {date} by the {wish} flight to {city}, but to {other} "
        "should {city} have {if}.",
    ),
    "weather_date": _DATE,
    "budget_city": (
        "For {who} book the cheapest flight from {origin} to {city} on {date} if it costs at "
        "most {limit}, otherwise the cheapest to {other}.",
        "{who} leaves {origin} on {date}: to {city} if a flight costs {limit} or less, else to "
        "{other}. Book the cheapest.",
        "On {date} {who} would fly from {origin} to {city} for at most {limit}. If there is "
        "nothing, book the cheapest to {other}.",
        "Is there a flight {origin} to {city} on {date} for {limit} or less? Book the cheapest "
        "for {who}; if not, the cheapest to {other}.",
        "Send {who} from {origin} to {city} on {date} with a budget of {limit}; if that fails, "
        "to {other} at any price, as cheap as possible.",
    ),
    "cheaper_date": (
        "For {who} book the cheapest flight from {origin} to {city} on {date} or {other}.",
        "{who} can fly from {origin} to {city} on {date} or on {other}. Book the cheapest of "
        "both days.",
        "Compare {date} and {other} for flights {origin} to {city} and book the cheapest for "
        "{who}.",
        "Which day is cheaper from {origin} to {city}, {date} or {other}? Book that flight for "
        "{who}.",
        "Get {who} from {origin} to {city} as cheaply as possible, {date} and {other} are both "
        "fine.",
    ),
    "change_flight": (
        "{who} asks to move booking {booking} to flight {flight}.",
        "Move {booking} of {who} to {flight}.",
        "Please change booking {booking} to flight {flight}; the traveller is {who}.",
        "{who} would rather fly with {flight} than on booking {booking}. Move it.",
        "Swap {booking} for a seat on {flight}, for {who}.",
    ),
    "fare_check": (
        "For {who} book {flight} if it {test}, otherwise the cheapest flight of the same route "
        "and day.",
        "{who} takes flight {flight} if it {test}. If not, book the cheapest flight of that "
        "route and day.",
        "If {flight} {test}, book it for {who}; else take the cheapest of the same route and day.",
        "Look at {flight}: {who} wants it only if it {test}; otherwise book the cheapest on its "
        "route that day.",
        "Book {who} on {flight} provided that it {test}, or else on the cheapest flight of its "
        "route and day.",
    ),
    "rebook": (
        "Move {who}'s trip to {city} to the {wish} flight of the same route and day if that "
        "{better}; otherwise keep it.",
        "{who} has a booking to {city}. If the {wish} flight of that route and day {better}, "
        "move it there, else keep it.",
        "Check {who}'s flight to {city}: if the {wish} one of the same route and day {better}, "
        "change to that.",
        "{who} flies to {city} and would change to the {wish} flight of that route and day, but "
        "only if it {better}.",
        "See whether the {wish} flight of the day on the same route {better} than the one {who} "
        "has to {city}; if so, move, if not, keep.",
    ),
    "storm_cancel": (
        "Cancel {who}'s trip to {city} if {if} is forecast there on the day of the flight; "
        "otherwise keep it.",
        "{who} has a booking to {city}. If it arrives in {if} according to that day's forecast, "
        "cancel it, else keep it.",
        "Check the forecast for {who}'s flight to {city}: with {if} there that day, cancel the "
        "booking.",
        "{who} will not fly to {city} in {if}. Look at the forecast for that day and cancel or "
        "keep the booking.",
        "Should {city} have {if} on the day {who} flies there, drop the booking; if not, leave it.",
    ),
    "best_weather": (
        "{who} leaves {origin} on {date} for {a} if it has {if}, else for {b} if that has {if}, "
        "else for {c}. Book the {wish} flight.",
        "For {who} book the {wish} flight from {origin} on {date} to the first of {a} and {b} "
        "with {if}, or to {c} if neither has it.",
        "{who} wants {if} on {date}: try {a}, then {b}, and settle for {c}. Book the {wish} "
        "flight from {origin}.",
        "Where is {if} on {date}, in {a} or {b}? {a} goes first, {c} if neither. Book {who} the "
        "{wish} flight from {origin}.",
        "Send {who} from {origin} on {date} by the {wish} flight to {a} given {if} there, "
        "failing that to {b} given {if}, failing both to {c}.",
    ),
    "fallback": (
        "For {who} book {flight}; if it is full, the cheapest other flight of its route and day "
        "for at most {limit}.",
        "{who} wants {flight}. If that is full, book the cheapest other one of the same route "
        "and day, up to {limit}.",
        "Book {flight} for {who}. Should it be full, take the cheapest of that route and day if "
        "it costs at most {limit}.",
        "Try {flight} for {who} first; without free seats there, the cheapest on that route and "
        "day within {limit}.",
        "Get {who} onto {flight}, or when it is full onto the cheapest flight of its route and "
        "day costing {limit} or less.",
    ),
    "pair_trip": (
        "Book the {wish} flight from {origin} to {city} on {date} for {one} and then for {two}; "
        "both on one flight.",
        "{one} and {two} fly together from {origin} to {city} on {date}. Book the {wish} flight "
        "for each, in this order.",
        "Put first {one}, then {two} on the {wish} flight {origin} to {city}, {date}; they need "
        "the same flight.",
        "On {date} {one} travels with {two} from {origin} to {city}: one booking each, in this "
        "order, on the {wish} flight for both.",
        "Same flight, two bookings, {one} before {two}: the {wish} one leaving {origin} for "
        "{city} on {date}.",
    ),
    "round_trip": (
        "For {who} book {wish}: {origin} to {city} on {date}, back on {other}.",
        "{who} goes from {origin} to {city} on {date} and returns on {other}. Book {wish}.",
        "Book {wish} for {who}, who leaves {origin} for {city} on {date} and comes back on "
        "{other}.",
        "Out on {date}, back on {other}: {who} travels from {origin} to {city} and wants {wish}.",
        "{who} needs both ways between {origin} and {city}, out {date}, home {other}: {wish}.",
    ),
}
