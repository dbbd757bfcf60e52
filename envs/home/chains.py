"""Level 3: chains of three to five calls, where results decide, and recovery from refusals."""

from __future__ import annotations

from tooldojo.envs.gold import Script
from tooldojo.envs.home.choices import limit_for
from tooldojo.envs.home.scene import SENSORS, Scene
from tooldojo.envs.task import GoldTurn
from tooldojo.envs.templates import Sketch

COMFORT = ("yes_yes", "yes_no", "no_yes")


def _go(story: Script, thought: str, room: str, lock: str) -> None:
    """Send the robot; a lock on the way is opened first where there is one."""
    story.do(thought, "robot_go", room=room)
    if lock:
        story.do(f"{lock} stops the robot, so I open it.", "set_lock", lock=lock, state="open")
        story.do(f"{lock} is open, so the robot goes to {room}.", "robot_go", room=room)


def fetch(scene: Scene, condition: str) -> Sketch:
    """Let the robot take a thing; a lock or full arms may be in the way."""
    room = scene.room()
    item = scene.item(room)
    lock = scene.device("lock", room, "locked") if condition == "locked" else ""
    story = Script().do(f"I ask where {item} is.", "where_is", item=item)
    ignore: tuple[str, ...] = ()
    _go(story, f"It is in {room}, so the robot goes there.", room, lock)
    story.do(f"The robot is in {room} and can take {item}.", "robot_take", item=item)
    if condition == "holding":
        held = scene.hold()
        ignore = (f"items.{held}",)  # it may be dropped before the robot goes, or there
        story.do(f"It still holds {held}, so that is dropped first.", "robot_drop")
        story.do(f"Its arms are free now, so it takes {item}.", "robot_take", item=item)
    done = f"The robot now holds {item}."
    gold = story.close(done, f"Result: taken {item}")
    return Sketch({"item": item}, gold, ignore=ignore)


def carry(scene: Scene, condition: str) -> Sketch:
    """Bring a thing to a room; its place is given or must be found, and it may be gone."""
    place, target = scene.room(), scene.room()
    item = scene.item(scene.room() if condition == "gone" else place)
    given = "" if condition == "found" else f" from {place}"
    fields = {"item": item, "from": given, "target": target}
    story = Script()
    if condition == "found":
        story.do(f"I ask where {item} is.", "where_is", item=item)
        story.do(f"It is in {place}, so the robot goes there.", "robot_go", room=place)
    else:
        story.do(f"The {item} should be in {place}, so the robot goes.", "robot_go", room=place)
    story.do(f"The robot is in {place} and can take {item}.", "robot_take", item=item)
    if condition == "gone":
        why = f"There is no {item} in {place}, so nothing is brought."
        gold = story.close(why, f"Result: none {item}")
        return Sketch(fields, gold, ignore=("robot.room",))  # asking first, it need not go
    story.do(f"It holds {item}, so it goes to {target}.", "robot_go", room=target)
    story.do(f"The robot is in {target}, so it drops {item}.", "robot_drop")
    return Sketch(fields, story.close(f"{item} is in {target}.", f"Result: brought {item}"))


def clean_either(scene: Scene, condition: str) -> Sketch:
    """Clean a room, or a second one where somebody is asleep in the first; a lock may be closed."""
    calm = scene.rng.choice(("empty", "awake"))
    first = scene.room(people="asleep" if condition in ("second", "none") else calm)
    second = scene.room(people="asleep" if condition == "none" else calm)
    lock = scene.device("lock", first, "locked") if condition == "locked" else ""
    fields = {"room": first, "other": second}
    thought = f"I check that nobody is asleep in {first}."
    story = Script().do(thought, "read_sensors", room=first)
    goes = first
    if condition in ("second", "none"):
        goes = second
        why = f"Somebody is asleep in {first}, so I check {second}."
        story.do(why, "read_sensors", room=second)
    if condition == "none":
        why = f"Somebody is asleep in {second}, too, so I refuse."
        return Sketch(fields, story.close(why, f"Result: refused {first}"))
    _go(story, f"Nobody is asleep in {goes}, so the robot goes there.", goes, lock)
    story.do(f"The robot is in {goes} and can clean it.", "robot_clean")
    return Sketch(fields, story.close(f"{goes} is now clean.", f"Result: cleaned {goes}"))


def comfort(scene: Scene, condition: str) -> Sketch:
    """Two devices of a room, each by a sensor of its own."""
    verdicts = [word == "yes" for word in condition.split("_")]
    room = scene.room()
    limits = [
        limit_for(scene, room, s, v) for s, v in zip(("humidity", "light"), verdicts, strict=True)
    ]
    devices = [scene.of_room(kind, room) for kind in ("heater", "blind")]
    levels = [scene.new_level(device) for device in devices]
    found = scene.rooms[room]
    fields = {"room": room, "a": str(limits[0]), "b": str(limits[1])}
    fields |= {"one": str(levels[0]), "two": str(levels[1])}
    thought = f"Both parts depend on the sensors of {room}."
    story = Script().do(thought, "read_sensors", room=room)
    seen = f"humidity {found['humidity']} against {limits[0]}"
    seen += f", light {found['light']} against {limits[1]}"
    story.do(f"I compare {seen}; now the devices.", "room_devices", room=room)
    kinds = (("humidity", "heater"), ("light", "blind"))
    last = ""
    for (sensor, kind), is_so, device, level in zip(kinds, verdicts, devices, levels, strict=True):
        if is_so:
            why = f"The {sensor} is too high, so the {kind} {device} gets {level}."
            story.do(why, "set_device", device=device, level=level)
            last = device
    return Sketch(fields, story.close(f"The last device set is {last}.", f"Result: set {last}"))


def timers(scene: Scene, condition: str) -> Sketch:
    """The same timer for the devices of a kind in two rooms."""
    rooms, time = [scene.room(), scene.room()], scene.time()
    devices = [scene.of_room(condition, room) for room in rooms]
    level = scene.some_level(condition)
    story = Script().do(f"I look for the {condition} of {rooms[0]}.", "room_devices", room=rooms[0])
    story.do(f"It is {devices[0]}; now the one of {rooms[1]}.", "room_devices", room=rooms[1])
    for device, what in zip(devices, ("The first", "The second"), strict=True):
        thought = f"{what} timer is for {device}, {time} at {level}."
        story.do(thought, "set_timer", device=device, time=time, level=level)
    fields = {"room": rooms[0], "other": rooms[1], "kind": condition}
    fields |= {"time": time, "level": str(level)}
    done = f"Both timers are set, the last for {devices[1]}."
    return Sketch(fields, story.close(done, f"Result: timed {devices[1]}"))


def extreme(scene: Scene, condition: str) -> Sketch:
    """Heat the coldest, or shade the brightest, of three rooms."""
    sensor, place = condition.split("_")
    want, kind = ("lowest", "heater") if sensor == "temp" else ("highest", "blind")
    values = sorted(scene.rng.sample(range(*SENSORS[sensor]), 3), reverse=want == "highest")
    best, rest = values[0], scene.rng.sample(values[1:], 2)
    index = ("first", "second", "third").index(place)
    values = [*rest[:index], best, *rest[index:]]
    rooms = [scene.room(**{sensor: value}) for value in values]
    device = scene.of_room(kind, rooms[index])
    level = scene.new_level(device)
    story = Script().do(f"First I read the {sensor} in {rooms[0]}.", "read_sensors", room=rooms[0])
    for value, room in zip(values, rooms[1:], strict=False):
        story.do(f"The {sensor} is {value} there; now {room}.", "read_sensors", room=room)
    why = f"It is {values[2]} there, so {rooms[index]} has the {want}, {best}."
    story.do(why, "room_devices", room=rooms[index])
    why = f"{device} is the {kind}, so I set it to {level}."
    story.do(why, "set_device", device=device, level=level)
    fields = {"a": rooms[0], "b": rooms[1], "c": rooms[2], "sensor": sensor, "want": want}
    fields |= {"kind": kind, "level": str(level)}
    return Sketch(
        fields, story.close(f"The {kind} {device} is at {level}.", f"Result: set {device}")
    )


def leave(scene: Scene, condition: str) -> Sketch:
    """Dim the lamp of a room and lock it, if it is empty."""
    room = scene.room(people=condition)
    lamp, lock = scene.of_room("lamp", room), scene.device("lock", room)
    level = scene.new_level(lamp)
    fields = {"room": room, "level": str(level)}
    story = Script().do(f"I check whether {room} is empty.", "read_sensors", room=room)
    if condition != "empty":
        why = f"Somebody is {condition} in {room}, so nothing changes."
        return Sketch(fields, story.close(why, f"Result: kept {condition} {room}"))
    story.do(f"{room} is empty, so I look for its devices.", "room_devices", room=room)
    why = f"{lamp} is the lamp, so I set it to {level}."
    story.do(why, "set_device", device=lamp, level=level)
    story.do(f"{lock} is the lock, so I lock it.", "set_lock", lock=lock, state="locked")
    return Sketch(fields, _locked(story, lock, room))


def _locked(story: Script, lock: str, room: str) -> list[GoldTurn]:
    return story.close(f"{lock} of {room} is locked.", f"Result: locked {lock}")
