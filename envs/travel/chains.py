"""Level 3: chains of three to five calls, where results decide, and recovery from refusals."""

from __future__ import annotations

from tooldojo.envs.templates import Sketch
from tooldojo.envs.travel.scene import WEATHER, WISHES, Scene
from tooldojo.envs.travel.story import Story, choice

_BETTER = {"cheapest": "costs less", "earliest": "leaves earlier", "latest": "leaves later"}
MOVES = tuple(f"{wish}_{end}" for wish in WISHES for end in ("moved", "kept", "full"))
PLACES = tuple(f"{place}_{wish}" for place in ("first", "second", "third") for wish in WISHES)


def rebook(scene: Scene, condition: str) -> Sketch:
    """Move a trip to the best flight of its route and day if that is better.

    "full" is a better one without seats.
    """
    wish, end = condition.split("_")
    origin, city, date, traveller = scene.city(), scene.city(), scene.date(), scene.person()
    ids = scene.route(origin, city, date, scene.rng.choice((2, 3, 3)))
    ranked = scene.ranked(ids, wish)
    old = (
        ranked[0] if end == "kept" else ranked[1] if end == "full" else scene.rng.choice(ranked[1:])
    )
    if end == "full":
        scene.fill_up(ranked[0])
    other = scene.route(scene.city(), scene.city(), scene.date(), 1)[0]
    scene.booking(traveller, other)
    booking = scene.booking(traveller, old)
    fields = {"who": traveller, "city": city, "wish": wish, "better": _BETTER[wish]}
    key = "price" if wish == "cheapest" else "departs"
    now = scene.flights[old][key]
    story = Story(scene)
    story.do(f"I look for {traveller}'s booking to {city}.", "list_bookings", traveller=traveller)
    story.do(f"{booking} is on {old}; I need its route and day.", "get_flight", flight_id=old)
    story.search(f"{old} is at {now}; I search the same route and day.", origin, city, date)
    best, value = ranked[0], scene.flights[ranked[0]][key]
    if end != "moved":
        why = f"{old} itself is the {wish}, so {booking} stays."
        if end == "full":
            why = f"Only {best} would be better and it is full, so {booking} stays."
        return Sketch(fields, story.close(why, f"Result: kept {booking}"))
    why = f"{best} at {value} is the {wish}, better than {now}, so I book it."
    return Sketch(fields, story.end_moved(booking, story.book(why, best, traveller), traveller))


def storm_cancel(scene: Scene, condition: str) -> Sketch:
    """Cancel a trip if a certain weather is forecast at its destination on its day."""
    origin, city, date, traveller = scene.city(), scene.city(), scene.date(), scene.person()
    flight = scene.route(origin, city, date, 1)[0]
    booking, bad = scene.booking(traveller, flight), scene.rng.choice(WEATHER)
    elsewhere = scene.route(scene.city(), scene.city(), scene.date(), 1)[0]
    scene.booking(traveller, elsewhere)
    seen = (
        scene.weather(city, date, bad)
        if condition == "cancel"
        else scene.weather(city, date, but=bad)
    )
    fields = {"who": traveller, "city": city, "if": bad}
    story = Story(scene)
    story.do(f"I look for {traveller}'s booking to {city}.", "list_bookings", traveller=traveller)
    story.do(
        f"{booking} is on {flight}; I need the date of that flight.", "get_flight", flight_id=flight
    )
    story.weather(f"{flight} leaves on {date}; I check the weather in {city}.", city, date)
    if condition == "keep":
        why = f"{city} has {seen}, not {bad}, so {booking} is kept."
        return Sketch(fields, story.close(why, f"Result: kept {booking}"))
    story.do(
        f"{city} has {seen} on {date}, so I cancel {booking}.", "cancel_booking", booking_id=booking
    )
    return Sketch(
        fields,
        story.close(
            f"The booking {booking} to {city} is now cancelled.", f"Result: cancelled {booking}"
        ),
    )


def best_weather(scene: Scene, condition: str) -> Sketch:
    """Fly to the first of two cities that has a wished weather, else to a third."""
    place, wish = condition.split("_")
    origin, *cities = (scene.city() for _ in range(4))
    date, traveller, good = scene.date(), scene.person(), scene.rng.choice(WEATHER)
    goes = ("first", "second", "third").index(place)
    seen = [
        scene.weather(c, date, good if i == goes else None, but=good)
        for i, c in enumerate(cities[:2])
    ]
    ids = [scene.route(origin, c, date, scene.rng.choice((2, 3))) for c in cities][goes]
    fields = {"origin": origin, "a": cities[0], "b": cities[1], "c": cities[2], "date": date}
    fields |= {"who": traveller, "wish": wish, "if": good}
    story = Story(scene)
    story.weather(f"I check {cities[0]} first, since it is preferred.", cities[0], date)
    if goes:
        story.weather(
            f"{cities[0]} has {seen[0]}, not {good}, so I check {cities[1]}.", cities[1], date
        )
    last = (
        f"{cities[goes]} has {good}"
        if goes < 2
        else f"{cities[1]} has {seen[1]}, not {good} either"
    )
    story.search(f"{last}, so I search flights to {cities[goes]}.", origin, cities[goes], date)
    pick = scene.best(ids, wish)
    assert pick is not None
    booking = story.book(f"{choice(scene, ids, wish)}, so I book it.", pick, traveller)
    return Sketch(fields, story.end_booked(booking, traveller))


def fallback(scene: Scene, condition: str) -> Sketch:
    """Book a given flight; where it is full, the cheapest other of its route and day in a budget.

    "skip" is a cheapest other flight that is full as well.
    """
    origin, city, date, traveller = scene.city(), scene.city(), scene.date(), scene.person()
    ids = scene.route(origin, city, date, scene.rng.choice((2, 3, 3)))
    asked = scene.rng.choice(ids)
    ids += scene.route(origin, city, date, 1) if len(ids) < 3 and condition == "skip" else []
    rest = [i for i in scene.ranked(ids, "cheapest") if i != asked]
    if condition == "skip":
        scene.fill_up(rest.pop(0))
    price = scene.flights[rest[0]]["price"]
    limit = (
        price + 10 * scene.rng.randint(-4, -1)
        if condition == "over"
        else price + 10 * scene.rng.randint(0, 5)
    )
    fields = {"flight": asked, "who": traveller, "limit": str(limit)}
    story = Story(scene)
    first = f"{traveller} wants {asked} first of all, so I book it."
    if condition == "free":
        return Sketch(fields, story.end_booked(story.book(first, asked, traveller), traveller))
    scene.fill_up(asked)
    story.try_to_book(first, asked, traveller)
    story.do(f"{asked} is full, so I need its route and day.", "get_flight", flight_id=asked)
    story.search(f"I search other flights from {origin} to {city} on {date}.", origin, city, date)
    if condition == "over":
        why = f"The cheapest other flight, {rest[0]} at {price}, is above {limit}."
        return Sketch(fields, story.close(why, f"Result: too_dear {rest[0]}"))
    why = f"{rest[0]} at {price} is the cheapest with free seats and within {limit}."
    return Sketch(fields, story.end_booked(story.book(why, rest[0], traveller), traveller))


def pair_trip(scene: Scene, condition: str) -> Sketch:
    """Book two travellers on one flight, which needs two free seats.

    "skip" is a cheapest flight with one.
    """
    origin, city, date = scene.city(), scene.city(), scene.date()
    one, two = scene.person(), scene.person()
    wish = condition if condition in WISHES else "cheapest"
    ids = scene.route(origin, city, date)
    if condition == "skip":
        scene.fill_up(scene.ranked(ids, wish)[0], 1)
    pick = scene.best(ids, wish, 2)
    assert pick is not None
    story = Story(scene)
    story.search(f"I search flights from {origin} to {city} for two people.", origin, city, date)
    story.book(f"{choice(scene, ids, wish, 2)}; {one} comes first.", pick, one)
    second = story.book(f"{one} is booked on {pick}; now {two} on the same flight.", pick, two)
    fields = {"origin": origin, "city": city, "date": date, "one": one, "two": two, "wish": wish}
    return Sketch(
        fields,
        story.close(f"Both are booked; the last booking is {second}.", f"Result: booked {second}"),
    )


def round_trip(scene: Scene, condition: str) -> Sketch:
    """A flight there and one back, each the best by the same wish.

    "mixed" wants the latest one back.
    """
    origin, city, (out, back) = scene.city(), scene.city(), scene.dates()
    traveller = scene.person()
    there = "cheapest" if condition == "mixed" else condition
    home = "latest" if condition == "mixed" else condition
    out_ids = scene.route(origin, city, out, scene.rng.choice((2, 3)))
    back_ids = scene.route(city, origin, back, scene.rng.choice((2, 3)))
    one, two = scene.best(out_ids, there), scene.best(back_ids, home)
    assert one is not None and two is not None
    story = Story(scene)
    story.search(f"First the way out, from {origin} to {city} on {out}.", origin, city, out)
    story.book(f"{choice(scene, out_ids, there)}, so I book it.", one, traveller)
    story.search(f"Now the way back, from {city} to {origin} on {back}.", city, origin, back)
    last = story.book(f"{choice(scene, back_ids, home)}, so I book it.", two, traveller)
    fields = {"origin": origin, "city": city, "date": out, "other": back, "who": traveller}
    fields |= {"wish": f"the {there} flight each way"}
    if condition == "mixed":
        fields["wish"] = "the cheapest flight out and the latest flight back"
    return Sketch(
        fields,
        story.close(f"Both ways are booked; the last booking is {last}.", f"Result: booked {last}"),
    )
