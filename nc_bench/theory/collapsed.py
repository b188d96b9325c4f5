"""What all collapsed optima have in common: the values that a simplex forces on the metrics."""

from __future__ import annotations

import math

from nc_bench.theory.prediction import Value

VANISHING = (
    "nc1_pinv",
    "nc1_quotient",
    "nc1_cdnv",
    "nc1_radius",
    "nc2_equinorm",
    "nc2_equinorm_w_centred",
    "nc2_equiangular",
    "nc2_equiangular_w_centred",
    "nc2_equidistant",
    "nc2_etf",
    "nc3_duality_centred",
    "nc3_alignment_centred",
    "nc4_mismatch",
    "output_collapse",
    "isometry_defect",
    "risk_gap",
    "nc1_quotient_worst",
    "nc1_cdnv_worst",
    "nc2_equinorm_worst",
    "nc2_equinorm_w_centred_worst",
    "nc2_equiangular_worst",
    "nc2_equiangular_w_centred_worst",
    "nc2_equidistant_worst",
    "nc3_duality_centred_worst",
    "nc3_alignment_centred_worst",
    "output_collapse_worst",
)
"""Zero wherever features sit at class means that form a simplex M around their mean, and Wc = t M, t > 0."""

WHOLE = tuple(f"efficiency_{part}" for part in ("within", "pairs", "alignment", "isometry", "simplex", "norm"))
"""One there: nothing of the norm budget is lost."""

VANISHING_WITH_CENTRED_HEAD = (
    "nc2_equinorm_w",
    "nc2_equiangular_w",
    "nc3_duality",
    "nc3_alignment",
    "nc0_row_sum",
)
"""Zero as well where the rows of W sum to zero: weight decay forces that, a bound on |W|_op does not."""


def risk_at(classes: int, margin: float) -> float:
    """Cross entropy log(1 + (K-1) exp(-m)) where the true class leads every other by the margin m >= 0.

    Exact to rounding at any margin: small risks are not lost, and become 0 only where float64 ends.
    """
    return math.log1p((classes - 1) * math.exp(-margin))


def focal_loss(classes: int, margin: float, gamma: float) -> float:
    """-(1 - p)^g log p at the probability p = 1/(1 + (K-1) e^-m) of the true class."""
    wrong = (classes - 1) * math.exp(-margin)
    return (wrong / (1 + wrong)) ** gamma * math.log1p(wrong)


def efficiency_at(classes: int, risk: float, budget: float) -> float:
    """simplex_efficiency sqrt((K-1)/K) (log(K-1) - log(e^r - 1))/(rho s) of a balanced risk r > 0, budget = rho s."""
    odds = risk + math.log(-math.expm1(-risk))
    return math.sqrt((classes - 1) / classes) * (math.log(classes - 1) - odds) / budget


def margin_at(classes: int, wrong: float) -> float:
    """Margin log((K-1)(1-P)/P) at which the wrong classes together have the probability P; at least 0.

    P > 0. Where P is (K-1)/K or more no positive margin leaves that much, and the result is exactly 0.
    """
    surplus = (classes - 1) - classes * wrong
    if surplus <= 0:
        return 0.0
    if surplus < wrong:
        return math.log1p(surplus / wrong)
    return math.log(classes - 1) + math.log1p(-wrong) - math.log(wrong)


def collapsed_values(
    classes: int, *, margin: float, feature_norm: float, head_opnorm: float, orthogonal: bool
) -> dict[str, Value]:
    """Values at an optimum where every sample of class c has the feature y_c, |y_c| = feature_norm.

    The y_c are the vertices of a regular simplex around the origin, or with ``orthogonal`` an orthogonal frame,
    which is a simplex around its own mean. Wc, which is W minus its mean row, is a positive multiple of the
    centred y_c and has the spectral norm ``head_opnorm``. Then the true class leads every other one by
    margin = feature_radius * head_opnorm * sqrt(K/(K-1)); it is handed in because it is known more exactly.

    ``cosine`` is between raw class means y_c, ``cosine_centred`` between y_c minus their mean,
    ``pair_distance`` is |y_c - y_c'|, ``margin`` the lead of the true class's logit. Names that speak of W
    before centring are left out.
    """
    shrink = math.sqrt((classes - 1) / classes)
    radius = feature_norm * shrink if orthogonal else feature_norm
    risk = risk_at(classes, margin)
    return {
        "risk": risk,
        "risk_balanced": risk,
        "risk_floor": risk,
        "simplex_efficiency": 1.0,
        "margin": margin,
        "feature_radius": radius,
        "head_opnorm": head_opnorm,
        "cosine": 0.0 if orthogonal else -1 / (classes - 1),
        "cosine_centred": -1 / (classes - 1),
        "pair_distance": radius * math.sqrt(2.0) / shrink,
        "centre_offset": 1 / math.sqrt(classes) if orthogonal else 0.0,
        "accuracy": 1.0,
        "ncc_accuracy": 1.0,
        **dict.fromkeys(VANISHING, 0.0),
        **dict.fromkeys(WHOLE, 1.0),
    }


def uncentred_head(classes: int, head_row_norm: float, *, centred: bool) -> dict[str, Value]:
    """Metrics of W before centring: zero for a centred W, known numbers for an orthogonal frame."""
    if centred:
        return dict.fromkeys(VANISHING_WITH_CENTRED_HEAD, 0.0)
    shrink = math.sqrt((classes - 1) / classes)
    apart = 1 / (classes * (1 + shrink))  # 1 - shrink, without cancellation
    return {
        "nc2_equinorm_w": 0.0,
        "nc2_equiangular_w": 1 / (classes - 1),
        "nc3_duality": math.sqrt(2 * apart),
        "nc3_alignment": apart,
        "nc0_row_sum": head_row_norm * math.sqrt(classes),
    }
