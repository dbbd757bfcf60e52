"""Random houses: rooms with sensors, devices, scenes, things and a robot, drawn from one generator.

Rooms, scenes and things carry random numbers, as devices do, so that no closing line fits two
tasks. Invariant: every device stands in a room of the house, and a room has one of a kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from tooldojo.envs.templates import Names

_ROOMS = """
    loft den attic pantry parlour veranda foyer lounge alcove snug sunroom larder mudroom playroom
"""
_ITEMS = """
    teapot blanket hamper cushion toolbox umbrella tray jug stool pillow teddy bucket dustpan
"""
_SCENES = """
    dusk dawn supper siesta movie reading bedtime brunch carnival
"""
ROOMS, ITEMS, SCENES = _ROOMS.split(), _ITEMS.split(), _SCENES.split()
LETTERS = {"lamp": "C", "heater": "I", "blind": "R", "lock": "W"}
LEVELS = {"lamp": (0, 100), "heater": (5, 30), "blind": (0, 100)}
KINDS = tuple(LEVELS)
SENSORS = {"temp": (15, 25), "light": (5, 90), "humidity": (30, 80)}
PEOPLE = ("empty", "awake", "asleep")


class Scene:
    """A world under construction, and the names used in it so far."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.rooms: dict[str, dict[str, Any]] = {}
        self.devices: dict[str, dict[str, Any]] = {}
        self.scenes: dict[str, dict[str, int]] = {}
        self.items: dict[str, str] = {}
        self._names = Names()
        self.holds = "nothing"
        self.robot_at = self.room()

    def world(self) -> dict[str, Any]:
        """The state that the scene has become."""
        return {
            "rooms": self.rooms, "devices": self.devices, "scenes": self.scenes, "timers": {},
            "items": self.items, "robot": {"room": self.robot_at, "holds": self.holds},
        }  # fmt: skip

    def _numbered(self, words: Sequence[str]) -> str:
        return self._names.new(lambda: f"{self.rng.choice(words)} {self.rng.randint(10, 99)}")

    def room(self, **sensors: Any) -> str:
        """A new room, dirty, with a lamp, a heater and a blind; sensors as given, else random."""
        name = self._numbered(ROOMS)
        values: dict[str, Any] = {key: self.rng.randint(*span) for key, span in SENSORS.items()}
        values["people"] = self.rng.choice(PEOPLE)
        self.rooms[name] = values | sensors | {"clean": False}
        for kind in KINDS:
            self.device(kind, name)
        return name

    def device_id(self, kind: str) -> str:
        """A new device number, of a device that need not exist."""
        return self._names.new(lambda: f"{LETTERS[kind]}{self.rng.randint(1000, 9999)}")

    def device(self, kind: str, room: str, state: str = "open") -> str:
        """A new device; `state` is that of a lock."""
        device_id = self.device_id(kind)
        level = state if kind == "lock" else self.some_level(kind)
        self.devices[device_id] = {"kind": kind, "room": room, "level": level}
        return device_id

    def of_room(self, kind: str, room: str) -> str:
        """The device of a kind in a room."""
        return next(
            device_id
            for device_id, device in self.devices.items()
            if (device["kind"], device["room"]) == (kind, room)
        )

    def some_level(self, kind: str) -> int:
        """A level that the policy allows."""
        return self.rng.randint(16, 25) if kind == "heater" else self.rng.randint(1, 20) * 5

    def new_level(self, device_id: str) -> int:
        """A level that the device does not have."""
        device = self.devices[device_id]
        while (level := self.some_level(device["kind"])) == device["level"]:
            pass
        return level

    def time(self) -> str:
        """A time of day."""
        return f"{self.rng.randint(5, 23):02d}:{self.rng.choice((0, 10, 20, 30, 40, 50)):02d}"

    def play(self, devices: list[str]) -> str:
        """A new scene that gives each device another level."""
        name = self.scene_name()
        self.scenes[name] = {device_id: self.new_level(device_id) for device_id in devices}
        return name

    def scene_name(self) -> str:
        """A new name for a scene that need not exist."""
        return self._numbered(SCENES)

    def item(self, place: str) -> str:
        """A new thing in a room."""
        name = self.item_name()
        self.items[name] = place
        return name

    def item_name(self) -> str:
        """A new name for a thing that need not exist."""
        return self._numbered(ITEMS)

    def hold(self) -> str:
        """Let the robot hold something from the start."""
        self.holds = self.item("robot")
        return self.holds

    def clutter(self) -> None:
        """A room, a scene and a thing that nobody asks about."""
        room = self.room()
        self.item(room)
        self.play([self.of_room("lamp", room)])
