"""Do minority classes of a network keep their vertices, under norm bounds and under weight decay?"""

from __future__ import annotations

from nc_bench.sweeps.studies.evidence import Answer, Evidence, Verdict, above, against, all_of, below, interval
from nc_bench.sweeps.tables import digits

KEPT = 0.9
"""simplex_efficiency from which on a network's class means count as a simplex."""

LOSS = -0.2
"""Change of efficiency from equal classes to the most unequal ones from which on minority classes have given way."""

EFFICIENCY = "simplex_efficiency"


def class_imbalance(evidence: Evidence) -> Answer:
    """Efficiency after the longest training: in the ball at every ratio, under decay at the largest against 1."""
    ratios, epochs = sorted(evidence.labels("ratio")), sorted(evidence.labels("epochs"))
    ball = {r: evidence.at(EFFICIENCY, arm="ball", ratio=r, epochs=epochs[-1]) for r in ratios}
    decay = {r: evidence.values(EFFICIENCY, arm="weight decay", ratio=r, epochs=epochs[-1]) for r in ratios}
    change = against(decay[ratios[-1]], decay[ratios[0]])
    verdict = all_of([*(above(found, KEPT) for found in ball.values()), below(change, LOSS)])
    least = min(ball.values(), key=lambda found: found.mean)
    rows = tuple(
        (arm, f"{r:g}", str(t), *(interval(evidence.at(name, arm=arm, ratio=r, epochs=t)) for name in
         (EFFICIENCY, "accuracy", "test accuracy")),
         digits(max(0.0, 2 * evidence.mean("test accuracy", arm=arm, ratio=r, epochs=t) - 1)))
        for arm in evidence.labels("arm") for r in ratios for t in epochs
    )  # fmt: skip
    what = {
        Verdict.SUPPORTED: "in the ball minorities keep the simplex, under decay they lose it",
        Verdict.REFUTED: "ball and decay do not part as predicted",
        Verdict.UNDECIDED: "whether minorities keep the simplex is open",
    }[verdict]
    return Answer(
        verdict=verdict,
        headline=f"{what}: efficiency {interval(least)} in the ball, change {interval(change)} under decay, "
        f"n = {change.runs}.",
        header=(
            "arm",
            "ratio",
            "epochs",
            "efficiency",
            "accuracy",
            "test accuracy",
            "minority test accuracy, at least",
        ),
        rows=rows,
        limits=("The minority's test accuracy a' is bounded from the mean over both halves: a' >= 2a - 1.",),
    )
