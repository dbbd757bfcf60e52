"""Other names for tools and parameters, made of synonyms, and texts that mention them.

Invariant: a renaming is one to one, changes every name, and depends on its seed and the names only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from tooldojo.envs.seeding import derived_random

_SYNONYMS = """
    add append include insert | amount quantity volume | answer reply response | book reserve secure
    booking reservation ticket | bookings reservations tickets | cancel void revoke annul
    city town place | column field attribute | count tally number_of | create make build
    customer client buyer | date day | delete remove erase | describe explain outline
    destination target arrival | email mail_address e_mail | exchange swap replace
    file document | find locate look_up | flight connection departure | flights connections
    get fetch read retrieve | id key number ref | item line piece | list enumerate show_all
    name title label | open start launch | order purchase sale | orders purchases sales
    origin source start | path location | product article goods | query request lookup
    read view show | reason cause motive | refund reimburse pay_back | result outcome finding
    rows records entries | run execute perform | save store keep | search look_for scan
    seats places | send submit deliver | set put assign | sql statement query_text
    table relation sheet | tables relations sheets | traveller passenger guest
    update change modify | value content entry | values contents | variant version option
    weather forecast | write record note
"""
SYNONYMS = {
    words[0]: tuple(words[1:])
    for words in (group.split() for line in _SYNONYMS.splitlines() for group in line.split("|"))
    if words
}


def renamed(names: Sequence[str], spare: str, *seed: str | int) -> dict[str, str]:
    """Another name for each of `names`; none equals an old one.

    spare: what is put before a name of which no word has a synonym.
    """
    rng = derived_random(*seed, "rename")
    used, found = set(names), {}
    for name in names:
        words = name.split("_")
        while True:
            new = "_".join(rng.choice(SYNONYMS.get(word, (word,))) for word in words)
            if new not in used:
                break
            words = [spare, *words]
        used.add(new)
        found[name] = new
    return found


def rewriter(names: Mapping[str, str]) -> Callable[[str], str]:
    """Puts the new names into a text wherever it mentions an old one.

    A name of a single word is common English as well, so it counts only in backticks, before a
    bracket, or after "call of" and "call".
    """
    if not names:
        return lambda text: text
    compound = "|".join(re.escape(name) for name in names if "_" in name) or r"(?!)"
    single = "|".join(re.escape(name) for name in names if "_" not in name) or r"(?!)"
    lone = rf"(?<=`)(?:{single})(?=`)|\b(?:{single})(?=\()|(?<=\bcall of )(?:{single})\b"
    pattern = re.compile(rf"\b(?:{compound})\b|{lone}|(?<=\bcall )(?:{single})\b")
    return lambda text: pattern.sub(lambda found: names[found[0]], text)
