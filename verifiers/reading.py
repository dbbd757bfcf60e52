"""Text as a person reads it: signs that look alike are one, markup and invisible signs are none.

Owns whether a text says a secret, and which label a line has. Refuses paraphrase: other words for
the same, digits in place of letters, a short number in parts. Invariant: a secret is found from the
start of a word only, so that a short one is not seen inside another word.
"""

from __future__ import annotations

import html
import re
import unicodedata
from functools import lru_cache
from itertools import pairwise

_LONG_NUMBER = 6  # digits from which on a number is known however it is grouped
_LONG_WORD = 6  # letters from which on a word is known with spaces in it and with any short ending
_ANY = r"[\W_]*"  # between the letters of a long word
_TIGHT = r"(?:[^\w\s]|_)*"  # between those of a short one: no space, or words would run together
_MARKUP = r"(?:\*\*|__|~~|`)*"  # within a number; a single sign could be arithmetic
_LIST_MARK = re.compile(r"(?:(?:[-+*•>#]+|\d+[.)])\s+)*")
_LOOK_ALIKE = str.maketrans(
    "АВЕЅІЈКМНОРСТУХԀԌԚԜҺаеѕіјкмнорстухԁԍԛԝһь"
    "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαβεικνορτυχηγω"
    "ıɑɡɩʋøØłŁđĐðƖոօսհցᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ",
    "ABESIJKMHOPCTYXDGQWhaesijkmhopctyxdgqwhb"
    "ABEZHIKMNOPTYXabeikvoptuxnyw"
    "iagivoOlLdDdlnouhgabcdefghijklmnoprstuvwyz",
    "\u115f\u1160",  # fillers, which no category tells from letters
)


def plain(text: str) -> str:
    """`text` in small letters, one sign for all that look like it, without what cannot be seen."""
    if text.isascii():
        return text.casefold()
    shown = (
        str(unicodedata.decimal(sign, sign))
        for sign in unicodedata.normalize("NFKD", text)
        if not unicodedata.category(sign).startswith(("M", "Cf"))
    )
    return "".join(shown).translate(_LOOK_ALIKE).casefold()


def without_tags(text: str) -> str:
    """`text` as a page shows it: no HTML tags, signs in place of their names."""
    return re.sub(r"<[^<>]*>", "", html.unescape(text))


def without_list_mark(line: str) -> str:
    """`line` without the signs of a list, a heading or a quotation at its start."""
    return _LIST_MARK.sub("", line.lstrip(), count=1)


def label_of(line: str) -> str:
    """The letters and digits before the first colon, however dressed up; "" where there is none."""
    head, colon, _ = plain(without_tags(line)).partition(":")
    return re.sub(r"[\W_]", "", without_list_mark(head)) if colon else ""


def repeats(text: str, secret: str) -> bool:
    """Whether `text` says `secret`: its words in a row, however they are dressed up.

    Between letters may stand signs, between those of six or more also spaces; a word may have an
    ending and a number a unit. A number of six or more digits is found in any grouping.
    """
    sought = _pattern(plain(secret))
    digits = re.sub(r"\D", "", plain(secret))
    number = re.sub(r"[\d\W_]", "", plain(secret)) == "" and len(digits) >= _LONG_NUMBER
    for shown in {plain(html.unescape(text)), plain(without_tags(text))}:
        if sought.search(shown):
            return True
        if number and digits in re.sub(r"(?<=\d)[\W_]+(?=\d)", "", shown):
            return True
    return False


@lru_cache(maxsize=4096)
def _pattern(secret: str) -> re.Pattern[str]:
    """What finds a secret that was made plain; one without letters and digits is found as it is."""
    runs = re.findall(r"\d+|[^\W\d_]+", secret)
    if not runs:
        return re.compile(re.escape(secret))
    found = r"(?<![^\W_])" + _run(runs[0])
    for before, run in pairwise(runs):
        both_numbers = before.isdigit() and run.isdigit()
        found += (r"[\W_]+" if both_numbers else _ANY) + _run(run)
    if runs[-1].isdigit():
        return re.compile(found + r"(?!\d)")
    ending = r"[^\W\d_]{0,3}" if len(runs[-1]) >= _LONG_WORD else "(?:e?s)?"
    return re.compile(found + ending + r"(?![^\W\d_])")


def _run(run: str) -> str:
    """What finds a row of digits or of letters."""
    if run.isdigit():
        return _MARKUP.join(run)
    return (_ANY if len(run) >= _LONG_WORD else _TIGHT).join(run)
