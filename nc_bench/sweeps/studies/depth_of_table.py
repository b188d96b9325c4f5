"""Do linear layers on free vectors keep the simplex, and what is best if not?"""

from __future__ import annotations

import math

from nc_bench.sweeps.studies.evidence import Answer, Evidence, Verdict, all_of, interval
from nc_bench.text import listed
from nc_bench.theory.cyclic_orbits import best_cyclic_orbit
from nc_bench.theory.deep_linear import simplex_and_pairs

NEAR = 1e-3
"""How far the best of a few starts may be from a closed form that it reaches: descent is stopped, not ended."""

JUDGED = (4, 6, 8)
"""Numbers of classes that the hypothesis speaks of."""


def depth_of_table(evidence: Evidence) -> Answer:
    """The least objective over the seeds against the best cyclic orbit, beside simplex and pairs."""
    rows, parts, kept = [], [], 0
    for classes in evidence.labels("K"):
        for layers in evidence.labels("L"):
            decay = evidence.config(K=classes, L=layers).objective.weight_decay
            orbit = best_cyclic_orbit(classes=classes, layers=layers, decay=decay)
            simplex, pairs = simplex_and_pairs(classes, layers, decay)
            least, rank = _best_start(evidence, classes, layers)
            verdict = _near(least / orbit.objective - 1)
            if classes in JUDGED:
                parts.append(verdict)
            if simplex <= orbit.objective * (1 + NEAR):
                kept += 1
            numbers = (simplex, pairs, orbit.objective, least)
            found = (*(f"{number:.6f}" for number in numbers), listed([str(f) for f in orbit.frequencies]))
            judged = str(verdict) if classes in JUDGED else "not judged"
            rows.append((str(classes), str(layers), *found, str(orbit.rank), f"{rank:.2f}", judged))
    deepest = max(evidence.labels("L"))
    ranks = evidence.at("effective rank", K=max(JUDGED), L=deepest)
    return Answer(
        verdict=all_of(parts),
        headline=f"that cyclic orbits are best; the simplex stays at {kept} of {len(rows)} places, and the rank at "
        f"({max(JUDGED)}, {deepest}) is {interval(ranks)}, n = {ranks.runs}.",
        header=(
            "K",
            "L",
            "simplex",
            "pairs",
            "best orbit",
            "best start",
            "frequencies",
            "its rank",
            "rank found",
            "as expected",
        ),
        rows=tuple(rows),
    )


def _best_start(evidence: Evidence, classes: int, layers: int) -> tuple[float, float]:
    """The least objective over the starts and the effective rank of that one; NaN if all starts diverged."""
    starts = evidence.values("objective", K=classes, L=layers).dropna()
    if starts.empty:
        return math.nan, math.nan
    ranks = evidence.values("effective rank", K=classes, L=layers)
    return float(starts.min()), float(ranks[starts.idxmin()])


def _near(excess: float) -> Verdict:
    if excess < -NEAR:
        return Verdict.REFUTED
    return Verdict.SUPPORTED if excess <= NEAR else Verdict.UNDECIDED
