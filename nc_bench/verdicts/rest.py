"""When a run is at rest: one definition, for the verdicts on a run and for studies over many."""

from __future__ import annotations

import math
from collections.abc import Iterable

AT_REST, MOVING, NOT_KNOWN = "at rest", "still moving", "not known"

TIMES = 3
"""How many times as long the run is trained that a run is compared with."""

SHARE = 0.2
"""Share of a claim's tolerance that its value may move by from T to 3T. Where a value goes on moving as it did, by as
much in each tripling of the time, it takes five of them, 243 T, to move by the tolerance."""

STATIONARITY = "stationarity_residual"
STATIONARY = 0.1
"""Relative residual of the head's stationarity below which that law says that the head is at rest."""

DEFINITION = (
    f"at rest: where a minimum is proved, its gap is closed; else no value moves by more than a fifth of its tolerance "
    f"from T epochs to {TIMES} T under the stretched schedule; without such a comparison, the head's stationarity "
    f"residual is below {STATIONARY} where that law applies. Otherwise it is not known whether a run is at rest"
)
"""The definition in words."""


def rest_of(*, at_minimum: bool, moved: str, residual: float) -> str:
    """AT_REST, MOVING or NOT_KNOWN.

    at_minimum: whether a minimum is proved and the run has come to it. moved: what `state_of_change` says of T and 3T,
    NOT_KNOWN where they were not compared. residual: the head's stationarity residual, NaN where that law does not
    apply. A learning rate that has decayed says nothing: nothing can move then, wherever the run is.
    """
    if at_minimum:
        return AT_REST
    if moved != NOT_KNOWN or math.isnan(residual):
        return moved
    return AT_REST if residual < STATIONARY else MOVING


def state_of_change(before: float, after: float, tolerance: float) -> str:
    """What a value at T and at 3T say, `tolerance` being how far it may be off what is claimed of it, in its units."""
    if math.isnan(before) and math.isnan(after):
        return NOT_KNOWN
    return AT_REST if abs(after - before) <= SHARE * tolerance else MOVING


def per_doubling(before: float, after: float, times: float = TIMES) -> float:
    """The change of a value in each doubling of the time, if it moves by as much in each."""
    return (after - before) / math.log2(times)


def worst_of(states: Iterable[str]) -> str:
    """What several values say together: MOVING if one moves, AT_REST if all that is known of them is that they rest."""
    known = set(states) - {NOT_KNOWN}
    if not known:
        return NOT_KNOWN
    return MOVING if MOVING in known else AT_REST
