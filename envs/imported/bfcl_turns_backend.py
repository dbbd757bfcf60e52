"""The API classes of BFCL's multi-turn categories in the outside process, called by name.

Runs under `worker.py` and imports nothing of this package. Nothing that a model or a file wrote is
evaluated: arguments come as JSON, and reference calls are read as literals. A state is by attribute
what differs from the scenario, private ones and generators included. Invariant: each request begins
from the state that it names, whatever was asked before.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import random
import signal
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

PLACE = "bfcl_eval.eval_checker.multi_turn_eval.func_source_code"
SECONDS = 5.0  # of processor time for one call, so that a busy machine decides nothing


class Backend:
    """classes: by API class, the file that it stands in."""

    def __init__(self, classes: dict[str, str]) -> None:
        self._classes = classes
        signal.signal(signal.SIGVTALRM, _too_long)

    def answer(self, classes: list[str], turns: list[list[str]]) -> list[list[dict]]:
        """Reference calls as {api, name, arguments}, by user turn.

        Raises:
            ValueError: for a text that is no call of a function of `classes` with literals.
        """
        kinds = {api: self._class(api) for api in classes}
        return [[_read(text, kinds) for text in turn] for turn in turns]

    def call(
        self, scenario: dict[str, Any], api: str, state: dict, name: str, arguments: dict[str, Any]
    ) -> dict[str, Any]:
        """A call's result as the benchmark writes it, whether it is an error, the state after."""
        instance = self._instance(scenario, api, state)
        text, failed = _run(instance, name, arguments)
        return {"text": text, "error": failed, "state": self._changes(scenario, api, instance)}

    def compare(
        self, scenario: dict[str, Any], made: list[list[dict]], wanted: list[list[dict]]
    ) -> list[dict[str, Any]]:
        """By user turn of `wanted`: what its calls return, and the attributes that differ after it
        and after that of `made`, where there is one. Calls are {api, name, arguments}.
        """
        mine, found = self._played(scenario, made), []
        for number, (instances, results) in enumerate(self._played(scenario, wanted)):
            differs = _differences(next(mine)[0], instances) if number < len(made) else []
            found.append({"results": results, "differs": differs})
        return found

    def _played(
        self, scenario: dict[str, Any], turns: list[list[dict]]
    ) -> Iterator[tuple[dict[str, Any], list[str]]]:
        instances = {api: self._instance(scenario, api, {}) for api in scenario["classes"]}
        for turn in turns:
            results = [
                _run(instances[each["api"]], each["name"], each["arguments"])[0] for each in turn
            ]
            yield instances, results

    def _class(self, api: str) -> type:
        return getattr(importlib.import_module(f"{PLACE}.{self._classes[api]}"), api)

    def _instance(self, scenario: dict[str, Any], api: str, state: dict[str, Any]) -> Any:
        kind = self._class(api)
        made = object.__new__(kind)
        whole = {**self._shipped(scenario, api)[0], **state}
        vars(made).update(_decoded(whole, (), {}, importlib.import_module(kind.__module__)))
        return made

    def _changes(self, scenario: dict[str, Any], api: str, instance: Any) -> dict[str, Any]:
        texts, now = self._shipped(scenario, api)[1], _encoded(vars(instance), (), {})
        return {name: each for name, each in now.items() if texts.get(name) != json.dumps(each)}

    def _shipped(self, scenario: dict[str, Any], api: str) -> tuple[dict[str, Any], dict[str, str]]:
        config = json.dumps(scenario["config"].get(api, {}))
        return _shipped(self._class(api), config, bool(scenario["long_context"]))


@lru_cache(maxsize=64)
def _shipped(kind: type, config: str, long_context: bool) -> tuple[dict[str, Any], dict[str, str]]:
    """What an instance holds at the start of a scenario: by attribute, and the same as JSON text,
    for comparing, where 1 and True differ.
    """
    instance: Any = kind()
    if hasattr(instance, "_load_scenario"):  # one class has no state
        instance._load_scenario(json.loads(config), long_context=long_context)
    found = _encoded(vars(instance), (), {})
    return found, {name: json.dumps(each) for name, each in found.items()}


def _run(instance: Any, name: str, arguments: dict[str, Any]) -> tuple[str, bool]:
    """The benchmark's text of a result, and whether it tells of an error."""
    if name.startswith("_"):
        raise LookupError(f"no function {name!r}")
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        result = getattr(instance, name)(**arguments)
        if isinstance(result, dict) and "error" in result:
            return str(result["error"]), True
        return _text(result), False
    except Exception as error:
        return f"Error during execution: {error}", True
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _text(result: Any) -> str:
    if isinstance(result, dict):
        try:
            return json.dumps(result)
        except (TypeError, ValueError):
            return str(result)
    return result if isinstance(result, str) else str(result)


def _too_long(*_: object) -> None:
    raise TimeoutError(f"no result within {SECONDS:g} s")


def _read(text: str, kinds: dict[str, type]) -> dict[str, Any]:
    """`name(1, key='x')` as {api, name, arguments}; positions are named by the signature."""
    call = ast.parse(text.strip(), mode="eval").body
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
        raise ValueError(f"no call of a function: {text!r}")
    name = call.func.id
    api = next((api for api, kind in kinds.items() if hasattr(kind, name)), None)
    if api is None or name.startswith("_"):
        raise ValueError(f"no function of {', '.join(kinds)}: {text!r}")
    given = [ast.literal_eval(each) for each in call.args]
    named = {str(each.arg): ast.literal_eval(each.value) for each in call.keywords}
    bound = inspect.signature(getattr(kinds[api], name)).bind(None, *given, **named)
    return {"api": api, "name": name, "arguments": dict(list(bound.arguments.items())[1:])}


def _differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """The public attributes that differ, as Python compares them."""
    return [
        f"{api}.{name}"
        for api, instance in other.items()
        for name, value in vars(instance).items()
        if not name.startswith("_") and getattr(one[api], name) != value
    ]


# Objects as JSON: containers as they are, a second way to the same one as `{"!same": path}`


def _encoded(value: Any, path: tuple, seen: dict[int, tuple]) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        finite = value - value == 0
        return value if finite else {"!float": repr(value)}
    if id(value) in seen:
        return {"!same": list(seen[id(value)])}
    seen[id(value)] = path
    if isinstance(value, list):
        return [_encoded(each, (*path, n), seen) for n, each in enumerate(value)]
    if isinstance(value, dict):
        if all(isinstance(key, str) and not key.startswith("!") for key in value):
            return {key: _encoded(each, (*path, key), seen) for key, each in value.items()}
        pairs = enumerate(value.items())
        return {"!dict": [[key, _encoded(each, (*path, n), seen)] for n, (key, each) in pairs]}
    if isinstance(value, set):
        return {"!set": sorted(value)}
    if isinstance(value, random.Random):
        version, words, gauss = value.getstate()
        return {"!random": [version, "".join(f"{word:08x}" for word in words), gauss]}
    return {"!object": type(value).__name__, **_attributes(value, path, seen)}


def _attributes(value: Any, path: tuple, seen: dict[int, tuple]) -> dict[str, Any]:
    """What an object of the benchmark holds, but for the clock's time in `_last_modified`."""
    kept = {k: v for k, v in vars(value).items() if k != "_last_modified"}
    return {name: _encoded(each, (*path, name), seen) for name, each in kept.items()}


def _decoded(value: Any, path: tuple, made: dict[tuple, Any], module: Any) -> Any:
    if isinstance(value, list):
        row = made[path] = []
        row += [_decoded(each, (*path, n), made, module) for n, each in enumerate(value)]
        return row
    if not isinstance(value, dict):
        return value
    tag = next((key for key in value if key.startswith("!")), "")
    if not tag:
        table = made[path] = {}
        for key, each in value.items():
            table[key] = _decoded(each, (*path, key), made, module)
        return table
    if tag == "!object":
        kind = getattr(module, value[tag])
        thing = made[path] = object.__new__(kind)
        for name, each in value.items():
            if name != tag:
                setattr(thing, name, _decoded(each, (*path, name), made, module))
        return thing
    return _untagged(tag, value[tag], path, made, module)


def _untagged(tag: str, inside: Any, path: tuple, made: dict[tuple, Any], module: Any) -> Any:
    if tag == "!same":
        return made[tuple(inside)]
    if tag == "!dict":
        table = made[path] = {}
        for n, (key, each) in enumerate(inside):
            table[key] = _decoded(each, (*path, n), made, module)
        return table
    if tag == "!set":
        return set(inside)
    if tag == "!float":
        return float(inside)
    version, words, gauss = inside
    generator = random.Random()
    state = tuple(int(words[at : at + 8], 16) for at in range(0, len(words), 8))
    generator.setstate((version, state, gauss))
    return generator
