"""Checks of a problem's specification: nonsense raises ValueError, a formula out of its range gives a reason.

The functions named after a kind of value return it in a plain Python type. The functions `narrow` and
`unequal` return the reason why a theorem does not apply, "" where nothing stands in its way.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from numbers import Integral, Real

MOST = 2**53


def whole(name: str, value: object, at_least: int) -> int:
    """A whole number not below ``at_least``; ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < at_least:
        raise ValueError(f"{name} must be a whole number, at least {at_least}, got {_short(value)}")
    if int(value) > MOST:
        raise ValueError(f"{name} must be at most 2^53, up to which float64 has all whole numbers, got {_short(value)}")
    return int(value)


def real(name: str, value: object) -> float:
    """A number that is not NaN; ValueError otherwise."""
    try:
        if isinstance(value, bool) or not isinstance(value, Real) or math.isnan(number := float(value)):
            raise ValueError(f"{name} must be a number, got {_short(value)}")
    except OverflowError:
        raise ValueError(f"{name} is beyond float64, got {_short(value)}") from None
    return number


def positive(name: str, value: object) -> float:
    """A positive finite number; ValueError otherwise."""
    number = real(name, value)
    if not 0 < number < math.inf:
        raise ValueError(f"{name} must be positive and finite, got {value!r}")
    return number


def nonnegative(name: str, value: object) -> float:
    """A finite number, zero or above; ValueError otherwise."""
    number = real(name, value)
    if not 0 <= number < math.inf:
        raise ValueError(f"{name} must be finite and not negative, got {value!r}")
    return number


def flag(name: str, value: object) -> bool:
    """True or False; ValueError otherwise."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be True or False, got {value!r}")
    return value


def class_counts(value: Sequence[int]) -> tuple[int, ...]:
    """Samples per class, for two classes or more; ValueError otherwise."""
    counts = tuple(whole(f"counts[{k}]", count, 1) for k, count in enumerate(_items("counts", value)))
    if len(counts) < 2:
        raise ValueError(f"counts must name the samples of at least 2 classes, got {value!r}")
    return counts


def narrow(width: int | None, needed: int, purpose: str) -> str:
    """Why a feature layer of this width is too narrow, "" if it is not or if the width is not given.

    Raises ValueError unless the width is None or a whole number, at least 1.
    """
    if width is None or whole("width", width, 1) >= needed:
        return ""
    return f"width {width} is too small: {purpose} needs {needed}"


def unequal(class_weights: Sequence[float] | None, classes: int, purpose: str) -> str:
    """Why these weights stand in the way of a theorem on equal weights, "" if equal or not given.

    Only ratios count; ratios within 1e-12 of one are rounding. Raises ValueError unless the weights are
    None or positive finite numbers, one per class.
    """
    weights = weights_of(class_weights, classes)
    if max(weights) - min(weights) <= 1e-12 * max(weights):
        return ""
    return f"class weights are not equal (ratio {max(weights) / min(weights):.6g}): {purpose}"


def weights_of(class_weights: Sequence[float] | None, classes: int) -> tuple[float, ...]:
    """Weights of the classes, all 1 for None; ValueError unless positive, finite, one per class."""
    if class_weights is None:
        return (1.0,) * classes
    given = _items("class_weights", class_weights)
    if len(given) != classes:
        raise ValueError(f"class_weights must have one entry for each of {classes} classes, got {len(given)}")
    return tuple(positive(f"class_weights[{k}]", weight) for k, weight in enumerate(given))


def first(*reasons: str) -> str:
    """The first reason that is not empty; "" if all are. All are worked out first, so that nonsense is found."""
    return next((reason for reason in reasons if reason), "")


def _short(value: object) -> str:
    """The value as Python writes it; a whole number of more than 60 digits is not written out."""
    if isinstance(value, Integral) and abs(int(value)).bit_length() > 200:
        return f"a number of {abs(int(value)).bit_length()} bits"
    return f"{value!r}"


def _items(name: str, value: object) -> tuple[object, ...]:
    try:
        if isinstance(value, str | bytes | Mapping | Set) or not isinstance(value, Iterable):
            raise TypeError
        return tuple(value)
    except TypeError:  # an array without axes says that it can be iterated over
        raise ValueError(f"{name} must be a sequence of numbers, got {_short(value)}") from None
