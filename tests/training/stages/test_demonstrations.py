"""Demonstrations carry labels on what a policy would sample, and on nothing else."""

from __future__ import annotations

import pytest

from tooldojo.envs.registry import world_class
from tooldojo.envs.source import take
from tooldojo.envs.task import Split
from tooldojo.rollouts.chat import Chat
from tooldojo.training.policy import DEFAULT_POLICY
from tooldojo.training.stages.demonstrations import IGNORE, demonstration


@pytest.mark.parametrize("world", ["tooldojo/Dialogue-v0", "tooldojo/Maths-v0"])
def test_labels_are_the_turns_of_the_demonstration(world: str) -> None:
    chat = Chat.load(DEFAULT_POLICY, "hermes")
    for task in take([world], Split.TRAIN, 0, 6, [3]):
        row = demonstration(task, chat)
        trained = [token for token in row.labels if token != IGNORE]
        assert trained == [token for turn in task.gold for token in chat.gold_ids(turn)]
        pairs = zip(row.input_ids, row.labels, strict=True)
        assert all(label in (token, IGNORE) for token, label in pairs)
        played = world_class(world)()
        played.replay_gold(task)
        text = chat.text(row.input_ids)
        replies = [call.result for call in played.calls if call.name == "user:said"]
        assert [reply for reply in replies if f"user\n{reply}" not in text] == []
        assert text.count("<|im_start|>user\n") >= 1 + len(replies)
