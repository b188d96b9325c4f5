"""Problems without a table of bounded features, solved by SciPy: unit vectors, deep factors, mixed samples, flows."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import numpy as np
from scipy.integrate import solve_ivp
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp
from theory_metrics import unit
from theory_minimisers import Array, Loss, cross_entropy


def lowest_of(function: Callable[[Array], tuple[float, Array]], start: Callable[[int], Array], starts: int) -> float:
    """The lowest of several minima of a function with its gradient, by L-BFGS."""
    options = {"maxiter": 20_000, "maxfun": 40_000, "ftol": 0.0, "gtol": 1e-11, "maxcor": 30}
    found = (
        minimize(function, start(seed), jac=True, method="L-BFGS-B", options=options).fun for seed in range(starts)
    )
    return float(min(found))


def deep_objective(
    classes: int,
    layers: int,
    decay: float,
    *,
    per_class: int = 1,
    width: int | None = None,
    loss: Loss = cross_entropy,
    starts: int = 10,
) -> float:
    """Least mean loss of W_L ... W_2 H + l/2 (sum of squares of all entries): factors start at any rank and size."""
    width = width or classes
    samples = classes * per_class
    targets = np.eye(classes)[np.arange(samples) % classes]
    weights = np.full(samples, 1 / samples)
    shapes = [(classes, width), *[(width, width)] * (layers - 2), (width, samples)]
    cuts = np.cumsum([rows * columns for rows, columns in shapes])[:-1]

    def objective(x: Array) -> tuple[float, Array]:
        factors = [part.reshape(shape) for part, shape in zip(np.split(x, cuts), shapes, strict=True)]
        tails = [np.eye(samples)]
        for factor in reversed(factors):
            tails.insert(0, factor @ tails[0])
        value, gradient = loss(tails[0].T, targets, weights)
        left, slopes = gradient.T, []
        for factor, tail in zip(factors, tails[1:], strict=True):
            slopes.append((left @ tail.T + decay * factor).ravel())
            left = factor.T @ left
        return value + decay / 2 * float(x @ x), np.concatenate(slopes)

    def start(seed: int) -> Array:
        rng = np.random.default_rng(seed)
        size, rank = rng.uniform(0.3, 1.5), rng.integers(1, width + 1)
        parts = []
        for shape in shapes:
            left, singular, right = np.linalg.svd(size * rng.standard_normal(shape), full_matrices=False)
            singular[rank:] *= 0.05
            parts.append(((left * singular) @ right).ravel())
        return np.concatenate(parts)

    return lowest_of(objective, start, starts)


def contrastive_objective(
    classes: int, per_class: int, temperature: float, width: int, *, nonnegative: bool = False, starts: int = 4
) -> float:
    """Least supervised contrastive loss of unit vectors over the full batch; the gradient is by hand."""
    labels = np.repeat(np.arange(classes), per_class)
    samples = len(labels)
    positives = (labels[:, None] == labels) & ~np.eye(samples, dtype=bool)

    def objective(x: Array) -> tuple[float, Array]:
        free = x.reshape(samples, width)
        raw = free**2 if nonnegative else free
        norms = np.linalg.norm(raw, axis=1, keepdims=True)
        features = raw / norms
        similarity = features @ features.T / temperature
        np.fill_diagonal(similarity, -np.inf)
        log_p = similarity - logsumexp(similarity, axis=1, keepdims=True)
        value = -float(log_p[positives].sum()) / (samples * (per_class - 1))
        slope = (np.exp(log_p) - positives / (per_class - 1)) / samples / temperature
        by_feature = (slope + slope.T) @ features
        by_raw = (by_feature - features * (by_feature * features).sum(1, keepdims=True)) / norms
        return value, (by_raw * (2 * free if nonnegative else 1.0)).ravel()

    return lowest_of(objective, lambda seed: np.random.default_rng(seed).standard_normal(samples * width), starts)


def unit_softmax_objective(classes: int, temperature: float, width: int, *, starts: int = 3) -> float:
    """Least mean cross entropy of <w_k, h>/t over unit rows and unit features."""
    weights, size = np.full(classes, 1 / classes), classes * width

    def objective(x: Array) -> tuple[float, Array]:
        raw = x.reshape(2 * classes, width)
        norms = np.linalg.norm(raw, axis=1, keepdims=True)
        features, rows = np.split(raw / norms, 2)
        value, gradient = cross_entropy(features @ rows.T / temperature, np.eye(classes), weights)
        slope = np.concatenate([gradient @ rows, gradient.T @ features]) / temperature
        unit_rows = raw / norms
        return value, ((slope - unit_rows * (slope * unit_rows).sum(1, keepdims=True)) / norms).ravel()

    return lowest_of(objective, lambda seed: np.random.default_rng(seed).standard_normal(2 * size), starts)


def widest_margin(classes: int, width: int, *, starts: int = 8) -> float:
    """max over unit rows w and |h| <= 1 of min over k and j != k of <w_k - w_j, h_k>, by SLSQP from random starts."""
    size = classes * width
    pairs = list(permutations(range(classes), 2))

    def split(x: Array) -> tuple[Array, Array]:
        return x[:size].reshape(classes, width), x[size : 2 * size].reshape(classes, width)

    def leads(x: Array) -> Array:
        rows, features = split(x)
        return np.array([(rows[k] - rows[j]) @ features[k] for k, j in pairs]) - x[-1]

    def solve(seed: int) -> float:
        rng = np.random.default_rng(seed)
        rows = unit(rng.standard_normal((classes, width)))
        constraints = [
            {"type": "ineq", "fun": leads},
            {"type": "ineq", "fun": lambda x: 1 - (split(x)[1] ** 2).sum(1)},
            {"type": "eq", "fun": lambda x: 1 - (split(x)[0] ** 2).sum(1)},
        ]
        start = np.concatenate([rows.ravel(), rows.ravel(), [-2.0]])
        options = {"maxiter": 1000, "ftol": 1e-15}
        result = minimize(lambda x: -x[-1], start, method="SLSQP", constraints=constraints, options=options)
        return float(result.x[-1]) if result.success else -np.inf

    return max(solve(seed) for seed in range(starts))


def mixed_sample(classes: int, decay: float, share: float) -> tuple[Array, float]:
    """The best feature, and its objective, of a sample with the target share e_0 + (1 - share) e_1 under a simplex."""
    head = unit(np.eye(classes) - 1 / classes)
    target = np.eye(classes)[0] * share + np.eye(classes)[1] * (1 - share)

    def objective(h: Array) -> tuple[float, Array]:
        log_p = log_softmax(head @ h)
        return -float(target @ log_p) + decay / 2 * float(h @ h), (np.exp(log_p) - target) @ head + decay * h

    options = {"gtol": 1e-12, "ftol": 0.0, "maxiter": 10_000}
    result = minimize(objective, np.ones(classes), jac=True, method="L-BFGS-B", options=options)
    return result.x, float(result.fun)


def flow(features: Array, weight: Array, labels: Array, time: float) -> tuple[Array, Array]:
    """Features and head after the gradient flow of the mean cross entropy, by an explicit method of order 8."""
    targets = np.eye(len(weight))[labels]
    weights = np.full(len(features), 1 / len(features))

    def velocity(_: float, x: Array) -> Array:
        h, w = x[: features.size].reshape(features.shape), x[features.size :].reshape(weight.shape)
        _, gradient = cross_entropy(h @ w.T, targets, weights)
        return -np.concatenate([(gradient @ w).ravel(), (gradient.T @ h).ravel()])

    start = np.concatenate([features.ravel(), weight.ravel()])
    end = solve_ivp(velocity, (0.0, time), start, method="DOP853", rtol=1e-12, atol=1e-13).y[:, -1]
    return end[: features.size].reshape(features.shape), end[features.size :].reshape(weight.shape)
