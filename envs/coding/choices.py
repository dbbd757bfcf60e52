"""Level 2: one decision, by tests, values or what stands in another function."""

from __future__ import annotations

from tooldojo.envs.coding.bodies import new_body
from tooldojo.envs.coding.scene import Scene
from tooldojo.envs.coding.simple import sketch
from tooldojo.envs.gold import Script
from tooldojo.envs.templates import Sketch


def mend(scene: Scene, condition: str) -> Sketch:
    """Give a function its right body if its tests fail, and see that they pass."""
    kind, end = condition.split("_")
    body = new_body(scene.rng, kind)
    name = scene.function(should=body, broken=end == "broken")
    fields = {"function": name, "words": body.words}
    passed, count = scene.passed(name)
    story = Script().do(f"First I run the tests of {name}.", "run_tests", function=name)
    if end == "fine":
        why = f"All {count} tests pass, so nothing is to be mended."
        return sketch(fields, story.close(why, f"Result: kept {passed} {name}"))
    scene.will_be(name, body)
    why = f"It fails, and {body.words} is {body.code}."
    story.do(why, "set_body", function=name, body=body.code)
    story.do(f"The body is set; now the tests of {name} again.", "run_tests", function=name)
    return sketch(fields, story.close(f"All {count} tests pass now.", f"Result: changed {name}"))


def release_if(scene: Scene, condition: str) -> Sketch:
    """Release a function if it gives more than a limit."""
    name, (a, b) = scene.function(), scene.pair()
    value = scene.now(name).value(a, b)
    step = scene.rng.randint(1, 9)
    limit = value - step if condition == "above" else value + scene.rng.choice((0, step))
    fields = {"function": name, "a": str(a), "b": str(b), "limit": str(limit)}
    story = Script().do(f"I run {name} for {a} and {b}.", "run_function", function=name, a=a, b=b)
    if condition == "below":
        why = f"It gives {value}, not above {limit}; how many tests pass?"
        story.do(why, "run_tests", function=name)
        passed, _ = scene.passed(name)
        why = f"It stays a draft; {passed} tests pass."
        return sketch(fields, story.close(why, f"Result: kept {passed} {name}"))
    why = f"It gives {value}, above {limit}, so I release it."
    story.do(why, "release_function", function=name)
    return sketch(
        fields, story.close(f"The function {name} has been released.", f"Result: released {name}")
    )


def larger(scene: Scene, condition: str) -> Sketch:
    """Which of two functions gives more."""
    while True:
        first, second, (a, b) = scene.function(), scene.function(), scene.pair()
        values = [scene.now(name).value(a, b) for name in (first, second)]
        if len({*values, a, b}) == 4:  # else the request names a value
            break
    if (values[0] > values[1]) != (condition == "first"):
        first, second, values = second, first, values[::-1]
    story = Script().do(f"First of all I run {first}.", "run_function", function=first, a=a, b=b)
    thought = f"It gives {values[0]}; now I run {second}."
    story.do(thought, "run_function", function=second, a=a, b=b)
    name, value = (first, values[0]) if condition == "first" else (second, values[1])
    why = f"It gives {values[1]}, so {name} gives more: {value}."
    fields = {"function": first, "other": second, "a": str(a), "b": str(b)}
    return sketch(fields, story.close(why, f"Result: {value} {name}"))


def copy_body(scene: Scene, condition: str) -> Sketch:
    """Give a function the body of another one."""
    source, name = scene.function(should=new_body(scene.rng, condition)), scene.function()
    body = scene.now(source)
    scene.will_be(name, body)
    story = Script().do(f"I read the body of {source} first.", "read_function", function=source)
    why = f"Its body is {body.code}, which I write to {name}."
    story.do(why, "set_body", function=name, body=body.code)
    done = f"{name} computes the same as {source} now."
    fields = {"function": name, "other": source}
    return sketch(fields, story.close(done, f"Result: changed {name}"))


def only_draft(scene: Scene, condition: str) -> Sketch:
    """Write a body for the only draft of a module."""
    module, body = scene.module(), new_body(scene.rng, condition)
    for _ in range(scene.rng.randint(1, 2)):
        scene.function(module, status="released")
    name = scene.function(module)
    scene.will_be(name, body)
    story = Script().do(f"I look for the draft of {module}.", "list_module", module=module)
    why = f"{name} is the draft, and its body is {body.code}."
    story.do(why, "set_body", function=name, body=body.code)
    done = f"The draft {name} has its new body."
    fields = {"module": module, "words": body.words}
    return sketch(fields, story.close(done, f"Result: changed {name}"))


def either_body(scene: Scene, condition: str) -> Sketch:
    """One of two bodies, by whether the tests of another function pass."""
    name = scene.function()
    tested = scene.function(broken=condition == "fails")
    bodies = [new_body(scene.rng, scene.kind()) for _ in range(2)]
    body = bodies[condition == "fails"]
    scene.will_be(name, body)
    passed, count = scene.passed(tested)
    story = Script().do(f"The body depends on the tests of {tested}.", "run_tests", function=tested)
    why = f"It passes {passed} of {count}, so I write {body.code}."
    story.do(why, "set_body", function=name, body=body.code)
    done = f"The function {name} has its new body."
    fields = {"function": name, "other": tested}
    fields |= {"words": bodies[0].words, "else": bodies[1].words}
    return sketch(fields, story.close(done, f"Result: changed {name}"))
