"""Do minority classes of a network keep their vertices and test accuracy, under norm bounds and under weight decay?"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from nc_bench.statistics import summarise
from nc_bench.sweeps.studies.evidence import (
    Answer,
    Evidence,
    above,
    against,
    all_of,
    below,
    interval,
    unless_moving,
)
from nc_bench.sweeps.tables import digits

KEPT = 0.9
"""simplex_efficiency from which on a network's class means count as a simplex."""

LOSS = -0.2
"""Change of efficiency from equal classes to the most unequal ones from which on minority classes have given way."""

NO_GAIN = 0.0
"""Test accuracy of minority classes in the ball minus that under decay where neither does better."""

BALL, DECAY = "ball", "weight decay"
EFFICIENCY, MINORITY = "simplex_efficiency", "minority test accuracy"


def class_imbalance(evidence: Evidence) -> Answer:
    """Efficiency in the ball at every ratio, its fall under decay, and the minority's test images, at the end.

    That is in the longer twins where every seed has one. What still moves refutes nothing.
    """
    ratios = sorted(evidence.labels("ratio"))
    equal, worst = ratios[0], ratios[-1]
    kept = {ratio: summarise(at_end(evidence, EFFICIENCY, BALL, ratio).to_numpy()) for ratio in ratios}
    change = against(*(at_end(evidence, EFFICIENCY, DECAY, ratio) for ratio in (worst, equal)))
    gain = against(*(at_end(evidence, MINORITY, arm, worst) for arm in (BALL, DECAY)))
    parts = [unless_moving(above(kept[r], KEPT), moving=moves(evidence, EFFICIENCY, [(BALL, r)])) for r in ratios]
    lost, helped = ([(DECAY, equal), (DECAY, worst)], [(BALL, worst), (DECAY, worst)])
    parts.append(unless_moving(below(change, LOSS), moving=moves(evidence, EFFICIENCY, lost)))
    parts.append(unless_moving(above(gain, NO_GAIN), moving=moves(evidence, MINORITY, helped)))
    least = min(kept.values(), key=lambda found: found.mean)
    rows = tuple(
        (arm, f"{ratio:g}", *(found for name in (EFFICIENCY, MINORITY) for found in both(evidence, name, arm, ratio)))
        for arm in evidence.labels("arm")
        for ratio in ratios
    )
    when = "3 T" if all_have_twins(evidence) else "T"
    return Answer(
        verdict=all_of(parts),
        headline=f"efficiency after {when}: {interval(least)} at least in the ball, change {interval(change)} under "
        f"decay; minority test accuracy differs by {interval(gain)}, n = {change.runs}.",
        header=("arm", "ratio", *(f"{name}, {when}" for name in ("efficiency", MINORITY) for when in ("T", "3 T"))),
        rows=rows,
        limits=(f"{MINORITY.capitalize()} is compared at {worst:g}:1, ball minus decay.",),
    )


def all_have_twins(evidence: Evidence) -> bool:
    """Whether every seed was trained for 3 T epochs too."""
    return not evidence.settled.empty and evidence.settled["seed"].nunique() == evidence.seed_count


def at_end(evidence: Evidence, measure: str, arm: str, ratio: float) -> pd.Series:
    """The measure after 3 T epochs where all seeds have them, else after T, seed by seed."""
    values = evidence.later if all_have_twins(evidence) else evidence.values
    return values(measure, arm=arm, ratio=ratio)


def moves(evidence: Evidence, measure: str, cells: Sequence[tuple[str, float]]) -> bool:
    """Whether the measure still moves from T to 3 T in one of the cells."""
    return any(evidence.is_moving(measure, arm=arm, ratio=ratio) for arm, ratio in cells)


def both(evidence: Evidence, measure: str, arm: str, ratio: float) -> tuple[str, str]:
    """The measure after T epochs and in the longer twins, and whether it still moves."""
    moving = ", still moving" * moves(evidence, measure, [(arm, ratio)])
    later = summarise(evidence.later(measure, arm=arm, ratio=ratio).to_numpy())
    shown = interval(later) if later.runs > 1 else f"{digits(later.mean)}, n = {later.runs}"
    return interval(evidence.at(measure, arm=arm, ratio=ratio)), shown + moving
