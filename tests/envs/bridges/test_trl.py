"""Worlds as TRL takes them: schemas, calls, rewards, and a real step of its trainer."""

from __future__ import annotations

import copy
import inspect
import json
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import pytest
from transformers.utils.chat_template_utils import get_json_schema

from tooldojo.envs.bridges.trl_environment import TrlEpisode, trl_world
from tooldojo.envs.draft import Draft, call, steps
from tooldojo.envs.judging import JudgeLost
from tooldojo.envs.limits import ToolDeadline
from tooldojo.envs.registry import NATIVE, register, world_class
from tooldojo.envs.source import take
from tooldojo.envs.task import Call, Split, Task
from tooldojo.envs.tools import ToolLost, tool
from tooldojo.envs.world import World
from tooldojo.verifiers.records import Json

WORLD = "tooldojo/Orders-v0"


def methods(environment: TrlEpisode) -> dict[str, Any]:
    """The tools, found as TRL finds them."""
    found = inspect.getmembers(type(environment), predicate=inspect.isfunction)
    return {
        name: getattr(environment, name)
        for name, _ in found
        if name != "reset" and not name.startswith("_")
    }


WITHOUT_USER = sorted(name for name in NATIVE if world_class(name).user is None)


@pytest.mark.parametrize("world", WITHOUT_USER)
def test_the_tools_have_the_schemas_that_our_prompts_have(world: str) -> None:
    tools = methods(trl_world(world).factory())
    specs = world_class(world).tool_specs()
    assert set(tools) == set(specs)
    for name, spec in specs.items():
        schema = get_json_schema(tools[name])["function"]
        assert (schema["name"], schema["description"]) == (name, spec.description)
        properties = schema["parameters"].get("properties", {})
        assert list(properties) == list(spec.fields)
        assert sorted(schema["parameters"].get("required", [])) == sorted(
            spec.parameters.get("required") or []  # type: ignore[arg-type]
        )
        for field, about in spec.fields.items():
            assert properties[field]["type"] == about.get("type", "string")
            assert properties[field].get("enum") == about.get("enum")


def assistant(content: str, *calls: Call) -> dict[str, Any]:
    """A turn as TRL parses it."""
    parts = [{"name": call.name, "arguments": call.arguments} for call in calls]
    called = [{"type": "function", "function": part} for part in parts]
    return {"role": "assistant", "content": content, "tool_calls": called}


def play_gold(environment: TrlEpisode, task: Task) -> list[dict[str, Any]]:
    tools = methods(environment)
    said: list[dict[str, Any]] = []
    for turn in task.gold:
        said.append(assistant(turn.message or "", *turn.calls))
        for each in turn.calls:
            result = tools[each.name](**each.arguments)
            said.append({"role": "tool", "name": each.name, "content": result})
    return said


def test_rewards_are_the_verifiers() -> None:
    world = trl_world(WORLD)
    tasks = take([WORLD], Split.TRAIN, 0, 4)
    environments, completions = [], []
    for task, row in zip(tasks, world.rows(tasks), strict=True):
        environments.append(world.factory())
        assert environments[-1].reset(**row) is None  # type: ignore[arg-type]
        completions.append(play_gold(environments[-1], task))
    completions[1] = completions[1][:-1]  # never answers
    completions[2][-1] = {"role": "assistant", "content": "Result: nothing"}
    environments[3]._failure = True  # a bug of the world
    rewards = world.reward(completions=completions, environments=environments, prompts=[])
    assert rewards == [1.0, 0.0, 0.0, None]
    again = environments[0]
    again.reset(**world.rows(tasks)[0])  # type: ignore[arg-type]
    assert world.reward([play_gold(again, tasks[0])], [again]) == [1.0]


@pytest.fixture(scope="module")
def secretive() -> tuple[Task, str]:
    """A task of the privacy world that takes calls, and what may not be said in it."""
    tasks = take(["tooldojo/Privacy-v0"], Split.TRAIN, 0, 40)
    task = next(task for task in tasks if task.goal.forbidden and len(task.gold) > 2)
    return task, task.goal.forbidden[0]


@pytest.mark.parametrize("place", [0, 1])
def test_a_secret_beside_a_call_is_told(secretive: tuple[Task, str], place: int) -> None:
    task, secret = secretive
    world = trl_world("tooldojo/Privacy-v0")
    environment, (row,) = world.factory(), world.rows([task])
    for text, value in (("I look it up.", 1.0), (f"For the record: {secret}", 0.0)):
        environment.reset(**row)  # type: ignore[arg-type]
        said = play_gold(environment, task)
        [turn for turn in said if turn["role"] == "assistant"][place]["content"] = text
        assert world.reward([said], [environment]) == [value]
        native = world_class("tooldojo/Privacy-v0")()
        native.reset(options={"task": task})
        for number, turn in enumerate(task.gold):
            message = text if number == place else turn.message or ""
            calls = [{"name": call.name, "arguments": call.arguments} for call in turn.calls]
            native.step({"calls": calls, "message": message})
        assert native.score and native.score.value == value


def test_a_secret_in_a_call_that_trl_answers_itself_is_told(secretive: tuple[Task, str]) -> None:
    task, secret = secretive
    world = trl_world("tooldojo/Privacy-v0")
    environment, (row,) = world.factory(), world.rows([task])
    for text, value in (("nothing", 1.0), (secret, 0.0)):
        environment.reset(**row)  # type: ignore[arg-type]
        said = play_gold(environment, task)
        said.insert(0, assistant("", Call("post_it", {"notes": [text]})))
        assert world.reward([said], [environment]) == [value]


def test_an_argument_called_self_reaches_the_world(secretive: tuple[Task, str]) -> None:
    task, secret = secretive
    world = trl_world("tooldojo/Privacy-v0")
    environment, (row,) = world.factory(), world.rows([task])
    environment.reset(**row)  # type: ignore[arg-type]
    answer = methods(environment)[task.gold[0].calls[0].name](**{"self": secret})
    assert "error" in json.loads(answer)
    assert world.reward([play_gold(environment, task)], [environment]) == [0.0]


@register("test/Losing-v0")
class Losing(World):
    """Its tool, or its end, fails as it is told to."""

    tool_fails: ClassVar[Exception | None] = None
    end_fails: ClassVar[Exception | None] = None

    @tool(mutates=False)
    def look(self) -> str:
        """Look."""
        if self.tool_fails:
            raise self.tool_fails
        return "dark"

    def gather(self) -> dict[str, Json]:
        if self.end_fails:
            raise self.end_fails
        return {}

    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        number = rng.randrange(10**6)
        return Draft(f"Look at {number}.", {}, steps(call("look"), say=f"Result: {number}"))


@pytest.mark.parametrize(
    ("place", "error"),
    [
        ("tool_fails", ToolLost("the backend is gone")),
        ("tool_fails", ToolDeadline("no answer in time")),
        ("end_fails", ToolLost("the backend is gone")),
        ("end_fails", JudgeLost("the judge said nothing")),
    ],
)
def test_what_is_nobodys_doing_has_no_reward(
    place: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    (task,) = take(["test/Losing-v0"], Split.TRAIN, 0, 1)
    world = trl_world("test/Losing-v0")
    environment, (row,) = world.factory(), world.rows([task])
    monkeypatch.setattr(Losing, place, error)
    environment.reset(**row)  # type: ignore[arg-type]
    assert world.reward([play_gold(environment, task)], [environment]) == [None]
    monkeypatch.undo()
    environment.reset(**row)  # type: ignore[arg-type]
    assert world.reward([play_gold(environment, task)], [environment]) == [1.0]


def test_a_world_with_a_user_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Dialogue-v0 has a user, and TRL has no way to talk"):
        trl_world("tooldojo/Dialogue-v0")


def test_reserved_names_are_refused() -> None:
    @register("test/Resetting-v0")
    class Resetting(World):
        @tool(mutates=True)
        def get_reward(self) -> None:
            """Pay."""

        @classmethod
        def draft(cls, rng: Random, level: int) -> Draft:
            raise NotImplementedError

    with pytest.raises(ValueError, match="TRL offers no tool named 'get_reward'"):
        trl_world(Resetting.env_id)


@pytest.mark.slow
def test_a_step_of_the_trainer(tmp_path: Path, small_chat: Any) -> None:
    import torch
    from datasets import Dataset
    from transformers import Qwen3Config, Qwen3ForCausalLM
    from trl.chat_template_utils import qwen3_chat_template
    from trl.trainer.grpo_config import GRPOConfig
    from trl.trainer.grpo_trainer import GRPOTrainer

    tokenizer = copy.deepcopy(small_chat.tokenizer)
    tokenizer.chat_template = qwen3_chat_template  # TRL reads calls of templates that it knows
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16}
    model = Qwen3ForCausalLM(
        Qwen3Config(vocab_size=len(tokenizer), **sizes, **heads)  # type: ignore[arg-type]
    )
    world = trl_world(WORLD)
    rows = world.rows(take([WORLD], Split.TRAIN, 0, 2))
    config = GRPOConfig(
        output_dir=str(tmp_path),
        use_cpu=True,
        max_steps=1,
        per_device_train_batch_size=4,
        num_generations=2,
        max_completion_length=16,
        report_to=[],
        save_strategy="no",
        logging_steps=1,
    )
    trainer = GRPOTrainer(
        model=model,
        args=config,
        processing_class=tokenizer,
        train_dataset=Dataset.from_list(rows),
        environment_factory=world.factory,
        reward_funcs=[world.reward],
    )
    trainer.train()
    logged = [entry for entry in trainer.state.log_history if "reward" in entry]
    assert [entry["reward"] for entry in logged] == [0.0]
