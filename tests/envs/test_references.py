"""What users write in files of their own: found, loaded once, and blamed by file and line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tooldojo.envs.references import LoadError, absolute, load_function, load_reference
from tooldojo.envs.registry import loaded_from, stored_id, world_class
from tooldojo.envs.source import take
from tooldojo.envs.task import Split
from tooldojo.envs.tools import ToolSpecError
from tooldojo.envs.world import VerifierCrash, WorldCrash

HOOK = """from tooldojo import Draft, World, call, steps, tool


class NAME(World):
    @tool(mutates=True)
    def hang(self, hook: str, coat: str) -> None:
        "Hang a coat on a hook."
        self.state[hook] = coat

    @classmethod
    def draft(cls, rng, level):
        hook, coat = f"H{rng.randrange(10**6)}", f"coat {rng.randrange(10**6)}"
        gold = steps(call("hang", hook=hook, coat=coat), say=f"Result: {hook} {coat}")
        return Draft(f"Hang {coat} on {hook}.", {hook: ""}, gold)
"""


def written(folder: Path, name: str, *changes: tuple[str, str]) -> str:
    """The reference of a world in a file of its own; changes: of its text."""
    text = HOOK.replace("NAME", name)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / f"{name.lower()}.py").write_text(text)
    return f"{folder / name.lower()}.py:{name}"


def test_a_file_imports_the_file_beside_it(tmp_path: Path) -> None:
    written(tmp_path, "OakHook")
    (tmp_path / "polite.py").write_text("from oakhook import OakHook\nclass Oak(OakHook): pass\n")
    oak = world_class(f"{tmp_path}/polite.py:Oak")
    assert [base.__name__ for base in oak.__mro__[:3]] == ["Oak", "OakHook", "World"]
    assert sys.path[-1] == str(tmp_path) and sys.path.count(str(tmp_path)) == 1
    assert oak().replay_gold(take([oak.env_id], Split.TRAIN, 0, 1)[0]).value == 1.0


@pytest.mark.parametrize(
    ("text", "error", "line"),
    [
        ("class Boom:\n    pass\n\nmissing()\n", "NameError: name 'missing' is not defined", 4),
        ("def f(:\n    pass\n", "SyntaxError: invalid syntax", 1),
        ("import math\nmath.sqrt(-1)\n", "ValueError: math domain error", 2),
        ("\nraise SystemExit(3)\n", "SystemExit: 3", 2),
    ],
)
def test_a_file_that_fails_says_where_each_time(
    tmp_path: Path, text: str, error: str, line: int
) -> None:
    file = tmp_path / "boom.py"
    file.write_text(text)
    before = set(sys.modules)
    for _ in range(2):
        with pytest.raises(LoadError) as caught:
            world_class(f"{file}:Boom")
        told = f"cannot load {file}:Boom: {error} ({file}, line {line}); mend that and try again"
        assert str(caught.value) == told
    assert {name for name in set(sys.modules) - before if "boom" in name} == set()


def test_a_file_that_imports_what_is_not_there(tmp_path: Path) -> None:
    file = tmp_path / "wants.py"
    file.write_text("\nimport no_such_neighbour\n")
    with pytest.raises(LoadError) as caught:
        load_function(f"{file}:f", "a judge is one of a Question")
    assert f"'no_such_neighbour' ({file}, line 2); install 'no_such_neighbour', or" in str(
        caught.value
    )


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (":", "':' is no 'module:name' and no 'file.py:name'"),
        ("desk.py:", "'desk.py:' is no 'module:name' and no 'file.py:name'"),
        ("deep/w:A", "'deep/w:A' is no 'module:name' and no .*; did you mean 'deep/w.py:A'?"),
        ("../w:A", "'../w:A' is no 'module:name' and no 'file.py:name'$"),
        ("near:A", "no module 'near' for 'near:A'; did you mean 'near.py:A'?"),
        ("no_such.thing:A", "no module 'no_such' for 'no_such.thing:A'; install it, or name"),
        ("gone.py:A", "no file 'gone.py' in .* to load 'A' from"),
    ],
)
def test_references_that_lead_nowhere(
    reference: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here" / "deep").mkdir(parents=True)
    for name in ("deep/w.py", "near.py"):
        (tmp_path / "here" / name).touch()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(LookupError, match=message) as caught:
        load_reference(reference)
    assert type(caught.value) is LookupError


def test_where_a_world_came_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = written(tmp_path, "ElmHook")
    monkeypatch.chdir(tmp_path)
    world = world_class("elmhook.py:ElmHook")
    assert absolute("elmhook.py:ElmHook") == loaded_from(world.env_id) == full
    assert loaded_from("tooldojo/Orders-v0") is loaded_from("user/Nobody-v0") is None
    assert stored_id("gone.py:Desk?seed=3&flaky=0.20") == "user/Desk-v0?flaky=0.2&seed=3"
    assert stored_id("a/gone-v0") == "a/gone-v0"


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("AshHook", ('        "Hang a coat on a hook."\n', ""), "'hang' has no docstring; .*"),
        ("FirHook", ("coat: str", "coat"), "'hang': parameter 'coat' lacks a type hint; .*"),
        ("YewHook", ("coat: str", "coat: Coat"), "'hang': .* no JSON schema: name 'Coat' is .*"),
        ("BayHook", ("coat: str", "coat: World"), "'hang': its type hints give no JSON schema: .*"),
    ],
)
def test_a_method_that_cannot_be_a_tool(
    tmp_path: Path, name: str, change: tuple[str, str], message: str
) -> None:
    future = ("from tooldojo", "from __future__ import annotations\nfrom tooldojo")
    reference = written(tmp_path, name, change, future)
    where = rf"\({name}\.hang, {tmp_path}/{name.lower()}\.py, line 6\)$"
    with pytest.raises(ToolSpecError, match=f"(?s){message}{where}"):
        world_class(reference).tool_specs()


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            "GumHook",
            ("        hook, coat =", "        rng.choice([])\n        hook, coat ="),
            ", l",
        ),
        ("FigHook", ("steps(call(", "steps(cal("), "NameError: name 'cal' is not defined"),
        ("TeaHook", ("return Draft", "return None; Draft"), "`draft` returns a Draft, not NoneTy"),
        ("SalHook", ("def draft", "def drafts"), "SalHook has no tasks; write a classmethod draft"),
    ],
)
def test_a_draft_that_fails(
    tmp_path: Path, name: str, change: tuple[str, str], message: str
) -> None:
    world = world_class(written(tmp_path, name, change))
    with pytest.raises(WorldCrash, match=message) as caught:
        world.make_task(0, Split.TRAIN, 1, 0)
    assert type(caught.value).__name__ == "DraftError" and name in str(caught.value)
    if "returns" not in message and "has no tasks" not in message:
        line = 13 if name == "FigHook" else 12
        assert f"{name.lower()}.py, line {line}); mend that" in str(caught.value)


def test_a_crash_names_file_and_line(tmp_path: Path) -> None:
    tool = ("self.state[hook] = coat", "self.state[hook] = coat if self.proving else {}[coat]")
    world = world_class(written(tmp_path, "NutHook", tool))()
    task = world.make_task(0, Split.TRAIN, 1, 0)
    world.reset(options={"task": task})
    arguments = {"hook": "H1", "coat": "c"}
    with pytest.raises(WorldCrash, match=rf"failed: KeyError: 'c' \({tmp_path}/nuthook.py, line 8"):
        world.step({"calls": ({"name": "hang", "arguments": arguments},), "message": ""})

    verifier = (
        "class BoxHook(World):\n",
        "def fair(answer):\n    return 1 / (answer != 'x')\n\n\n"
        "class BoxHook(World):\n    verifier = Verifier((Part('fair', fair),))\n",
    )
    imports = ("from tooldojo ", "from tooldojo.verifiers.combine import Part, Verifier\nfrom tool")
    boxed = world_class(written(tmp_path, "BoxHook", verifier, (imports[0], imports[1] + "dojo ")))
    judged = boxed()
    judged.reset(options={"task": boxed.make_task(0, Split.TRAIN, 1, 0)})
    with pytest.raises(VerifierCrash, match=rf"ZeroDivisionError: .*{tmp_path}/boxhook.py, line 6"):
        judged.step({"calls": (), "message": "x"})


def test_a_crash_of_our_own_code_names_no_place() -> None:
    world = world_class("tooldojo/Orders-v0")()
    world.reset(seed=0)
    del world.state["orders"]
    with pytest.raises(WorldCrash, match=r"failed: KeyError: 'orders'$"):
        world.step({"calls": ({"name": "get_order", "arguments": {"order_id": "W1"}},)})
