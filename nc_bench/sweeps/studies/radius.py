"""How does the gap between the risk and its floor depend on the radius of the ball?"""

from __future__ import annotations

from nc_bench.sweeps.studies.evidence import Evidence
from nc_bench.sweeps.tables import digits
from nc_bench.text import listed

SMALL_EXCESS = 0.05
"""Relative excess of the risk over its minimum up to which it counts as reached."""


def radius(evidence: Evidence) -> str:
    """Relative excess of the risk over its predicted minimum at every radius, and up to where it is small."""
    radii = evidence.labels("R")
    excess = {r: evidence.mean("risk", R=r) / evidence.mean("predicted risk", R=r) - 1 for r in radii}
    parts = [
        f"{_above(excess[r])} at R = {r:g} (gap {digits(evidence.mean('risk_gap', R=r))}, efficiency "
        f"{digits(evidence.mean('simplex_efficiency', R=r))})"
        for r in radii
    ]
    good = [r for r in radii if excess[r] <= SMALL_EXCESS]
    reach = f"for R = {listed([f'{r:g}' for r in good])}" if good else "at no radius tried"
    return (
        f"The risk comes within {SMALL_EXCESS:.0%} of its minimum {reach}: it is {listed(parts)}; {evidence.seeds()}."
    )


def _above(excess: float) -> str:
    """How far above the minimum: as a percentage, or as a multiple where that would be a long one."""
    return f"{digits(100 * excess)} % above it" if excess < 1 else f"{float(digits(1 + excess)):,g} times it"
