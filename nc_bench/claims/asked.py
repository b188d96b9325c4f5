"""Claims about a value of a prediction: the theory is asked when the claim is checked, and has to answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from nc_bench import theory
from nc_bench.claims.claim import Bound, Claim


def asked(
    name: str,
    statement: str,
    *,
    setting: str,
    value: str,
    problem: Mapping[str, object],
    obtained: Callable[[], float],
    tolerance: float,
    relative: bool = True,
    bound: Bound = "equal",
) -> Claim:
    """The claim that `obtained` gives the `value` which `predict(setting, **problem)` predicts, with its source.

    Its ``predicted`` raises ValueError if the theory does not apply there or has no such number.
    """
    return Claim(
        name=name,
        statement=statement,
        source=theory.predict(setting, **problem).source,
        predicted=partial(answer, setting, value, problem),
        obtained=obtained,
        tolerance=tolerance,
        relative=relative,
        bound=bound,
    )


def answer(setting: str, value: str, problem: Mapping[str, object]) -> float:
    """One number of a prediction; ValueError if there is none."""
    prediction = theory.predict(setting, **problem)
    number = prediction.values.get(value)
    if not isinstance(number, float):
        raise ValueError(f"{setting} predicts no {value}: {prediction.reason or 'not one of its numbers'}")
    return number
