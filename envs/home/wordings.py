"""Five wordings for each kind of request; the last of each is kept for the held-out wordings.

What a refusal is closed with is always the first device, room, scene or thing named.
"""

from __future__ import annotations

_SET = (
    "Set the {kind} {device} to {level}.{more}",
    "Please put {device} at {level}.{more}",
    "{device} should be at {level}.{more}",
    "I want the {kind} {device} at {level}.{more}",
    "Let {device} stand at {level} from now on.{more}",
)
_LEVELS = (
    "Set {device} in {room} to {level} if the {sensor} there is above {limit}, otherwise to "
    "{else}.{more}",
    "{device} stands in {room}: with {sensor} above {limit} put it at {level}, if not at "
    "{else}.{more}",
    "The {kind} {device} gets {level} where {sensor} in {room} exceeds {limit}, else {else}.{more}",
    "Put {device} at {level} provided that {room} has {sensor} above {limit}; if not, at "
    "{else}.{more}",
    "How high {device} goes depends on {sensor} in {room}: over {limit} it is {level}, else "
    "{else}.{more}",
)

WORDINGS: dict[str, tuple[str, ...]] = {
    "sensor_fact": (
        "What does the {fact} sensor of {room} say?",
        "Tell me {fact} in {room}.",
        "For {room} give me the {fact} reading.",
        "I would like to know {fact} of {room}.",
        "Which {fact} is measured in {room}?",
    ),
    "where_thing": (
        "Where is {item}?",
        "Tell me which room has {item}.",
        "I look for {item}. Which room is it in?",
        "In what room would I see {item}?",
        "Has somebody seen {item}? Name the room.",
    ),
    "set_named": _SET,
    "declined": _SET,
    "set_room": (
        "In {room}, set the {kind} to {level}.",
        "Put the {kind} of {room} at {level}.",
        "{room} should have its {kind} at {level}.",
        "I want {level} for the {kind} in {room}.",
        "Let the {kind} of {room} stand at {level}.",
    ),
    "lock_named": (
        "Please {verb} {lock}.",
        "I want you to {verb} the door {lock}.",
        "{lock}: {verb} it.",
        "Would you {verb} {lock} for me?",
        "The door {lock} is the one to {verb}.",
    ),
    "play_named": (
        "Play the scene {scene}.",
        "Please start {scene}.",
        "The scene {scene} would be nice now.",
        "I would like {scene}.",
        "Let the house go into {scene}.",
    ),
    "timer_named": (
        "Every day at {time} set {device} to {level}.",
        "Time the {kind} {device}: {level} at {time}.",
        "A daily timer for {device}, please: {time}, level {level}.",
        "{device} should go to {level} at {time} each day.",
        "Let the {kind} {device} change to {level} daily, at {time}.",
    ),
    "unsupported": (
        "{room} needs {thing}.",
        "To {room} please bring {thing}.",
        "In {room} we want {thing}.",
        "For {room} arrange {thing}.",
        "The guests of {room} ask for {thing}.",
    ),
    "unsupported_plan": (
        "If {sensor} in {room} is above {limit}, get {thing} there.",
        "Read the sensors of {room}; with {sensor} over {limit} arrange {thing}.",
        "Send the robot to {room} and let it make {thing}.",
        "In {room} read {sensor} and then order {thing}.",
        "Whenever {room} has {sensor} above {limit}, provide {thing}.",
    ),
    "declined_plan": _LEVELS,
    "react": (
        "If {room} has {sensor} above {limit}, set its {kind} to {level}; otherwise nothing.",
        "In {room}, should {sensor} be above {limit}, put the {kind} at {level}. If not, leave it.",
        "Look at {room}: with {sensor} over {limit} the {kind} goes to {level}, else it stays.",
        "Is {room} above {limit} in {sensor}? Then its {kind} gets {level}; if not, do nothing.",
        "Put the {kind} of {room} at {level}, but only where {sensor} is over {limit}.",
    ),
    "two_levels": _LEVELS,
    "colder": (
        "Which is colder, {room} or {other}? Set the heater there to {level}.",
        "Set the heater to {level} in {room} or {other}, whichever has the lower temp.",
        "Compare {room} with {other} and put the heater of the colder one at {level}.",
        "The colder room of {room} and {other} should have its heater at {level}.",
        "Give heater level {level} to {room} or to {other}: the one with less temp.",
    ),
    "play_if": (
        "Play {scene} unless it sets {device} above {limit}.",
        "If {scene} leaves {device} at {limit} or below, play it; otherwise do not.",
        "Look at {scene}: with {device} over {limit} leave it alone, else play it.",
        "The scene {scene} may run if {device} gets at most {limit} from it.",
        "Start {scene} provided that {device} does not go over {limit} by it.",
    ),
    "clean_room": (
        "Clean {room}.",
        "Let the robot clean {room}.",
        "{room} has to be cleaned, please.",
        "Send the robot to {room} and have it clean.",
        "There are crumbs in {room}. Let the robot see to it.",
    ),
    "secure": (
        "Lock {room} if it is empty; otherwise leave it.",
        "If nobody is in {room}, lock its door.",
        "{room} should be locked, but only without people in it.",
        "Check {room} and lock it where no one is there.",
        "With {room} empty, its door is to be locked; with people in it, not.",
    ),
    "fetch": (
        "Let the robot take {item}.",
        "Find {item} and have the robot take it.",
        "The robot should hold {item}.",
        "Send the robot for {item}, wherever that is.",
        "I want {item} in the arms of the robot.",
    ),
    "carry": (
        "Bring {item}{from} to {target}.",
        "Let the robot carry {item}{from} to {target}.",
        "{item} has to go{from} to {target}; send the robot.",
        "Have {item} brought{from} to {target}.",
        "Get {item}{from} over to {target} with the robot.",
    ),
    "clean_either": (
        "Clean {room}, or {other} if somebody is asleep in {room}.",
        "Let the robot clean {room}; with people asleep there, {other} instead.",
        "{room} has to be cleaned. Where that is not allowed, clean {other}.",
        "Send the robot to clean {room} or, while someone is asleep there, {other}.",
        "There is dust in {room} and {other}: clean the first where nobody is asleep, only one.",
    ),
    "comfort": (
        "In {room}, set the heater to {one} if humidity is above {a}, then the blind to {two} if "
        "light is above {b}.",
        "{room}: humidity over {a} means heater {one}; then light over {b} means blind {two}.",
        "Read {room}. With humidity above {a} the heater gets {one}, then with light above "
        "{b}, the blind gets {two}.",
        "For {room}: where humidity exceeds {a}, heater at {one}; then, where light exceeds {b}, "
        "blind at {two}.",
        "Put heater {one} in {room} against humidity over {a} and then blind {two} against light "
        "over {b}.",
    ),
    "timers": (
        "Every day at {time} set the {kind} to {level} in {room} and in {other}.",
        "Time the {kind} of {room} and then of {other}: {level} at {time}.",
        "In {room} and {other} each {kind} should go to {level} at {time} daily.",
        "Daily timers, please, first for {room}, then {other}: {kind} {level} at {time}.",
        "Let the {kind} of {room} and the one of {other} change to {level} each day at {time}.",
    ),
    "extreme": (
        "Which of {a}, {b} and {c} has the {want} {sensor}? Set the {kind} there to {level}.",
        "Set the {kind} to {level} in the room with the {want} {sensor}: {a}, {b} or {c}.",
        "Compare {sensor} in {a}, {b} and {c}; where it is the {want}, the {kind} gets {level}.",
        "{a}, {b} or {c}: the one with the {want} {sensor} needs its {kind} at {level}.",
        "Find the {want} {sensor} among {a}, {b} and {c} and put the {kind} of that room at "
        "{level}.",
    ),
    "leave": (
        "If {room} is empty, set its lamp to {level} and lock it; otherwise change nothing.",
        "With nobody in {room}: lamp to {level}, then lock the door. With people, leave it.",
        "{room} gets lamp {level} and a locked door, in this order, but only if it is empty.",
        "Check {room}. Where no one is there, put the lamp at {level} and then lock the door.",
        "Close {room} for the day if nobody is in: lamp at {level} first, door locked after.",
    ),
}
