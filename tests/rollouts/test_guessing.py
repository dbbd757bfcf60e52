"""Guesses: the commonest line of requests alike, with the words of the request at hand."""

from __future__ import annotations

from tooldojo.envs.task import GoldTurn, Split, Task
from tooldojo.rollouts.guessing import guess
from tooldojo.verifiers.records import Goal


def asked(prompt: str, line: str = "") -> Task:
    goal = Goal(answer=line)
    return Task("test/Any-v0", prompt, {}, goal, (GoldTurn("", (), line),), 1, Split.TRAIN)


DEMONSTRATIONS = [
    asked("Is order 12A from Ida there?", "Result: status sent 12A"),
    asked("Is order 77B from Ulf there?", "Result: status lost 77B"),
    asked("Is order 45C from Eva there?", "Result: status lost 45C"),
    asked("Please paint it for K1 and for K2.", "Result: unsupported K2"),
]


def test_a_guess_takes_the_commonest_line_and_the_words_of_the_prompt() -> None:
    assert guess(asked("Is order 99D from Ole there?"), DEMONSTRATIONS) == "Result: status lost 99D"
    first = guess(asked("Is order 99D from Ole there?"), DEMONSTRATIONS[:1])
    assert first == "Result: status sent 99D"


def test_a_word_is_found_by_the_one_before_it_or_by_its_shape_and_place() -> None:
    def near(prompt: str) -> str:
        return guess(asked(prompt), DEMONSTRATIONS[3:])

    assert near("Paint it for K5 and for K7.") == "Result: unsupported K7"
    assert near("Paint K4 and K6 for K5.") == "Result: unsupported K5"
    assert near("Of K5, K7 and K9 paint two.") == "Result: unsupported K7"
    assert near("Paint it.") == ""


def test_ties_go_to_the_nearer_demonstration() -> None:
    pair = [asked("Count all red hats.", "Answer: 3"), asked("Count all blue hats.", "Answer: 4")]
    assert guess(asked("Count all blue caps."), pair) == "Answer: 4"
    assert guess(asked("Count all red caps."), pair) == "Answer: 3"
    assert guess(asked("Anything"), []) == ""


def test_words_of_the_rules_are_codes_and_not_filled_in() -> None:
    demonstrations = [asked("Change the address of 12A.", "Result: unsupported address 12A")]
    asks = asked("Change the street of 99D.")
    assert guess(asks, demonstrations) == "Result: unsupported street 99D"
    rules = "Close with unsupported <address>."
    assert guess(asks, demonstrations, rules) == "Result: unsupported address 99D"
