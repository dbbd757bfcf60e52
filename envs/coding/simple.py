"""Level 1: questions and single changes, in one or two calls, and requests without any call."""

from __future__ import annotations

from tooldojo.envs.coding.bodies import new_body, other_body
from tooldojo.envs.coding.scene import Scene
from tooldojo.envs.gold import Script
from tooldojo.envs.task import GoldTurn
from tooldojo.envs.templates import Sketch

IGNORED = ("functions.*.body",)  # any code that gives the right results will do
_THINGS = {
    "port": ("Rust", "Fortran", "a spreadsheet", "Haskell"),
    "draw": ("a flow chart", "a logo", "a diagram", "a plot"),
    "send": ("a letter to the author", "a fax", "a postcard", "an invoice"),
}
THING_KINDS = tuple(_THINGS)


def sketch(fields: dict[str, str], gold: list[GoldTurn]) -> Sketch:
    """A sketch whose final code is judged by what it computes."""
    return Sketch(fields, gold, ignore=IGNORED)


def value_of(scene: Scene, condition: str) -> Sketch:
    """What a function gives; or it does not exist."""
    name = scene.function() if condition == "known" else scene.name()
    a, b = scene.telling_pair(name) if condition == "known" else scene.pair()
    story = Script().do(f"I run {name} for {a} and {b}.", "run_function", function=name, a=a, b=b)
    if condition == "known":
        value = scene.now(name).value(a, b)
        why, line = f"For {a} and {b} it gives {value}.", f"Result: {value} {name}"
    else:
        why, line = f"There is no function {name}, so it is unknown.", f"Result: unknown {name}"
    return sketch({"function": name, "a": str(a), "b": str(b)}, story.close(why, line))


def tests_of(scene: Scene, condition: str) -> Sketch:
    """How many tests a function passes."""
    name = scene.function(broken=condition == "broken")
    passed, count = scene.passed(name)
    story = Script().do(f"I run the tests of {name}.", "run_tests", function=name)
    why = f"It passes {passed} tests of {count} in all."
    return sketch({"function": name}, story.close(why, f"Result: {passed} {name}"))


def count_module(scene: Scene, condition: str) -> Sketch:
    """How many functions of a module have a status."""
    module = scene.module()
    found = scene.rng.randint(1, 3)
    for _ in range(found):
        scene.function(module, status=condition)
    other = {"draft": "released", "released": "draft"}[condition]
    for _ in range(scene.rng.randint(0, 2)):
        scene.function(module, status=other)
    story = Script().do(f"I list the functions of {module}.", "list_module", module=module)
    why = f"The list has {found} with the status {condition}."
    fields = {"module": module, "status": condition}
    return sketch(fields, story.close(why, f"Result: {found} {module}"))


def write_body(scene: Scene, condition: str) -> Sketch:
    """Give a function the body that the request describes."""
    name, body = scene.function(), new_body(scene.rng, condition)
    scene.will_be(name, body)
    why = f"In code, {body.words} is {body.code}."
    story = Script().do(why, "set_body", function=name, body=body.code)
    done = f"The function {name} has its new body."
    fields = {"function": name, "words": body.words}
    return sketch(fields, story.close(done, f"Result: changed {name}"))


def release(scene: Scene, condition: str) -> Sketch:
    """Release a function; its tests may stop that."""
    name = scene.function(broken=condition == "broken")
    story = Script().do(f"I release {name} as asked.", "release_function", function=name)
    if condition == "broken":
        passed, _ = scene.passed(name)
        why = f"It passes only {passed} tests, so it stays a draft."
        return sketch({"function": name}, story.close(why, f"Result: kept {passed} {name}"))
    done = f"The function {name} has been released."
    return sketch({"function": name}, story.close(done, f"Result: released {name}"))


def where_is(scene: Scene, condition: str) -> Sketch:
    """The module of a function."""
    name = scene.function(status=condition)
    module = scene.functions[name]["module"]
    story = Script().do(f"I read {name} to see its module.", "read_function", function=name)
    why = f"The function {name} stands in {module}."
    return sketch({"function": name}, story.close(why, f"Result: {module} {name}"))


def unsupported(scene: Scene, condition: str) -> Sketch:
    """Something that no tool can do, perhaps under a condition; no call."""
    name, thing = _either(scene), scene.rng.choice(_THINGS[condition])
    body = new_body(scene.rng, scene.kind())
    verb = {"port": "port it to", "draw": "make", "send": "send"}[condition]
    fields = {"function": name, "deed": f"{verb} {thing}", "words": body.words}
    why = "No tool can do that, so I call nothing."
    return sketch(fields, Script().close(why, f"Result: unsupported {name}"))


def declined(scene: Scene, condition: str) -> Sketch:
    """A body with a number that the policy excludes, perhaps under a condition; no call."""
    name, other = _either(scene), _either(scene)
    body = new_body(scene.rng, condition, 91, 99)
    a, b = scene.pair()
    number = next(word for word in body.words.replace(",", "").split() if word.isdigit())
    fields = {"function": name, "words": body.words, "other": other, "a": str(a), "b": str(b)}
    fields |= {"limit": str(scene.rng.randint(20, 200)), "else": other_body(scene.rng, body).words}
    why = f"The number {number} is over 90, so I call nothing."
    return sketch(fields, Script().close(why, f"Result: refused {name}"))


def _either(scene: Scene) -> str:
    """A function that passes its tests as often as not."""
    return scene.function(broken=scene.rng.choice((True, False)))
