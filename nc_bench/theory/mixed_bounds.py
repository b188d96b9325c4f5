"""Head and features in different sets: one bounded in the mean; unit vectors with a temperature; l^p balls."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nc_bench.theory import checks
from nc_bench.theory.collapsed import VANISHING_WITH_CENTRED_HEAD, collapsed_values, risk_at
from nc_bench.theory.prediction import Prediction, Statement, Value

HADAMARD_KNOWN_BELOW = 668
"""Below this every multiple of four is the order of a known Hadamard matrix (Kharaghani & Tayfeh-Rezaie 2005)."""


def mixed_bounds(
    *,
    classes: int,
    radius: float | None = None,
    feature_energy: float | None = None,
    head_norm: float | None = None,
    head_energy: float | None = None,
    width: int | None = None,
    class_weights: Sequence[float] | None = None,
) -> Prediction:
    """One of head and features bounded pointwise, the other in the mean; balanced classes: a simplex.

    ``radius`` R (|h| <= R for every sample, or = R) with ``head_energy`` E_W (mean over classes of |w|^2 <= E_W):
    margin R sqrt(E_W) K/(K-1). ``feature_energy`` E_H (mean over samples of |h|^2 <= E_H) with ``head_norm`` S
    (|W|_op <= S): margin S sqrt(K E_H/(K-1)). risk = log(1 + (K-1) e^-margin), with or without bias.

    Why: tr(Wc M^T) is at most |Wc| |M| and at most |Wc|_op sqrt(K-1) |M|, with Frobenius norms |Wc|^2 <= K E_W and
    |M|^2 <= K R^2 or K E_H. Does not apply below the width K-1 or for unequal weights. Raises ValueError for classes
    < 2, a bound that is not positive, and any other pair: two pointwise bounds are penultimate_ball, two means
    layer_peeled. Carried over from E & Wojtowytsch 2021, Cor. 4.2.
    """
    classes = checks.whole("classes", classes, 2)
    stretch = math.sqrt(classes / (classes - 1))
    if radius is not None and head_energy is not None and feature_energy is None and head_norm is None:
        feature_norm = checks.positive("radius", radius)
        head_opnorm = math.sqrt(checks.positive("head_energy", head_energy)) * stretch
        bounds = "every feature has |h| <= R, and the mean over classes of |w_k|^2 is at most E_W"
    elif feature_energy is not None and head_norm is not None and radius is None and head_energy is None:
        feature_norm = math.sqrt(checks.positive("feature_energy", feature_energy))
        head_opnorm = checks.positive("head_norm", head_norm)
        bounds = "the mean over samples of |h|^2 is at most E_H, and |W|_op <= S"
    else:
        raise ValueError(
            "mixed_bounds needs radius and head_energy, or feature_energy and head_norm; radius and head_norm are "
            "penultimate_ball, feature_energy and head_energy are layer_peeled"
        )
    statement = Statement(
        setting="mixed_bounds",
        assumptions=(bounds, "free signed features, balanced classes, softmax cross entropy, with or without bias"),
        source="E & Wojtowytsch 2021, Cor. 4.2, carried over to mean bounds (proved)",
    )
    if reason := _no_simplex(classes, width, class_weights):
        return statement.fails(reason)
    values = collapsed_values(
        classes,
        margin=feature_norm * head_opnorm * stretch,
        feature_norm=feature_norm,
        head_opnorm=head_opnorm,
        orthogonal=False,
    )
    if head_energy is not None:
        values |= dict.fromkeys(VANISHING_WITH_CENTRED_HEAD, 0.0)
    return statement.holds(values)


def normalized_softmax(
    *,
    classes: int,
    temperature: float,
    width: int | None = None,
    class_weights: Sequence[float] | None = None,
) -> Prediction:
    """Logits <w_k, h>/t of unit rows and unit features, balanced: a simplex, risk = log(1 + (K-1) e^(-K/((K-1) t))).

    As a linear head W/t, whose rows have the norm 1/t, so that ``head_opnorm`` is sqrt(K/(K-1))/t. Does not apply below
    the width K-1 (for K > d + 1 see softmax_code) or for unequal weights. Raises ValueError for classes < 2 or a
    temperature that is not positive. Yaras et al. 2022; `mixed_bounds` with R = 1, E_W = 1/t^2.
    """
    classes = checks.whole("classes", classes, 2)
    temperature = checks.positive("temperature", temperature)
    statement = Statement(
        setting="normalized_softmax",
        assumptions=(
            "unit rows of the head and unit features, logits divided by the temperature, no bias",
            "free signed features, balanced classes, softmax cross entropy",
        ),
        source="Yaras et al. 2022 (arXiv:2209.09211) (proved)",
    )
    if reason := _no_simplex(classes, width, class_weights):
        return statement.fails(reason)
    stretch = math.sqrt(classes / (classes - 1))
    values = collapsed_values(
        classes,
        margin=stretch * stretch / temperature,
        feature_norm=1.0,
        head_opnorm=stretch / temperature,
        orthogonal=False,
    )
    return statement.holds(values | dict.fromkeys(VANISHING_WITH_CENTRED_HEAD, 0.0))


def feature_lp_ball(
    *,
    classes: int,
    radius: float,
    p: float,
    width: int,
    head_norm: float = 1.0,
    class_weights: Sequence[float] | None = None,
) -> Prediction:
    """Features |f(x)|_p <= R with p >= 2, head |W|_op <= S: no smaller risk than at the l^2 reach R d^(1/2-1/p).

    ``risk_floor`` = log(1 + (K-1) exp(-S reach sqrt(K/(K-1)))), ``reach`` the largest l^2 norm in the ball. ``tight``
    says whether it is attained: "yes", with the values of a simplex of that radius, "no" or "not known". At p = 2 every
    simplex attains it (d >= K-1); for p > 2 the
    class means must be K sign vectors times R d^(-1/p) with inner products -d/(K-1) of the signs. For K > 2 that needs
    K even, m = d/(K-1) whole, and whole numbers (d-m)/2 and (d-3m)/4 of places in which two and three of the vectors
    agree. They exist where K is the order of a Hadamard matrix, and where d is a multiple of half the number of
    sign vectors of length K that sum to 0.

    Does not apply for p < 2 (for which there is a conjecture only). Raises ValueError if classes < 2, p < 1 or a bound
    is not positive. Carried over from E & Wojtowytsch 2021, Cor. 4.2 (proved).
    """
    classes = checks.whole("classes", classes, 2)
    radius = checks.positive("radius", radius)
    head_norm = checks.positive("head_norm", head_norm)
    width = checks.whole("width", width, 1)
    p = checks.real("p", p)
    if p < 1:
        raise ValueError(f"p must be at least 1, got {p!r}: below 1 there is no norm")
    checks.weights_of(class_weights, classes)
    statement = Statement(
        setting="feature_lp_ball",
        assumptions=(
            "every feature lies in the l^p ball of radius R around the origin, |W|_op <= S, no bias",
            "softmax cross entropy without label smoothing, no weight decay, any class weights",
        ),
        source="E & Wojtowytsch 2021, Cor. 4.2, at the largest l^2 norm in the ball (proved bound)",
    )
    if p < 2:
        known = (
            "not known, and what is conjectured of more classes is false of"
            if classes <= 3
            else "a conjecture only for"
        )
        return statement.fails(f"p = {p:g}: below 2 the smallest risk is {known} {classes} classes")
    reach = radius * width ** (0.5 - 1 / p)
    margin = reach * head_norm * math.sqrt(classes / (classes - 1))
    tight = _tight(classes, width, p)
    values: dict[str, Value] = {"risk_floor": risk_at(classes, margin), "reach": reach, "tight": tight}
    if tight == "yes":
        values |= collapsed_values(classes, margin=margin, feature_norm=reach, head_opnorm=head_norm, orthogonal=False)
    return statement.holds(values)


def _tight(classes: int, width: int, p: float) -> str:
    """Whether K points of the l^p ball are a simplex of the largest l^2 norm."""
    if width < classes - 1:
        return "no"
    if p == 2 or classes == 2:
        return "yes"
    copies, rest = divmod(width, classes - 1)
    # Signs of two vectors agree in (d - m)/2 places, of three in (d - 3m)/4, with -m the inner product.
    if rest or classes % 2 or (width - copies) % 2 or (width - 3 * copies) % 4:
        return "no"
    if classes % 4 == 0 and classes < HADAMARD_KNOWN_BELOW:
        return "yes"
    if classes <= 60 and width % (math.comb(classes, classes // 2) // 2) == 0:
        return "yes"
    return "not known"


def _no_simplex(classes: int, width: int | None, class_weights: Sequence[float] | None) -> str:
    return checks.first(
        checks.narrow(width, classes - 1, "a simplex of K vertices"),
        checks.unequal(class_weights, classes, "the formula is for balanced classes"),
    )
