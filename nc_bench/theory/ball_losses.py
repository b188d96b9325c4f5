"""Norm-bounded features and head under other losses than the plain cross entropy."""

from __future__ import annotations

import math

from nc_bench.theory.collapsed import collapsed_values, risk_at, uncentred_head
from nc_bench.theory.prediction import Value


def smoothed(classes: int, radius: float, head_norm: float, smoothing: float) -> dict[str, Value]:
    """Label smoothing a: m = min(log(1 + K(1-a)/a), R S sqrt(K/(K-1))), objective log(1 + (K-1) e^-m) + a m (K-1)/K.

    Where the first is smaller the bounds are not reached: outputs are determined, features and head are not.
    """
    margin = radius * head_norm * math.sqrt(classes / (classes - 1))
    free = math.log1p(classes * (1 - smoothing) / smoothing)
    reached = min(free, margin)
    risk = risk_at(classes, reached)
    objective = {"objective": risk + smoothing * reached * (classes - 1) / classes}
    if free < margin:
        return {**objective, "risk": risk, "risk_balanced": risk, "margin": reached, "output_collapse": 0.0}
    values = collapsed_values(classes, margin=margin, feature_norm=radius, head_opnorm=head_norm, orthogonal=False)
    return {**objective, **values}


def squared(classes: int, radius: float, head_norm: float, *, bias: bool) -> dict[str, Value]:
    """Squared error: 1/2 (1 - R S)_+^2, orthogonal frame; with a free bias 1/2 (sqrt((K-1)/K) - R S)_+^2, simplex.

    Where it is 0 the bounds are not reached, and only the outputs are determined.
    """
    budget, shrink = radius * head_norm, math.sqrt((classes - 1) / classes)
    goal = shrink if bias else 1.0
    objective = {"objective": max(goal - budget, 0.0) ** 2 / 2}
    margin = min(budget / goal, 1.0)
    risk = risk_at(classes, margin)
    if budget > goal:
        return {**objective, "risk": risk, "risk_balanced": risk, "margin": margin, "output_collapse": 0.0}
    values = collapsed_values(classes, margin=margin, feature_norm=radius, head_opnorm=head_norm, orthogonal=not bias)
    return {**objective, **values, **({} if bias else uncentred_head(classes, head_norm, centred=False))}
