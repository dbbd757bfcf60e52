"""A user behind a function plays in the place of a world's own."""

from __future__ import annotations

import asyncio
import pickle
from pathlib import Path

import pytest

from tooldojo.configs.loading import load_recipe
from tooldojo.envs.registry import world_class
from tooldojo.envs.source import take
from tooldojo.envs.task import Split
from tooldojo.rollouts.speakers import NamedUser, speaker_function
from tooldojo.training.players import other_user

DIALOGUE = "tooldojo/Dialogue-v0"
SPEAKER = """
def plain(messages):
    assert messages[-1]["role"] == "user"
    return "SAY I am C10000."


async def waiting(messages):
    return "SAY " + messages[-1]["content"].upper()
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "caller.py"
    path.write_text(SPEAKER)
    return path


@pytest.mark.parametrize(("name", "words"), [("plain", "I am C10000."), ("waiting", "WHO?")])
def test_a_function_speaks_and_the_record_names_it(file: Path, name: str, words: str) -> None:
    world = world_class(DIALOGUE)()
    world.reset(options={"task": take([DIALOGUE], Split.TRAIN, 0, 1)[0]})
    world.user = pickle.loads(pickle.dumps(NamedUser(f"{file}:{name}")))
    results, *_ = asyncio.run(world.astep({"calls": (), "message": "Who?"}))
    assert results == (words,)
    assert any(str(file) in str(call.arguments) for call in world.calls)


def test_a_recipe_names_who_answers(file: Path) -> None:
    keys = [f'task.worlds=["{DIALOGUE}"]', f"rollout.user={file}:plain"]
    user = other_user(load_recipe(None, keys))
    assert user == NamedUser(f"{file}:plain", 120.0)
    assert other_user(load_recipe(None, keys[:1])) is None
    with pytest.raises(ValueError, match=r"has nobody to stand for: tooldojo/Orders-v0 have no"):
        other_user(load_recipe(None, ['task.worlds=["tooldojo/Orders-v0"]', keys[1]]))
    with pytest.raises(LookupError, match="is no function"):
        speaker_function(f"{file}:nobody")
