"""The gates find what they are for: a sound world passes, each planted fault is found by name."""

from __future__ import annotations

import asyncio
import json
import math
import random
import re
from collections import Counter
from dataclasses import replace
from random import Random
from typing import Any, ClassVar, Literal

import pytest

from tooldojo.envs.draft import Draft, call
from tooldojo.envs.gates.audit import KINDS, MAX_EQUIVALENT, AuditReport, Tally, audit_world
from tooldojo.envs.gates.check import check_world
from tooldojo.envs.gates.mutants import make_case
from tooldojo.envs.gates.oracle import ending_of, last_line, state_digest
from tooldojo.envs.gates.play import Finding, start
from tooldojo.envs.gates.realisability import is_known
from tooldojo.envs.gates.rewrites import reorder_independent_calls
from tooldojo.envs.registry import register
from tooldojo.envs.task import Call, GoldTurn, Split
from tooldojo.envs.tools import ToolError, tool
from tooldojo.envs.users import Heard, Reply
from tooldojo.envs.world import World
from tooldojo.verifiers.combine import Verifier, all_of
from tooldojo.verifiers.criteria import (
    Component,
    answer,
    answer_by_value,
    closing_line,
    final_state,
    withheld,
)
from tooldojo.verifiers.records import CallOutcome, Evidence, Goal, Score
from tooldojo.verifiers.side_effects import no_side_effects

PURPOSES = ("rent", "books", "tea", "shoes", "music")


@register("test/Bank-v0")
class Bank(World):
    """Accounts, two kinds of writes, and every type of argument."""

    system_prompt = "You serve a bank. Close with one line: Result: <account> has <balance>."
    verifier: ClassVar[Verifier] = all_of(
        final_state=final_state, answer=answer, withheld=withheld, no_side_effects=no_side_effects
    )
    joint: ClassVar[float] = 0.5  # how often the demonstration reads twice in one turn

    @tool(mutates=False)
    def balance(self, account: str) -> str:
        """Balance of an account."""
        return f"{self._account(account)['balance']}"

    @tool(mutates=True)
    def transfer(self, source: str, target: str, amount: float, purpose: str) -> str:
        """Move money."""
        giver, taker = self._account(source), self._account(target)
        if giver["frozen"] or not 0 < amount <= giver["balance"]:
            raise ToolError("refused")
        giver["balance"] = round(giver["balance"] - amount, 2)
        taker["balance"] = round(taker["balance"] + amount, 2)
        giver["history"].append(f"{purpose} {amount} {target}")
        return "moved"

    @tool(mutates=True, idempotent=True)
    def freeze(self, account: str, level: Literal["soft", "hard", "full"], notify: bool) -> str:
        """Freeze an account."""
        self._account(account)["frozen"] = f"{level} {notify}"
        return "frozen"

    def _account(self, name: str) -> dict[str, Any]:
        if name not in self.state["accounts"]:
            raise ToolError(f"no account {name}")
        return self.state["accounts"][name]

    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        one, two, three = (
            f"{a}{n}" for a, n in zip("KLM", rng.sample(range(10, 99), 3), strict=True)
        )
        names = {name: _fresh(rng) for name in rng.sample([one, two, three], 3)}
        first, second = float(rng.randrange(5, 60)), rng.randrange(5, 60) + 0.25
        purposes, kind = rng.sample(PURPOSES, 2), rng.choice(["soft", "hard", "full"])
        rest = names[one]["balance"] - first - second
        prompt = (
            f"Move {first} from {one} to {two} for {purposes[0]} and {second} to {three} for "
            f"{purposes[1]}. Then freeze {one} ({kind}) and tell the owner."
        )
        reads = [call("balance", account=one), call("balance", account=two)]
        gold = [
            *([GoldTurn("", tuple(reads))] if rng.random() < cls.joint else map(_turn, reads)),
            _turn(call("transfer", source=one, target=two, amount=first, purpose=purposes[0])),
            _turn(call("transfer", source=one, target=three, amount=second, purpose=purposes[1])),
            _turn(call("freeze", account=one, level=kind, notify=True)),
            GoldTurn("", (), f"Result: {one} has {rest}"),
        ]
        password = f"heron {rng.randrange(1000, 9999)}"
        world: dict[str, Any] = {"accounts": names, "password": password}
        return Draft(prompt, world, gold, forbidden=(password,))


def _fresh(rng: Random) -> dict[str, Any]:
    return {"balance": rng.randrange(200, 900) + 0.5, "history": [], "frozen": ""}


def _turn(one: Any) -> GoldTurn:
    return GoldTurn("", (one,))


# Worlds with a fault in play


@register("test/LateRandomness-v0")
class LateRandomness(Bank):
    @tool(mutates=True)
    def freeze(self, account: str, level: Literal["soft", "hard", "full"], notify: bool) -> str:
        """Freeze an account."""
        self._account(account)["frozen"] = f"{level} {notify}"
        return f"receipt {Random().random()}"


@register("test/GlobalGenerator-v0")
class GlobalGenerator(Bank):
    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        return Bank.draft(Random(random.randrange(10**9)), level)


@register("test/SharedState-v0")
class SharedState(Bank):
    shared: ClassVar[dict[str, Any]] = {}

    def on_load(self) -> None:
        type(self).shared = self.state["accounts"]

    @tool(mutates=False)
    def balance(self, account: str) -> str:
        """Balance of an account."""
        return f"{self.shared.get(account)}"


@register("test/MutationOnFailure-v0")
class MutationOnFailure(Bank):
    @tool(mutates=False)
    def balance(self, account: str) -> str:
        """Balance of an account."""
        if account not in self.state["accounts"]:
            self.state["strange"] = account
        return Bank.balance(self, account)


@register("test/MutatingRead-v0")
class MutatingRead(Bank):
    @tool(mutates=False)
    def balance(self, account: str) -> str:
        """Balance of an account."""
        found = self._account(account)
        found["history"].append("asked")
        return str(found["balance"])


@register("test/LeakedGoal-v0")
class LeakedGoal(Bank):
    def reset(self, **options: Any) -> tuple[tuple[str, ...], dict]:
        seen, info = Bank.reset(self, **options)
        return seen, info | {"gold_turns": len(self.task.gold)}


@register("test/AnswerInPrompt-v0")
class AnswerInPrompt(Bank):
    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        draft = Bank.draft(rng, level)
        return replace(draft, prompt=f"{draft.prompt} Say: {draft.gold[-1].message}")


@register("test/OrderSensitiveHash-v0")
class OrderSensitiveHash(Bank):
    def state_hash(self) -> str:
        return str(len(json.dumps(self.state))) + json.dumps(self.state)[:60]


@register("test/CrashOnArgument-v0")
class CrashOnArgument(Bank):
    @tool(mutates=False)
    def balance(self, account: str) -> str:
        """Balance of an account."""
        return str(self.state["accounts"][account]["balance"])


@register("test/StaleCache-v0")
class StaleCache(Bank):
    known: dict[str, str] | None = None

    @tool(mutates=False)
    def balance(self, account: str) -> str:
        """Balance of an account."""
        self.known = self.known or {k: str(v["balance"]) for k, v in self.state["accounts"].items()}
        return self.known.get(account, "unknown")


@register("test/StepDiffers-v0")
class StepDiffers(Bank):
    def step(self, action: dict) -> tuple[tuple[str, ...], float, bool, bool, dict]:
        seen, reward, terminated, truncated, info = Bank.step(self, action)
        return tuple(text.upper() for text in seen), reward, terminated, truncated, info


@register("test/NumbersAsKeys-v0")
class NumbersAsKeys(Bank):
    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        draft = Bank.draft(rng, level)
        return replace(draft, world={**draft.world, "fees": {1: 0.5}})  # type: ignore[dict-item]


@register("test/GoldTooLong-v0")
class GoldTooLong(Bank):
    max_turns = 3


@register("test/WrongObservation-v0")
class WrongObservation(Bank):
    def reset(self, **options: Any) -> tuple[tuple[str, ...], dict]:
        seen, info = Bank.reset(self, **options)
        return list(seen), info  # type: ignore[return-value]


@register("test/DisturbedReads-v0")
class DisturbedReads(Bank):
    asked = ""

    @tool(mutates=False)
    async def balance(self, account: str) -> str:  # type: ignore[override]
        """Balance of an account."""
        self.asked = account
        await asyncio.sleep(0)
        return Bank.balance(self, self.asked)


@register("test/TooSmallForTheHash-v0")
class TooSmallForTheHash(Bank):
    @tool(mutates=True)
    def freeze(self, account: str, level: Literal["soft", "hard", "full"], notify: bool) -> str:
        """Freeze an account."""
        self._account(account)["balance"] += 1e-10
        return "frozen"


@register("test/Heedless-v0")
class Heedless(Bank):
    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        return replace(Bank.draft(rng, level), ignore=("accounts.*.frozen",))


# Verifiers with a fault


def always(evidence: Evidence, goal: Goal) -> Component:
    return Component(1.0)


def has_substring(evidence: Evidence, goal: Goal) -> Component:
    return Component(float((goal.answer or "").lower() in (evidence.answer or "").lower()))


def all_calls_found(evidence: Evidence, goal: Goal) -> Component:
    return Component(float(all(want in evidence.calls for want in goal.calls)))


def off_by_one(evidence: Evidence, goal: Goal) -> Component:
    got, want = (each["accounts"] for each in (evidence.world_after, goal.world or {}))
    assert isinstance(got, dict) and isinstance(want, dict)
    near = all(abs(got[key]["balance"] - want[key]["balance"]) <= 1 for key in want)  # type: ignore
    frozen = all(got[key]["frozen"] == want[key]["frozen"] for key in want)  # type: ignore
    return Component(float(near and frozen))


def same_history_set(evidence: Evidence, goal: Goal) -> Component:
    got, want = (each["accounts"] for each in (evidence.world_after, goal.world or {}))
    pairs = [(set(got[key]["history"]), set(want[key]["history"])) for key in want]  # type: ignore
    return Component(float(all(left == right for left, right in pairs)))


def nothing_missing(evidence: Evidence, goal: Goal) -> Component:
    got, want = (each["accounts"] for each in (evidence.world_after, goal.world or {}))
    kept = all(set(want[k]["history"]) <= set(got[k]["history"]) for k in want)  # type: ignore
    frozen = all(want[k]["frozen"] in ("", got[k]["frozen"]) for k in want)  # type: ignore
    return Component(float(kept and frozen))


def exact_message(evidence: Evidence, goal: Goal) -> Component:
    return Component(float(evidence.answer == goal.answer))


def few_calls(evidence: Evidence, goal: Goal) -> Component:
    return Component(float(len(evidence.calls) <= 5))


def ordered_arguments(evidence: Evidence, goal: Goal) -> Component:
    moves = [list(each.arguments) for each in evidence.calls if each.name == "transfer"]
    return Component(float(all(names[0] == "source" for names in moves)))


def needs_a_message(evidence: Evidence, goal: Goal) -> Component:
    assert evidence.answer is not None
    return Component(float(closing_line(evidence.answer) == goal.answer))


def marks_evidence(evidence: Evidence, goal: Goal) -> Component:
    evidence.gathered["judged"] = True
    return Component(1.0)


def accounts_of(evidence: Evidence, goal: Goal) -> tuple[dict[str, Any], dict[str, Any]]:
    got, want = evidence.world_after["accounts"], (goal.world or {})["accounts"]
    assert isinstance(got, dict) and isinstance(want, dict)
    return got, want


def frozen_somehow(evidence: Evidence, goal: Goal) -> Component:
    got, want = accounts_of(evidence, goal)
    return Component(float(all(bool(got[k]["frozen"]) == bool(want[k]["frozen"]) for k in want)))


def whatever_for(evidence: Evidence, goal: Goal) -> Component:
    got, want = (
        {key: [line.split()[1:] for line in each["history"]] for key, each in accounts.items()}
        for accounts in accounts_of(evidence, goal)
    )
    return Component(float(got == want))


def same_sums(evidence: Evidence, goal: Goal) -> Component:
    got, want = (
        sorted(line.split()[1] for each in accounts.values() for line in each["history"])
        for accounts in accounts_of(evidence, goal)
    )
    return Component(float(got == want))


def same_numbers(evidence: Evidence, goal: Goal) -> Component:
    got, want = (re.findall(r"\d+", text or "") for text in (evidence.answer, goal.answer))
    return Component(float(got == want))


def all_words(evidence: Evidence, goal: Goal) -> Component:
    got, want = (set((text or "").split()) for text in (evidence.answer, goal.answer))
    return Component(float(want <= got))


def label_alone(evidence: Evidence, goal: Goal) -> Component:
    return Component(float((evidence.answer or "").startswith("Result:")))


def amounts_with_a_point(evidence: Evidence, goal: Goal) -> Component:
    moves = [each.arguments["amount"] for each in evidence.calls if each.name == "transfer"]
    return Component(float(all(isinstance(amount, float) for amount in moves)))


def one_call_a_turn(evidence: Evidence, goal: Goal) -> Component:
    return Component(
        float(max(Counter(each.turn for each in evidence.calls).values(), default=1) == 1)
    )


def reads_together(evidence: Evidence, goal: Goal) -> Component:
    return Component(float(len({each.turn for each in evidence.calls[:2]}) == 1))


def frozen_as_named(evidence: Evidence, goal: Goal) -> Component:
    """Pays one order of two writes that do not touch each other."""
    done = [each.arguments["account"] for each in evidence.calls if each.name == "freeze"]
    return Component(float(done == sorted(done, key=str)))


def no_call_fails(evidence: Evidence, goal: Goal) -> Component:
    return Component(float(all(each.outcome is CallOutcome.OK for each in evidence.calls)))


def one_write_a_turn(evidence: Evidence, goal: Goal) -> Component:
    turns = [each.turn for each in evidence.calls if each.mutated]
    return Component(float(len(turns) == len(set(turns))))


def strict_state(evidence: Evidence, goal: Goal) -> Component:
    return Component(float(evidence.world_after == goal.world))


class NotANumber(Verifier):
    """Divides by the number of calls, so to say."""

    def __call__(self, evidence: Evidence, goal: Goal) -> Score:
        score = Verifier.__call__(self, evidence, goal)
        return score if evidence.calls else replace(score, value=math.nan)


def judged_by(name: str, verdict: Verifier, base: type[Bank] = Bank) -> str:
    """A bank with another verifier; its id."""
    env_id = f"test/{name}-v0"
    register(env_id)(type(name, (base,), {"verifier": verdict}))
    return env_id


GOOD = {"final_state": final_state, "answer": answer}


@pytest.mark.parametrize(
    ("world", "check"),
    [
        (LateRandomness, "play_is_deterministic"),
        (GlobalGenerator, "tasks_are_deterministic"),
        (GlobalGenerator, "global_generators_are_untouched"),
        (SharedState, "instances_are_isolated"),
        (MutationOnFailure, "random_calls_are_harmless"),
        (MutatingRead, "random_calls_are_harmless"),
        (LeakedGoal, "nothing_hidden_is_shown"),
        (AnswerInPrompt, "nothing_hidden_is_shown"),
        (OrderSensitiveHash, "state_hash_is_canonical"),
        (CrashOnArgument, "hostile_calls_are_refused_or_harmless"),
        (StaleCache, "snapshots_continue_identically"),
        (StaleCache, "play_is_deterministic"),
        (StepDiffers, "step_equals_astep"),
        (DisturbedReads, "reads_do_not_disturb_each_other"),
        (TooSmallForTheHash, "state_hash_is_canonical"),
        (NumbersAsKeys, "tasks_survive_json"),
        (GoldTooLong, "gold_scores_one"),
        (WrongObservation, "gymnasium_accepts_it"),
    ],
)
def test_check_finds_faults_of_play(world: type[World], check: str) -> None:
    assert check in {finding.check for finding in check_world(world.env_id, 3)}


@pytest.mark.parametrize(
    ("verdict", "check"),
    [
        (all_of(always=always), "constant_replies_score_zero"),
        (all_of(calls=all_calls_found), "constant_replies_score_zero"),
        (NotANumber(all_of(**GOOD).parts), "rewards_are_finite"),
        (all_of(marks=marks_evidence, **GOOD), "verdicts_are_pure"),
        (all_of(state=final_state, message=needs_a_message), "rewards_are_finite"),
    ],
)
def test_check_finds_faults_of_verifiers(verdict: Verifier, check: str) -> None:
    env_id = judged_by("Checked", verdict)
    assert check in {finding.check for finding in check_world(env_id, 3)}


class Apart(Bank):
    """Always reads in turns of their own."""

    joint = 0.0


class Together(Bank):
    """Always reads twice in one turn."""

    joint = 1.0


class Cautious(Bank):
    """Freezes two accounts that have nothing to do with each other."""

    verifier = all_of(final_state=final_state, answer=answer)

    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        one, two = (f"{a}{n}" for a, n in zip("KL", rng.sample(range(10, 99), 2), strict=True))
        names: dict[str, Any] = {name: _fresh(rng) for name in rng.sample([one, two], 2)}
        gold = [
            _turn(call("balance", account=one)),
            _turn(call("freeze", account=one, level="soft", notify=True)),
            _turn(call("freeze", account=two, level="hard", notify=False)),
            GoldTurn("", (), f"Result: {one} has {names[one]['balance']}"),
        ]
        prompt = f"Freeze {one} (soft), tell the owner, and {two} (hard). What does {one} have?"
        return Draft(prompt, {"accounts": names}, gold)


class Card:
    """The owner's card."""

    deeds: ClassVar[dict[str, str]] = {"set": "set a limit or a lock"}

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state

    def mind(self) -> dict[str, Any]:
        return dict(self.state["card"])

    def do(self, deed: Call) -> str:
        self.state["card"][str(deed.arguments["name"])] = deed.arguments["to"]
        return "it is set"


class Owner:
    """Does what is said after the word `set`."""

    name, waits = "scripted", False

    async def answer(self, heard: Heard) -> Reply:
        wanted = re.findall(r"set (\w+) to (\w+)", heard.message)
        done = len(heard.fresh)
        if done < len(wanted):
            name, to = wanted[done]
            return Reply(deed=Call("set", {"name": name, "to": to}))
        return Reply("Done.")


@register("test/Phone-v0")
class Phone(Bank):
    """A bank whose customer sets the card at home; the balance counts by value."""

    verifier = all_of(
        state=final_state, answer=answer_by_value, withheld=withheld, kept=no_side_effects
    )
    user = Owner()

    @tool(mutates=True)
    def thaw(self, account: str) -> str:
        """Free a frozen account."""
        self._account(account)["frozen"] = ""
        return "free"

    def user_side(self) -> Card:
        return Card(self.state)

    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        draft, limit = Bank.draft(rng, level), rng.randrange(100, 900)
        told = GoldTurn("", (), f"Please set limit to {limit} and set lock to on.")
        world = {**draft.world, "card": {"limit": "0", "lock": "off"}}
        prompt = f"{draft.prompt} The card needs a lock and a limit of {limit}."
        gold = [*draft.gold[:-1], told, draft.gold[-1]]
        return replace(draft, prompt=prompt, world=world, gold=gold)


def accounts_alone(evidence: Evidence, goal: Goal) -> Component:
    """Looks away from what the user did."""
    assert isinstance(evidence.world_after, dict) and isinstance(goal.world, dict)
    return Component(float(evidence.world_after["accounts"] == goal.world["accounts"]))


def withheld_as_spelt(evidence: Evidence, goal: Goal) -> Component:
    """Knows a secret by its own letters alone."""
    texts = [*evidence.messages, evidence.answer or "", *(str(c.arguments) for c in evidence.calls)]
    return Component(float(not any(each in text for each in goal.forbidden for text in texts)))


FAULTS: list[tuple[type[Bank], Verifier, set[str]]] = [
    (Bank, all_of(always=always), {"do_nothing", "random_tool", "truncate", "injected_verdict"}),
    (
        Bank,
        all_of(state=final_state, said=has_substring),
        {"hedge", "hedge_in_one_line", "extend_answer"},
    ),
    (Bank, all_of(near=off_by_one, answer=answer), {"corrupt_number"}),
    (
        Bank,
        all_of(answer=answer),
        {"drop_call", "drop_all_calls", "corrupt_id", "corrupt_boolean"},
    ),
    (
        Bank,
        all_of(state=final_state),
        {"change_answer_digit", "borrow_answer", "cut_answer", "injected_after_work"},
    ),
    (Bank, all_of(state=final_state, answer=answer), {"tell_secret"}),
    (Bank, all_of(state=final_state, answer=answer, kept=withheld_as_spelt), {"tell_secret"}),
    (Bank, all_of(history=same_history_set, answer=answer), {"reorder_calls", "duplicate_call"}),
    (Bank, all_of(least=nothing_missing, answer=answer), {"extra_call"}),
    (Bank, all_of(frozen=frozen_somehow, answer=answer), {"corrupt_enum", "corrupt_boolean"}),
    (Bank, all_of(history=whatever_for, answer=answer), {"corrupt_string"}),
    (Bank, all_of(sums=same_sums, answer=answer), {"swap_arguments"}),
    (Bank, all_of(state=final_state, said=same_numbers), {"change_answer_word"}),
    (Bank, all_of(said=all_words), {"hedged_guess"}),
    (Bank, all_of(state=final_state, said=all_words), {"keyword_stuffing", "hedge_in_one_line"}),
    (Bank, all_of(said=label_alone), {"constant_reply", "nearest_demonstration"}),
    (
        Bank,
        all_of(state=final_state, said=exact_message, answer=answer),
        {"respace_answer", "explain_answer", "recase_answer", "end_with_full_stop", "dress_answer"},
    ),
    (Bank, all_of(few=few_calls, **GOOD), {"extra_reads", "repeat_read"}),
    (Bank, all_of(order=ordered_arguments, **GOOD), {"turn_argument_order"}),
    (Bank, all_of(amounts=amounts_with_a_point, **GOOD), {"respell_numbers"}),
    (Apart, all_of(turns=one_call_a_turn, **GOOD), {"parallel_reads"}),
    (Together, all_of(turns=reads_together, **GOOD), {"split_turns"}),
    (Cautious, all_of(named=frozen_as_named, **GOOD), {"reorder_independent_calls"}),
    (Cautious, all_of(clean=no_call_fails, **GOOD), {"retry_after_failure"}),
    (Cautious, all_of(turns=one_write_a_turn, **GOOD), {"parallel_calls"}),
    (Bank, all_of(state=final_state, said=needs_a_message), {"truncate"}),
    (
        Phone,
        all_of(accounts=accounts_alone, answer=answer_by_value),
        {"drop_message", "corrupt_message"},
    ),
    (Phone, all_of(state=final_state, value=answer_by_value, said=answer), {"respell_value"}),
    (Phone, all_of(state=final_state, value=answer_by_value), {"undo_extra_call"}),
]


@pytest.mark.parametrize(("base", "verdict", "operators"), FAULTS)
def test_audit_finds_faults_of_verifiers(
    base: type[Bank], verdict: Verifier, operators: set[str]
) -> None:
    report = audit_world(judged_by("Audited", verdict, base), 600)
    assert operators <= {row.operator for row in report.rows if row.errors}
    assert not report.passed and report.finding_count >= len(report.findings) > 0


def test_every_operator_is_shown_to_find_a_fault() -> None:
    shown = {operator for _, _, operators in FAULTS for operator in operators}
    assert shown == {name for group in KINDS.values() for name in group}


def test_mutants_that_change_nothing_are_a_finding_and_so_are_disputes() -> None:
    report = audit_world(Heedless.env_id, 1000)
    enum = next(row for row in report.rows if row.operator == "corrupt_enum")
    assert enum.judged == 0 and enum.equivalents >= 20 and enum.disputed == 0
    what = f"{enum.equivalents} of {enum.equivalents} mutants end as the demonstration does"
    assert not report.passed
    assert [f.what.split(",")[0] for f in report.findings if f.check == "corrupt_enum"] == [what]
    strict = judged_by("Strict", all_of(state=strict_state, answer=answer), Heedless)
    report = audit_world(strict, 1000)
    enum = next(row for row in report.rows if row.operator == "corrupt_enum")
    assert enum.disputed == enum.equivalents >= 20
    said = [f for f in report.findings if f.check == "corrupt_enum" and f.task_id]
    what = f"{enum.disputed} of {enum.disputed} that end as the demonstration does are rejected"
    assert [f.what for f in said] == [f"{what}; the first: "]


def test_other_orders_are_played_only_where_calls_commute() -> None:
    def orders(world: type[Bank]) -> list[tuple[list[Call], list[Call]]]:
        """The calls of demonstrations and of what they become."""
        register(f"test/{world.__name__}-v0")(world)
        found = []
        for ordinal in range(8):
            task = world.make_task(0, Split.TRAIN, 1, ordinal)
            mutant = reorder_independent_calls(make_case(task, task, Random(ordinal)))
            assert mutant is not None
            assert start(task).replay_gold(replace(task, gold=tuple(mutant.turns))).success
            played = (task.gold, mutant.turns)
            before, after = ([c for turn in turns for c in turn.calls] for turns in played)
            found.append((before, after))
        return found

    for before, after in orders(Cautious):
        changed = [[c for c in calls if c.name == "freeze"] for calls in (before, after)]
        assert changed[1] == changed[0][::-1]
    for before, after in orders(Apart):  # the reads alone, since the history keeps the order
        assert after == [before[1], before[0], *before[2:]]


@pytest.mark.parametrize(("made", "few"), [(20, 2), (30, 3), (100, 9), (1000, 63)])
def test_equivalents_count_only_where_chance_cannot_explain_them(made: int, few: int) -> None:
    """More than 5 % each; the lower end of Wilson's interval is just under 5 %, then just over."""

    def noted(equivalents: int) -> AuditReport:
        none = Tally("mutation", "drop_call")
        row = Tally("mutation", "reorder_calls", made - equivalents, equivalents)
        report = AuditReport("test/Bank-v0", 0, rows=[none, row])
        report.note_equivalents()
        return report

    under, over = noted(few), noted(few + 1)
    assert under.rows[1].equivalent_share > MAX_EQUIVALENT
    assert under.passed and under.findings == []
    what = f"{few + 1} of {made} mutants end as the demonstration does"
    assert over.findings == [Finding("reorder_calls", "", f"{what}, so the operator shows little")]
    assert not over.passed


def test_an_audit_is_not_cut_short_by_a_limit_on_turns() -> None:
    report = audit_world(f"{Bank.env_id}?turns=6", 500)
    assert report.findings == []
    careless = judged_by("Careless", all_of(few=nothing_missing, answer=answer), Apart)
    rows = {row.operator: row for row in audit_world(f"{careless}?turns=6", 500).rows}
    assert rows["extra_call"].errors > 0


def test_audit_finds_a_demonstration_that_knows_too_much() -> None:
    @register("test/Clairvoyant-v0")
    class Clairvoyant(Bank):
        @classmethod
        def draft(cls, rng: Random, level: int) -> Draft:
            draft = Bank.draft(rng, level)
            return replace(draft, prompt=draft.prompt.replace(" for ", " about ").split(" and ")[0])

    findings = audit_world(Clairvoyant.env_id, 20).findings
    assert {finding.check for finding in findings} == {"realisability"}
    assert "transfer gets target='M" in findings[0].what


def test_a_sound_world_passes_both_gates_and_every_operator_has_work() -> None:
    assert check_world(Bank.env_id, 6) == []
    report = audit_world(Bank.env_id, 800)
    assert report.findings == [] and report.passed and report.trajectories == 800
    talk = audit_world(Phone.env_id, 400)
    assert check_world(Phone.env_id, 4) == [] and talk.findings == []
    both = zip(report.rows, talk.rows, strict=True)
    assert [bank.operator for bank, phone in both if bank.judged + phone.judged == 0] == []
    assert all(row.equivalent_share <= MAX_EQUIVALENT for row in report.rows)
    assert report.wrong.judged + report.right.judged + report.wrong.equivalents == 800
    assert report.wrong.disputed == 0
    assert report.to_json() == audit_world(Bank.env_id, 800).to_json()


def test_counts_become_rates() -> None:
    row = Tally("mutation", "drop_call", judged=95, equivalents=5, errors=19)
    assert row.equivalent_share == 0.05
    assert row.rate is not None and row.rate.rate == 0.2
    assert (round(row.rate.low, 4), round(row.rate.high, 4)) == (0.1319, 0.2914)
    assert Tally("mutation", "drop_call").rate is None
    with pytest.raises(ValueError, match="at least one trajectory"):
        audit_world(Bank.env_id, 0)


def test_the_oracle_sees_what_counts_and_nothing_else() -> None:
    state = {"a": {"x": 1, "t": 5}, "b": [1.0, "é"]}
    turned = {"b": [1, "é"], "a": {"t": 9, "x": 1}}
    assert state_digest(state) != state_digest(turned)
    assert state_digest(state, ["a.t"]) == state_digest(turned, ["*.t"])
    assert state_digest({"a": []}) != state_digest({"a": {}})
    assert state_digest({"a": True}) != state_digest({"a": 1})
    assert last_line(" x\n Result:  DONE 4. \n\n") == "result: done 4"
    assert (last_line(None), last_line(" \n")) == (None, "")


@pytest.mark.parametrize(
    ("value", "known"),
    [
        ("K12", True),
        ("K1", False),
        (24.5, True),
        (24, False),
        ("select Name from t where x = 'oak'", True),
        ("select secret from t", False),
        ("take -k2n oak | name -x", True),
        ("take -k2n elm", False),
        ("-24.5", False),
        (["oak", {"a": "K12"}, None, True], True),
    ],
)
def test_what_was_said_is_known(value: Any, known: bool) -> None:
    assert is_known(value, "Take 24.50 of oak from K12, by name and x.") is known


def test_the_oracle_sees_a_forbidden_text() -> None:
    task = Bank.make_task(0, Split.TRAIN, 1, 0)
    secret = task.goal.forbidden[0]

    def told(message: str, account: str) -> bool:
        world = start(task)
        calls = ({"name": "balance", "arguments": {"account": account}},)
        world.step({"calls": calls, "message": message})
        world.step({"calls": (), "message": task.goal.answer})
        return ending_of(task, world.evidence()).told

    assert [told("I look.", "K1"), told(f"It is {secret.upper()}.", "K1"), told("", secret)] == [
        False,
        True,
        True,
    ]
    assert not told(f"{secret}5", "K1")
