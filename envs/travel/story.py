"""What travel templates are written with: a `Story` that writes gold.

A story keeps to what the model may know: thoughts quote the prompt, the policy, or a result seen
before.
"""

from __future__ import annotations

from tooldojo.envs.gold import Script
from tooldojo.envs.task import GoldTurn
from tooldojo.envs.travel.scene import Scene, free_booking_id


class Story(Script):
    """A demonstration on a scene; it knows which id a new booking will get."""

    def __init__(self, scene: Scene) -> None:
        super().__init__()
        self._scene = scene
        self._taken = dict(scene.bookings)

    def search(self, thought: str, origin: str, city: str, date: str) -> None:
        """Search a route."""
        self.do(thought, "search_flights", origin=origin, destination=city, date=date)

    def weather(self, thought: str, city: str, date: str) -> None:
        """Ask for a forecast."""
        self.do(thought, "get_weather", city=city, date=date)

    def book(self, thought: str, flight_id: str, traveller: str, seats: int = 1) -> str:
        """Book, which succeeds; the new booking's id."""
        self.try_to_book(thought, flight_id, traveller, seats)
        booking_id = free_booking_id(self._taken, flight_id, traveller)
        self._scene.reserve(booking_id)
        self._taken[booking_id] = {}
        return booking_id

    def try_to_book(self, thought: str, flight_id: str, traveller: str, seats: int = 1) -> None:
        """Book, which may be refused."""
        party = {"seats": seats} if seats > 1 else {}
        self.do(thought, "book_flight", flight_id=flight_id, traveller=traveller, **party)

    def end_booked(self, booking_id: str, traveller: str) -> list[GoldTurn]:
        """Close after a booking."""
        return self.close(
            f"{traveller} now has booking {booking_id}, so this is done.",
            f"Result: booked {booking_id}",
        )

    def end_moved(self, old: str, new: str, traveller: str) -> list[GoldTurn]:
        """Cancel the old booking after the new one was made, and close."""
        self.do(f"{new} is booked, so I cancel the old {old}.", "cancel_booking", booking_id=old)
        return self.close(f"{traveller} moved from {old} to {new}.", f"Result: booked {new}")


def choice(scene: Scene, ids: list[str], wish: str, seats: int = 1) -> str:
    """Why the best flight is the best: the first half of a thought."""
    pick = scene.best(ids, wish, seats)
    first = scene.ranked(ids, wish)[0]
    assert pick is not None
    key = "price" if wish == "cheapest" else "departs"
    value = scene.flights[pick][key]
    if pick != first:
        left = scene.flights[first]["seats"]
        return f"{first} is {wish} but has only {left} free; {pick} at {value} is next"
    enough = "enough seats" if seats > 1 else "free seats"
    return f"{pick} at {value} is the {wish} with {enough}"
