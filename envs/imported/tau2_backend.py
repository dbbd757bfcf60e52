"""tau2-bench in the outside process: its tools, databases and checks, from a user's checkout.

Runs under `worker.py` and imports nothing of this package, nor tau2's own `__init__`, which would
load every model client. A state is what differs from the shipped databases, record by record.
Invariant: each request begins from the state that it names, whatever was asked before.
"""

from __future__ import annotations

import importlib
import json
import sys
import tomllib
import types
from pathlib import Path
from typing import Any

JUDGED = "NL_ASSERTION"  # needs a language model as judge
KNOWN = {"DB", "ENV_ASSERTION", "ACTION", "COMMUNICATE", JUDGED}


class Backend:
    """One domain: retail, or telecom in solo mode, where the agent has the user's tools as well."""

    def __init__(self, checkout: str, domain: str) -> None:
        root = Path(checkout) / "src" / "tau2"
        if not (root / "environment" / "environment.py").is_file():
            raise FileNotFoundError(f"{checkout} is no checkout of tau2-bench: no src/tau2")
        _stand_in("tau2", __path__=[str(root)])
        _stand_in("deepdiff", DeepDiff=None)
        _stand_in("dotenv", load_dotenv=lambda *_: True)
        _stand_in("toml", load=lambda file: tomllib.loads(file.read()), dump=None)
        importlib.import_module("loguru").logger.remove()
        module = importlib.import_module(f"tau2.domains.{domain}.environment")
        self._solo = domain == "telecom"
        self._live, self._pristine = (module.get_environment(solo_mode=self._solo) for _ in "ab")
        self._message = importlib.import_module("tau2.data_model.message")
        self._tasks = {task.id: task for task in _tasks(module, domain)}
        self._splits = module.get_tasks_split() or {}
        self._golds: dict[str, dict] = {}
        self._now: dict[str, Any] | None = self._state()  # None: to be looked for

    def policy(self) -> str:
        """The domain's rules for the agent."""
        return self._live.get_policy()

    def tools(self) -> list[dict[str, Any]]:
        """OpenAI-style function schemas, each with `mutates`."""
        found = list(self._live.get_tools())
        found += self._live.get_user_tools() if self._solo else []
        return [
            {**tool.openai_schema["function"], "mutates": self._mutates(tool.name)}
            for tool in found
        ]

    def tasks(self) -> list[dict[str, Any]]:
        """What a world needs to know of each task, in the benchmark's order."""
        return [self._about(task) for task in self._tasks.values()]

    def begin(self, task: str) -> dict[str, Any]:
        """The state at a task's start."""
        self._go_to({})
        initial = self._tasks[task].initial_state
        self._now = None
        self._live.set_state(
            initial and initial.initialization_data,
            initial and initial.initialization_actions,
            [],
        )
        return self._noted()

    def call(self, state: dict[str, Any], name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """A tool's result as the agent reads it, whether it is an error, and the state after."""
        self._go_to(state)
        reads = not self._solo and not self._mutates(name)  # solo: reading also syncs the two
        self._now = state if reads else None
        said = self._message.ToolCall(
            id="call", name=name, arguments=arguments, requestor="assistant"
        )
        got = self._live.get_response(said)
        text = got.content if isinstance(got.content, str) else json.dumps(got.content)
        return {"text": text, "error": bool(got.error), "state": self._noted()}

    def score(
        self, task: str, state: dict[str, Any], calls: list[dict[str, Any]], said: list[str]
    ) -> dict[str, float]:
        """The benchmark's checks by name, each 0 or 1; those of its reward basis alone.

        Raises:
            ValueError: for a check that needs a judge, or one that is not known.
        """
        criteria = self._tasks[task].evaluation_criteria
        checks = {
            "DB": lambda: state == self._gold_state(task),
            "ENV_ASSERTION": lambda: self._assertions_hold(task, state),
            "ACTION": lambda: self._actions_made(task, calls),
            "COMMUNICATE": lambda: _told(criteria.communicate_info or [], said),
            JUDGED: lambda: self._without_judge(task),
        }
        basis = [kind.value for kind in criteria.reward_basis]
        if not basis or set(basis) - KNOWN:
            raise ValueError(f"{task}: no rule for the reward basis {basis}")
        return {name: float(checks[name]()) for name in basis}

    # Tasks

    def _about(self, task: Any) -> dict[str, Any]:
        wanted, asked = task.evaluation_criteria, task.user_scenario.instructions
        return {
            "id": task.id,
            "prompt": task.ticket if self._solo else _request(asked),
            "split": next((s for s in ("train", "test") if task.id in self._splits.get(s, ())), ""),
            "gold": [{"name": a.name, "arguments": a.arguments} for a in wanted.actions or []],
            "said": [*(wanted.communicate_info or [])],
            "judged": JUDGED in [k.value for k in wanted.reward_basis]
            and bool(wanted.nl_assertions),
        }

    def _without_judge(self, task: str) -> bool:
        if self._tasks[task].evaluation_criteria.nl_assertions:
            raise ValueError(f"{task}: needs a judge")
        return True

    def _gold_state(self, task: str) -> dict[str, Any]:
        """Where the reference actions lead; one that fails leaves what it did, as in tau2."""
        if task not in self._golds:
            state = self.begin(task)
            for action in self._tasks[task].evaluation_criteria.actions or []:
                state = self.call(state, action.name, action.arguments)["state"]
            self._golds[task] = state
        return self._golds[task]

    def _assertions_hold(self, task: str, state: dict[str, Any]) -> bool:
        self._go_to(state)
        self._now = None
        wanted = self._tasks[task].evaluation_criteria.env_assertions or []
        return all([self._live.run_env_assertion(a, raise_assertion_error=False) for a in wanted])

    def _actions_made(self, task: str, calls: list[dict[str, Any]]) -> bool:
        made = [self._message.ToolCall(id="call", requestor="assistant", **call) for call in calls]
        wanted = self._tasks[task].evaluation_criteria.actions or []
        return all(any(action.compare_with_tool_call(call) for call in made) for action in wanted)

    # State

    def _mutates(self, name: str) -> bool:
        kits = [self._live.tools, self._live.user_tools]
        return any(kit and kit.has_tool(name) and kit.tool_mutates_state(name) for kit in kits)

    def _kits(self) -> list[tuple[str, Any, Any]]:
        pairs = [("agent", self._live.tools, self._pristine.tools)]
        pairs += [("user", self._live.user_tools, self._pristine.user_tools)]
        return [each for each in pairs if each[1] is not None and each[1].db is not None]

    def _noted(self) -> dict[str, Any]:
        """The state, kept so that the next request need not look for it."""
        if self._now is None:
            self._now = self._state()
        return self._now

    def _state(self) -> dict[str, Any]:
        found = {name: _changes(live.db, shipped.db) for name, live, shipped in self._kits()}
        return json.loads(json.dumps(found))

    def _go_to(self, state: dict[str, Any]) -> None:
        now = self._noted()
        if state == now:
            return
        self._now = None
        for name, live, shipped in self._kits():
            _go_to(live.db, shipped.db, now.get(name, {}), state.get(name, {}))
        self._now = state


def _changes(live: Any, shipped: Any) -> dict[str, Any]:
    """By field what differs from the shipped database; in tables by record, None for a lost one."""
    found: dict[str, Any] = {}
    for field in type(shipped).model_fields:
        now, before = getattr(live, field), getattr(shipped, field)
        if isinstance(before, dict):
            keys = [k for k in {**before, **now} if now.get(k) != before.get(k)]
            changed = {key: _plain(now[key]) if key in now else None for key in keys}
            if changed:
                found[field] = changed
        elif now != before:
            found[field] = _plain(now)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else value


def _go_to(live: Any, shipped: Any, now: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Give the live database records of its own wherever it differs or shall differ."""
    adapter = importlib.import_module("pydantic").TypeAdapter
    for field, about in type(shipped).model_fields.items():
        if field not in now and field not in wanted:
            continue
        before, kind = getattr(shipped, field), adapter(about.annotation)
        if not isinstance(before, dict):
            setattr(live, field, kind.validate_python(wanted.get(field, _plain(before))))
            continue
        table, changed = getattr(live, field), wanted.get(field, {})
        for key in {**now.get(field, {}), **changed}:
            record = changed.get(key, _plain(before.get(key)))
            table.pop(key, None)
            if record is not None:
                table.update(kind.validate_python({key: record}))


def _told(wanted: list[str], said: list[str]) -> bool:
    """tau2's rule: as a substring of a message, in small letters, commas of the message aside."""
    return all(any(w.lower() in s.lower().replace(",", "") for s in said) for w in wanted)


def _request(asked: Any) -> str:
    if isinstance(asked, str):
        return asked
    parts = (asked.reason_for_call, asked.known_info, asked.unknown_info, asked.task_instructions)
    return "\n\n".join(part for part in parts if part)


def _tasks(module: Any, domain: str) -> list[Any]:
    """The base tasks; telecom's small set where a partial checkout lacks the base file."""
    if domain != "telecom":
        return module.get_tasks()
    path = Path(module.TELECOM_TASK_SET_PATH)
    small = path.with_name("tasks_small.json")
    return module.get_tasks() if path.is_file() else module.load_tasks(str(small))


def _stand_in(name: str, **contents: Any) -> None:
    module = types.ModuleType(name)
    for key, value in contents.items():
        setattr(module, key, value)
    sys.modules[name] = module
