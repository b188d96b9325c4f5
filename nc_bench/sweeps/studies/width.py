"""How many dimensions do the features of K classes need?"""

from __future__ import annotations

import math

from nc_bench.statistics import summarise
from nc_bench.sweeps.studies.evidence import Answer, Evidence, all_of, below, interval
from nc_bench.sweeps.tables import digits
from nc_bench.theory import predict

CLASSES = 10

NEAR = 1.05
"""Risk over the least risk up to which a network counts as having reached it."""

BEST_OF_DESCENTS = {3: 0.622835069424948}
"""The least risk of ten free features with |h| <= 5 and |W| <= 1 in so many dimensions, the best of 20 descents (19 of
which end within 1e-7 of it): no closed form is known there."""


def width(evidence: Evidence) -> Answer:
    """Risk over the least risk of every width, beside the cap sqrt(d/(K-1)) of efficiency below K - 1 dimensions."""
    rows, parts = [], []
    worst = None
    for d in evidence.labels("d"):
        constraints = evidence.config(d=d).constraints
        assert constraints.features is not None and constraints.head is not None, "the study is about bounds"
        least, known = _least_risk(d, constraints.features.radius, constraints.head.norm)
        found = summarise((evidence.values("risk", d=d) / least).to_numpy())
        parts.append(below(found, NEAR))
        worst = found if worst is None or found.mean > worst.mean else worst
        cap = digits(min(1.0, math.sqrt(d / (CLASSES - 1))))
        efficiency = interval(evidence.at("simplex_efficiency", d=d))
        risk = interval(evidence.at("risk", d=d))
        rows.append((str(d), risk, f"{least:.6g}", known, interval(found), efficiency, cap, parts[-1]))
    assert worst is not None
    return Answer(
        verdict=all_of(parts),
        headline=f"that a network reaches the least risk of its width; at the worst width risk is {interval(worst)} "
        f"times the least, n = {worst.runs}.",
        header=("d", "risk", "least risk", "how known", "risk/least", "efficiency", "at most", "as expected"),
        rows=tuple(rows),
    )


def _least_risk(d: int, radius: float, head_norm: float) -> tuple[float, str]:
    """The least risk in d dimensions, and how it is known."""
    if (radius, head_norm) == (5.0, 1.0) and d in BEST_OF_DESCENTS:
        return BEST_OF_DESCENTS[d], "numeric, 20 descents"
    prediction = predict("penultimate_ball", classes=CLASSES, radius=radius, head_norm=head_norm, width=d)
    value = float(str(prediction.values.get("risk", math.nan)))
    return value, "proved" if d >= CLASSES - 1 else "attained; optimal: numeric"
