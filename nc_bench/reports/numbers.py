"""Numbers as text, short but never so short that a difference disappears."""

from __future__ import annotations

import math
from collections.abc import Callable

MOST_DIGITS = 17
LONGEST_PERCENTAGE = 6

PRECISION = {"float32": 2.0**-23, "float64": 2.0**-52}
"""The relative difference of a number of each type and the next."""

ROUNDED = 16
"""Up to so many of these a difference is called rounding: sums over many samples lose some bits."""


def number(value: float, digits: int = 4) -> str:
    """`value` with this many significant digits; '-' for NaN."""
    return "-" if math.isnan(value) else f"{value + 0.0:.{digits}g}"  # -0.0 + 0.0 is 0.0


def percent(value: float, digits: int = 2) -> str:
    """A share as a percentage, '3.3 %'; '-' for NaN."""
    hundredths = 100 * value
    if 1 <= abs(hundredths) < 10**LONGEST_PERCENTAGE:
        digits = max(digits, 1 + math.floor(math.log10(abs(hundredths))))
    return "-" if math.isnan(value) else f"{number(hundredths, digits)} %"


def distinct(value: float, other: float, digits: int = 4, write: Callable[[float, int], str] = number) -> str:
    """`value` with at least this many significant digits, and as many as it takes to differ from `other`.

    Equal values read the same, NaN reads '-'. `write` is `number` or `percent`.
    """
    if value == other or math.isnan(value) or math.isnan(other):
        return write(value, digits)
    enough = (d for d in range(digits, MOST_DIGITS) if write(value, d) != write(other, d))
    return write(value, next(enough, MOST_DIGITS))
