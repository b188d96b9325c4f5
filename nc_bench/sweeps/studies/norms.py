"""What does the exponent p of the ball change, on outputs (Cor. 3.5) and on features (Remark 4.3)?"""

from __future__ import annotations

from nc_bench.sweeps.studies.evidence import Evidence, plus_minus
from nc_bench.sweeps.tables import digits
from nc_bench.text import listed


def norms(evidence: Evidence) -> str:
    """Excess over the predicted risk on the ball of outputs; the geometry on the ball of features."""
    outputs, features = [], []
    for p in evidence.labels("p"):
        risk = evidence.mean("risk", arm="outputs", p=p)
        predicted = evidence.mean("predicted risk", arm="outputs", p=p)
        outputs.append((p, risk / predicted - 1))
        features.append(
            f"{plus_minus(evidence.at('simplex_efficiency', arm='features', p=p))} and "
            f"{plus_minus(evidence.at('nc2_equiangular', arm='features', p=p))} at p = {p:g}"
        )
    worst = max(abs(excess) for _, excess in outputs)
    each = listed([f"{digits(100 * excess)} % at p = {p:g}" for p, excess in outputs])
    return (
        f"With outputs in an l^p ball the risk comes within {digits(100 * worst)} % of Corollary 3.5's minimum at "
        f"every p (excess {each}); with features in it simplex_efficiency and the angles' error nc2_equiangular are "
        f"{listed(features)}, so that p = 2 is {_rank(evidence)} of {len(evidence.labels('p'))} in angles; "
        f"{evidence.seeds()}."
    )


def _rank(evidence: Evidence) -> str:
    errors = {p: evidence.mean("nc2_equiangular", arm="features", p=p) for p in evidence.labels("p")}
    place = 1 + sum(error < errors[2.0] for error in errors.values())
    return {1: "the best", 2: "the second best", 3: "the third best"}.get(place, f"number {place}")
