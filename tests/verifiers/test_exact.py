"""Numbers in text: read by value, written in one spelling, never evaluated."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tooldojo.verifiers.exact import number, spelled


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", Fraction(12)),
        ("-2.50", Fraction(-5, 2)),
        ("7/3", Fraction(7, 3)),
        ("1.5/2", Fraction(3, 4)),
        ("-0.5", Fraction(-1, 2)),
        ("007", Fraction(7)),
        *((text, None) for text in ("", "1/0", "1e3", "2*3", "0x10", "1,5", ".5", "5.", "٣", "1 ")),
        ("9" * 41, None),
    ],
)
def test_reading(text: str, value: Fraction | None) -> None:
    assert number(text) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Fraction(4), "4"),
        (Fraction(1, 8), "0.125"),
        (Fraction(-1, 20), "-0.05"),
        (Fraction(25, 2), "12.5"),
        (Fraction(1, 3), "1/3"),
        (Fraction(-7, 6), "-7/6"),
    ],
)
def test_writing(value: Fraction, text: str) -> None:
    assert spelled(value) == text


@given(st.fractions(max_denominator=10**6).filter(lambda f: abs(f.numerator) < 10**15))
def test_what_is_written_is_read_again(value: Fraction) -> None:
    assert number(spelled(value)) == value
