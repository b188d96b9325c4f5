"""A last layer frozen in a simplex: only the features learn."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nc_bench.theory import checks
from nc_bench.theory.collapsed import VANISHING_WITH_CENTRED_HEAD, collapsed_values, risk_at
from nc_bench.theory.minimum import sign_change
from nc_bench.theory.prediction import Prediction, Statement, Value


def frozen_simplex_head(
    *,
    classes: int,
    per_class: int,
    feature_decay: float,
    mixup: float | None = None,
    width: int | None = None,
    class_weights: Sequence[float] | None = None,
) -> Prediction:
    """W fixed, a simplex of unit rows; objective = mean cross entropy + lh/2 |H|^2 over all N = nK samples.

    Every sample of class c has the feature ``feature_norm`` * w_c, where c = feature_norm solves P K/(K-1)
    = lh N c with P = (K-1)e^-m/(1 + (K-1)e^-m), margin m = c K/(K-1); the left side falls and the right
    side rises in c, so the root is unique. objective = risk + N lh c^2/2. A free bias stays constant over
    the classes and changes nothing; the problem is convex in features and bias.

    ``mixup`` lam in [0, 1], K >= 3: a mixed sample has the target lam e_i + (1 - lam) e_j, i != j, and its own feature
    h = ``a`` w_i + ``b`` w_j, with lh N a = lam - p_i + p_o and lh N b = 1 - lam - p_j + p_o, where p is the softmax of
    a - b/(K-1) for class i, b - a/(K-1) for j, and -(a + b)/(K-1) for each other class o; N = nK is the number of mixed
    samples. ``objective``, their mean, is the soft cross entropy + lh N/2 |h|^2 of one; ``feature_norm`` is |h|.

    Does not apply below the width K-1 or for unequal class weights (every class then has its own c), nor for two
    classes with mixup (w_i = -w_j). Raises ValueError if classes < 2, per_class < 1, feature_decay <= 0 or mixup
    outside [0, 1]. Minimised in closed form.
    """
    classes = checks.whole("classes", classes, 2)
    samples = classes * checks.whole("per_class", per_class, 1)
    decay = samples * checks.positive("feature_decay", feature_decay)
    statement = Statement(
        setting="frozen_simplex_head",
        assumptions=(
            "W is frozen: unit rows with cosines -1/(K-1); features free and signed",
            "mean softmax cross entropy, balanced classes, equal class weights, with or without bias",
            "penalty lh/2 (sum over samples of |h|^2)",
        ),
        source="stationarity in the features, one convex problem per sample",
    )
    reason = checks.first(
        checks.narrow(width, classes - 1, "a simplex of K vertices"),
        checks.unequal(class_weights, classes, "the formula is for balanced classes"),
    )
    if mixup is not None and not 0 <= checks.real("mixup", mixup) <= 1:
        raise ValueError(f"mixup must lie in [0, 1], got {mixup!r}")
    if mixup is not None and classes == 2 and not reason:
        reason = "two classes: the rows of the head are opposite, and a and b are not determined"
    if reason:
        return statement.fails(reason)
    if mixup is not None:
        return statement.holds(_mixed(classes, decay, mixup))
    growth = classes / (classes - 1)
    feature_norm = _feature_norm(classes, decay)
    values = collapsed_values(
        classes,
        margin=growth * feature_norm,
        feature_norm=feature_norm,
        head_opnorm=math.sqrt(growth),
        orthogonal=False,
    )
    values |= {
        "objective": risk_at(classes, growth * feature_norm) + decay * feature_norm**2 / 2,
        "head_row_norm": 1.0,
        "feature_norm": feature_norm,
    }
    return statement.holds(values | dict.fromkeys(VANISHING_WITH_CENTRED_HEAD, 0.0))


def _feature_norm(classes: int, decay: float) -> float:
    """Root c of P(c) K/(K-1) = decay c, by bisection down to neighbouring floats."""
    growth = classes / (classes - 1)

    def pull(norm: float) -> float:
        weight = (classes - 1) * math.exp(-growth * norm)
        return growth * weight / (1 + weight) - decay * norm

    return sign_change(pull, 0.0, 1 / decay)  # P K/(K-1) never exceeds 1


def _mixed(classes: int, decay: float, share: float) -> dict[str, Value]:
    """The strongly convex problem of one mixed sample, in s = a + b and u = a - b: two roots, one within the other.

    The equations add up to decay s = K p_o, in which nothing cancels; nor does it in that of the smaller target.
    """
    if share > 0.5:
        swapped = _mixed(classes, decay, 1 - share)
        return {**swapped, "a": swapped["b"], "b": swapped["a"]}
    others = classes - 1

    def log_p(a: float, b: float) -> tuple[float, float, float]:
        logits = a - b / others, b - a / others, -(a + b) / others
        log_sum = float(np.logaddexp(np.logaddexp(*logits[:2]), logits[2] + math.log(classes - 2)))
        return logits[0] - log_sum, logits[1] - log_sum, logits[2] - log_sum

    def total(difference: float) -> float:
        def excess(s: float) -> float:
            return classes * math.exp(log_p((s + difference) / 2, (s - difference) / 2)[2]) - decay * s

        return sign_change(excess, 0.0, classes / decay)

    def pull(difference: float) -> float:
        s = total(difference)
        a, b = (s + difference) / 2, (s - difference) / 2
        first, _, other = log_p(a, b)
        return share - math.exp(first) + math.exp(other) - decay * a

    difference = sign_change(pull, -2 / decay, 0.0)
    s = total(difference)
    a, b = (s + difference) / 2, (s - difference) / 2
    square = a * a + b * b - 2 * a * b / others
    first, second, _ = log_p(a, b)
    objective = -share * first - (1 - share) * second + decay * square / 2
    return {"a": a, "b": b, "objective": objective, "feature_norm": math.sqrt(square)}
