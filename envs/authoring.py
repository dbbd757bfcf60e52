"""`write_world`: a new world in a file of its own, complete and tested, to be changed from there.

Refuses to overwrite anything. Invariant: what it writes passes the test that it writes beside it.
"""

from __future__ import annotations

import keyword
import re
import sys
from dataclasses import dataclass
from pathlib import Path

WORLD = '''"""A parking attendant: find a car, open or close its gate."""

from random import Random

from tooldojo import Draft, ToolError, World, call, steps, tool


class {name}(World):
    """Cars stand at gates; a request names the car, a tool tells its gate."""

    system_prompt = "You work at a car park. Close with one line: Result: <gate> <open|closed>"

    @tool(mutates=False, idempotent=True)
    def find_car(self, plate: str) -> str:
        """The gate at which a car stands."""
        for gate, about in self.state["gates"].items():
            if about["car"] == plate:
                return gate
        raise ToolError(f"no car {{plate}}")

    @tool(mutates=True)
    def set_gate(self, gate: str, position: str) -> None:
        """Open or close a gate: position is open or closed."""
        if gate not in self.state["gates"]:
            raise ToolError(f"no gate {{gate}}")
        self.state["gates"][gate]["position"] = position

    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        """One random task, with the calls and the final line that solve it."""
        plates = rng.sample(range(1000, 10000), 3)
        gates = {{
            f"G{{number}}": {{"car": f"P{{plate}}", "position": rng.choice(["open", "closed"])}}
            for number, plate in zip(rng.sample(range(10, 100), 3), plates, strict=True)
        }}
        gate, about = rng.choice(list(gates.items()))
        wanted = "closed" if about["position"] == "open" else "open"
        verb = "Open" if wanted == "open" else "Close"
        gold = steps(
            call("find_car", plate=about["car"]),
            call("set_gate", gate=gate, position=wanted),
            say=f"Result: {{gate}} {{wanted}}",
        )
        return Draft(f"{{verb}} the gate of car {{about['car']}}.", {{"gates": gates}}, gold)
'''

TEST = '''"""Gymnasium accepts the world, its gold solves it, and doing nothing does not."""

from pathlib import Path

from gymnasium.utils.env_checker import check_env
from tooldojo.envs.registry import world_class
from tooldojo.envs.source import take
from tooldojo.envs.task import Split

REFERENCE = f"{{Path(__file__).with_name('{module}.py')}}:{name}"
TASKS = take([REFERENCE], Split.TRAIN, seed=0, count=20)


def test_gymnasium_accepts_it() -> None:
    check_env(world_class(REFERENCE)())


def test_gold_scores_one() -> None:
    for task in TASKS:
        assert world_class(REFERENCE)().replay_gold(task).value == 1.0, task.prompt


def test_doing_nothing_scores_zero() -> None:
    for task in TASKS:
        world = world_class(REFERENCE)()
        world.reset(options={{"task": task}})
        reward = world.step({{"calls": (), "message": ""}})[1]
        assert reward == 0.0, task.prompt
'''


@dataclass(frozen=True, slots=True)
class NewWorld:
    """What was written. reference: how commands and recipes name the world."""

    world: Path
    test: Path
    reference: str


def write_world(module: str, folder: Path) -> NewWorld:
    """Write `module`.py and test_`module`.py into a folder.

    Raises:
        ValueError: for a name that cannot be a module of its own.
        FileExistsError: when one of the files is there; then neither is written.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", module) or keyword.iskeyword(module):
        raise ValueError(
            f"{module!r} is no name for a world; take lower-case letters, digits and _, "
            "starting with a letter, for example car_park"
        )
    if module in (*sys.stdlib_module_names, "tooldojo") or module.startswith("test_"):
        raise ValueError(f"{module!r} would hide another module; take another name")
    name = "".join(word.capitalize() for word in module.split("_"))
    if re.search(rf"^from .* import .*\b{name}\b", WORLD, re.MULTILINE):
        raise ValueError(f"{module!r} makes a class {name}, which its file imports; take another")
    made = NewWorld(folder / f"{module}.py", folder / f"test_{module}.py", f"{module}.py:{name}")
    for path in (made.world, made.test):
        if path.exists():
            raise FileExistsError(17, "it exists, and nothing is overwritten", str(path))
    try:
        made.world.write_text(WORLD.format(name=name), encoding="utf-8")
        made.test.write_text(TEST.format(name=name, module=module), encoding="utf-8")
    except BaseException:  # half a world would be in the way of the next attempt
        for path in (made.world, made.test):
            path.unlink(missing_ok=True)
        raise
    return made
