"""How fast features and head grow: gradient flow of the mean cross entropy, integrated in all its coordinates."""

from __future__ import annotations

from functools import cache, partial

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.special import log_softmax

from nc_bench.claims.claim import OBJECTIVE_TOLERANCE, Claim, predicted_claim

Array = NDArray[np.float64]

CASES = ((4, 5), (10, 3), (3, 1))
"""Classes and samples of each."""

START_MARGIN = 0.1
TIMES = (3.0, 300.0)


def claims() -> list[Claim]:
    """Margins early and late, and norms of features and of rows of the head late."""
    margins = [_claim("margin", case, time) for case in CASES for time in TIMES]
    return [*margins, *(_claim(name, CASES[0], TIMES[-1]) for name in ("feature_norm", "head_row_norm"))]


def _claim(value: str, case: tuple[int, int], time: float) -> Claim:
    classes, per_class = case
    when = "early" if time == TIMES[0] else "late"
    return predicted_claim(
        f"gradient_flow_{value}_{classes}_classes_of_{per_class}_{when}",
        f"{value.replace('_', ' ')} after the time {time:g} of the flow, {classes} classes of {per_class}: the margin "
        "was 0.1 on a simplex",
        setting="gradient_flow",
        value=value,
        problem={"classes": classes, "per_class": per_class, "time": time, "start_margin": START_MARGIN},
        obtained=partial(_measured, value, classes, per_class, time),
        tolerance=OBJECTIVE_TOLERANCE,
    )


def _measured(value: str, classes: int, per_class: int, time: float) -> float:
    """The largest over samples or rows; of the leads of true classes the smallest."""
    features, weight = _flow(classes, per_class, time)
    if value == "feature_norm":
        return float(np.linalg.norm(features, axis=1).max())
    if value == "head_row_norm":
        return float(np.linalg.norm(weight, axis=1).max())
    logits, targets = features @ weight.T, _targets(classes, per_class)
    return float((logits[targets == 1] - np.where(targets == 1, -np.inf, logits).max(1)).min())


@cache
def _flow(classes: int, per_class: int, time: float) -> tuple[Array, Array]:
    """Features and head at this time, from a simplex with |W|^2 = |H|^2, by an explicit method of order 8."""
    targets = _targets(classes, per_class)
    simplex = np.eye(classes) - 1 / classes
    # Logits v <W row, simplex row> with W = u times the simplex: margin u v, |W|^2 = u^2 (K-1), |H|^2 = n v^2 (K-1).
    size = np.sqrt(START_MARGIN / np.sqrt(per_class))
    start = [size * (targets @ simplex), size * np.sqrt(per_class) * simplex]
    cut = start[0].size

    def split(x: Array) -> tuple[Array, Array]:
        return x[:cut].reshape(targets.shape), x[cut:].reshape(classes, classes)

    def velocity(_: float, x: Array) -> Array:
        features, weight = split(x)
        pull = (targets - np.exp(log_softmax(features @ weight.T, axis=1))) / len(targets)
        return np.concatenate([(pull @ weight).ravel(), (pull.T @ features).ravel()])

    flat = np.concatenate([part.ravel() for part in start])
    return split(solve_ivp(velocity, (0.0, time), flat, method="DOP853", rtol=1e-11, atol=1e-12).y[:, -1])


def _targets(classes: int, per_class: int) -> Array:
    return np.eye(classes)[np.arange(classes).repeat(per_class)]
