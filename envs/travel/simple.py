"""Level 1: questions and single bookings, in two calls or fewer, and requests without any call."""

from __future__ import annotations

from tooldojo.envs.templates import Sketch
from tooldojo.envs.travel.scene import WEATHER, Scene
from tooldojo.envs.travel.story import Story, choice

FACTS = {"price": "price", "seats": "number of free seats", "departs": "departure time"}
_THINGS = {
    "ground": ("taxi", "rental car", "shuttle bus", "bicycle"),
    "stay": ("hotel room", "hostel bed", "holiday flat", "camp site"),
    "papers": ("visa", "travel insurance", "entry permit", "vaccination slot"),
    "fun": ("museum ticket", "restaurant table", "guided tour", "opera seat"),
}
THING_KINDS = tuple(_THINGS)


def weather_report(scene: Scene, condition: str) -> Sketch:
    """One forecast; the condition is the forecast."""
    city, date = scene.city(), scene.date()
    scene.weather(city, date, condition)
    story = Story(scene)
    story.weather(f"I need the forecast for {city} on {date}.", city, date)
    gold = story.close(
        f"The forecast for {city} on {date} is {condition}.", f"Result: {condition} {city}"
    )
    return Sketch({"city": city, "date": date}, gold)


def flight_fact(scene: Scene, condition: str) -> Sketch:
    """A price, a number of seats or a time of one flight; or the flight does not exist."""
    flight_id = scene.route(scene.city(), scene.city(), scene.date(), 1)[0]
    fact = condition if condition in FACTS else scene.rng.choice(tuple(FACTS))
    story = Story(scene)
    asked = flight_id if condition in FACTS else scene.flight_id()
    story.do(f"I look up flight {asked} to read its {FACTS[fact]}.", "get_flight", flight_id=asked)
    fields = {"flight": asked, "fact": FACTS[fact]}
    if condition == "unknown":
        return Sketch(
            fields,
            story.close(
                f"There is no flight {asked}, so it is unknown.", f"Result: unknown {asked}"
            ),
        )
    value = scene.flights[asked][fact]
    return Sketch(
        fields,
        story.close(f"The {FACTS[fact]} of flight {asked} is {value}.", f"Result: {value} {asked}"),
    )


def find_flight(scene: Scene, condition: str) -> Sketch:
    """Name the best flight of a route; "skip" is a cheapest flight that is full."""
    origin, city, date = scene.city(), scene.city(), scene.date()
    wish = condition if condition in ("earliest", "latest") else "cheapest"
    story = Story(scene)
    story.search(f"I search the flights from {origin} to {city} on {date}.", origin, city, date)
    fields = {"origin": origin, "city": city, "date": date, "wish": wish}
    if condition == "none":
        scene.route(city, origin, date, 1)
        why = f"No flight goes from {origin} to {city} that day."
        return Sketch(fields, story.close(why, f"Result: none {city}"))
    ids = scene.route(origin, city, date)
    if condition == "skip":
        scene.fill_up(scene.ranked(ids, wish)[0])
    best = scene.best(ids, wish)
    return Sketch(fields, story.close(f"{choice(scene, ids, wish)}.", f"Result: found {best}"))


def book_named(scene: Scene, condition: str) -> Sketch:
    """Book a flight given by its number.

    It may be full or unknown, and an adult's age changes nothing.
    """
    traveller = scene.person()
    flight_id = scene.route(scene.city(), scene.city(), scene.date(), 1)[0]
    if condition == "full":
        scene.fill_up(flight_id)
    asked = scene.flight_id() if condition == "unknown" else flight_id
    story = Story(scene)
    age = f", aged {scene.rng.randint(18, 80)}," if condition == "adult" else ""
    fields = {"flight": asked, "who": traveller + age}
    thought = f"{traveller} wants flight {asked}, so I book it."
    if condition in ("free", "adult"):
        return Sketch(fields, story.end_booked(story.book(thought, asked, traveller), traveller))
    story.try_to_book(thought, asked, traveller)
    why = {"full": f"Flight {asked} has no free seat, so nothing is booked."}
    why["unknown"] = f"There is no flight {asked}, so nothing is booked."
    return Sketch(fields, story.close(why[condition], f"Result: {condition} {asked}"))


def book_best(scene: Scene, condition: str) -> Sketch:
    """Search and book the best flight, perhaps for a party or within a budget."""
    origin, city, date, traveller = scene.city(), scene.city(), scene.date(), scene.person()
    wish = condition if condition in ("earliest", "latest") else "cheapest"
    seats = scene.rng.randint(2, 4) if condition == "party" else 1
    fields = {"origin": origin, "city": city, "date": date}
    fields |= {"who": traveller, "wish": wish, "more": ""}
    story = Story(scene)
    story.search(
        f"First I search the flights from {origin} to {city} on {date}.", origin, city, date
    )
    if condition == "none":
        scene.route(city, origin, date, 1)
        why = f"No flight goes from {origin} to {city} that day."
        return Sketch(fields, story.close(why, f"Result: none {city}"))
    ids = scene.route(origin, city, date)
    if condition == "skip" or (condition == "party" and scene.rng.random() < 0.5):
        scene.fill_up(scene.ranked(ids, wish)[0], scene.rng.randrange(seats))
    pick = scene.best(ids, wish, seats)
    assert pick is not None
    if condition == "party":
        fields["more"] = f" The party has {seats} people."
    if condition in ("within", "over"):
        price, step = scene.flights[pick]["price"], 10 * scene.rng.randint(1, 5)
        budget = price + step if condition == "within" else price - step
        fields["more"] = f" Spend at most {budget}."
        if condition == "over":
            why = f"The cheapest is {pick} at {price}, above {budget}."
            return Sketch(fields, story.close(why, f"Result: too_dear {pick}"))
    why = f"{choice(scene, ids, wish, seats)}, so I book it."
    return Sketch(fields, story.end_booked(story.book(why, pick, traveller, seats), traveller))


def cancel_named(scene: Scene, condition: str) -> Sketch:
    """Cancel a booking by its number, if it belongs to the traveller who asks."""
    traveller, other = scene.person(), scene.person()
    ids = [scene.route(scene.city(), scene.city(), scene.date(), 1)[0] for _ in range(2)]
    booked = [scene.booking(traveller, i) for i in ids]
    foreign = scene.booking(other, ids[0])
    asked = scene.rng.choice(booked) if condition == "own" else foreign
    story = Story(scene)
    story.do(f"I check that {asked} belongs to {traveller}.", "list_bookings", traveller=traveller)
    fields = {"booking": asked, "who": traveller}
    if condition == "foreign":
        return Sketch(
            fields,
            story.close(
                f"{asked} is not listed for {traveller}, so I refuse.", f"Result: refused {asked}"
            ),
        )
    story.do(
        f"{asked} is listed for {traveller}, so I cancel it.", "cancel_booking", booking_id=asked
    )
    return Sketch(
        fields,
        story.close(
            f"The booking {asked} of {traveller} is cancelled.", f"Result: cancelled {asked}"
        ),
    )


def cancel_trip(scene: Scene, condition: str) -> Sketch:
    """Cancel the booking that goes to a city, if there is one."""
    traveller = scene.person()
    cities = [scene.city() for _ in range(3)]
    booked = [
        scene.booking(traveller, scene.route(scene.city(), c, scene.date(), 1)[0])
        for c in cities[:2]
    ]
    story = Story(scene)
    place = 2 if condition == "missing" else scene.rng.randrange(2)
    city = cities[place]
    story.do(f"I look for {traveller}'s booking to {city}.", "list_bookings", traveller=traveller)
    fields = {"city": city, "who": traveller}
    if condition == "missing":
        return Sketch(
            fields,
            story.close(f"No booking of {traveller} goes to {city}.", f"Result: none {city}"),
        )
    found = booked[place]
    story.do(f"{found} goes to {city}, so I cancel it.", "cancel_booking", booking_id=found)
    return Sketch(
        fields,
        story.close(
            f"The booking {found} to {city} is now cancelled.", f"Result: cancelled {found}"
        ),
    )


def unsupported(scene: Scene, condition: str) -> Sketch:
    """Something that no tool can do; no call."""
    city, thing = scene.city(), scene.rng.choice(_THINGS[condition])
    scene.weather(city, date := scene.date())
    fields = {
        "city": city,
        "date": date,
        "who": scene.person(),
        "thing": thing,
        "if": scene.rng.choice(WEATHER),
    }
    fields |= {
        "origin": (origin := scene.city()),
        "wish": scene.rng.choice(("cheapest", "earliest", "latest")),
    }
    scene.route(origin, city, date)
    gold = Story(scene).close(
        f"No tool can arrange a {thing}, so I call nothing.", f"Result: unsupported {city}"
    )
    return Sketch(fields, gold)


def refused(scene: Scene, condition: str) -> Sketch:
    """A party or a traveller that the policy excludes; no call."""
    origin, city, date, traveller = scene.city(), scene.city(), scene.date(), scene.person()
    scene.route(origin, city, date)
    scene.weather(city, date)
    wish, bad = scene.rng.choice(("cheapest", "earliest", "latest")), scene.rng.choice(WEATHER)
    fields = {
        "origin": origin,
        "city": city,
        "date": date,
        "wish": wish,
        "if": bad,
        "other": scene.date(),
    }
    people, age = scene.rng.randint(5, 9), scene.rng.randint(6, 15)
    if condition == "party":
        fields |= {"who": traveller, "more": f" The party has {people} people."}
        why = f"A party of {people} is over 4, so I call nothing."
    else:
        fields |= {"who": f"{traveller}, aged {age},", "more": ""}
        why = f"{traveller} is {age}, under 16, so I call nothing."
    return Sketch(fields, Story(scene).close(why, f"Result: refused {city}"))
