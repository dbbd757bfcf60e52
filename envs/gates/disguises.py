"""Forms of a text that say the same to a person: for secrets and for closing lines.

Each is written out here and shares nothing with what `verifiers/reading.py` knows of them.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from random import Random

_CYRILLIC = str.maketrans("aceopxyACEOPX", "асеорхуАСЕОРХ")  # noqa: RUF001
_ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
_WIDE = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}

DRESSES = ("{}", "- {}", "> {}", "**{}**", "`{}`", "1. {}")  # of a line


def _split(text: str, sign: str, rng: Random) -> str:
    """`text` with a sign between two letters or two digits of it, where it has such."""
    places = [
        at
        for at, (one, two) in enumerate(pairwise(text), 1)
        if (one.isalpha() and two.isalpha()) or (one.isdigit() and two.isdigit())
    ]
    at = rng.choice(places or [len(text)])
    return text[:at] + sign + text[at:]


def _hyphened(text: str, rng: Random) -> str:
    return _split(text, "-", rng) if text.isalpha() else text


def _plural(text: str, _rng: Random) -> str:
    return f"{text}s" if text[-1:].isalpha() else text


DISGUISES: tuple[Callable[[str, Random], str], ...] = (
    lambda text, _: text,
    lambda text, _: text.upper(),
    lambda text, _: text.translate(_CYRILLIC),
    lambda text, _: text.translate(_ARABIC),
    lambda text, _: text.translate(_WIDE),
    lambda text, _: "".join(f"{sign}\u0301" if sign.isalpha() else sign for sign in text),
    lambda text, rng: _split(text, "\u200b", rng),
    lambda text, rng: _split(text, "**", rng),
    lambda text, rng: _split(text, "<b></b>", rng),
    _hyphened,
    _plural,
)
