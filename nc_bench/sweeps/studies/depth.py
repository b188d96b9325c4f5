"""Is the geometry there before the penultimate layer, and does what is not collapsed two layers before stay so?"""

from __future__ import annotations

from nc_bench.sweeps.studies.evidence import Evidence, plus_minus
from nc_bench.sweeps.tables import digits
from nc_bench.text import listed

SIMPLEX_ERROR = 0.05
"""nc2_equiangular up to which class means count as a simplex."""


def depth(evidence: Evidence) -> str:
    """Spread within classes and angles layer by layer, arm by arm."""
    layers = [name.removeprefix("nc1_quotient, ") for name in evidence.study.measures if name.startswith("nc1_")]
    parts, verdicts = [], []
    for arm in evidence.labels("arm"):
        variation = [evidence.at(f"nc1_quotient, {layer}", arm=arm) for layer in layers]
        angles = [evidence.at(f"nc2_equiangular, {layer}", arm=arm) for layer in layers]
        simplex = [layer for layer, angle in zip(layers, angles, strict=True) if angle.mean <= SIMPLEX_ERROR]
        first = simplex[0] if simplex else "no layer"
        parts.append(
            f"{arm}: nc1_quotient {listed([plus_minus(found) for found in variation])}, nc2_equiangular "
            f"{listed([plus_minus(found) for found in angles])} in {listed(layers)}"
        )
        verdicts.append(
            f"with {arm} the simplex appears first in {first}, and the spread within classes falls by a factor of "
            f"{digits(variation[-3].mean / variation[-1].mean)} from two layers before the head's input to it"
        )
    text = listed(verdicts)
    return f"{text[0].upper()}{text[1:]} ({'; '.join(parts)}); {evidence.seeds()}."
