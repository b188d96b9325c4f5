"""The optimisation problems that predictions are about, solved by SciPy from random starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax
from theory_metrics import Solution

from nc_bench.theory import predict

Array = NDArray[np.float64]
Loss = Callable[[Array, Array, Array], tuple[float, Array]]


def best(solve: Callable[[int], Solution], starts: int) -> Solution:
    """The lowest of several minima."""
    return min((solve(seed) for seed in range(starts)), key=lambda solution: solution.objective)


def cross_entropy(logits: Array, targets: Array, weights: Array) -> tuple[float, Array]:
    """Weighted sum of the samples' cross entropies, and its gradient in the logits."""
    log_p = log_softmax(logits, axis=1)
    return -float(weights @ (targets * log_p).sum(1)), (np.exp(log_p) - targets) * weights[:, None]


def squared_error(logits: Array, targets: Array, weights: Array) -> tuple[float, Array]:
    """Weighted sum of the samples' halved squared errors, and its gradient in the logits."""
    return float(weights @ ((logits - targets) ** 2).sum(1)) / 2, (logits - targets) * weights[:, None]


def focal(gamma: float) -> Loss:
    """The focal loss -(1 - p)^g log p: its weighted sum over samples, and its gradient in the logits."""

    def loss(logits: Array, targets: Array, weights: Array) -> tuple[float, Array]:
        log_p = log_softmax(logits, axis=1)
        own = (targets * log_p).sum(1)
        wrong = -np.expm1(own)
        slope = wrong**gamma - gamma * wrong ** (gamma - 1) * np.exp(own) * own
        return -float(weights @ (wrong**gamma * own)), (np.exp(log_p) - targets) * (weights * slope)[:, None]

    return loss


def minimise_decay(
    counts: Sequence[int],
    width: int,
    head_decay: float,
    feature_decay: float,
    *,
    loss: Loss = cross_entropy,
    label_smoothing: float = 0.0,
    nonnegative: bool = False,
    bias: bool = False,
    bias_decay: float = 0.0,
    frozen_head: Array | None = None,
    seed: int = 0,
) -> Solution:
    """Mean loss + lw/2 |W|^2 + lh/2 |H|^2 + lb/2 |b|^2 over free features, by L-BFGS-B."""
    rng = np.random.default_rng(seed)
    classes, samples = len(counts), sum(counts)
    labels = np.repeat(np.arange(classes), counts)
    targets = np.eye(classes)[labels] * (1 - label_smoothing) + label_smoothing / classes
    weights = np.full(samples, 1 / samples)

    def unpack(x: Array) -> tuple[Array, Array, Array]:
        features, weight, offset = np.split(x, [samples * width, (samples + classes) * width])
        return features.reshape(samples, width), weight.reshape(classes, width), offset

    def objective(x: Array) -> tuple[float, Array]:
        features, weight, offset = unpack(x)
        value, gradient = loss(features @ weight.T + offset, targets, weights)
        value += head_decay / 2 * (weight**2).sum() + feature_decay / 2 * (features**2).sum()
        value += bias_decay / 2 * (offset**2).sum()
        head_slope = (gradient.T @ features + head_decay * weight) * (frozen_head is None)
        offset_slope = (gradient.sum(0) + bias_decay * offset) * bias
        parts = (gradient @ weight + feature_decay * features, head_slope, offset_slope)
        return value, np.concatenate([part.ravel() for part in parts])

    features = rng.standard_normal((samples, width))
    weight = rng.standard_normal((classes, width)) if frozen_head is None else frozen_head
    start = np.concatenate([(abs(features) if nonnegative else features).ravel(), weight.ravel(), np.zeros(classes)])
    bounds = [(0.0 if nonnegative else None, None)] * features.size
    bounds += [(None, None)] * (len(start) - features.size)
    options = {"maxiter": 20_000, "maxfun": 40_000, "ftol": 0.0, "gtol": 1e-11, "maxcor": 30}
    result = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    features, weight, offset = unpack(result.x)
    return Solution(features=features, labels=labels, weight=weight, bias=offset, objective=float(result.fun))


def minimise_ball(
    classes: int,
    width: int,
    radius: float,
    *,
    head_norm: float = 1.0,
    per_class: int = 1,
    nonnegative: bool = False,
    bias: bool = False,
    loss: Loss = cross_entropy,
    label_smoothing: float = 0.0,
    p: float = 2.0,
    mean_of: str = "",
    class_weights: Sequence[float] | None = None,
    seed: int = 0,
) -> Solution:
    """Weighted loss over |h|_p <= R (p >= 2) and |W|_op <= S, by sequential quadratic programming.

    The spectral ball is the smooth equation W W^T + L L^T = S^2 I with a lower triangular L. ``mean_of="features"``:
    the mean of |h|^2 is bounded by R^2 instead; ``mean_of="head"``: that of |w_k|^2 by S^2.
    """
    rng = np.random.default_rng(seed)
    samples = classes * per_class
    labels = np.repeat(np.arange(classes), per_class)
    targets = np.eye(classes)[labels] * (1 - label_smoothing) + label_smoothing / classes
    weights = np.ones(classes) if class_weights is None else np.array(class_weights, dtype=float)
    weights = (weights / weights.sum() / per_class)[labels]
    order = min(classes, width)
    triangle = np.tril_indices(order)
    cuts = np.cumsum([samples * width, classes * width, len(triangle[0])])

    def unpack(x: Array) -> tuple[Array, Array, Array, Array]:
        features, weight, entries, offset = np.split(x, cuts)
        lower = np.zeros((order, order))
        lower[triangle] = entries
        return features.reshape(samples, width), weight.reshape(classes, width), lower, offset

    def objective(x: Array) -> tuple[float, Array]:
        features, weight, _, offset = unpack(x)
        value, gradient = loss(features @ weight.T + offset, targets, weights)
        parts = (gradient @ weight, gradient.T @ features, np.zeros(len(triangle[0])), gradient.sum(0) * bias)
        return value, np.concatenate([part.ravel() for part in parts])

    def gram(weight: Array) -> Array:
        return weight @ weight.T if classes <= width else weight.T @ weight

    def inside(x: Array) -> Array:
        features = unpack(x)[0]
        if mean_of == "features":
            return np.array([radius**2 - (features**2).sum() / samples])
        return np.ones(1) if p == np.inf else 1 - (np.abs(features / radius) ** p).sum(1)

    def spectral(x: Array) -> Array:
        _, weight, lower, _ = unpack(x)
        if mean_of == "head":
            return np.array([(weight**2).sum() + (lower**2).sum() - head_norm**2 * classes])
        return (gram(weight) + lower @ lower.T - head_norm**2 * np.eye(order))[triangle]

    features = rng.standard_normal((samples, width))
    features = 0.9 * radius * features / np.linalg.norm(features, p, axis=1, keepdims=True)
    weight = rng.standard_normal((classes, width))
    weight *= 0.9 * head_norm / np.linalg.norm(weight, 2)
    lower = np.linalg.cholesky(head_norm**2 * np.eye(order) - gram(weight))
    features = abs(features) if nonnegative else features
    start = np.concatenate([features.ravel(), weight.ravel(), lower[triangle], np.zeros(classes)])
    edge = radius if p == np.inf else None
    bounds = [(0.0 if nonnegative else None if edge is None else -edge, edge)] * features.size
    bounds += [(None, None)] * (len(start) - features.size)
    constraints = [{"type": "ineq", "fun": inside}, {"type": "eq", "fun": spectral}]
    options = {"maxiter": 500, "ftol": 1e-15}
    result = minimize(
        objective, start, jac=True, method="SLSQP", bounds=bounds, constraints=constraints, options=options
    )
    features, weight, _, offset = unpack(result.x)
    return Solution(features=features, labels=labels, weight=weight, bias=offset, objective=float(result.fun))


def minimise_energy(
    classes: int, width: int, head_energy: float, feature_energy: float, *, bias: bool = False, seed: int = 0
) -> Solution:
    """Cross entropy over bounded mean squares of the rows of W and of the features, by SLSQP."""
    rng = np.random.default_rng(seed)
    labels = np.arange(classes)
    weights = np.full(classes, 1 / classes)
    size = classes * width

    def unpack(x: Array) -> tuple[Array, Array, Array]:
        features, weight, offset = np.split(x, [size, 2 * size])
        return features.reshape(classes, width), weight.reshape(classes, width), offset

    def objective(x: Array) -> tuple[float, Array]:
        features, weight, offset = unpack(x)
        value, gradient = cross_entropy(features @ weight.T + offset, np.eye(classes), weights)
        parts = (gradient @ weight, gradient.T @ features, gradient.sum(0) * bias)
        return value, np.concatenate([part.ravel() for part in parts])

    def slack(x: Array) -> Array:
        features, weight, _ = unpack(x)
        return np.array([feature_energy, head_energy]) - np.array([(features**2).sum(), (weight**2).sum()]) / classes

    start = np.concatenate([rng.standard_normal(2 * size), np.zeros(classes)])
    options = {"maxiter": 500, "ftol": 1e-15}
    constraints = [{"type": "ineq", "fun": slack}]
    result = minimize(objective, start, jac=True, method="SLSQP", constraints=constraints, options=options)
    features, weight, offset = unpack(result.x)
    return Solution(features=features, labels=labels, weight=weight, bias=offset, objective=float(result.fun))


BALL_LOSSES = {"focal": focal(2.0), "mse": squared_error}
"""What `loss` names in a problem of features and head in balls; the focal loss has gamma 2."""


def ball_minimum(problem: dict[str, Any], starts: int = 2) -> Solution:
    """The lowest minimum found of a problem that is given in the words of `predict`."""
    options = dict(problem)
    loss = options.pop("loss", "")
    options |= {"loss": BALL_LOSSES[loss]} if loss else {}
    return best(lambda seed: minimise_ball(seed=seed, **options), starts=starts)


def ball_prediction(problem: dict[str, Any]) -> Any:
    """What is predicted of the same problem, by name."""
    gamma = {"focal_gamma": 2.0} if problem.get("loss") == "focal" else {}
    prediction = predict("penultimate_ball", **problem, **gamma)
    assert prediction.applies, prediction.reason
    return prediction.values
