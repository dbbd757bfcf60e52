"""Worlds as TRL takes them: schemas, calls, rewards, and a real step of its trainer."""

from __future__ import annotations

import copy
import inspect
from pathlib import Path
from random import Random
from typing import Any

import pytest
from transformers.utils.chat_template_utils import get_json_schema

from tooldojo.envs.bridges.trl_environment import TrlEpisode, trl_world
from tooldojo.envs.draft import Draft
from tooldojo.envs.registry import NATIVE, register, world_class
from tooldojo.envs.source import take
from tooldojo.envs.task import Split, Task
from tooldojo.envs.tools import tool
from tooldojo.envs.world import World

WORLD = "tooldojo/Orders-v0"


def methods(environment: TrlEpisode) -> dict[str, Any]:
    """The tools, found as TRL finds them."""
    found = inspect.getmembers(type(environment), predicate=inspect.isfunction)
    return {
        name: getattr(environment, name)
        for name, _ in found
        if name != "reset" and not name.startswith("_")
    }


@pytest.mark.parametrize("world", sorted(NATIVE))
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


def play_gold(environment: TrlEpisode, task: Task) -> list[dict[str, Any]]:
    tools = methods(environment)
    said: list[dict[str, Any]] = []
    for turn in task.gold:
        said.append({"role": "assistant", "content": turn.message or "", "tool_calls": [
            call.name for call in turn.calls]})  # fmt: skip
        for call in turn.calls:
            result = tools[call.name](**call.arguments)
            said.append({"role": "tool", "name": call.name, "content": result})
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
