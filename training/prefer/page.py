"""Which trajectories are put before a person, and the page on which they are.

Owns the choice and the lines of JSON that `training.comparisons` reads back. Refuses to show who
played or what the verifier said: a person who knows is no second opinion. Invariant: two
trajectories side by side are of one task and differ; which one is A is drawn by seed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from tooldojo.envs.registry import world_class
from tooldojo.envs.seeding import derived_random
from tooldojo.envs.task import Split, Task
from tooldojo.rollouts.records import Trajectory
from tooldojo.rollouts.store import StoredRow
from tooldojo.verifiers.records import Json


@dataclass(frozen=True, slots=True)
class Side:
    """A stored trajectory that a person may judge. source: the run that it came from."""

    source: str
    row: StoredRow


def choose(
    first: Iterable[Side], second: Iterable[Side] | None, count: int, seed: int
) -> list[tuple[Side, Side]]:
    """At most `count` pairs of one task each: a trajectory of `first` beside one of `second`, or
    beside another one of `first` where there is no second.
    """
    left = _by_task(first)
    right = left if second is None else _by_task(second)
    pairs: list[tuple[Side, Side]] = []
    for task_id in derived_random(seed, "prefer").sample(sorted(left), len(left)):
        if len(pairs) == count:
            break
        rng = derived_random(seed, "prefer", task_id)
        found = [
            (a, b)
            for a in left[task_id]
            for b in right.get(task_id, ())
            if response_of(a.row.trajectory) != response_of(b.row.trajectory)
        ]
        if found:
            a, b = rng.choice(found)
            pairs.append((a, b) if rng.random() < 0.5 else (b, a))
    return pairs


def _by_task(sides: Iterable[Side]) -> dict[str, list[Side]]:
    """Usable trajectories: of training tasks, with a verdict, in one piece, and with an end."""
    found: dict[str, list[Side]] = {}
    for side in sides:
        played = side.row.trajectory
        usable = played.ending.trains and len(played.segments) == 1 and played.turns
        if usable and side.row.task.split is Split.TRAIN:
            found.setdefault(side.row.task.id, []).append(side)
    return found


def response_of(trajectory: Trajectory) -> list[Json]:
    """What a policy wrote and what came back, as messages; from the first turn to the last."""
    calls = trajectory.evidence.calls if trajectory.evidence else ()
    turns = trajectory.segments[0].turns
    messages: list[Json] = []
    for turn in turns:
        messages.append({"role": "assistant", "content": turn.text})
        if turn is not turns[-1]:  # where a limit came, nobody read the last results
            for call in calls:
                if call.turn == turn.index:
                    messages.append({"role": "tool", "content": call.result})
    return messages


def line_of(a: Side, b: Side) -> dict[str, Json]:
    """One comparison without its `preference`, in the format of `training.comparisons`."""
    task = a.row.task
    return {
        "prompt": _prompt(task),
        "tools": [spec.schema for spec in world_class(task.env).listed_tools()],
        "response_a": response_of(a.row.trajectory),
        "response_b": response_of(b.row.trajectory),
        "task_id": task.id,
        "a": _origin(a),
        "b": _origin(b),
    }


def _prompt(task: Task) -> Json:
    system = world_class(task.env).system_prompt
    head: list[Json] = [{"role": "system", "content": system}] if system else []
    return [*head, {"role": "user", "content": task.prompt}]


def _origin(side: Side) -> dict[str, Json]:
    row = side.row
    played = row.trajectory
    place: dict[str, Json] = {"run": side.source, "stage": row.stage, "step": row.step}
    return place | {
        "ordinal": played.ordinal,
        "member": played.member,
        "policy": played.policy.digest,
    }


def render_page(lines: Sequence[dict[str, Json]], title: str) -> str:
    """The finished HTML: data, style and script in one file that needs no network."""
    environment = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    source = (files("tooldojo.training.prefer") / "page.html.jinja").read_text(encoding="utf-8")
    return environment.from_string(source).render(lines=list(lines), title=title)
