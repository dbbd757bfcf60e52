"""Where the worlds of stored trajectories come from: `worlds.json` beside the shards.

An id such as `user/Desk-v0` stands for a world only in a process that has loaded its file, so the
references of users' worlds are kept with what was played in them. Refuses to guess: where a world
can no longer be found, its reference must be given anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from tooldojo.envs.references import is_here
from tooldojo.envs.registry import is_known, loaded_from, stored_id, world_class
from tooldojo.rollouts.whole_files import read_json, write_json

NAME = "worlds.json"


class WorldMissing(LookupError):
    """The world of stored trajectories cannot be found; the message says how to name it."""


def note_worlds(directory: Path, env_ids: Collection[str]) -> None:
    """Keep from where users' worlds were loaded in this process, file paths in full."""
    known = noted_worlds(directory)
    found = {base: loaded_from(base) for base in _bases(env_ids)}
    now = known | {base: place for base, place in found.items() if place is not None}
    if now != known:
        write_json(directory / NAME, dict(sorted(now.items())))


def noted_worlds(directory: Path) -> dict[str, str]:
    """References by world id."""
    path = directory / NAME
    return read_json(path) if path.is_file() else {}


def load_worlds(
    directory: Path, env_ids: Collection[str], given: Sequence[str], otherwise: Sequence[str] = ()
) -> None:
    """Load what the worlds of stored trajectories need in this process.

    given: references that come before those kept in the directory; otherwise: those that are tried
    where none was kept or its file is gone.

    Raises:
        WorldMissing: where a world is in none of them, or its file is gone.
        LookupError: for a reference given that leads nowhere.
    """
    for reference in given:
        world_class(reference)
    noted = noted_worlds(directory)
    for base in _bases(env_ids):
        kept = noted.get(base)
        if kept is not None and is_here(kept) and not is_known(base):
            world_class(kept)
        for place in otherwise:
            if not is_known(base) and is_here(place) and base in _bases([stored_id(place)]):
                world_class(place)
        if not is_known(base):
            where = f", which came from {kept}" if kept else ""
            raise WorldMissing(
                f"{directory} holds trajectories of {base}{where}; it is not here, so give its "
                "class: --world FILE.py:Class"
            )


def _bases(env_ids: Iterable[str]) -> list[str]:
    """Ids without wrappers, which are built from the id alone."""
    return sorted({env_id.partition("?")[0] for env_id in env_ids})
