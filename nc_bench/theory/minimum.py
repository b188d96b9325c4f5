"""Roots and lowest points of functions of one number, to the last bit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

GRID = 4000


def sign_change(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function that is positive just above low and negative at high changes sign: bisection to the last bit."""
    while low < (middle := low + (high - low) / 2) < high:
        low, high = (middle, high) if function(middle) > 0 else (low, middle)
    return low


def lowest(function: Callable[[float], float], slope: Callable[[float], float], upper: float) -> tuple[float, float]:
    """Where in [0, upper] the function, with this derivative, is smallest, and its value there; exact to rounding.

    It may have several valleys. Around those of a grid, which is denser near 0, the root of the derivative is found.
    """
    points = upper * np.linspace(0.0, 1.0, GRID) ** 3
    values = np.array([function(float(point)) for point in points])
    best = (0.0, float(values[0]))
    inner = (values[1:] <= values[:-1]) & (values[1:] <= np.append(values[2:], np.inf))
    for index in (np.flatnonzero(inner) + 1).tolist():
        low, high = float(points[index - 1]) or float(points[1]) * 1e-9, float(points[min(index + 1, GRID - 1)])
        if slope(low) < 0 < slope(high):
            place = sign_change(lambda point: -slope(point), low, high)
            best = min(best, (place, function(place)), key=lambda candidate: candidate[1])
    return best
