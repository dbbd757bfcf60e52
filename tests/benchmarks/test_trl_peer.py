"""TRL's own tool loop on our world, with scripted turns in place of sampling: the same tokens, the
same masks and the same rewards as our player."""

# pyright: reportMissingImports=false
from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from trl_peer.environment import environment_class
from trl_peer.settings import load_settings
from trl_peer.trainer import make_rules, make_trainer

from tooldojo.configs.loading import load_recipe
from tooldojo.configs.schema import Recipe
from tooldojo.envs.registry import world_class
from tooldojo.envs.source import GeneratedTasks, take
from tooldojo.envs.task import Call, GoldTurn, Split, Task
from tooldojo.envs.tools import tool
from tooldojo.envs.world import World
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.formats import call_format
from tooldojo.rollouts.player import Limits, PlayKey, play
from tooldojo.rollouts.publish import BASE
from tooldojo.rollouts.records import EngineId, Trajectory
from tooldojo.rollouts.sampler import Sampled, SampleRequest
from tooldojo.training.card import conventions_of
from tooldojo.training.players import reward_shape
from tooldojo.training.policy import load_policy, load_tokenizer
from tooldojo.verifiers.records import StopReason

Script = Callable[[Task, int], list[int]]  # the ids of a task's turn, stop id included


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return load_recipe("quickstart", ["learner.autocast=off"])


@pytest.fixture(scope="module")
def chat(recipe: Recipe) -> Chat:
    return Chat(load_tokenizer(recipe.policy.model), call_format(recipe.policy.call_format))


@pytest.fixture(scope="module")
def trainer(recipe: Recipe, chat: Chat, tmp_path_factory: pytest.TempPathFactory) -> Any:
    base, _ = load_settings()
    settings = base.varied(engine="transformers", groups=12, group_size=2)
    policy = load_policy(recipe.policy, conventions_of(chat, recipe.task.worlds), device="cpu")
    return make_trainer(recipe, settings, policy, chat, tmp_path_factory.mktemp("trl"), steps=1)


@pytest.fixture(scope="module")
def tasks() -> list[Task]:
    """Of every level; some have calls that fail once, some several calls."""
    return take(["tooldojo/Orders-v0"], Split.TRAIN, 0, 12)


def play_in_trl(trainer: Any, chat: Chat, tasks: Sequence[Task], script: Script) -> dict[str, Any]:
    """What TRL would train on, had its policy said what `script` says; one member per task.

    Turns are cut as engines cut them: at the limit of a turn and at the end of the context.
    """
    rules = trainer.environment_factories[None].rules
    context = trainer.model.config.max_position_embeddings
    limit = trainer.generation_config.max_new_tokens
    invitation = chat.tokenizer.encode(rules.invitation)
    prompts = {tuple(chat.task_prompt_ids(task)): task for task in tasks}

    def one_turn(ids: list[int]) -> list[int]:
        task = next(t for p, t in prompts.items() if tuple(ids[: len(p)]) == p)
        turn = sum(ids[at : at + len(invitation)] == invitation for at in range(len(ids))) - 1
        return script(task, turn)[: min(limit, context - len(ids))]

    trainer._generate_single_turn = lambda prompt_ids, *_, **__: (
        [one_turn(list(ids)) for ids in prompt_ids],
        None,
    )
    inputs = [rules.row(task) for task in tasks for _ in range(trainer.num_generations)]
    batch = trainer._generate_and_score_completions(inputs)
    rewards = list(trainer._logs["rewards"]["world_rewards"])[-len(inputs) :]
    return batch | {"rewards": rewards[:: trainer.num_generations]}


class ScriptedTurns:
    """The same script for our own player."""

    engine = EngineId("script", "scripted", 0, "here")

    def __init__(self, script: Script) -> None:
        self.script = script

    async def sample(self, request: SampleRequest) -> Sampled:
        said = self.script(request.task, request.turn)
        ids = said[: request.sampling.max_tokens]
        finish = "stop" if len(ids) == len(said) else "length"
        return Sampled(tuple(ids), (0.0,) * len(ids), finish, request.policy, 0.0, 0.0)


def play_in_ours(recipe: Recipe, chat: Chat, task: Task, script: Script) -> Trajectory:
    limits, key = replace(Limits.of(recipe.rollout), max_malformed=0), PlayKey(0, 0, 0)
    sampler, shape = ScriptedTurns(script), reward_shape(recipe)
    return asyncio.run(play(task, None, sampler, chat, limits, shape, key, BASE))


def gold(chat: Chat) -> Script:
    return lambda task, turn: chat.gold_ids(task.gold[turn])


def nothing(chat: Chat) -> Script:
    return lambda task, turn: [chat.stop_ids[0]]


def careless(chat: Chat) -> Script:
    """The gold's turns, the first two with one more call whose argument is wrong; then a wrong
    answer.
    """

    def turn_ids(task: Task, turn: int) -> list[int]:
        said = task.gold[turn]
        if not said.calls:
            return chat.gold_ids(GoldTurn("", (), "Result: none"))
        bad = [Call(said.calls[0].name, {"colour": "red"})] if turn < 2 else []
        return chat.gold_ids(GoldTurn("", (*said.calls, *bad)))

    return turn_ids


def repeating(calls: int) -> Callable[[Chat], Script]:
    """The same failing call again and again, so many a turn, until a limit ends it."""
    said = GoldTurn("", (Call("get_order", {"order_id": "W1"}),) * calls)
    return lambda chat: lambda task, turn: chat.gold_ids(said)


def broken(chat: Chat) -> Script:
    """A call that cannot be read."""
    ids = chat.tokenizer.encode('<tool_call>\n{"name": "get_order", \n</tool_call>')
    return lambda task, turn: [*ids, chat.stop_ids[0]]


@pytest.mark.parametrize(
    ("make", "stop"),
    [
        (gold, StopReason.ANSWERED),
        (nothing, StopReason.ANSWERED),
        (careless, StopReason.ANSWERED),
        (repeating(1), StopReason.MAX_TURNS),
        (repeating(4), StopReason.CONTEXT_FULL),
        (broken, StopReason.MALFORMED),
    ],
    ids=["gold", "nothing", "careless", "many turns", "long turns", "broken"],
)
def test_same_tokens_masks_and_rewards(
    trainer: Any,
    recipe: Recipe,
    chat: Chat,
    tasks: list[Task],
    make: Callable[[Chat], Script],
    stop: StopReason,
) -> None:
    script = make(chat)
    batch = play_in_trl(trainer, chat, tasks, script)
    for i, task in enumerate(tasks):
        row, ours = i * trainer.num_generations, play_in_ours(recipe, chat, task, script)
        prompt = batch["prompt_ids"][row][batch["prompt_mask"][row].bool()]
        said = batch["completion_mask"][row].bool()
        sampled = batch["tool_mask"][row][said].bool()
        segment = ours.segments[0]
        assert ours.ending.stop is stop
        assert prompt.tolist() == chat.task_prompt_ids(task)
        ids = [*prompt.tolist(), *batch["completion_ids"][row][said].tolist()]
        assert ids == segment.ids_T.tolist()
        assert sampled.tolist() == segment.sampled_T[ours.prompt_tokens :].tolist()
        assert ours.reward is not None
        assert batch["rewards"][i] == pytest.approx(ours.reward.total)


def test_gold_is_paid_and_doing_nothing_is_not(trainer: Any, chat: Chat, tasks: list[Task]) -> None:
    assert play_in_trl(trainer, chat, tasks, gold(chat))["rewards"] == [1.0] * len(tasks)
    assert play_in_trl(trainer, chat, tasks, nothing(chat))["rewards"] == [0.0] * len(tasks)


def test_groups_of_one_task_play_in_worlds_of_their_own(
    trainer: Any, chat: Chat, tasks: list[Task]
) -> None:
    """Half of a group plays the gold, half does nothing: advantages of opposite signs."""
    turns = iter(range(10**6))

    def mixed(task: Task, turn: int) -> list[int]:
        if turn == 0 and next(turns) % 2:
            return nothing(chat)(task, turn)
        return gold(chat)(task, turn)

    batch = play_in_trl(trainer, chat, tasks[:4], mixed)
    signs = torch.sign(batch["advantages"]).tolist()
    assert signs == [1.0, -1.0] * 4


def test_the_stream_of_tasks_is_ours(trainer: Any, recipe: Recipe) -> None:
    source = GeneratedTasks(recipe.task.worlds, Split.TRAIN, recipe.run.seed)
    rules = trainer.environment_factories[None].rules
    batches = iter(trainer.get_train_dataloader())
    seen = [row for _ in range(2) for row in next(batches)]
    assert seen[:: trainer.num_generations] == [rules.row(source.task(i)) for i in range(24)]
    assert seen[0] == seen[1]


@pytest.mark.parametrize("place", [0, 1])
def test_a_secret_beside_a_call_is_told(recipe: Recipe, chat: Chat, place: int) -> None:
    world = world_class("tooldojo/Privacy-v0")
    rules = replace(make_rules(recipe, chat), world=world)
    drawn = take([world.env_id], Split.TRAIN, 0, 40)
    task = next(task for task in drawn if task.goal.forbidden and len(task.gold) > 2)
    environment: Any = environment_class(rules)()
    secret = task.goal.forbidden[0]
    for text, value in (("I look it up.", 1.0), (f"For the record: {secret}", 0.0)):
        environment.reset(**rules.row(task))
        ids: list[int] = []
        for number, turn in enumerate(task.gold):
            beside = f"{text}\n" if number == place else ""
            ids += chat.turn_ids(beside + chat.format.render(turn))
            if turn.calls:
                played = [environment.play.call(c.name, c.arguments).text for c in turn.calls]
                ids += chat.observation_ids(played)
        assert environment.play.finish(ids) is not None
        assert environment.play.world.score.value == value


class Bugged(World):
    """A world whose only tool has a bug, and one whose tool has a name that TRL keeps."""

    env_id = "test/Bugged-v0"

    @tool(mutates=False)
    def look(self) -> str:
        """Look."""
        raise KeyError("a bug")


class Named(World):
    env_id = "test/Named-v0"

    @tool(mutates=False)
    def reset_all(self) -> str:
        """Look."""
        return ""

    @tool(mutates=False)
    def play(self) -> str:
        """A name that the environment uses itself."""
        return ""


def test_a_bug_of_the_world_is_no_verdict(recipe: Recipe, chat: Chat, tasks: list[Task]) -> None:
    rules = replace(make_rules(recipe, chat), world=Bugged)
    environment: Any = environment_class(rules)()
    task = replace(tasks[0], env=Bugged.env_id)
    environment.reset(**rules.row(task))
    assert "a bug" in environment.look()
    assert environment.play.finish([chat.stop_ids[0]]) is None
    environment.reset(**rules.row(task))
    assert environment.play.failure is None


def test_names_that_trl_would_mistake_are_refused(recipe: Recipe, chat: Chat) -> None:
    with pytest.raises(ValueError, match="'play'"):
        environment_class(replace(make_rules(recipe, chat), world=Named))
