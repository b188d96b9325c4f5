"""How much longer does collapse take in a larger ball?"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from nc_bench.statistics import Summary, summarise
from nc_bench.sweeps.studies.evidence import Answer, Evidence, Verdict, above, all_of, below, interval
from nc_bench.sweeps.tables import digits

EPOCH, EFFICIENCY = "epoch of .95", 0.95

CLASSES = 10
PREDICTED_SLOPE = EFFICIENCY * math.sqrt(CLASSES / (CLASSES - 1))
"""d log t / d R where log t grows as the margin does: the margin at this efficiency is .95 R sqrt(K/(K-1))."""

FACTOR = 1.5
"""How far the slope may be from the predicted one, either way: a network is no table of free features."""


def radius(evidence: Evidence) -> Answer:
    """The slope of the logarithm of the epoch from which efficiency stays at .95, over the radii where all seeds do."""
    radii = sorted(evidence.labels("R"))
    epochs = pd.DataFrame({r: evidence.values(EPOCH, R=r) for r in radii})
    reached = [r for r in radii if epochs[r].notna().all()]
    rows = tuple(
        (f"{r:g}", interval(evidence.at(EPOCH, R=r)), str(epochs[r].notna().sum()), digits(evidence.mean("risk", R=r)),
         digits(evidence.mean("predicted risk", R=r)), digits(evidence.mean("simplex_efficiency", R=r)))
        for r in radii
    )  # fmt: skip
    slope = slope_over(epochs[reached]) if len(reached) > 2 else summarise([])
    verdict = Verdict.UNDECIDED
    if slope.runs > 1:
        verdict = all_of([above(slope, PREDICTED_SLOPE / FACTOR), below(slope, PREDICTED_SLOPE * FACTOR)])
    what = {
        Verdict.SUPPORTED: "time to collapse grows with the radius about as the clock predicts",
        Verdict.REFUTED: "time to collapse does not grow with the radius as the clock predicts",
        Verdict.UNDECIDED: "how collapse slows down with the radius is open",
    }[verdict]
    return Answer(
        verdict=verdict,
        headline=f"{what}: d log(time)/dR = {interval(slope)}, predicted {digits(PREDICTED_SLOPE)}, n = {slope.runs}.",
        header=("R", "epoch of efficiency .95", "seeds", "risk", "minimum", "efficiency at the end"),
        rows=rows,
    )


def slope_over(epochs: pd.DataFrame) -> Summary:
    """Least-squares slope of log(epoch) over R, seed by seed; columns are radii."""
    radii = np.array(epochs.columns, dtype=np.float64)
    return summarise([float(np.polyfit(radii, np.log(row), 1)[0]) for row in epochs.to_numpy(np.float64)])
