"""Level 2: one decision between two ways, by a forecast, a price, a time or a refused booking."""

from __future__ import annotations

from tooldojo.envs.templates import Sketch
from tooldojo.envs.travel.scene import WEATHER, WISHES, Scene
from tooldojo.envs.travel.story import Story, choice

WAYS = tuple(f"{place}_{wish}" for place in ("first", "second") for wish in WISHES)


def weather_city(scene: Scene, condition: str) -> Sketch:
    """Fly to the first city unless a certain weather is forecast there, else to the second."""
    place, wish = condition.split("_")
    origin, first, second = scene.city(), scene.city(), scene.city()
    date, traveller, bad = scene.date(), scene.person(), scene.rng.choice(WEATHER)
    seen = (
        scene.weather(first, date, bad)
        if place == "second"
        else scene.weather(first, date, but=bad)
    )
    scene.weather(second, date)
    routes = {
        "first": scene.route(origin, first, date),
        "second": scene.route(origin, second, date),
    }
    fields = {"origin": origin, "city": first, "other": second, "date": date, "who": traveller}
    story = Story(scene)
    story.weather(f"The choice depends on the weather in {first} on {date}.", first, date)
    goes = first if place == "first" else second
    verdict = seen if place == "second" else f"{seen}, not {bad}"
    story.search(f"{first} has {verdict}, so I look for flights to {goes}.", origin, goes, date)
    return _book(story, scene, routes[place], wish, fields | {"wish": wish, "if": bad}, traveller)


def weather_date(scene: Scene, condition: str) -> Sketch:
    """Fly on the first date unless a certain weather is forecast then, else on the second.

    Perhaps as a party.
    """
    place, wish = condition.split("_")
    origin, city, (first, second) = scene.city(), scene.city(), scene.dates()
    traveller, bad = scene.person(), scene.rng.choice(WEATHER)
    seats = scene.rng.choice((1, 1, 2, 3, 4))
    seen = (
        scene.weather(city, first, bad)
        if place == "second"
        else scene.weather(city, first, but=bad)
    )
    scene.weather(city, second)
    routes = {
        "first": scene.route(origin, city, first),
        "second": scene.route(origin, city, second),
    }
    more = f" The party has {seats} people." if seats > 1 else ""
    fields = {
        "origin": origin,
        "city": city,
        "date": first,
        "other": second,
        "who": traveller,
        "more": more,
    }
    story = Story(scene)
    story.weather(f"The choice depends on the weather in {city} on {first}.", city, first)
    goes = first if place == "first" else second
    verdict = seen if place == "second" else f"{seen}, not {bad}"
    story.search(f"{first} has {verdict}, so I look for flights on {goes}.", origin, city, goes)
    return _book(
        story, scene, routes[place], wish, fields | {"wish": wish, "if": bad}, traveller, seats
    )


def budget_city(scene: Scene, condition: str) -> Sketch:
    """The cheapest flight to the first city if within a budget, else the cheapest to the second."""
    origin, first, second = scene.city(), scene.city(), scene.city()
    date, traveller = scene.date(), scene.person()
    other = scene.route(origin, second, date)
    story = Story(scene)
    story.search(f"I search the flights from {origin} to {first} first.", origin, first, date)
    ids = (
        scene.route(first, origin, date, 1)
        if condition == "none"
        else scene.route(origin, first, date)
    )
    pick = scene.ranked(ids, "cheapest")[0]
    price = scene.flights[pick]["price"]
    step = 10 * scene.rng.randint(1, 5)
    budget = price - step if condition == "over" else price + step
    fields = {
        "origin": origin,
        "city": first,
        "other": second,
        "date": date,
        "who": traveller,
        "limit": str(budget),
    }
    if condition == "within":
        why = f"{pick} at {price} is the cheapest and within {budget}, so I book it."
        return Sketch(fields, story.end_booked(story.book(why, pick, traveller), traveller))
    why = f"The cheapest, {pick} at {price}, is above {budget}, so I search {second}."
    if condition == "none":
        why = f"There is no flight to {first}, so I search flights to {second}."
    story.search(why, origin, second, date)
    return _book(story, scene, other, "cheapest", fields, traveller)


def cheaper_date(scene: Scene, condition: str) -> Sketch:
    """The cheapest flight of two days; "only" means that the second day has no flight."""
    origin, city, traveller = scene.city(), scene.city(), scene.person()
    dates = scene.dates()
    while True:
        routes = [scene.route(origin, city, d, scene.rng.choice((1, 2, 2))) for d in dates]
        if condition == "only":
            for flight_id in routes.pop():
                del scene.flights[flight_id]
        best = [scene.ranked(ids, "cheapest")[0] for ids in routes]
        prices = [scene.flights[i]["price"] for i in best]
        want = 1 if condition == "second" else 0
        if len(prices) == 1 or prices[want] < prices[1 - want]:
            break
        scene.flights.clear()
    story = Story(scene)
    story.search(
        f"I search {dates[0]} first, then compare it with {dates[1]}.", origin, city, dates[0]
    )
    story.search(
        f"{best[0]} at {prices[0]} is the best on {dates[0]}; now {dates[1]}.",
        origin,
        city,
        dates[1],
    )
    pick, price = best[want], prices[want]
    why = f"{dates[1]} has no flight, so I book {pick} at {price}."
    if len(prices) == 2:
        why = f"{pick} at {price} beats {best[1 - want]} at {prices[1 - want]}, so I book it."
    fields = {"origin": origin, "city": city, "date": dates[0], "other": dates[1], "who": traveller}
    return Sketch(fields, story.end_booked(story.book(why, pick, traveller), traveller))


def change_flight(scene: Scene, condition: str) -> Sketch:
    """Move a booking to a flight given by its number.

    If that is full or unknown, the booking is kept.
    """
    traveller, origin, city = scene.person(), scene.city(), scene.city()
    old, new = (scene.route(origin, city, scene.date(), 1)[0] for _ in range(2))
    booking = scene.booking(traveller, old)
    if condition == "full":
        scene.fill_up(new)
    asked = scene.flight_id() if condition == "unknown" else new
    fields = {"booking": booking, "flight": asked, "who": traveller}
    story = Story(scene)
    story.do(
        f"I check that {booking} belongs to {traveller}.", "list_bookings", traveller=traveller
    )
    why = f"{booking} is listed; I book {asked} before I cancel it."
    if condition in ("full", "unknown"):
        story.try_to_book(why, asked, traveller)
        reason = "is full" if condition == "full" else "does not exist"
        return Sketch(
            fields,
            story.close(f"{asked} {reason}, so {booking} is kept.", f"Result: kept {booking}"),
        )
    return Sketch(fields, story.end_moved(booking, story.book(why, asked, traveller), traveller))


def fare_check(scene: Scene, condition: str) -> Sketch:
    """A given flight if its price or departure suits, else the cheapest of its route and day."""
    origin, city, date, traveller = scene.city(), scene.city(), scene.date(), scene.person()
    ids = scene.route(origin, city, date, scene.rng.choice((3, 4)))
    by_price = condition in ("within", "over")
    ranked = scene.ranked(ids, "cheapest" if by_price else "earliest")
    cheapest = scene.ranked(ids, "cheapest")[0]
    asked = ranked[1] if by_price or ranked[-1] == cheapest else ranked[-1]
    if condition == "within":
        asked = scene.rng.choice(ranked[:2])
    flight, step = scene.flights[asked], scene.rng.randint(1, 4)
    suits = condition in ("within", "before")
    if by_price:
        limit = flight["price"] + (10 * step if suits else -10)
        fields = {"test": f"costs at most {limit}"}
        why = f"{asked} costs {flight['price']}, {'within' if suits else 'above'} {limit}"
    else:
        hour = int(flight["departs"][:2])
        limit = f"{hour + 1 if suits else hour - step + 1:02d}:00"
        fields = {"test": f"leaves before {limit}"}
        why = (
            f"{asked} leaves at {flight['departs']}, {'before' if suits else 'not before'} {limit}"
        )
    fields |= {"flight": asked, "who": traveller}
    story = Story(scene)
    story.do(
        f"I look up {asked} to see whether it {fields['test']}.", "get_flight", flight_id=asked
    )
    if suits:
        return Sketch(
            fields,
            story.end_booked(story.book(f"{why}, so I book it.", asked, traveller), traveller),
        )
    story.search(f"{why}, so I search the same route and day.", origin, city, date)
    return _book(story, scene, ids, "cheapest", fields, traveller)


def _book(
    story: Story,
    scene: Scene,
    ids: list[str],
    wish: str,
    fields: dict[str, str],
    traveller: str,
    seats: int = 1,
) -> Sketch:
    pick = scene.best(ids, wish, seats)
    assert pick is not None
    booking = story.book(
        f"{choice(scene, ids, wish, seats)}, so I book it.", pick, traveller, seats
    )
    return Sketch(fields, story.end_booked(booking, traveller))
