"""Level 1: questions and single changes, in two calls or fewer, and requests without any call."""

from __future__ import annotations

from tooldojo.envs.gold import Script
from tooldojo.envs.home.scene import KINDS, PEOPLE, SENSORS, Scene
from tooldojo.envs.templates import Sketch

_THINGS = {
    "repair": ("a new bulb", "a carpenter", "a coat of varnish", "a plumber"),
    "food": ("a hot soup", "a breakfast", "a jug of juice", "a birthday cake"),
    "music": ("a radio show", "a lullaby", "louder music", "a piano"),
    "pets": ("a dog walk", "a cat bed", "an aquarium", "a bird feeder"),
}
THING_KINDS = tuple(_THINGS)


def sensor_fact(scene: Scene, condition: str) -> Sketch:
    """One sensor of a room."""
    room = scene.room()
    story = Script().do(f"I read the sensors of {room} for {condition}.", "read_sensors", room=room)
    value = scene.rooms[room][condition]
    why = f"The {condition} sensor of {room} says {value}."
    return Sketch({"room": room, "fact": condition}, story.close(why, f"Result: {value} {room}"))


def where_thing(scene: Scene, condition: str) -> Sketch:
    """The room of a thing; or nobody knows it."""
    room = scene.room()
    item = scene.item(room) if condition == "known" else scene.item_name()
    story = Script().do(f"I ask where {item} is.", "where_is", item=item)
    why, line = f"The {item} is in {room}.", f"Result: {room} {item}"
    if condition == "unknown":
        why, line = f"Nobody knows {item}, so it is unknown.", f"Result: unknown {item}"
    return Sketch({"item": item}, story.close(why, line))


def set_named(scene: Scene, condition: str) -> Sketch:
    """Set a device by its number; it may not exist, and a grown guest's age changes nothing."""
    kind = condition if condition in KINDS else scene.rng.choice(KINDS)
    device = scene.of_room(kind, scene.room())
    level = scene.new_level(device)
    asked = scene.device_id(kind) if condition == "unknown" else device
    more = f" I am {scene.rng.randint(12, 80)} years old." if condition == "guest" else ""
    fields = {"device": asked, "level": str(level), "more": more, "kind": kind}
    story = Script().do(
        f"I set {asked} to {level} as asked.", "set_device", device=asked, level=level
    )
    why, line = f"The {kind} {asked} is now at {level}.", f"Result: set {asked}"
    if condition == "unknown":
        why, line = f"There is no device {asked}, so it is unknown.", f"Result: unknown {asked}"
    return Sketch(fields, story.close(why, line))


def set_room(scene: Scene, condition: str) -> Sketch:
    """Set the device of a kind in a room."""
    room = scene.room()
    device = scene.of_room(condition, room)
    level = scene.new_level(device)
    story = Script().do(f"I look for the {condition} of {room}.", "room_devices", room=room)
    why = f"{device} is the {condition}, so I set it to {level}."
    story.do(why, "set_device", device=device, level=level)
    fields = {"room": room, "kind": condition, "level": str(level)}
    done = f"The {condition} of {room} is now at {level}."
    return Sketch(fields, story.close(done, f"Result: set {device}"))


def lock_named(scene: Scene, condition: str) -> Sketch:
    """Open or lock a door; it may be so already."""
    want = condition if condition in ("open", "locked") else scene.rng.choice(("open", "locked"))
    other = {"open": "locked", "locked": "open"}[want]
    lock = scene.device("lock", scene.room(), want if condition == "already" else other)
    verb = {"open": "open", "locked": "lock"}[want]
    story = Script().do(f"I {verb} {lock} as asked.", "set_lock", lock=lock, state=want)
    code = {"open": "opened", "locked": "locked"}[want]
    why, line = f"The lock {lock} is now {want}.", f"Result: {code} {lock}"
    if condition == "already":
        why, line = f"{lock} was {want} before and stays so.", f"Result: kept {want} {lock}"
    return Sketch({"lock": lock, "verb": verb}, story.close(why, line))


def play_named(scene: Scene, condition: str) -> Sketch:
    """Play a scene by its name; it may not exist."""
    room = scene.room()
    name = scene.play([scene.of_room(kind, room) for kind in scene.rng.sample(KINDS, 2)])
    asked = scene.scene_name() if condition == "unknown" else name
    story = Script().do(f"I play the scene {asked}.", "play_scene", scene=asked)
    why, line = f"The scene {asked} has been played.", f"Result: played {asked}"
    if condition == "unknown":
        why, line = f"There is no scene {asked}, so it is unknown.", f"Result: unknown {asked}"
    return Sketch({"scene": asked}, story.close(why, line))


def timer_named(scene: Scene, condition: str) -> Sketch:
    """Set a daily timer for a device of a kind."""
    device, time = scene.of_room(condition, scene.room()), scene.time()
    level = scene.some_level(condition)
    thought = f"I time {device} for {time} at {level}."
    story = Script().do(thought, "set_timer", device=device, time=time, level=level)
    fields = {"device": device, "time": time, "level": str(level), "kind": condition}
    why = f"The {condition} {device} now has a timer for {time}."
    return Sketch(fields, story.close(why, f"Result: timed {device}"))


def unsupported(scene: Scene, condition: str) -> Sketch:
    """Something that no tool can do; no call."""
    sensor = scene.rng.choice(tuple(SENSORS))
    room, thing = scene.room(), scene.rng.choice(_THINGS[condition])
    fields = {"room": room, "thing": thing, "sensor": sensor}
    fields["limit"] = str(scene.rng.randint(*SENSORS[sensor]))
    why = f"No tool can provide {thing}, so I call nothing."
    return Sketch(fields, Script().close(why, f"Result: unsupported {room}"))


def declined(scene: Scene, condition: str) -> Sketch:
    """Heating or a guest that the policy excludes; no call."""
    room = scene.room(people=scene.rng.choice(PEOPLE))
    kind = "heater" if condition == "heat" else scene.rng.choice(KINDS)
    device = scene.of_room(kind, room)
    if condition == "heat":
        level, more = scene.rng.randint(26, 30), ""
        why = f"Heating to {level} is over 25, so I call nothing."
    else:
        age, level = scene.rng.randint(5, 11), scene.new_level(device)
        more = f" I am {age} years old."
        why = f"A guest of {age} is under 12, so I call nothing."
    fields = {"device": device, "level": str(level), "more": more, "kind": kind, "room": room}
    sensor = scene.rng.choice(tuple(SENSORS))
    low, high = SENSORS[sensor]
    fields |= {"sensor": sensor, "limit": str(scene.rng.randint(low + 2, high - 2))}
    fields["else"] = str(scene.some_level(kind))
    return Sketch(fields, Script().close(why, f"Result: refused {device}"))
