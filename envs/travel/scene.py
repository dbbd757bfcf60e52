"""Random travel scenes: everything that a task's world contains, drawn from one generator.

Cities are three letters and flights and bookings carry random numbers, so that no closing line fits
two tasks. Invariant: prices and departures on one route and day all differ, so that "cheapest" and
"earliest" name one flight.
"""

from __future__ import annotations

from random import Random
from typing import Any

from tooldojo.envs.templates import Names
from tooldojo.verifiers.canonical import content_hash

_FIRST = """
    Mira Tal Oda Renn Suki Bram Ilka Joss Vera Nils Pia Kato Lene Arlo Dina Emil Faye Gero
    Hana Ivo Jana Kurt Lior Maud Nora Odin Petra Quin Rosa Sven Tove Ugo Wanda Xenia Yara Zeno
"""
_LAST = """
    Holt Orme Vance Kade Lund Frost Adair Brook Corin Dell Eames Finch Grove Hale Innes Jarrow
    Keel Lark Marsh North Oakes Penn Quill Rowe Stone Thorn Usher Vole Wren Yates Zander
"""
FIRST, LAST = _FIRST.split(), _LAST.split()
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
WEATHER = ("sun", "rain", "snow", "storm", "fog", "wind")
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_QUARTERS = [f"{hour:02d}:{minute:02d}" for hour in range(6, 22) for minute in (0, 15, 30, 45)]

_KEYS = {
    "cheapest": ("price", False),
    "earliest": ("departs", False),
    "latest": ("departs", True),
}
WISHES = tuple(_KEYS)


class Scene:
    """A world under construction, and the names used in it so far."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.flights: dict[str, dict[str, Any]] = {}
        self.bookings: dict[str, dict[str, Any]] = {}
        self.forecasts: dict[str, dict[str, str]] = {}
        self._names = Names()

    def world(self) -> dict[str, Any]:
        """The state that the scene has become."""
        return {"weather": self.forecasts, "flights": self.flights, "bookings": self.bookings}

    def city(self) -> str:
        """A new city."""
        return self._names.new(lambda: "".join(self.rng.choices(_LETTERS, k=3)))

    def person(self) -> str:
        """A new traveller."""
        return self._names.new(lambda: f"{self.rng.choice(FIRST)} {self.rng.choice(LAST)}")

    def date(self) -> str:
        """A new date."""
        return self._names.new(lambda: f"{self.rng.choice(MONTHS)} {self.rng.randint(1, 28)}")

    def dates(self) -> list[str]:
        """Two new dates, the earlier one first."""
        return sorted((self.date(), self.date()), key=lambda d: (MONTHS.index(d[:3]), int(d[4:])))

    def flight_id(self) -> str:
        """A new flight number, of a flight that need not exist."""
        return self._names.new(lambda: f"F{self.rng.randint(100, 999)}")

    def booking_id(self) -> str:
        """A new booking number, of a booking that need not exist."""
        return self._names.new(lambda: f"B{self.rng.randint(100, 999)}")

    def reserve(self, booking_id: str) -> None:
        """Keep a number for a booking that the demonstration makes."""
        self._names.reserve(booking_id)

    def weather(self, city: str, date: str, word: str | None = None, but: str | None = None) -> str:
        """Set a forecast: `word`, or any but `but`."""
        word = word or self.rng.choice([w for w in WEATHER if w != but])
        self.forecasts.setdefault(city, {})[date] = word
        return word

    def route(self, origin: str, city: str, date: str, size: int | None = None) -> list[str]:
        """Two to four flights (or `size`) of one route and day, with seats on all; their ids."""
        size = size or self.rng.choice((2, 3, 3, 4))
        prices = [10 * p for p in self.rng.sample(range(6, 50), size)]
        times = self.rng.sample(_QUARTERS, size)
        ids = [self.flight_id() for _ in range(size)]
        for flight_id, price, departs in zip(ids, prices, times, strict=True):
            self.flights[flight_id] = {
                "origin": origin, "destination": city, "date": date, "departs": departs,
                "price": price, "seats": self.rng.randint(4, 9),
            }  # fmt: skip
        return ids

    def ranked(self, ids: list[str], wish: str) -> list[str]:
        """Flights from best to worst by a wish, full ones too."""
        key, reverse = _KEYS[wish]
        return sorted(ids, key=lambda i: self.flights[i][key], reverse=reverse)

    def fill_up(self, flight_id: str, seats: int = 0) -> None:
        """Leave only `seats` free."""
        self.flights[flight_id]["seats"] = seats

    def best(self, ids: list[str], wish: str, seats: int = 1) -> str | None:
        """The best flight by a wish among those with enough seats."""
        able = [i for i in self.ranked(ids, wish) if self.flights[i]["seats"] >= seats]
        return able[0] if able else None

    def booking(self, traveller: str, flight_id: str) -> str:
        """Book one seat before the task begins; the flight's free seats are those left after it."""
        booking_id = self.booking_id()
        self.bookings[booking_id] = {"flight": flight_id, "traveller": traveller, "seats": 1}
        return booking_id

    def clutter(self) -> None:
        """Flights, bookings and forecasts of other people and places."""
        origin, city, date = self.city(), self.city(), self.date()
        flight_id = self.route(origin, city, date, 1)[0]
        self.booking(self.person(), flight_id)
        self.weather(city, date)


def free_booking_id(bookings: dict, flight_id: str, traveller: str) -> str:
    """The id of a new booking: derived from what is booked, so that the order does not matter."""
    number = int(content_hash([flight_id, traveller]), 16) % 900
    while f"B{100 + number}" in bookings:
        number = (number + 1) % 900
    return f"B{100 + number}"
