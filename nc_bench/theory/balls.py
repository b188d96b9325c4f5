"""Norm-bounded classifiers: outputs in a ball, and the floor of the risk."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nc_bench.theory import checks
from nc_bench.theory.collapsed import risk_at
from nc_bench.theory.prediction import Prediction, Statement


def final_layer_ball(
    *,
    classes: int,
    radius: float,
    p: float = 2.0,
    centre: float = 0.0,
    width: int | None = None,
    class_weights: Sequence[float] | None = None,
) -> Prediction:
    """Outputs in an l^p ball of radius R, free otherwise: z_i = alpha e_i + beta sum_{j != i} e_j.

    With s = (K-1)^(1/(p-1)), 1 < p < infinity: alpha = (s/(1+s))^(1/p) R, beta = -((1/(1+s))/(K-1))^(1/p) R
    and risk = log(1 + (K-1) exp(beta - alpha)), whatever the weights of the classes. At p = infinity alpha = R and
    beta = -R; at p = 1 alpha = R and beta = 0, but for two classes every (alpha, alpha - R) with 0 <= alpha <= R is a
    minimiser, of which only ``margin`` and the risks are determined. Around ``centre`` (1, ..., 1) instead of the
    origin both alpha and beta grow by ``centre``, which softmax does not see.
    ``output_pair_distance`` is the Euclidean |z_i - z_j|, ``margin`` is alpha - beta.

    Does not apply below the width K-1 (K, where the z_i do not sum to zero: p != 2 and K > 2, or another centre) that
    a linear last layer without bias needs to reach the z_i.
    Raises ValueError if classes < 2, radius <= 0, p < 1 or the centre is not finite. E & Wojtowytsch 2021, Lemma 3.3
    and the remark below it, Remark A.1.
    """
    classes = checks.whole("classes", classes, 2)
    radius = checks.positive("radius", radius)
    p = checks.real("p", p)
    if p < 1:
        raise ValueError(f"p must be at least 1, got {p!r}: below 1 there is no norm")
    centre = checks.real("centre", centre)
    if math.isinf(centre):
        raise ValueError(f"centre must be finite, got {centre!r}")
    checks.weights_of(class_weights, classes)
    statement = Statement(
        setting="final_layer_ball",
        assumptions=(
            "every output lies in the l^p ball of radius R around centre (1, ..., 1), and nothing else bounds it",
            "the values on different samples can be chosen freely",
            "softmax cross entropy, any class weights, no label smoothing, no weight decay",
        ),
        source="E & Wojtowytsch 2021, Lemma 3.3, Cor. 3.5, Remark A.1",
    )
    flat = centre == 0 and (p == 2 or classes == 2)
    if reason := checks.narrow(width, classes - 1 if flat else classes, "reaching the optimal outputs"):
        return statement.fails(reason)
    alpha, beta = _extremes(classes, radius, p)
    risk = risk_at(classes, alpha - beta)
    if p == 1 and classes == 2:
        return statement.holds({"margin": radius, "risk": risk, "risk_balanced": risk, "accuracy": 1.0})
    return statement.holds(
        {
            "alpha": centre + alpha,
            "beta": centre + beta,
            "margin": alpha - beta,
            "risk": risk,
            "risk_balanced": risk,
            "output_pair_distance": math.sqrt(2.0) * (alpha - beta),
            "output_collapse": 0.0,
            "accuracy": 1.0,
        }
    )


def _extremes(classes: int, radius: float, p: float) -> tuple[float, float]:
    """alpha and beta."""
    if p == math.inf:
        return radius, -radius
    if p == 1:
        return radius, 0.0
    log_s = math.log(classes - 1) / (p - 1)
    share = math.log1p(math.exp(-log_s))
    return radius * math.exp(-share / p), -radius * math.exp(-(log_s + share + math.log(classes - 1)) / p)


def risk_floor(
    *,
    classes: int,
    feature_radius: float,
    head_opnorm: float,
    width: int | None = None,
    class_weights: Sequence[float] | None = None,
) -> Prediction:
    """No linear head does better: bounds on every network, at every step, whatever its class sizes or bias.

    ``risk_floor`` = log(1 + (K-1) exp(-rho s sqrt(K/(K-1)))) with rho = feature_radius, s = head_opnorm as
    they are measured; ``simplex_efficiency_cap`` = sqrt(min(d, K-1)/(K-1)) bounds ``simplex_efficiency``
    from above; ``risk_balanced_minimum`` = log(1 + (K-1) exp(-cap rho s sqrt(K/(K-1)))) bounds
    ``risk_balanced`` from below and equals the floor where d >= K-1 or the width is not given.

    Why: Jensen within classes and over the permutations of the classes gives risk_balanced >=
    log(1 + (K-1) exp(-tr(Wc M^T)/(K-1))), in which a bias cancels, and
    tr(Wc M^T) <= s sqrt(rank M) |M|_F <= s sqrt(min(d, K-1)) sqrt(K) rho.
    Raises ValueError if classes < 2 or a norm is negative or not finite. E & Wojtowytsch 2021, Cor. 4.2.
    """
    classes = checks.whole("classes", classes, 2)
    feature_radius = checks.nonnegative("feature_radius", feature_radius)
    head_opnorm = checks.nonnegative("head_opnorm", head_opnorm)
    checks.weights_of(class_weights, classes)
    width = classes - 1 if width is None else checks.whole("width", width, 1)
    statement = Statement(
        setting="risk_floor",
        assumptions=("the logits are a linear function of the features, with or without bias",),
        source="E & Wojtowytsch 2021, Cor. 4.2, symmetrised over the classes",
    )
    cap = math.sqrt(min(width, classes - 1) / (classes - 1))
    margin = feature_radius * head_opnorm * math.sqrt(classes / (classes - 1))
    return statement.holds(
        {
            "risk_floor": risk_at(classes, margin),
            "risk_balanced_minimum": risk_at(classes, cap * margin),
            "simplex_efficiency_cap": cap,
        }
    )
