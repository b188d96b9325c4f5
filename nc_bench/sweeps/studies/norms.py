"""What does the exponent p of the ball change, on outputs (Cor. 3.5) and, at equal reach, on features (Remark 4.3)?"""

from __future__ import annotations

import math

from nc_bench.statistics import Difference, Summary, equivalence_p, summarise
from nc_bench.sweeps.studies.evidence import Answer, Evidence, Verdict, against, all_of, below, equivalent, interval

MARGIN = 0.02
"""Difference of efficiencies up to which two exponents count as the same: a fiftieth of the norm budget."""

REACHED_SHARE = 0.01
"""(risk - minimum) / (log K - minimum) up to which a minimum counts as reached."""

CLASSES, EUCLIDEAN, EFFICIENCY = 10, 2.0, "simplex_efficiency"


def norms(evidence: Evidence) -> Answer:
    """Outputs: the risk above Cor. 3.5's minimum. Features, p > 2: equal efficiency at equal l^2 reach."""
    exponents = evidence.labels("p")
    shares = {p: excess_share(evidence, p) for p in exponents}
    changes = {p: from_euclidean(evidence, p) for p in exponents if p != EUCLIDEAN}
    reached = {p: below(share, REACHED_SHARE) for p, share in shares.items()}
    same: dict[float, str] = {p: equivalent(change, MARGIN) for p, change in changes.items() if p > EUCLIDEAN}
    worst = max((changes[p] for p in same), key=lambda change: abs(change.mean))
    verdict = all_of([*reached.values(), *map(Verdict, same.values())])
    farthest = max(shares.values(), key=lambda share: share.mean)
    rows: list[tuple[str, ...]] = [
        (
            "outputs",
            f"{p:g}",
            interval(evidence.at(EFFICIENCY, arm="outputs", p=p)),
            interval(shares[p]),
            "-",
            reached[p],
        )
        for p in exponents
    ]
    for p in exponents:
        efficiency = interval(evidence.at(EFFICIENCY, arm="features", p=p))
        change = interval(changes[p]) if p in changes else "reference"
        p_value = f"{equivalence_p(changes[p], MARGIN):.3f}" if p in same else "-"
        rows.append(("features", f"{p:g}", efficiency, change, p_value, same.get(p, "-")))
    return Answer(
        verdict=verdict,
        headline=f"outputs stay {interval(farthest)} of the way above the minimum at most; features at p > 2 change "
        f"efficiency by {interval(worst)} at most, n = {worst.runs}.",
        header=("ball of", "p", "efficiency", "excess share, or change from p = 2", "p of equivalence", "holds"),
        rows=tuple(rows),
    )


def excess_share(evidence: Evidence, p: float) -> Summary:
    """(risk - minimum) / (log K - minimum) of outputs in the ball."""
    minimum = evidence.mean("predicted risk", arm="outputs", p=p)
    risk = evidence.values("risk", arm="outputs", p=p)
    return summarise(((risk - minimum) / (math.log(CLASSES) - minimum)).to_numpy())


def from_euclidean(evidence: Evidence, p: float) -> Difference:
    """Efficiency of features in the l^p ball minus that in the l^2 ball of the same reach."""
    euclidean = evidence.values(EFFICIENCY, arm="features", p=EUCLIDEAN)
    return against(evidence.values(EFFICIENCY, arm="features", p=p), euclidean)
