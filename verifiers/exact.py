"""Exact numbers in text: read without evaluating anything, and written in one spelling.

Invariant: `number(spelled(value)) == value`.
"""

from __future__ import annotations

import re
from fractions import Fraction

_NUMBER = re.compile(r"(-?[0-9]{1,40})(?:\.([0-9]{1,40}))?(?:/([0-9]{1,40}))?")


def number(text: str) -> Fraction | None:
    """The value of `12`, `-2.50`, `7/3` or `1.5/2`; None for any other text, or a zero below."""
    found = _NUMBER.fullmatch(text)
    if not found or (found[3] and not int(found[3])):
        return None
    whole, behind, below = found.groups()
    value = Fraction(f"{whole}.{behind}" if behind else whole)
    return value / int(below) if below else value


def spelled(value: Fraction) -> str:
    """As a whole number, else as a decimal where that ends, else as a fraction in lowest terms."""
    if value.denominator == 1:
        return str(value.numerator)
    rest, places = value.denominator, 0
    for prime in (2, 5):
        count = 0
        while rest % prime == 0:
            rest, count = rest // prime, count + 1
        places = max(places, count)
    if rest > 1:
        return f"{value.numerator}/{value.denominator}"
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    return f"{'-' * (value < 0)}{digits[:-places]}.{digits[-places:]}"
