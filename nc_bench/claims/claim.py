"""One claim: a number that theory predicts and that a solver or a training run, which never sees it, has to obtain."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

from nc_bench import theory

OBJECTIVE_TOLERANCE = 1e-8
"""Relative, of objectives and risks: reached wherever the problem is well conditioned."""

GEOMETRY_TOLERANCE = 1e-6
"""Of lengths, cosines and defects: an objective is quadratic at its minimum, so they have fewer digits than it."""

Bound = Literal["equal", "at_least", "at_most"]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A statement in words, its source, and two ways to its number that know nothing of each other.

    ``predicted`` asks the theory, ``obtained`` solves or trains; both are called only when the claim is checked.
    With the bound "equal" the deviation is |obtained - predicted|, with "at_least" (a lower bound) it is by how
    much ``obtained`` falls below ``predicted``, with "at_most" by how much it exceeds it, at least 0 in both. With
    ``relative`` it is divided by |predicted|. The claim holds iff the deviation is at most ``tolerance``.
    """

    name: str
    statement: str
    source: str
    predicted: Callable[[], float]
    obtained: Callable[[], float]
    tolerance: float
    relative: bool = True
    bound: Bound = "equal"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a claim. A number that is NaN or infinite, obtained or predicted, never holds."""

    name: str
    source: str
    predicted: float
    obtained: float
    deviation: float
    tolerance: float
    holds: bool


def check(claim: Claim) -> Outcome:
    """Obtain the number, then ask for the prediction, and compare.

    A relative claim whose prediction is zero has an infinite deviation, unless nothing deviates at all.
    """
    obtained = float(claim.obtained())
    predicted = float(claim.predicted())
    deviation = _deviation(obtained - predicted, claim.bound)
    if claim.relative and deviation != 0:
        deviation = deviation / abs(predicted) if predicted != 0 else math.inf
    finite = math.isfinite(obtained) and math.isfinite(predicted)
    return Outcome(
        name=claim.name,
        source=claim.source,
        predicted=predicted,
        obtained=obtained,
        deviation=deviation,
        tolerance=claim.tolerance,
        holds=finite and deviation <= claim.tolerance,
    )


def _deviation(excess: float, bound: Bound) -> float:
    if math.isnan(excess):
        return excess
    if bound == "equal":
        return abs(excess)
    return max(0.0, -excess if bound == "at_least" else excess)


def predicted_claim(
    name: str,
    statement: str,
    *,
    setting: str,
    value: str,
    problem: Mapping[str, object],
    obtained: Callable[[], float],
    tolerance: float,
    entry: int | None = None,
    relative: bool = True,
    bound: Bound = "equal",
) -> Claim:
    """The claim that `obtained` gives the `value` which `predict(setting, **problem)` predicts, with its source.

    Of a value with a number for every class, `entry` says which. Its ``predicted`` raises ValueError if the theory
    does not apply there or does not predict that value.
    """
    return Claim(
        name=name,
        statement=statement,
        source=theory.predict(setting, **problem).source,
        predicted=partial(predicted_value, setting, value, problem, entry),
        obtained=obtained,
        tolerance=tolerance,
        relative=relative,
        bound=bound,
    )


def predicted_value(setting: str, value: str, problem: Mapping[str, object], entry: int | None = None) -> float:
    """One number of a prediction, or this entry of a tuple; ValueError if there is none."""
    prediction = theory.predict(setting, **problem)
    number = prediction.values.get(value)
    if isinstance(number, tuple) and entry is not None:
        return number[entry]
    if not isinstance(number, float):
        raise ValueError(f"{setting} predicts no {value}: {prediction.reason or 'not one of its numbers'}")
    return number
