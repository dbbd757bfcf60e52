"""Level 3: chains of four or five calls, where results decide, and recovery from refusals."""

from __future__ import annotations

from tooldojo.envs.coding.bodies import Body, new_body
from tooldojo.envs.coding.scene import Scene
from tooldojo.envs.coding.simple import sketch
from tooldojo.envs.gold import Script
from tooldojo.envs.templates import Sketch

PLACES = tuple(f"{wish}_{place}" for wish in ("most", "least") for place in ("first", "last"))


def _rewrite(scene: Scene, story: Script, name: str, body: Body, why: str) -> None:
    """Set a body, test it and release the function."""
    scene.will_be(name, body)
    story.do(why, "set_body", function=name, body=body.code)
    story.do(f"The body is set; now the tests of {name}.", "run_tests", function=name)
    story.do(f"All tests pass, so I release {name}.", "release_function", function=name)


def _released(name: str) -> tuple[str, str]:
    return f"The function {name} has been released.", f"Result: released {name}"


def mend_release(scene: Scene, condition: str) -> Sketch:
    """Read a function, mend its body, test and release it."""
    body = new_body(scene.rng, condition)
    name = scene.function(should=body, broken=True)
    has = scene.now(name)
    story = Script().do(f"I read what {name} does now.", "read_function", function=name)
    _rewrite(scene, story, name, body, f"It is {has.code}; right is {body.code}.")
    return sketch({"function": name, "words": body.words}, story.close(*_released(name)))


def release_recover(scene: Scene, condition: str) -> Sketch:
    """Release a function; where its tests stop that, mend it and release it again."""
    kind, end = condition.split("_")
    body = new_body(scene.rng, kind)
    name = scene.function(should=body, broken=end == "stopped")
    fields = {"function": name, "words": body.words}
    story = Script().do(f"I try to release {name} first.", "release_function", function=name)
    if end == "stopped":
        _rewrite(scene, story, name, body, f"Its tests stop that; right is {body.code}.")
    return sketch(fields, story.close(*_released(name)))


def mend_module(scene: Scene, condition: str) -> Sketch:
    """Find the function of a module that fails its tests and mend it."""
    module, body = scene.module(), new_body(scene.rng, scene.kind())
    names = sorted([scene.name(), scene.name()])
    bad = names[condition == "second"]
    for name in names:
        should = body if name == bad else None
        scene.function(module, should, broken=name == bad, name=name)
    story = Script().do(f"I list the functions of {module}.", "list_module", module=module)
    story.do(f"Two are there; I test {names[0]}.", "run_tests", function=names[0])
    if condition == "second":
        story.do(f"It passes all; now I test {names[1]}.", "run_tests", function=names[1])
    scene.will_be(bad, body)
    why = f"{bad} fails, and {body.words} is {body.code}."
    story.do(why, "set_body", function=bad, body=body.code)
    if condition == "first":
        story.do(f"The body is set; I test {bad} again.", "run_tests", function=bad)
    done = f"{bad} is mended and passes its tests."
    fields = {"module": module, "words": body.words}
    return sketch(fields, story.close(done, f"Result: changed {bad}"))


def best_of_three(scene: Scene, condition: str) -> Sketch:
    """Release the one of three functions that gives the most or the least."""
    wish, place = condition.split("_")
    pick = max if wish == "most" else min
    while True:
        names = [scene.function() for _ in range(3)]
        a, b = scene.pair()
        values = [scene.now(name).value(a, b) for name in names]
        if len(set(values)) == 3:
            break
    best = values.index(pick(values))
    goes = 0 if place == "first" else 2
    names[goes], names[best] = names[best], names[goes]
    values[goes], values[best] = values[best], values[goes]
    story = Script().do(
        f"First of all I run {names[0]}.", "run_function", function=names[0], a=a, b=b
    )
    for index in (1, 2):
        thought = f"It gives {values[index - 1]}; now I run {names[index]}."
        story.do(thought, "run_function", function=names[index], a=a, b=b)
    why = f"It gives {values[2]}; the {wish} is {values[goes]}, so {names[goes]} goes."
    story.do(why, "release_function", function=names[goes])
    fields = {"function": names[0], "other": names[1], "third": names[2], "wish": wish}
    return sketch(fields | {"a": str(a), "b": str(b)}, story.close(*_released(names[goes])))


def copy_release(scene: Scene, condition: str) -> Sketch:
    """Give a function the body of another one, test and release it, if its tests allow that."""
    kind, end = condition.split("_")
    body = new_body(scene.rng, kind)
    source = scene.function(should=body)
    name = scene.function(should=body if end == "passes" else None, broken=True)
    story = Script().do(f"I read the body of {source} first.", "read_function", function=source)
    fields = {"function": name, "other": source}
    why = f"Its body is {body.code}, which I write to {name}."
    if end == "passes":
        _rewrite(scene, story, name, body, why)
        return sketch(fields, story.close(*_released(name)))
    scene.will_be(name, body)
    passed, count = scene.passed(name)
    if passed == count:  # its tests cannot tell: draw again
        return copy_release(scene, condition)
    story.do(why, "set_body", function=name, body=body.code)
    story.do(f"The body is set; now the tests of {name}.", "run_tests", function=name)
    done = f"It passes {passed} of {count}, so it stays a draft."
    return sketch(fields, story.close(done, f"Result: kept {passed} {name}"))


def carry_value(scene: Scene, condition: str) -> Sketch:
    """Put what one function gives into another one, and that into the body of a third."""
    rng = scene.rng
    first = scene.function(should=new_body(rng, rng.choice(("scale", "floor", "share", "gap"))))
    second = scene.function(should=new_body(rng, rng.choice(("cap", "rest", "gate"))))
    name = scene.function()
    while True:
        a, b = scene.pair()
        one = scene.now(first).value(a, b)
        two = scene.now(second).value(one, b)
        if two <= 90:
            break
    body = _with_number(condition, two)
    scene.will_be(name, body)
    story = Script().do(f"First of all I run {first}.", "run_function", function=first, a=a, b=b)
    thought = f"It gives {one}, which {second} gets as a."
    story.do(thought, "run_function", function=second, a=one, b=b)
    why = f"It gives {two}, so the body is {body.code}."
    story.do(why, "set_body", function=name, body=body.code)
    c, d = scene.telling_pair(name)
    story.do(f"The body is set; I run {name}.", "run_function", function=name, a=c, b=d)
    value = body.value(c, d)
    fields = {"function": first, "other": second, "third": name, "a": str(a), "b": str(b)}
    fields |= {"c": str(c), "d": str(d), "words": _in_words(condition)}
    return sketch(
        fields, story.close(f"For {c} and {d} it gives {value}.", f"Result: {value} {name}")
    )


def _with_number(kind: str, number: int) -> Body:
    if kind == "plus":
        code = f"a * b + {number}"
        return Body(kind, code, code, lambda a, b: a * b + number, ((0, 0),))
    if kind == "less":
        code = f"a * b - {number}"
        return Body(kind, code, code, lambda a, b: a * b - number, ((0, 0),))
    code = f"max(a, b) * {number}"
    return Body(kind, code, code, lambda a, b: max(a, b) * number, ((1, 0),))


def _in_words(kind: str) -> str:
    return {
        "plus": "a times b plus that number",
        "less": "a times b less that number",
        "times": "the larger of a and b times that number",
    }[kind]
