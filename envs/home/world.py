"""The home world: its policy and its twelve tools.

State: `rooms` with sensors, `devices`, `scenes`, `timers`, `items` and the `robot`. The tools
reject what is impossible; what the policy forbids is left to the model, and the verifier sees it in
the final state.
"""

from __future__ import annotations

import re
from random import Random
from typing import Any, ClassVar, Literal

from tooldojo.envs.draft import Draft
from tooldojo.envs.home.scene import LEVELS
from tooldojo.envs.home.tasks import UNSEEN_COMBOS, UNSEEN_WORDINGS, draft
from tooldojo.envs.registry import register
from tooldojo.envs.tools import ToolError, tool
from tooldojo.envs.world import World
from tooldojo.verifiers.combine import Verifier, state_answer_and_look

_SYSTEM = """You run a guest house's devices and robot with tools. Rules:
1. Refuse heating over 25 and guests under 12; what no tool can do is unsupported. If any part \
is so, also in a branch not taken, all is: call nothing.
2. Refuse to clean where somebody is asleep.
3. If a lock stops the robot, open it; if its arms are full, drop that.
4. Repeat a call that timed out.
Close with one line: Result: <code> <name>. Codes: set, timed, locked, opened (device; of two the \
last named); played (scene); cleaned (room); taken, brought (thing); kept <value read>, none, \
unknown, refused, unsupported (first device, room, scene or thing of the house named). For facts \
the code is the value."""


@register("tooldojo/Home-v0")
class Home(World):
    """A guest house: read, set, time, lock, play a scene, send the robot, or decline."""

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
    def read_sensors(self, room: str) -> str:
        """Sensors of a room."""
        found = self._room(room)
        return ", ".join(f"{key} {found[key]}" for key in ("temp", "light", "humidity", "people"))

    @tool(mutates=False)
    def room_devices(self, room: str) -> str:
        """Devices of a room."""
        self._room(room)
        return "; ".join(
            f"{device_id}: {device['kind']}, {device['level']}"
            for device_id, device in sorted(self.state["devices"].items())
            if device["room"] == room
        )

    @tool(mutates=True, idempotent=True)
    def set_device(self, device: str, level: int) -> str:
        """Set a lamp, heater or blind."""
        self._check_level(device, level)
        self.state["devices"][device]["level"] = level
        return f"set {device}"

    @tool(mutates=True)
    def set_lock(self, lock: str, state: Literal["open", "locked"]) -> str:
        """Open or lock."""
        found = self._device(lock)
        if found["kind"] != "lock":
            raise ToolError(f"{lock} is a {found['kind']}, no lock")
        if found["level"] == state:
            raise ToolError(f"{lock} is {state} already")
        found["level"] = state
        return f"{lock} is {state}"

    @tool(mutates=True)
    def set_timer(self, device: str, time: str, level: int) -> str:
        """Set it daily."""
        self._check_level(device, level)
        if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", time):
            raise ToolError(f"no time {time}; write it as 07:30")
        self.state["timers"].setdefault(device, {})[time] = level
        return f"timed {device}"

    @tool(mutates=False)
    def scene_levels(self, scene: str) -> str:
        """Levels of a scene."""
        return "; ".join(f"{device_id}: {n}" for device_id, n in sorted(self._scene(scene).items()))

    @tool(mutates=True, idempotent=True)
    def play_scene(self, scene: str) -> str:
        """Play a scene."""
        for device_id, level in self._scene(scene).items():
            self.state["devices"][device_id]["level"] = level
        return f"played {scene}"

    @tool(mutates=False)
    def where_is(self, item: str) -> str:
        """Room of a thing."""
        if item not in self.state["items"]:
            raise ToolError(f"nobody knows {item}")
        return self.state["items"][item]

    @tool(mutates=True)
    def robot_go(self, room: str) -> str:
        """Go to a room."""
        self._room(room)
        robot = self.state["robot"]
        if robot["room"] == room:
            raise ToolError(f"the robot is in {room} already")
        for lock_id, lock in sorted(self.state["devices"].items()):
            if lock["level"] == "locked" and lock["room"] in (room, robot["room"]):
                raise ToolError(f"{lock_id} of {lock['room']} is locked")
        robot["room"] = room
        return f"robot in {room}"

    @tool(mutates=True)
    def robot_take(self, item: str) -> str:
        """Take a thing."""
        robot = self.state["robot"]
        if robot["holds"] != "nothing":
            raise ToolError(f"the robot holds {robot['holds']}")
        if self.state["items"].get(item) != robot["room"]:
            raise ToolError(f"no {item} in {robot['room']}")
        robot["holds"], self.state["items"][item] = item, "robot"
        return f"robot holds {item}"

    @tool(mutates=True)
    def robot_drop(self) -> str:
        """Drop it."""
        robot = self.state["robot"]
        if robot["holds"] == "nothing":
            raise ToolError("the robot holds nothing")
        item, robot["holds"] = robot["holds"], "nothing"
        self.state["items"][item] = robot["room"]
        return f"{item} is in {robot['room']}"

    @tool(mutates=True)
    def robot_clean(self) -> str:
        """Clean its room."""
        robot = self.state["robot"]
        room = self.state["rooms"][robot["room"]]
        if robot["holds"] != "nothing":
            raise ToolError(f"the robot holds {robot['holds']}")
        if room["clean"]:
            raise ToolError(f"{robot['room']} is clean already")
        room["clean"] = True
        return f"cleaned {robot['room']}"

    def _room(self, room: str) -> dict[str, Any]:
        if room not in self.state["rooms"]:
            raise ToolError(f"no room {room}")
        return self.state["rooms"][room]

    def _device(self, device: str) -> dict[str, Any]:
        if device not in self.state["devices"]:
            raise ToolError(f"no device {device}")
        return self.state["devices"][device]

    def _scene(self, scene: str) -> dict[str, int]:
        if scene not in self.state["scenes"]:
            raise ToolError(f"no scene {scene}")
        return self.state["scenes"][scene]

    def _check_level(self, device: str, level: int) -> None:
        kind = self._device(device)["kind"]
        if kind not in LEVELS:
            raise ToolError(f"{device} is a {kind}; use set_lock")
        low, high = LEVELS[kind]
        if not low <= level <= high:
            raise ToolError(f"a {kind} takes {low} to {high}, not {level}")
