"""How many dimensions do the features of K classes need?"""

from __future__ import annotations

import math

from nc_bench.sweeps.studies.evidence import Answer, Evidence, above, all_of, below, interval
from nc_bench.sweeps.tables import digits

CLASSES = 10
SIMPLEX_EFFICIENCY = 0.95
"""simplex_efficiency from which on the class means count as a simplex."""


def width(evidence: Evidence) -> Answer:
    """Efficiency against its cap sqrt(d/(K-1)) below K - 1 dimensions, and against .95 from there on."""
    needed = CLASSES - 1
    rows, parts = [], []
    for d in evidence.labels("d"):
        cap = min(1.0, math.sqrt(d / needed))
        found = evidence.at("simplex_efficiency", d=d)
        parts.append(above(found, SIMPLEX_EFFICIENCY) if d >= needed else below(found, SIMPLEX_EFFICIENCY))
        rows.append((str(d), interval(found), digits(cap), parts[-1]))
    verdict = all_of(parts)
    enough = evidence.at("simplex_efficiency", d=needed)
    return Answer(
        verdict=verdict,
        headline=f"that {CLASSES} classes need {needed} dimensions; efficiency there is {interval(enough)}, "
        f"n = {enough.runs}.",
        header=("d", "efficiency", "at most", "as expected"),
        rows=tuple(rows),
    )
