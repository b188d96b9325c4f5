"""Do free features and head grow by the clock of gradient flow?"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from nc_bench.statistics import Summary, summarise
from nc_bench.sweeps.studies.evidence import Answer, Evidence, Verdict, all_of, interval
from nc_bench.sweeps.tables import digits
from nc_bench.theory import predict

TOLERANCE = 0.05
"""Relative deviation of the last margin from the predicted one up to which the clock holds."""

CLASSES = 10

COLLAPSED = 0.1
"""nc1_quotient below which features are points enough to be the simplex that the clock is about."""


def clock(evidence: Evidence) -> Answer:
    """The margin at the end against that predicted from the margin at a tenth of the time, at every learning rate."""
    rows, deviations, spreads = [], {}, {}
    for rate in evidence.labels("lr"):
        margins = margin(evidence.curve("risk", lr=rate))
        start, end = int(margins.index[margins.index <= margins.index[-1] / 10][-1]), int(margins.index[-1])
        predicted = [
            margin_after(float(margins.loc[start, seed]), rate * (end - start), evidence.samples // CLASSES)
            for seed in margins.columns
        ]
        deviations[rate] = summarise(margins.loc[end].to_numpy() / np.array(predicted) - 1)
        reached = [digits(float(margins.loc[epoch].mean())) for epoch in (start, end)]
        spreads[rate] = evidence.curve("nc1_quotient", lr=rate).loc[[start, end]].mean(axis=1).tolist()
        means = (*map(digits, spreads[rate]), *reached, digits(float(np.mean(predicted))))
        rows.append((f"{rate:g}", str(start), str(end), *means, interval(deviations[rate])))
    verdict = all_of([within(deviation) for deviation in deviations.values()])
    worst = max(deviations.values(), key=lambda found: -1 if math.isnan(found.mean) else abs(found.mean))
    what = {
        Verdict.SUPPORTED: "margins keep to the clock",
        Verdict.REFUTED: "margins are not on the clock at every learning rate",
        Verdict.UNDECIDED: "whether margins keep to the clock is open",
    }[verdict]
    return Answer(
        verdict=verdict,
        headline=f"{what}; from a tenth of training on they end {interval(worst)} (relative) off at most, "
        f"n = {worst.runs}.",
        header=(
            "lr", "from epoch", "to epoch", "nc1_quotient then", "at the end", "margin then", "at the end", "predicted",
            "relative deviation",
        ),
        rows=tuple(rows),
        limits=_limits(least=min(end for _, end in spreads.values())),
    )  # fmt: skip


def _limits(least: float) -> tuple[str, ...]:
    """What the features say of the simplex that the clock is about; `least`: nc1_quotient at the end."""
    if least < COLLAPSED:
        return ()
    return (f"Features have not collapsed at the end (nc1_quotient {digits(least)} at least): this is no simplex yet.",)


def margin(risk: pd.DataFrame) -> pd.DataFrame:
    """m with risk = log(1 + (K-1) e^-m): that of a simplex of this risk."""
    return -np.log(np.expm1(risk) / (CLASSES - 1))


def margin_after(start: float, time: float, per_class: int) -> float:
    """By predict("gradient_flow"); NaN where nothing was reached from which time could go on."""
    if math.isnan(start):
        return math.nan
    found = predict("gradient_flow", classes=CLASSES, per_class=per_class, time=time, start_margin=start)
    value = found.values["margin"]
    assert isinstance(value, float)
    return value


def within(deviation: Summary) -> Verdict:
    """Supported if the interval lies within the tolerance, refuted if it lies outside."""
    if math.isnan(deviation.low) or (deviation.low < TOLERANCE < deviation.high):
        return Verdict.UNDECIDED
    if deviation.low < -TOLERANCE < deviation.high:
        return Verdict.UNDECIDED
    return Verdict.SUPPORTED if deviation.low > -TOLERANCE and deviation.high < TOLERANCE else Verdict.REFUTED
