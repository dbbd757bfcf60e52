"""Which file tasks there are: templates by level, and what is kept from training.

A level is a property of the request, so a request that the policy excludes stands at every level
and needs no call at any.
"""

from __future__ import annotations

from random import Random

from tooldojo.envs.draft import Draft
from tooldojo.envs.files import chains, choices, simple
from tooldojo.envs.files.scene import Scene
from tooldojo.envs.files.wordings import WORDINGS
from tooldojo.envs.templates import Template, compose


def _excluded() -> tuple[Template[Scene], ...]:
    return (
        Template("unsupported_plan", simple.unsupported, simple.THING_KINDS, 0.35),
        Template("declined_plan", simple.declined, simple.DEEDS, 0.35),
    )


TEMPLATES: dict[int, tuple[Template[Scene], ...]] = {
    1: (
        Template("count_lines", simple.count_lines, (*["known"] * 5, "unknown"), 1.4),
        Template("number_of", simple.number_of, ("file", "folder"), 1.2),
        Template("which_file", simple.which_file, (*["found"] * 5, "none"), 1.2),
        Template("move_named", simple.move_named, (*["open"] * 5, "locked"), 1.2),
        Template("add_named", simple.add_named, ("line", "pair")),
        Template("mode_named", simple.mode_named, ("open", "locked")),
        Template("unsupported", simple.unsupported, simple.THING_KINDS, 0.35),
        Template("declined", simple.declined, simple.DEEDS, 0.35),
    ),
    2: (
        Template("edit_number", choices.edit_number, ("given", "like")),
        Template("move_or_lock", choices.move_or_lock, ("has", "lacks")),
        Template("larger_number", choices.larger_number, ("first", "second")),
        Template("found_file", choices.found_file, ("move", "lock")),
        Template("open_first", choices.open_first, ("open", "locked")),
        Template("pack_if", choices.pack_if, ("more", "fewer")),
        Template("over_folder", choices.over_folder, ("count", "largest", "smallest")),
        *_excluded(),
    ),
    3: (
        Template("edit_move", chains.edit_move, ("move", "lock")),
        Template("pack_recover", chains.pack_recover, (*["locked"] * 3, "open")),
        Template("move_both", chains.move_both, ("open", "locked")),
        Template("note_best", chains.note_best, chains.PLACES),
        Template("hand_over", chains.hand_over, ("first", "last")),
        Template("rename_word", chains.rename_word, ("open", "locked")),
        Template("merge_sorted", chains.merge_sorted, ("open", "locked")),
        *_excluded(),
    ),
}

# Both halves of each pair occur in training: the condition with other templates, the template with
# other conditions.
UNSEEN_COMBOS = frozenset(
    {
        ("declined", "move"),
        ("found_file", "lock"),
        ("edit_move", "move"),
        ("note_best", "smallest_last"),
        ("hand_over", "last"),
    }
)
UNSEEN_WORDINGS = frozenset({4})


def draft(rng: Random, level: int) -> Draft:
    """One random task of a level."""
    return compose(rng, TEMPLATES[level], WORDINGS, Scene(rng))
