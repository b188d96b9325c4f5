"""How many dimensions do the features of K classes need?"""

from __future__ import annotations

import math

from nc_bench.sweeps.studies.evidence import Evidence, plus_minus
from nc_bench.sweeps.tables import digits
from nc_bench.text import listed

CLASSES = 10
SIMPLEX_EFFICIENCY = 0.95
"""simplex_efficiency from which on the class means count as a simplex."""


def width(evidence: Evidence) -> str:
    """Efficiency against its cap sqrt(d/(K-1)) below K - 1 dimensions, against 1 from there on."""
    needed = CLASSES - 1
    shares, parts = {}, []
    for d in evidence.labels("d"):
        cap = min(1.0, math.sqrt(d / needed))
        shares[d] = evidence.mean("simplex_efficiency", d=d)
        parts.append(f"{plus_minus(evidence.at('simplex_efficiency', d=d))} at d = {d} (at most {digits(cap)})")
    enough = [d for d in shares if shares[d] >= SIMPLEX_EFFICIENCY]
    verdict = f"The simplex appears from d = {min(enough)} on" if enough else "The simplex appears at no width tried"
    return (
        f"{verdict}, where {CLASSES} classes need {needed} dimensions: simplex_efficiency is {listed(parts)}; "
        f"{evidence.seeds()}."
    )
