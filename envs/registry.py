"""Which worlds there are: gymnasium ids of the native ones, and users' worlds loaded by reference.

A reference is a registered id (`tooldojo/Orders-v0`), `package.module:Class`, or
`path/to/file.py:Class`, and may go on with wrappers (`tooldojo/Orders-v0?flaky=0.2&seed=3`).
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import os
import re
from collections.abc import Callable
from typing import TypeVar

import gymnasium as gym

from tooldojo.envs.references import absolute, load_reference
from tooldojo.envs.world import World
from tooldojo.envs.wrappers.settings import Wrappers
from tooldojo.envs.wrappers.wrapped import wrap

W = TypeVar("W", bound=type[World])

NATIVE = {
    "tooldojo/Orders-v0": "tooldojo.envs.orders.world:Orders",
    "tooldojo/Travel-v0": "tooldojo.envs.travel.world:Travel",
    "tooldojo/Database-v0": "tooldojo.envs.database.world:Database",
    "tooldojo/Privacy-v0": "tooldojo.envs.privacy.world:Privacy",
    "tooldojo/Catalogue-v0": "tooldojo.envs.catalogue.world:Catalogue",
    "tooldojo/Office-v0": "tooldojo.envs.office.world:Office",
    "tooldojo/Home-v0": "tooldojo.envs.home.world:Home",
    "tooldojo/Dialogue-v0": "tooldojo.envs.dialogue.world:Dialogue",
    "tooldojo/Retrieval-v0": "tooldojo.envs.retrieval.world:Retrieval",
    "tooldojo/Maths-v0": "tooldojo.envs.maths.world:Maths",
    "tooldojo/Files-v0": "tooldojo.envs.files.world:Files",
    "tooldojo/Coding-v0": "tooldojo.envs.coding.world:Coding",
}
IMPORTED = {  # the module that loads the worlds of a namespace
    "reasoning_gym/": "tooldojo.envs.imported.reasoning_gym",
    "tau2/": "tooldojo.envs.imported.tau2",
    "bfcl/": "tooldojo.envs.imported.bfcl",
}
DONORS = ("tooldojo/Orders-v0", "tooldojo/Travel-v0", "tooldojo/Database-v0")  # of distractors
_classes: dict[str, type[World]] = {}
_loaded: dict[str, str] = {}  # by id, from where a user's world was loaded


def register(env_id: str) -> Callable[[W], W]:
    """Class decorator: give a world its gymnasium id, e.g. `@register("me/Lights-v0")`."""

    def add(world: W) -> W:
        world.env_id = env_id
        _classes[env_id] = world
        name = gym_id(env_id)
        if name in gym.registry:
            del gym.registry[name]  # re-import of a user's file: the newest definition counts
        gym.register(name, entry_point=world)  # pyright: ignore[reportArgumentType]
        return world

    return add


def gym_id(env_id: str) -> str:
    """The name for `gymnasium.make`, which knows no wrappers and allows fewer characters."""
    return re.sub(r"[^\w:./-]", ".", env_id)


def world_class(reference: str) -> type[World]:
    """The world class behind a reference.

    Raises:
        LookupError: when nothing is found there, with the nearest known id, and for a class whose
            name a world of another file has.
        LoadError: for a user's file that fails while it is loaded.
        ValueError: for a wrapper's value that it does not take.
    """
    if reference in _classes:
        return _classes[reference]
    plain, mark, query = reference.partition("?")
    if mark:
        return _wrapped(world_class(plain), Wrappers.parse(query))
    if reference in NATIVE:
        module, _, name = NATIVE[reference].partition(":")
        return getattr(importlib.import_module(module), name)
    for namespace, module in IMPORTED.items():
        if reference.startswith(namespace):
            return register(reference)(importlib.import_module(module).load(reference))
    if ":" not in reference:
        near = difflib.get_close_matches(reference, [*NATIVE, *_classes], 1, 0.3)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise LookupError(
            f"no world {reference!r}{hint} Use an id, 'module:Class' or 'file.py:Class'."
        )
    found, (place, _, name) = load_reference(reference), reference.rpartition(":")
    if not (isinstance(found, type) and issubclass(found, World)):
        raise LookupError(f"{place} has no World named {name!r}")
    if "env_id" not in vars(found):  # a base's id stands for the base
        _register_user(found, name)
    _loaded[found.env_id] = absolute(reference)
    return found


def _register_user(found: type[World], name: str) -> None:
    """Give a user's world an id; of a file that was moved or loaded again the newest counts."""
    env_id = f"user/{name}-v0"
    place, other = _place(found), _place(_classes.get(env_id, found))
    if place != other and os.path.exists(other):
        raise LookupError(f"{other} and {place} both have a World named {name!r}; rename one class")
    register(env_id)(found)


def _place(world: type[World]) -> str:
    """The file of a class; its module where there is no file."""
    try:
        return os.path.realpath(inspect.getfile(world))
    except (TypeError, OSError):
        return world.__module__


def stored_id(reference: str) -> str:
    """The id in the tasks of a reference; where its world is gone, the one that it had if its class
    names none itself.
    """
    try:
        return world_class(reference).env_id
    except (LookupError, ImportError):
        plain, _, query = reference.partition("?")
        _, colon, name = plain.rpartition(":")
        wrappers = str(Wrappers.parse(query))
        return f"user/{name}-v0" + (wrappers and f"?{wrappers}") if colon else reference


def is_known(env_id: str) -> bool:
    """Whether this process can build a world from its id alone, which has no wrappers."""
    return env_id in _classes or env_id in NATIVE or env_id.startswith(tuple(IMPORTED))


def loaded_from(env_id: str) -> str | None:
    """The reference from which a user's world was loaded, for a process in another folder; None for
    a world that was not loaded by reference.
    """
    return None if env_id in NATIVE else _loaded.get(env_id)


def _wrapped(base: type[World], wrappers: Wrappers) -> type[World]:
    if not str(wrappers):
        return base
    env_id = f"{base.env_id}?{wrappers}"
    if env_id not in _classes:
        wanted = DONORS if wrappers.distractors else ()
        donors = [world_class(each) for each in wanted if each != base.env_id]
        register(env_id)(wrap(base, wrappers, donors))
    return _classes[env_id]


def _register_native() -> None:
    for env_id, entry_point in NATIVE.items():
        if env_id not in gym.registry:
            gym.register(env_id, entry_point=entry_point)


_register_native()
