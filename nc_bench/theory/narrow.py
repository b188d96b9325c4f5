"""Features in a ball of too few dimensions for a simplex of all classes: several simplices, or a regular polygon."""

from __future__ import annotations

import math
import sys

from nc_bench.theory.collapsed import efficiency_at, risk_at
from nc_bench.theory.prediction import Value

SETTLED_FROM = {(7, 4): 2.0, (8, 5): 2.0, (10, 7): 2.0, (10, 6): 3.0, (11, 6): 3.0, (11, 7): 3.0}
"""(classes, width) -> R S from which on descent finds nothing below simplices of unequal sizes; rounded up."""


def block_sizes(classes: int, width: int) -> tuple[int, ...]:
    """Sizes of the K-d mutually orthogonal simplices that d dimensions hold, as equal as possible, largest first."""
    blocks = classes - width
    smaller, larger = divmod(classes, blocks)
    return (smaller + 1,) * larger + (smaller,) * (blocks - larger)


def narrow_reason(classes: int, width: int, budget: float) -> str:
    """Why the optimum in d < K-1 dimensions is not known at R S = budget; "" where it is (numerically)."""
    if width == 2:
        return ""
    if 2 * width < classes:
        return f"width {width} is below K/2 = {classes / 2:g}: the optimum is known there for width 2 only"
    blocks = classes - width
    if classes % blocks == 0 or blocks == 2:
        return ""
    least = SETTLED_FROM.get((classes, width))
    if least is None:
        return (
            f"simplices of sizes {block_sizes(classes, width)} are an upper bound only: for {classes} classes in "
            f"{width} dimensions it is not known whether something else is better"
        )
    if budget < least:
        return (
            f"simplices of sizes {block_sizes(classes, width)} are an upper bound only: below a radius times head "
            f"norm of {least:g} other frames are better, and here it is {budget:.6g}"
        )
    return ""


def narrow_values(classes: int, width: int, radius: float, head_norm: float) -> dict[str, Value]:
    """Values at K-d orthogonal simplices (d >= K/2) or, for d = 2, at the regular K-gon; all means have norm R.

    Class c of a simplex of n vertices leads the others of it by R S sqrt(n/(n-1)) and all other classes by
    R S sqrt((n-1)/n). On the polygon the logit of class j lies R S sqrt(2/K) (1 - cos(2 pi j/K)) below.
    """
    budget = radius * head_norm
    if width == 2:
        risk = math.log1p(math.fsum(math.exp(-lead) for lead in _polygon_leads(classes, budget)))
        cosines = [math.cos(2 * math.pi * j / classes) for j in range(1, classes)] * classes
    else:
        risk, cosines = _blocks(classes, width, budget)
    floor = risk_at(classes, budget * math.sqrt(classes / (classes - 1)))
    off = [abs(cosine + 1 / (classes - 1)) for cosine in cosines]
    # A risk that float64 rounds to 0 has lost its efficiency.
    efficiency = {"simplex_efficiency": efficiency_at(classes, risk, budget)} if risk > sys.float_info.min else {}
    return {
        "objective": risk,
        "risk": risk,
        "risk_balanced": risk,
        "risk_floor": floor,
        "risk_gap": risk - floor,
        **efficiency,
        "feature_radius": radius,
        "head_opnorm": head_norm,
        "nc2_equinorm": 0.0,
        "nc2_equiangular": math.fsum(off) / len(off),
        "nc3_alignment_centred": 0.0,
        "centre_offset": 0.0,
        "accuracy": 1.0,
        "ncc_accuracy": 1.0,
        **dict.fromkeys(("nc1_pinv", "nc1_quotient", "nc1_cdnv", "nc1_radius", "nc4_mismatch", "output_collapse"), 0.0),
    }


def _polygon_leads(classes: int, budget: float) -> list[float]:
    step = budget * math.sqrt(2 / classes)
    # 1 - cos(x) = 2 sin(x/2)^2, without cancellation.
    return [step * 2 * math.sin(math.pi * j / classes) ** 2 for j in range(1, classes)]


def _blocks(classes: int, width: int, budget: float) -> tuple[float, list[float]]:
    """Risk, and the cosines of all ordered pairs of class means."""
    risks, cosines = [], []
    for size in block_sizes(classes, width):
        inside = (size - 1) * math.exp(-budget * math.sqrt(size / (size - 1)))
        outside = (classes - size) * math.exp(-budget * math.sqrt((size - 1) / size))
        risks.append(size * math.log1p(inside + outside))
        cosines += [-1 / (size - 1)] * (size * (size - 1)) + [0.0] * (size * (classes - size))
    return math.fsum(risks) / classes, cosines
