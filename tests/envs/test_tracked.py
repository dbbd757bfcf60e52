"""Tracked state behaves as plain data does, and its hash, copies and rollbacks see every change."""

from __future__ import annotations

import copy
import json
import pickle
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tooldojo.envs.changes import changed_paths
from tooldojo.envs.digest import Known, KnownTokens, shortened, state_digest
from tooldojo.envs.snapshot import clone
from tooldojo.envs.state_tree import StateTree
from tooldojo.envs.tracked import TrackedDict, TrackedList
from tooldojo.verifiers.canonical import canonical_text

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.5, 1.0, "", "a", "1", '"é\ud800']),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abcd"), inner, max_size=3)
    ),
    max_leaves=8,
)
STATES = st.dictionaries(st.sampled_from("abcdef"), VALUES, max_size=5)


def containers(value: Any) -> list[Any]:
    found = [value]
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, dict | list):
            found += containers(item)
    return found


def change(state: Any, rng: Random, new: Any) -> None:
    """One random change anywhere; the same for equal states and generators."""
    at = rng.choice(containers(state))
    how = rng.randrange(9)
    if isinstance(at, dict):
        key = rng.choice("abcd")
        match how:
            case 0:
                at.pop(key, None)
            case 1:
                at.setdefault(key, new)
            case 2:
                at.update({key: new, "e": 1})
            case 3 if at:
                del at[rng.choice(list(at))]
            case 4 if at:
                at[key] = at.pop(rng.choice(list(at)))  # moves a container
            case 5:
                at.clear()
            case 6 if at:
                at[key] = clone(next(iter(at.values())))
            case 7:
                at |= {key: new}
            case _:
                at[key] = new
                if isinstance(new, dict):
                    new["late"] = 1  # by another reference, in the same call
        return
    match how:
        case 0 if at:
            at.pop(rng.randrange(len(at)))
        case 1:
            at.insert(rng.randrange(len(at) + 1), new)
        case 2:
            at.extend([new, 1])
        case 3 if at:
            at[rng.randrange(len(at))] = new
        case 4:
            at.reverse()
        case 5 if at:
            at[1:] = [new]
        case 6:
            at.sort(key=canonical_text)
        case 7 if at:
            at.remove(at[rng.randrange(len(at))])
        case _:
            at.append(new)


CHANGES = st.lists(st.tuples(st.integers(0, 2**32), VALUES), max_size=6)


@settings(deadline=None, max_examples=100)
@given(STATES, st.lists(st.tuples(CHANGES, st.booleans()), max_size=5))
def test_it_is_plain_data_that_knows_what_changed(state: dict, calls: list) -> None:
    tree, model = StateTree(clone(state)), clone(state)
    copies = [(tree.frozen(), clone(model))]
    for changes, fails in calls:
        before, digest = clone(model), tree.digest()
        tree.begin()
        for seed, new in changes:
            change(tree.root, Random(seed), clone(new))
            change(model, Random(seed), clone(new))
        assert tree.root == model
        if fails:
            tree.rollback()
            model = before
            assert tree.digest() == digest
        else:
            assert tree.commit() == (canonical_text(model) != canonical_text(before))
            assert tree.changed == changed_paths(before, model)
        assert tree.root == model and clone(tree.root) == model
        assert tree.digest() == state_digest(model)
        assert json.dumps(tree.root, sort_keys=True) == json.dumps(model, sort_keys=True)
        copies.append((tree.frozen(), clone(model)))
    for frozen, expected in copies:
        assert frozen == expected
        assert type(frozen) is dict
        assert not [each for each in containers(frozen) if type(each) not in (dict, list)]


SIZES = st.sampled_from([0, 1, 7, 8, 31, 32, 40])  # around those from which hashes are kept


def rows_of(state: dict, value: Any, rows: int, items: int) -> dict:
    """A state with large containers beside what it has."""
    table = {f"R{n}": clone(value) for n in range(rows)}
    return {**state, "rows": table, "items": [clone(value) for _ in range(items)]}


def changed(tree: StateTree, model: dict, changes: list, fails: bool) -> dict:
    """What a call makes of a tree and its model; one that fails leaves both as they were."""
    before = clone(model)
    tree.begin()
    for seed, new in changes:
        change(tree.root, Random(seed), clone(new))
        change(model, Random(seed), clone(new))
    if fails:
        tree.rollback()
        return before
    tree.commit()
    return model


CALLS = st.lists(st.tuples(st.integers(0, 2), CHANGES, st.booleans()), max_size=5)


@settings(deadline=None, max_examples=100)
@given(st.builds(rows_of, STATES, VALUES, SIZES, SIZES), CHANGES, CALLS)
def test_trees_that_begin_alike_hash_as_without_what_is_known(
    state: dict, changes: list, calls: list
) -> None:
    first = StateTree(clone(state))
    model = changed(first, clone(state), changes, fails=False)
    start, known = first.frozen(), first.known_tokens()
    expected = clone(model)
    trees = [first, StateTree(start, known), StateTree(start, known)]
    models = [clone(expected) for _ in trees]
    for who, more, fails in calls:
        models[who] = changed(trees[who], models[who], more, fails)
        for tree, plain in zip(trees, models, strict=True):
            assert tree.digest() == state_digest(plain) == StateTree(clone(plain)).digest()
            assert clone(tree.root) == plain and tree.frozen() == plain
    late = StateTree(start, known)
    assert late.digest() == state_digest(expected) and clone(late.root) == start == expected
    again = StateTree(late.frozen(), late.known_tokens())
    assert again.digest() == state_digest(expected)


def test_tokens_are_known_of_one_container_and_none_that_equals_it() -> None:
    state: dict[str, Any] = {"rows": {f"R{n}": [n] for n in range(40)}}
    told = KnownTokens({id(state): Known(state, "told")})
    assert StateTree(state, told).digest() == shortened("told")
    assert StateTree(clone(state), told).digest() == state_digest(state)
    assert pickle.loads(pickle.dumps(told)) == copy.deepcopy(told) == {}


def test_what_is_known_is_of_the_root_and_of_what_has_some_size() -> None:
    tree = StateTree({"rows": {f"R{n}": {"n": n} for n in range(8)}, "few": {"n": [1]}})
    frozen, known = tree.frozen(), tree.known_tokens()
    assert known.keys() == {id(frozen), id(frozen["rows"])}
    tree.root["rows"]["R1"]["n"] = 9
    after, later = tree.frozen(), tree.known_tokens()
    assert later.keys() == {id(after), id(after["rows"])} and not later.keys() & known.keys()
    assert later[id(after)].token == StateTree(after).root.token() != known[id(frozen)].token


@given(VALUES, VALUES)
def test_states_differ_exactly_where_their_digests_do(left: Any, right: Any) -> None:
    same = canonical_text(left) == canonical_text(right)
    assert (state_digest(left) == state_digest(right)) == same


def test_many_entries_hash_alike_in_any_order_and_one_by_one() -> None:
    rows = {f"R{n}": {"n": n, "tags": [n, {"x": n}]} for n in range(100)}
    tree = StateTree({"rows": {}})
    for key in reversed(rows):
        tree.root["rows"][key] = clone(rows[key])
        tree.digest()
    assert tree.digest() == state_digest({"rows": rows})
    for key in list(rows)[:90]:  # below the size from which sums are used
        del tree.root["rows"][key], rows[key]
        tree.digest()
    assert tree.digest() == state_digest({"rows": rows})
    tree.root["rows"]["R95"]["tags"][1]["x"] = 0
    assert tree.digest() != state_digest({"rows": rows})


def test_unchanged_parts_are_shared_between_copies() -> None:
    tree = StateTree({"a": {"x": [1]}, "b": {"y": [2]}})
    first = tree.frozen()
    tree.root["a"]["x"].append(3)
    second = tree.frozen()
    assert (first, second["a"]) == ({"a": {"x": [1]}, "b": {"y": [2]}}, {"x": [1, 3]})
    assert second["b"] is first["b"] and tree.frozen() is second


def test_a_copy_by_other_means_is_no_way_round() -> None:
    tree = StateTree({"rows": {"a": {"n": 1}, "b": {"n": 2}}, "list": [{"n": 3}]})
    frozen, digest = tree.frozen(), tree.digest()
    for view in (
        lambda: dict(tree.root["rows"])["a"],
        lambda: {**tree.root["rows"]}["a"],
        lambda: (tree.root["rows"] | {})["a"],
        lambda: ({} | tree.root["rows"])["a"],
        lambda: tree.root["rows"].copy()["a"],
        lambda: next(iter(tree.root["rows"].values())),
        lambda: next(iter(tree.root["rows"].items()))[1],
        lambda: tree.root["rows"].get("a"),
        lambda: next(iter(tree.root["list"])),
        lambda: (tree.root["list"] + [])[0],
        lambda: sorted(tree.root["list"], key=str)[0],
        lambda: tree.root["list"][:1][0],
        lambda: next(reversed(tree.root["list"])),
    ):
        before = tree.digest()
        view()["n"] += 1
        assert tree.digest() != before
    assert frozen == {"rows": {"a": {"n": 1}, "b": {"n": 2}}, "list": [{"n": 3}]}
    assert state_digest(frozen) == digest


def test_a_container_in_two_places_becomes_two() -> None:
    tree = StateTree({"a": {"n": 1}, "rows": []})
    row = tree.root["a"]
    tree.root["b"] = row
    tree.root["rows"].append(row)
    row["n"] = 2
    assert tree.frozen() == {"a": {"n": 2}, "b": {"n": 1}, "rows": [{"n": 1}]}
    tree.root["c"] = tree.root.pop("a")  # moved: the same container
    row["n"] = 3
    assert tree.frozen() == {"b": {"n": 1}, "c": {"n": 3}, "rows": [{"n": 1}]}


def test_copies_leave_the_tree() -> None:
    tree = StateTree({"a": {"x": [1]}})
    for made in (
        copy.deepcopy(tree.root),
        copy.copy(tree.root),
        pickle.loads(pickle.dumps(tree.root)),
    ):
        assert type(made) is dict and type(made["a"]) is dict and type(made["a"]["x"]) is list
    assert isinstance(tree.root["a"], TrackedDict) and isinstance(tree.root["a"]["x"], TrackedList)


@pytest.mark.parametrize(
    ("write", "changed"),
    [
        (lambda root: root["a"].update(n=True), True),
        (lambda root: root["a"].update(n=1.0), False),
        (lambda root: root["a"].update(n=1 + 1e-12), True),
        (lambda root: root["a"].update(n=1), False),
        (lambda root: root["a"].pop("n"), True),
        (lambda root: None, False),
    ],
)
def test_what_counts_as_a_change(write: Any, changed: bool) -> None:
    tree = StateTree({"a": {"n": 1}})
    tree.begin()
    write(tree.root)
    assert tree.commit() is changed


def test_a_state_that_a_tool_replaces_is_tracked_and_rolled_back() -> None:
    tree = StateTree({"a": 1})
    tree.begin()
    tree.root = {"b": {"c": 2}}
    assert tree.commit()
    assert isinstance(tree.root["b"], TrackedDict) and tree.digest() == state_digest(
        {"b": {"c": 2}}
    )
    tree.begin()
    tree.root = {}
    tree.rollback()
    assert tree.root == {"b": {"c": 2}}
    tree.root["bad"] = {1, 2}
    with pytest.raises(ValueError, match="state holds a set"):
        tree.digest()


def test_changed_paths_are_entries_leaves_and_lists_of_another_length() -> None:
    before = {"a": {"x": 1, "y": [1, 2]}, "b": [1, {"c": 2}], "gone": {"deep": 1}, "same": 1}
    after = {"a": {"x": 2, "y": [1]}, "b": [1, {"c": 3}], "new": {"deep": 1}, "same": 1.0}
    places = [("a", "x"), ("a", "y"), ("b", "1", "c"), ("gone",), ("new",)]
    assert changed_paths(before, after) == tuple(places)
    assert changed_paths({"on": 1}, {"on": True}) == (("on",),)
    assert changed_paths(before, clone(before)) == ()
