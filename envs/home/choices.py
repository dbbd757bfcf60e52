"""Level 2: one decision, by a sensor, a scene's levels, or where a thing is."""

from __future__ import annotations

from tooldojo.envs.gold import Script
from tooldojo.envs.home.scene import KINDS, SENSORS, Scene
from tooldojo.envs.templates import Sketch

TESTS = tuple(f"{sensor}_{verdict}" for sensor in SENSORS for verdict in ("yes", "no"))


def limit_for(scene: Scene, room: str, sensor: str, above: bool) -> int:
    """A limit that the sensor of a room is above, or is not."""
    low, high = SENSORS[sensor]
    step = scene.rng.randint(1, max(1, (high - low) // 6))
    value = scene.rng.randint(low + step, high - step)
    scene.rooms[room][sensor] = value
    return value - step if above else value + scene.rng.choice((0, step, step, step))


def react(scene: Scene, condition: str) -> Sketch:
    """Set a device of a room if one of its sensors is above a limit; otherwise nothing."""
    sensor, verdict = condition.split("_")
    room, kind = scene.room(), scene.rng.choice(KINDS)
    limit = limit_for(scene, room, sensor, verdict == "yes")
    value, device = scene.rooms[room][sensor], scene.of_room(kind, room)
    level = scene.new_level(device)
    fields = {"room": room, "kind": kind, "sensor": sensor}
    fields |= {"limit": str(limit), "level": str(level)}
    story = Script().do(f"First I read the {sensor} in {room}.", "read_sensors", room=room)
    if verdict == "no":
        why = f"The {sensor} is {value}, not above {limit}, so nothing changes."
        return Sketch(fields, story.close(why, f"Result: kept {value} {room}"))
    why = f"The {sensor} is {value}, above {limit}; I look for the {kind}."
    story.do(why, "room_devices", room=room)
    why = f"{device} is the {kind}, so I set it to {level}."
    story.do(why, "set_device", device=device, level=level)
    return Sketch(
        fields, story.close(f"The {kind} {device} is at {level}.", f"Result: set {device}")
    )


def two_levels(scene: Scene, condition: str) -> Sketch:
    """One of two levels for a device, by a sensor of its room; a grown guest changes nothing."""
    sensor, verdict = condition.split("_")
    room, kind = scene.room(), scene.rng.choice(KINDS)
    limit = limit_for(scene, room, sensor, verdict == "yes")
    value, device = scene.rooms[room][sensor], scene.of_room(kind, room)
    levels = [scene.new_level(device), scene.new_level(device)]
    while levels[0] == levels[1]:
        levels[1] = scene.new_level(device)
    level = levels[verdict == "no"]
    more = f" I am {scene.rng.randint(12, 80)} years old." if scene.rng.random() < 0.3 else ""
    fields = {"device": device, "room": room, "sensor": sensor, "limit": str(limit)}
    fields |= {"level": str(levels[0]), "else": str(levels[1]), "more": more, "kind": kind}
    story = Script().do(f"The level depends on the {sensor} in {room}.", "read_sensors", room=room)
    found = "above" if verdict == "yes" else "not above"
    why = f"The {sensor} is {value}, {found} {limit}, so {device} gets {level}."
    story.do(why, "set_device", device=device, level=level)
    return Sketch(
        fields, story.close(f"The {kind} {device} is at {level}.", f"Result: set {device}")
    )


def colder(scene: Scene, condition: str) -> Sketch:
    """Heat the colder of two rooms."""
    cold, warm = sorted(scene.rng.sample(range(15, 26), 2))
    temps = (cold, warm) if condition == "first" else (warm, cold)
    rooms = [scene.room(temp=temp) for temp in temps]
    goes = rooms[condition == "second"]
    device = scene.of_room("heater", goes)
    level = scene.new_level(device)
    story = Script().do(f"First I read the temp in {rooms[0]}.", "read_sensors", room=rooms[0])
    story.do(f"It is {temps[0]} there; now {rooms[1]}.", "read_sensors", room=rooms[1])
    why = f"It is {temps[1]} there, so {goes} is colder; I need its heater."
    story.do(why, "room_devices", room=goes)
    why = f"{device} is the heater, so I set it to {level}."
    story.do(why, "set_device", device=device, level=level)
    done = f"The heater {device} of {goes} is at {level}."
    fields = {"room": rooms[0], "other": rooms[1], "level": str(level)}
    return Sketch(fields, story.close(done, f"Result: set {device}"))


def play_if(scene: Scene, condition: str) -> Sketch:
    """Play a scene unless it sets a device above a limit."""
    room = scene.room()
    devices = [scene.of_room(kind, room) for kind in KINDS]
    name = scene.play(devices)
    asked = scene.rng.choice(devices)
    value = scene.scenes[name][asked]
    limit = value - scene.rng.randint(1, 4)
    if condition == "played":
        limit = value + scene.rng.randint(0, 5)
    fields = {"scene": name, "device": asked, "limit": str(limit)}
    story = Script().do(f"I look at the levels of {name} first.", "scene_levels", scene=name)
    if condition == "kept":
        why = f"It sets {asked} to {value}, above {limit}, so I leave it."
        return Sketch(fields, story.close(why, f"Result: kept {value} {name}"))
    why = f"It sets {asked} to {value}, not above {limit}, so I play it."
    story.do(why, "play_scene", scene=name)
    done = f"The scene {name} has been played."
    return Sketch(fields, story.close(done, f"Result: played {name}"))


def clean_room(scene: Scene, condition: str) -> Sketch:
    """Let the robot clean a room unless somebody is asleep there."""
    room = scene.room(people=condition)
    fields = {"room": room}
    thought = f"I check that nobody is asleep in {room}."
    story = Script().do(thought, "read_sensors", room=room)
    if condition == "asleep":
        why = f"Somebody is asleep in {room}, so I refuse."
        return Sketch(fields, story.close(why, f"Result: refused {room}"))
    story.do(f"The room says {condition}, so the robot goes there.", "robot_go", room=room)
    story.do(f"The robot is in {room} and can clean it.", "robot_clean")
    return Sketch(fields, story.close(f"{room} is now clean.", f"Result: cleaned {room}"))


def secure(scene: Scene, condition: str) -> Sketch:
    """Lock a room if it is empty."""
    room = scene.room(people=condition)
    lock = scene.device("lock", room)
    fields = {"room": room}
    story = Script().do(f"I check whether {room} is empty.", "read_sensors", room=room)
    if condition != "empty":
        why = f"Somebody is {condition} in {room}, so it is not locked."
        return Sketch(fields, story.close(why, f"Result: kept {condition} {room}"))
    story.do(f"{room} is empty, so I look for its lock.", "room_devices", room=room)
    story.do(f"{lock} is the lock, so I lock it.", "set_lock", lock=lock, state="locked")
    return Sketch(fields, story.close(f"{lock} of {room} is locked.", f"Result: locked {lock}"))
