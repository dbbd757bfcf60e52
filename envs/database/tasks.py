"""Which database tasks there are: templates by level with their conditions, and how one becomes a
`Draft`.

A condition is the filter or the branch of a task. Levels 1 and 2 share templates: level 1 names the
table, level 2 lets it be found. Requests that the policy excludes stand at every level and need no
call at any.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tooldojo.envs.database import chains
from tooldojo.envs.database import questions as q
from tooldojo.envs.database.scene import FILTERS, Scene
from tooldojo.envs.database.story import Sketch
from tooldojo.envs.database.wordings import FRAMES, WORDINGS
from tooldojo.envs.draft import Draft
from tooldojo.envs.gold import with_timeout

TIMEOUT_CHANCE = 0.17  # about 15 % of all tasks: those without calls have no time-out


@dataclass(frozen=True, slots=True)
class Template:
    """A kind of task at one level. `weight` is its share among the templates of the level."""

    name: str
    write: Callable[[Scene, str, bool], Sketch | None]
    conditions: tuple[str, ...]
    weight: float = 1.0


_ALL = ("all", *FILTERS)
_VERBS = ("delete", "change", "add", "drop", "send", "draw")
_KINDS = ("things", "events", "sides")
_ONE_TABLE = (
    Template("count", q.count, FILTERS, 1.5),
    Template("total", q.total, _ALL),
    Template("average", q.average, _ALL),
    Template("highest", q.highest, ("all", "category", "before", "after")),
    Template("lowest", q.lowest, ("all", "category", "before", "after")),
    Template(
        "by_date", q.by_date, ("earliest_all", "earliest_category", "latest_all", "latest_category")
    ),
    Template("distinct", q.distinct, ("all", "above", "below", "before", "after")),
    Template("top_group", q.top_group, ("rows", "highest", "lowest")),
    Template("lookup", q.lookup, ("category", "number", "date", "nobody"), 1.2),
    Template("no_column", q.no_column, ("things", "sides"), 0.6),
)

TEMPLATES: dict[int, tuple[Template, ...]] = {
    1: (
        *_ONE_TABLE,
        Template("rows", q.rows, _KINDS),
        Template(
            "edge_value",
            q.edge_value,
            ("first_category", "last_category", "first_name", "last_name"),
        ),
        Template("unsupported", q.unsupported, _VERBS, 2.5),
    ),
    2: (
        *_ONE_TABLE,
        Template("bigger_table", q.bigger_table, ("more", "fewer")),
        Template("wrong_rows", q.wrong_rows, _KINDS),
        Template("unsupported_plan", q.unsupported, _VERBS),
    ),
    3: (
        Template("wrong_table", chains.wrong_table, FILTERS),
        Template("end_table", chains.end_table, ("most", "fewest"), 0.7),
        Template("join_count", chains.join_count, chains.JOIN_FILTERS),
        Template("join_total", chains.join_total, FILTERS),
        Template("join_top", chains.join_top, ("rows", "total", "earliest", "latest")),
        Template(
            "two_step",
            chains.two_step,
            ("above_average", "below_average", "above_name", "below_name"),
        ),
        Template("save_count", chains.save_count, FILTERS, 1.5),
        Template("save_total", chains.save_total, FILTERS, 1.5),
        Template("save_if", chains.save_if, chains.SAVES, 1.5),
        Template("unsupported_plan", q.unsupported, _VERBS, 0.9),
    ),
}

# Both halves of each pair occur in training: the filter with other templates, the template with
# other filters.
UNSEEN_COMBOS = frozenset(
    {
        ("count", "after"),
        ("average", "below"),
        ("lowest", "category"),
        ("join_count", "above"),
        ("save_total", "before"),
    }
)
UNSEEN_WORDINGS = frozenset({4})


def draft(rng: Random, level: int) -> Draft:
    """One random task of a level."""
    templates = TEMPLATES[level]
    template = rng.choices(templates, [t.weight for t in templates])[0]
    condition = rng.choice(template.conditions)
    wording = rng.randrange(5)
    scene = Scene(rng)
    while (sketch := template.write(scene, condition, level == 1)) is None:
        scene = Scene(rng)
    text = WORDINGS[template.name][wording].format(**sketch.fields)
    text = text[0].upper() + text[1:]
    prompt = FRAMES[wording].format(text=text, ref=scene.ref)
    timed = with_timeout(rng, sketch.gold, TIMEOUT_CHANCE)
    return Draft(prompt, scene.world(), timed.gold, template.name, condition, wording, timed.faults)
