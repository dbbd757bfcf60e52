"""tau2-bench's domains as worlds, on a small checkout of the same form that the tests write."""

# pyright: reportMissingImports=false
from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tooldojo.envs.gates.check import check_world
from tooldojo.envs.imported import tau2
from tooldojo.envs.registry import register, world_class
from tooldojo.envs.source import take
from tooldojo.envs.task import Split, Task
from tooldojo.envs.verdict import Audit
from tooldojo.envs.world import World

RETAIL = "tau2/retail-v0"
MESSAGE = """
from pydantic import BaseModel


class ToolCall(BaseModel):
    id: str
    name: str
    arguments: dict
    requestor: str


class ToolMessage(BaseModel):
    content: str | None
    error: bool
"""
DOMAIN = '''
import json
from enum import Enum
from types import SimpleNamespace as Some

from pydantic import BaseModel
from tau2.data_model.message import ToolMessage
from tau2.utils import DeepDiff, load_dotenv

TOOLS = {"find_order": False, "cancel_order": True, "swap_items": True}


class Order(BaseModel):
    status: str
    items: list[str]


class Db(BaseModel):
    orders: dict[str, Order]
    closed: list[str] = []


class Kit:
    def __init__(self):
        orders = {f"W{n}": Order(status="open", items=["a", "b", "c"]) for n in range(40)}
        self.db = Db(orders=orders)

    def has_tool(self, name):
        return name in TOOLS

    def tool_mutates_state(self, name):
        return TOOLS[name]

    def find_order(self, order_id):
        return self.db.orders[order_id].model_dump_json()

    def cancel_order(self, order_id):
        order = self.db.orders[order_id]
        if order.status != "open":
            raise ValueError("Order is not open")
        order.status = "cancelled"
        self.db.closed.append(order_id)
        return "cancelled"

    def swap_items(self, order_id, old, new):
        """Its fault: only the last of the new items is taken."""
        items = self.db.orders[order_id].items
        for each in old:
            items[items.index(each)] = new[-1]
        return json.dumps(items)


class Tool:
    def __init__(self, name, properties):
        self.name = name
        parameters = {"type": "object", "properties": properties, "required": list(properties)}
        about = {"name": name, "description": f"{name}.", "parameters": parameters}
        self.openai_schema = {"type": "function", "function": about}


class Environment:
    def __init__(self):
        self.tools, self.user_tools = Kit(), None

    def get_policy(self):
        return "Cancel what is open."

    def get_tools(self):
        text, texts = {"type": "string"}, {"type": "array", "items": {"type": "string"}}
        one = {"order_id": text}
        return [
            Tool("find_order", one),
            Tool("cancel_order", one),
            Tool("swap_items", {**one, "old": texts, "new": texts}),
        ]

    def set_state(self, data, actions, messages):
        for name, arguments in actions or []:
            getattr(self.tools, name)(**arguments)

    def get_response(self, call):
        try:
            text = getattr(self.tools, call.name)(**call.arguments)
            return ToolMessage(content=text, error=False)
        except Exception as error:
            return ToolMessage(content=f"Error: {error}", error=True)


def get_environment(solo_mode=False):
    return Environment()


class Kind(Enum):
    DB = "DB"
    TOLD = "COMMUNICATE"
    NL = "NL_ASSERTION"


def task(number, actions, initial=None, told=(), judged=()):
    criteria = Some(
        actions=[Some(name=n, arguments=a, requestor="assistant") for n, a in actions],
        env_assertions=None,
        communicate_info=list(told),
        nl_assertions=list(judged),
        reward_basis=[Kind.DB, Kind.TOLD, Kind.NL],
    )
    state = Some(initialization_data=None, initialization_actions=initial)
    asked = Some(reason_for_call=f"Request {number}.", known_info="I am Ann.", unknown_info=None,
                 task_instructions="Be kind.")
    scenario = Some(instructions=asked)
    return Some(id=str(number), evaluation_criteria=criteria, initial_state=state,
                user_scenario=scenario, ticket=None)


def get_tasks():
    before = [("cancel_order", {"order_id": "W39"})]
    names = ("find_order", "cancel_order")
    cancel = [task(n, [(name, {"order_id": f"W{n}"}) for name in names], initial=before)
              for n in range(20)]
    swap = {"order_id": "W20", "old": ["a", "b"], "new": ["x", "y"]}
    raising = [*before, ("cancel_order", {"order_id": "W21"})]
    return [
        *cancel,
        task(20, [("swap_items", swap)], told=["total 12"]),
        task(21, raising, initial=before),
        task(22, [("find_order", {"order_id": "W22"})]),
        task(23, [("cancel_order", {"order_id": "W23"})], judged=["was kind"]),
    ]


def get_tasks_split():
    return {"train": [str(n) for n in range(16)], "test": [str(n) for n in range(16, 24)]}
'''


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    root = tmp_path / "tau2-bench"
    files = {
        "src/tau2/__init__.py": "raise RuntimeError('loads every model client')",
        "src/tau2/environment/environment.py": "",
        "src/tau2/data_model/__init__.py": "",
        "src/tau2/data_model/message.py": MESSAGE,
        "src/tau2/utils.py": "from deepdiff import DeepDiff\nfrom dotenv import load_dotenv\n",
        "src/tau2/domains/retail/environment.py": DOMAIN,
        "pyproject.toml": '[project]\nname = "tau2"\nversion = "0.0.1"\n',
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    monkeypatch.setenv(tau2.CHECKOUT, str(root))
    register(RETAIL)(tau2.load(RETAIL))
    yield root
    tau2.outside("retail").close()


def played(task: Task, *calls: tuple[str, dict], say: str = "Done.") -> World:
    world = world_class(task.env)()
    world.reset(options={"task": task})
    for name, arguments in calls:
        world.step({"calls": ({"name": name, "arguments": arguments},), "message": ""})
    world.step({"calls": (), "message": say})
    return world


def value(world: World) -> float:
    assert world.score is not None
    return world.score.value


@pytest.mark.usefixtures("checkout")
def test_a_domain_is_a_world_that_conforms() -> None:
    assert check_world(RETAIL, tasks=4) == []


@pytest.mark.usefixtures("checkout")
def test_its_checks_decide_and_the_order_of_reads_does_not() -> None:
    task = take([RETAIL], Split.TRAIN, 0, 1)[0]
    order = {"order_id": f"W{task.world['task']}"}
    world = played(task, ("cancel_order", order), ("find_order", order))
    assert value(world) == 1.0
    checks = {"DB": 1.0, "COMMUNICATE": 1.0, "NL_ASSERTION": 1.0}
    assert world.gathered == {"outside_score": 1.0, "checks": checks}
    assert world.state["agent"]["closed"] == ["W39", order["order_id"]]
    assert value(played(task)) == 0.0
    assert value(played(task, ("cancel_order", {"order_id": "W30"}))) == 0.0


@pytest.mark.usefixtures("checkout")
def test_a_call_that_fails_is_an_error_and_changes_nothing() -> None:
    task = take([RETAIL], Split.TRAIN, 0, 1)[0]
    world = played(task, ("cancel_order", {"order_id": "W39"}), ("cancel_order", {"order_id": "9"}))
    assert [call.result for call in world.calls] == [
        '{"error": "Order is not open"}',
        '{"error": "\'9\'"}',
    ]
    assert world.state == task.world


@pytest.mark.usefixtures("checkout")
def test_tasks_that_pay_for_nothing_or_need_a_judge_are_left_out() -> None:
    ids = {task["id"] for task in tau2._playable("retail", tau2.checkout())}
    assert ids == {str(number) for number in range(22)}


@pytest.mark.usefixtures("checkout")
def test_splits_are_those_of_the_benchmark() -> None:
    train = {str(t.world["task"]) for t in take([RETAIL], Split.TRAIN, 0, 10)}
    test = {str(t.world["task"]) for t in take([RETAIL], Split.TEST, 0, 6)}
    assert train < {str(n) for n in range(16)} and test == {"16", "17", "18", "19", "20", "21"}


@pytest.mark.usefixtures("checkout")
def test_words_are_checked_where_the_task_asks_for_them() -> None:
    task = next(t for t in take([RETAIL], Split.TEST, 0, 6) if t.world["task"] == "20")
    swap = ("swap_items", {"order_id": "W20", "old": ["a", "b"], "new": ["x", "y"]})
    assert value(played(task, swap, say="Your Total, 12.")) == 1.0
    assert value(played(task, swap)) == 0.0


@pytest.mark.usefixtures("checkout")
def test_the_audit_finds_what_pays_for_nothing_and_what_minds_order() -> None:
    import audit_tau2

    report = audit_tau2.audit_domain("retail", quick=False)
    assert (report.tasks, report.judge_free) == (24, 23)
    assert report.found["paid_for_nothing"] == ["22"]
    assert report.found["order_matters"] == ["20#0 swap_items"]
    assert report.found["reference_raises"] == ["21"]
    assert report.found["dead_writes"] == ["21#0 cancel_order"]
    assert report.found["reference_unpaid"] == []


def test_without_a_checkout_the_message_names_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(tau2.CHECKOUT, raising=False)
    with pytest.raises(LookupError, match="TOOLDOJO_TAU2; it is not set"):
        tau2.load(RETAIL)
    monkeypatch.setenv(tau2.CHECKOUT, str(tmp_path))
    with pytest.raises(LookupError, match="is no such checkout"):
        tau2.load(RETAIL)
    with pytest.raises(LookupError, match="did you mean 'tau2/retail-v0'"):
        tau2.load("tau2/retai-v0")


@pytest.mark.usefixtures("checkout")
def test_verdicts_hold_for_the_version_that_was_audited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tau2.verdict_of("retail").audit is Audit.UNAUDITED
    shipped = json.loads(tau2.VERDICTS.read_text(encoding="utf-8"))
    path = tmp_path / "verdicts.json"
    path.write_text(json.dumps({**shipped, "of": "tau2-bench 0.0.1"}))
    monkeypatch.setattr(tau2, "VERDICTS", path)
    verdict = tau2.verdict_of("retail")
    assert verdict.audit is Audit.FLAGGED and "6x" in str(verdict)


@pytest.mark.skipif(
    not os.environ.get(tau2.CHECKOUT), reason=f"{tau2.CHECKOUT} names no checkout of tau2-bench"
)
def test_the_benchmark_itself_plays() -> None:
    register(RETAIL)(tau2.load(RETAIL))
    assert take([RETAIL], Split.TEST, 0, 1)[0].world["agent"] == {}
