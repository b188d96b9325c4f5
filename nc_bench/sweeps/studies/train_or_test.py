"""Do images that were not trained on collapse too?"""

from __future__ import annotations

import math

import numpy as np

from nc_bench.statistics import Summary, summarise
from nc_bench.sweeps.studies.evidence import Answer, Evidence, Verdict, all_of, below, times
from nc_bench.sweeps.tables import digits

COLLAPSED_SHARE = 0.1
"""Share of the untrained network's nc1_quotient on test images below which training has collapsed them."""

SPREAD = "nc1_quotient, test"


def train_or_test(evidence: Evidence) -> Answer:
    """nc1_quotient on test images at the end over that of the untrained network, in the geometric mean over seeds."""
    rows, shares = [], {}
    for arm in evidence.labels("arm"):
        shares[arm] = share_of_untrained(evidence, SPREAD, arm)
        rows.append((arm, f"{SPREAD}, over the untrained", "1 (0)", "-", "-", times(shares[arm])))
        for measure in evidence.study.measures:
            curve = evidence.curve(measure, arm=arm)
            some = [curve.index[index] for index in (0, len(curve) // 3, 2 * len(curve) // 3, -1)]
            rows.append((arm, measure, *(f"{digits(curve.loc[epoch].mean())} ({epoch})" for epoch in some)))
    verdict = all_of([below(share, math.log(COLLAPSED_SHARE)) for share in shares.values()])
    worst = max(shares.values(), key=lambda share: share.mean)
    what = {
        Verdict.SUPPORTED: "training takes the spread of test images below a tenth",
        Verdict.REFUTED: "training leaves test images more than a tenth of their spread",
        Verdict.UNDECIDED: "whether the spread of test images falls below a tenth is open",
    }[verdict]
    return Answer(
        verdict=verdict,
        headline=f"{what}: nc1_quotient over the untrained network's is {times(worst)} in the worse arm, "
        f"n = {worst.runs}.",
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


def share_of_untrained(evidence: Evidence, measure: str, arm: str) -> Summary:
    """log(last value / value before training), seed by seed."""
    curve = evidence.curve(measure, arm=arm)
    return summarise(np.log(curve.iloc[-1] / curve.iloc[0]).to_numpy())
