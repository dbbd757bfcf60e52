"""The travel world: its policy and its six tools.

State: `weather` by city and date, `flights` by id, `bookings` by id. The tools reject what is
impossible; what the policy forbids is left to the model, and the verifier sees it in the final
state.
"""

from __future__ import annotations

from random import Random
from typing import ClassVar

from tooldojo.envs.draft import Draft
from tooldojo.envs.registry import register
from tooldojo.envs.tools import ToolError, tool
from tooldojo.envs.travel.scene import free_booking_id
from tooldojo.envs.travel.tasks import UNSEEN_COMBOS, UNSEEN_WORDINGS, draft
from tooldojo.envs.world import World
from tooldojo.verifiers.combine import Verifier, state_answer_and_look

_SYSTEM = """You run a travel desk with tools. Rules:
1. Count only flights with enough free seats; take the cheapest unless told otherwise.
2. Refuse parties over 4 and travellers under 16; what no tool can do is unsupported. Call \
nothing then.
3. Cancel or move only a booking listed for that traveller. To move, book first, then cancel; \
if that fails, keep it.
4. Repeat a call that timed out.
Close with one line: Result: <code> <id>. Codes: booked, cancelled, kept (booking; of two the \
last); found, full, unknown, too_dear (flight); none, unsupported (destination); refused \
(booking; destination by rule 2). For facts the code is the value, the id its flight or city."""


@register("tooldojo/Travel-v0")
class Travel(World):
    """A travel desk: look up, choose, book, cancel, move, or decline."""

    system_prompt: ClassVar[str] = _SYSTEM
    levels: ClassVar[tuple[int, ...]] = (1, 2, 3)
    verifier: ClassVar[Verifier] = state_answer_and_look("refused", "unsupported")
    unseen_combos: ClassVar[frozenset[tuple[str, str]]] = UNSEEN_COMBOS
    unseen_wordings: ClassVar[frozenset[int]] = UNSEEN_WORDINGS

    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        """One random task of a level."""
        return draft(rng, level)

    @tool(mutates=False)
    def get_weather(self, city: str, date: str) -> str:
        """Forecast for a city on a date."""
        forecast = self.state["weather"].get(city, {}).get(date)
        if forecast is None:
            raise ToolError(f"no forecast for {city} on {date}")
        return forecast

    @tool(mutates=False)
    def search_flights(self, origin: str, destination: str, date: str) -> str:
        """Flights of one day with price, departure and free seats."""
        route = (origin, destination, date)
        found = [
            f"{flight_id}: {_facts(flight)}"
            for flight_id, flight in sorted(self.state["flights"].items())
            if (flight["origin"], flight["destination"], flight["date"]) == route
        ]
        return "; ".join(found) or "no flights"

    @tool(mutates=False)
    def get_flight(self, flight_id: str) -> str:
        """Route, date, price, departure and free seats of one flight."""
        flight = self._flight(flight_id)
        return f"{flight['origin']} to {flight['destination']}, {flight['date']}, {_facts(flight)}"

    @tool(mutates=True)
    def book_flight(self, flight_id: str, traveller: str, seats: int = 1) -> str:
        """Book seats on a flight."""
        flight = self._flight(flight_id)
        if seats < 1:
            raise ToolError(f"seats must be at least 1, not {seats}")
        if flight["seats"] < seats:
            raise ToolError(f"{flight_id} has {flight['seats']} free seats")
        flight["seats"] -= seats
        booking_id = free_booking_id(self.state["bookings"], flight_id, traveller)
        booking = {"flight": flight_id, "traveller": traveller, "seats": seats}
        self.state["bookings"][booking_id] = booking
        return f"booked {booking_id}"

    @tool(mutates=True)
    def cancel_booking(self, booking_id: str) -> str:
        """Cancel a booking."""
        booking = self.state["bookings"].pop(booking_id, None)
        if booking is None:
            raise ToolError(f"no booking {booking_id}")
        self.state["flights"][booking["flight"]]["seats"] += booking["seats"]
        return f"cancelled {booking_id}"

    @tool(mutates=False)
    def list_bookings(self, traveller: str) -> str:
        """A traveller's bookings with flight and destination."""
        flights = self.state["flights"]
        found = [
            f"{booking_id}: {booking['flight']} to {flights[booking['flight']]['destination']}"
            for booking_id, booking in sorted(self.state["bookings"].items())
            if booking["traveller"] == traveller
        ]
        return "; ".join(found) or "no bookings"

    def _flight(self, flight_id: str) -> dict:
        if flight_id not in self.state["flights"]:
            raise ToolError(f"no flight {flight_id}")
        return self.state["flights"][flight_id]


def _facts(flight: dict) -> str:
    return f"price {flight['price']}, departs {flight['departs']}, seats {flight['seats']}"
