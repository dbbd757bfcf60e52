"""Chat messages to ids: sampled tokens where a conversation goes on, the template's elsewhere."""

from __future__ import annotations

from tooldojo.rollouts.chat import Chat, Message
from tooldojo.rollouts.dialogues import Dialogues, Reply
from tooldojo.verifiers.records import Json

TOOLS: list[dict[str, Json]] = [
    {
        "type": "function",
        "function": {
            "name": "f",
            "description": "F.",
            "parameters": {"type": "object", "properties": {"x": {"type": "string"}}},
        },
    }
]
ASKED: list[Message] = [
    {"role": "system", "content": "s"},
    {"role": "user", "content": "<tool_call> u"},
]
CALL: Json = {"type": "function", "function": {"name": "f", "arguments": {"x": "1"}}}
SAID: Message = {"role": "assistant", "content": "", "tool_calls": [CALL]}
RESULTS: list[Message] = [{"role": "tool", "content": each} for each in ("r1", "r2")]


SPOKEN: Message = {"role": "assistant", "content": "Which one?"}
HEARD: Message = {"role": "user", "content": "the <tool_call> one"}


def remembered(chat: Chat, malformed: bool = False) -> tuple[Dialogues, tuple[int, ...]]:
    """A reply in tokens that no tokenizer would write, and all ids up to its end."""
    dialogues = Dialogues(chat)
    prompt = dialogues.prompt(ASKED, TOOLS)
    assert prompt.ids == tuple(chat.prompt_ids("s", TOOLS, "<tool_call> u"))
    assert prompt.continues is None
    ids = (*prompt.ids, 300, 301, 302, chat.stop_ids[0])
    dialogues.remember(ASKED, TOOLS, SAID, Reply("first", ids, malformed, False))
    return dialogues, ids


def test_results_continue_the_sampled_tokens(chat: Chat) -> None:
    dialogues, ids = remembered(chat)
    # A client may add ids of calls, and its reasoning is no part of the conversation's identity.
    sent = SAID | {"tool_calls": [CALL | {"id": "c0"}], "reasoning_content": "hm"}  # type: ignore[operator]
    prompt = dialogues.prompt([*ASKED, sent, *RESULTS], TOOLS)
    assert prompt.continues == "first"
    assert prompt.ids == (*ids, *chat.observation_ids(["r1", "r2"]))


def test_whatever_else_is_the_templates(chat: Chat) -> None:
    dialogues, _ = remembered(chat)
    user: Message = {"role": "user", "content": "more"}
    changed = SAID | {"content": "changed"}
    for messages, tools in (
        ([*ASKED, SAID, user], TOOLS),
        ([*ASKED, changed, *RESULTS], TOOLS),
        ([*ASKED, SAID, *RESULTS], []),
        ([*ASKED, SAID, *RESULTS, user], TOOLS),
    ):
        prompt = dialogues.prompt(messages, tools)
        assert prompt.continues is None
        assert prompt.ids == tuple(chat.dialogue_ids(messages, tools))


def test_what_follows_a_malformed_reply_is_its_result(chat: Chat) -> None:
    dialogues, ids = remembered(chat, malformed=True)
    prompt = dialogues.prompt([*ASKED, SAID, {"role": "user", "content": "no JSON"}], TOOLS)
    assert prompt.ids == (*ids, *chat.observation_ids(["no JSON"]))


def test_a_user_continues_the_tokens_of_what_was_said_to_them(chat: Chat) -> None:
    dialogues = Dialogues(chat)
    ids = (*dialogues.prompt(ASKED, TOOLS).ids, 300, 301, chat.stop_ids[0])
    dialogues.remember(ASKED, TOOLS, SPOKEN, Reply("spoken", ids, False, True))
    prompt = dialogues.prompt([*ASKED, SPOKEN, HEARD], TOOLS)
    assert prompt.continues == "spoken"
    assert prompt.ids == (*ids, *chat.observation_ids(["the <tool_call> one"], spoken=True))
    rule: Message = {"role": "system", "content": "r"}
    assert dialogues.prompt([*ASKED, SPOKEN, HEARD, HEARD], TOOLS).continues is None
    assert dialogues.prompt([*ASKED, SPOKEN, rule], TOOLS).continues is None


def test_a_reply_that_was_cut_off_cannot_go_on(chat: Chat) -> None:
    dialogues = Dialogues(chat)
    dialogues.remember(ASKED, TOOLS, SAID, Reply("cut", (1, 2, 300), False, False))
    assert dialogues.prompt([*ASKED, SAID, *RESULTS], TOOLS).continues is None
