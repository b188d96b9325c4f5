"""Do minority classes of a network keep their vertices and test accuracy, under norm bounds and under weight decay?"""

from __future__ import annotations

from nc_bench.statistics import summarise
from nc_bench.sweeps.studies.evidence import Answer, Evidence, above, against, all_of, below, interval

KEPT = 0.9
"""simplex_efficiency from which on a network's class means count as a simplex."""

LOSS = -0.2
"""Change of efficiency from equal classes to the most unequal ones from which on minority classes have given way."""

NO_GAIN = 0.0
"""Test accuracy of minority classes in the ball minus that under decay where neither does better."""

BALL, DECAY = "ball", "weight decay"
EFFICIENCY, MINORITY = "simplex_efficiency", "minority test accuracy"


def class_imbalance(evidence: Evidence) -> Answer:
    """After 3 T: efficiency in the ball at every ratio, its fall under decay, and the minority's test images."""
    ratios = sorted(evidence.labels("ratio"))
    equal, worst = ratios[0], ratios[-1]
    ball = {ratio: summarise(evidence.later(EFFICIENCY, arm=BALL, ratio=ratio).to_numpy()) for ratio in ratios}
    decay = {ratio: evidence.later(EFFICIENCY, arm=DECAY, ratio=ratio) for ratio in (equal, worst)}
    change = against(decay[worst], decay[equal])
    gain = against(*(evidence.later(MINORITY, arm=arm, ratio=worst) for arm in (BALL, DECAY)))
    verdict = all_of([*(above(found, KEPT) for found in ball.values()), below(change, LOSS), above(gain, NO_GAIN)])
    least = min(ball.values(), key=lambda found: found.mean)
    rows = tuple(
        (arm, f"{ratio:g}", *(found for name in (EFFICIENCY, MINORITY) for found in both(evidence, name, arm, ratio)))
        for arm in evidence.labels("arm")
        for ratio in ratios
    )
    return Answer(
        verdict=verdict,
        headline=f"efficiency after 3 T: {interval(least)} at least in the ball, change {interval(change)} under decay;"
        f" minority test accuracy differs by {interval(gain)}, n = {change.runs}.",
        header=("arm", "ratio", *(f"{name}, {when}" for name in ("efficiency", MINORITY) for when in ("T", "3 T"))),
        rows=rows,
        limits=(f"{MINORITY.capitalize()} is compared at {worst:g}:1, ball minus decay.",),
    )


def both(evidence: Evidence, measure: str, arm: str, ratio: float) -> tuple[str, str]:
    """The measure after T epochs and in the longer twins, and whether it still moves."""
    moving = ", still moving" * evidence.is_moving(measure, arm=arm, ratio=ratio)
    later = summarise(evidence.later(measure, arm=arm, ratio=ratio).to_numpy())
    return interval(evidence.at(measure, arm=arm, ratio=ratio)), interval(later) + moving
