"""The architecture, checked on the source: who may import whom, and what must stay light.

training -> rollouts -> envs -> verifiers, and configs beside them as a leaf.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAY_IMPORT = {
    "configs": set(),
    "verifiers": set(),
    "envs": {"verifiers", "configs"},
    "rollouts": {"envs", "verifiers", "configs"},
    "training": {"rollouts", "envs", "verifiers", "configs"},
}
LIGHT = ("configs", "verifiers", "envs")
HEAVY = {"accelerate", "datasets", "peft", "ray", "torch", "transformers", "trl", "vllm"}
CONFIGS_MAY_USE = {"annotated_types", "pydantic", "pydantic_core", "tomli_w", "typing_extensions"}


@dataclass(frozen=True)
class Import:
    """An imported name, dotted and absolute; `at_load` when loading the module runs it."""

    path: Path
    line: int
    name: str
    at_load: bool

    @property
    def top(self) -> str:
        return self.name.split(".")[0]

    @property
    def layer(self) -> str | None:
        """The layer of this project that it reaches into."""
        package, _, rest = self.name.partition(".")
        inside = rest.split(".")[0]
        return inside if package == "tooldojo" and inside in MAY_IMPORT else None

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line} imports {self.name}"


def names_in(node: ast.Import | ast.ImportFrom, package: list[str]) -> list[str]:
    """Absolute dotted names; `from a import b` gives a.b, for b may be a module."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    base = package[: len(package) - node.level + 1] if node.level else []
    start = [*base, *(node.module.split(".") if node.module else [])]
    return [".".join([*start, alias.name]) for alias in node.names]


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def walk(node: ast.AST, at_load: bool) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    for child in ast.iter_child_nodes(node):
        deferred = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, at_load
        elif isinstance(child, ast.If) and is_type_checking(child):
            for part in child.body:
                yield from walk(ast.Module([part], []), False)
            for part in child.orelse:
                yield from walk(ast.Module([part], []), at_load)
        else:
            yield from walk(child, at_load and not deferred)


def imports_of(source: str, path: Path, package: list[str]) -> list[Import]:
    return [
        Import(path, node.lineno, name, at_load)
        for node, at_load in walk(ast.parse(source), True)
        for name in names_in(node, package)
    ]


def modules(layer: str) -> list[Path]:
    return sorted(p for p in (ROOT / layer).rglob("*.py") if "__pycache__" not in p.parts)


@cache
def imports(layer: str) -> list[Import]:
    found = []
    for path in modules(layer):
        package = ["tooldojo", *path.relative_to(ROOT).parent.parts]
        found += imports_of(path.read_text(encoding="utf-8"), path, package)
    return found


def listed(bad: list[Import]) -> str:
    return "\n".join(map(str, bad))


@pytest.mark.parametrize("layer", MAY_IMPORT)
def test_imports_point_down(layer: str) -> None:
    allowed = MAY_IMPORT[layer] | {layer, None}
    assert not listed([i for i in imports(layer) if i.layer not in allowed])


@pytest.mark.parametrize("layer", LIGHT)
def test_light_layers_load_nothing_heavy(layer: str) -> None:
    assert not listed([i for i in imports(layer) if i.at_load and i.top in HEAVY])


def test_configs_use_pydantic_only() -> None:
    known = CONFIGS_MAY_USE | sys.stdlib_module_names | {"tooldojo"}
    assert not listed([i for i in imports("configs") if i.top not in known])


def test_verifiers_never_see_an_env() -> None:
    assert not listed([i for i in imports("verifiers") if i.top == "gymnasium"])


@pytest.mark.parametrize("layer", MAY_IMPORT)
def test_no_bare_import(layer: str) -> None:
    assert not listed([i for i in imports(layer) if i.top in MAY_IMPORT])


@pytest.mark.parametrize("layer", MAY_IMPORT)
def test_no_init_in_the_folder_itself(layer: str) -> None:
    """A root `verifiers/__init__.py` would shadow another project's package of that name."""
    assert not (ROOT / layer / "__init__.py").exists()


@pytest.mark.parametrize("layer", MAY_IMPORT)
def test_no_module_named_like_a_standard_one(layer: str) -> None:
    inside = [p.relative_to(ROOT / layer) for p in modules(layer)]
    names = {part.removesuffix(".py") for path in inside for part in path.parts}
    assert not names & sys.stdlib_module_names


@pytest.mark.parametrize("layer", MAY_IMPORT)
def test_link_leads_to_the_folder(layer: str) -> None:
    link = ROOT / "src" / "tooldojo" / layer
    assert str(link.readlink()) == f"../../{layer}"


def test_light_layers_run_without_heavy_packages() -> None:
    """Import all of them in a fresh process: what they import in turn counts too."""
    names = [
        ".".join(["tooldojo", *path.relative_to(ROOT).with_suffix("").parts])
        for layer in LIGHT
        for path in modules(layer)
        if path.name != "__main__.py"
    ]
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}:\n"
        "    importlib.import_module(name.removesuffix('.__init__'))\n"
        f"    heavy = {HEAVY!r} & set(sys.modules)\n"
        "    assert not heavy, f'{name} loads {heavy}'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_reader_of_imports() -> None:
    source = """
from __future__ import annotations
import torch.nn as nn
from . import near
from ..envs.tools import tool
from tooldojo import rollouts
if TYPE_CHECKING:
    import ray
else:
    import peft
try:
    import trl
except ImportError:
    pass
class A:
    import vllm
    def method(self):
        import transformers
"""
    found = imports_of(source, ROOT / "envs/worlds/x.py", ["tooldojo", "verifiers"])
    assert [(i.name, i.layer, i.at_load) for i in found] == [
        ("__future__.annotations", None, True),
        ("torch.nn", None, True),
        ("tooldojo.verifiers.near", "verifiers", True),
        ("tooldojo.envs.tools.tool", "envs", True),
        ("tooldojo.rollouts", "rollouts", True),
        ("ray", None, False),
        ("peft", None, True),
        ("trl", None, True),
        ("vllm", None, True),
        ("transformers", None, False),
    ]
