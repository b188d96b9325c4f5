"""A last layer frozen in a simplex: only the features learn."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nc_bench.theory import checks
from nc_bench.theory.collapsed import VANISHING_WITH_CENTRED_HEAD, collapsed_values, risk_at
from nc_bench.theory.prediction import Prediction, Statement


def frozen_simplex_head(
    *,
    classes: int,
    per_class: int,
    feature_decay: float,
    width: int | None = None,
    class_weights: Sequence[float] | None = None,
) -> Prediction:
    """W fixed, a simplex of unit rows; objective = mean cross entropy + lh/2 |H|^2 over all N = nK samples.

    Every sample of class c has the feature ``feature_norm`` * w_c, where c = feature_norm solves P K/(K-1)
    = lh N c with P = (K-1)e^-m/(1 + (K-1)e^-m), margin m = c K/(K-1); the left side falls and the right
    side rises in c, so the root is unique. objective = risk + N lh c^2/2. A free bias stays constant over
    the classes and changes nothing; the problem is convex in features and bias.

    Does not apply below the width K-1 or for unequal class weights (every class then has its own c).
    Raises ValueError if classes < 2, per_class < 1 or feature_decay <= 0. Minimised in closed form.
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
    if reason:
        return statement.fails(reason)
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

    low, high = 0.0, 1 / decay  # P K/(K-1) never exceeds 1
    while low < (middle := low + (high - low) / 2) < high:
        low, high = (middle, high) if pull(middle) > 0 else (low, middle)
    return low
