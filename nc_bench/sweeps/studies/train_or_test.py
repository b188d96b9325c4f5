"""Do images that were not trained on collapse too?"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from nc_bench.statistics import Summary, summarise
from nc_bench.sweeps.studies.evidence import Answer, Evidence, all_of, below, times
from nc_bench.sweeps.tables import digits

COLLAPSED_SHARE = 0.1
"""Share of the untrained network's nc1_quotient on test images below which training has collapsed them."""

EARLY = 8
"""An eighth of the epochs: long after the training images are learned."""

SPREAD, UNTRAINED = "nc1_quotient, test, correct", "nc1_quotient, test"


def train_or_test(evidence: Evidence) -> Answer:
    """nc1_quotient of correctly classified test images at the end: over that of all of them before training, which
    the untrained network classifies as it happens, and over that after an eighth of the epochs; geometric means."""
    rows, shares, late = [], {}, {}
    for arm in evidence.labels("arm"):
        spread, before = (evidence.curve(measure, arm=arm) for measure in (SPREAD, UNTRAINED))
        early = spread[spread.index * EARLY >= spread.index[-1]].iloc[0]
        shares[arm], late[arm] = log_ratio(spread.iloc[-1], before.iloc[0]), log_ratio(spread.iloc[-1], early)
        rows.append((arm, f"{SPREAD}, over the untrained network's", "1 (0)", "-", "-", times(shares[arm])))
        rows.append((arm, f"{SPREAD}, over an eighth of the epochs", "-", "-", f"1 ({early.name})", times(late[arm])))
        for measure in evidence.study.measures:
            curve = evidence.curve(measure, arm=arm)
            some = [curve.index[index] for index in (0, len(curve) // 3, 2 * len(curve) // 3, -1)]
            rows.append((arm, measure, *(f"{digits(curve.loc[epoch].mean())} ({epoch})" for epoch in some)))
    borders = [(shares, math.log(COLLAPSED_SHARE)), (late, 0.0)]
    verdict = all_of([below(ratio, border) for ratios, border in borders for ratio in ratios.values()])
    worst, slowest = (max(ratios.values(), key=lambda ratio: ratio.mean) for ratios in (shares, late))
    return Answer(
        verdict=verdict,
        headline=f"nc1_quotient of correctly classified test images ends at {times(worst)} of the untrained network's "
        f"and {times(slowest)} of an eighth of training's, worse arm, n = {worst.runs}.",
        header=(
            "arm",
            "measure (mean over seeds)",
            "untrained (epoch)",
            "then (epoch)",
            "later (epoch)",
            "last (epoch)",
        ),
        rows=tuple(rows),
    )


def log_ratio(last: pd.Series, first: pd.Series) -> Summary:
    """log(last value / first value), seed by seed."""
    return summarise(np.log(last / first).to_numpy())
