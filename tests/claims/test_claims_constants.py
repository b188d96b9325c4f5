"""The constants of claims without a closed form, against SciPy: convex programmes in the logits where there are some.

With norms that are paid for, or bounded in the mean, W and H can be eliminated: what is left is the nuclear norm of the
logits Z = W H^T, and W W^T = U S U^T for Z = U S V^T. Two sizes of classes leave six different entries in Z.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp
from theory_minimisers import minimise_ball

from nc_bench.claims import imbalance, nonnegative, penultimate, seli

Array = NDArray[np.float64]
HALF, CLASSES = 5, 10


def logits(entries: Array) -> Array:
    """A column for each class: true and other logits, from large and small classes, centred."""
    large, small = slice(None, HALF), slice(HALF, None)
    z = np.empty((CLASSES, CLASSES))
    z[large, large], z[small, small], z[small, large], z[large, small] = entries[2:]
    np.fill_diagonal(z, np.repeat(entries[:2], HALF))
    return z - z.mean(0)


def mean_loss(z: Array, shares: Array) -> float:
    return float(shares @ (logsumexp(z, axis=0) - np.diag(z)))


def solve(objective: Callable[[Array], float], start: list[float]) -> Array:
    found = np.array(start)
    for _ in range(4):
        options = {"maxiter": 20_000, "maxfev": 20_000, "xatol": 1e-9, "fatol": 1e-15}
        found = minimize(objective, found, method="Nelder-Mead", options=options).x
    return found


def head_gram(z: Array) -> Array:
    left, singular, _ = np.linalg.svd(z)
    return (left * singular) @ left.T


def cosine(gram: Array, first: int, second: int) -> float:
    return float(gram[first, second] / np.sqrt(gram[first, first] * gram[second, second]))


def test_the_shape_at_a_finite_decay() -> None:
    counts = seli.FINITE_SCALE * np.array(seli.COUNTS, dtype=float)

    def objective(entries: Array) -> float:
        z = logits(entries)
        norm = np.linalg.svd(z * np.sqrt(counts), compute_uv=False).sum()
        return float(np.log(mean_loss(z, counts / counts.sum()) + seli.FINITE_DECAY * norm))

    gram = head_gram(logits(solve(objective, [15, 14, -1, -1, -1.5, -1])) * np.sqrt(counts))
    assert np.sqrt(gram[0, 0] / gram[-1, -1]) == pytest.approx(seli.FINITE["norm_ratio"], abs=1e-4)
    for quantity, pair in seli.PAIRS.items():
        assert cosine(gram, *pair) == pytest.approx(seli.FINITE[quantity], abs=1e-4)


@pytest.mark.parametrize("ratio", [ratio for ratio in imbalance.PEELED_COSINES if ratio <= 12])
def test_the_cosines_of_the_layer_peeled_model(ratio: float) -> None:
    """Bounds in the mean square bound the nuclear norm of the K class logits by K sqrt(E_W E_H)."""
    shares = np.repeat([ratio, 1.0], HALF) / (HALF * (ratio + 1))
    bound = CLASSES * np.sqrt(imbalance.HEAD_ENERGY * imbalance.FEATURE_ENERGY)

    def scaled(entries: Array) -> Array:
        z = logits(entries)
        return z * bound / np.linalg.svd(z, compute_uv=False).sum()

    gram = head_gram(scaled(solve(lambda entries: mean_loss(scaled(entries), shares), [3, 2, -0.3, -0.2, -0.4, -0.1])))
    assert cosine(gram, CLASSES - 2, CLASSES - 1) == pytest.approx(imbalance.PEELED_COSINES[ratio], abs=2e-4)


@pytest.mark.slow
@pytest.mark.parametrize("bias", [False, True])
def test_the_risks_of_unequal_weights_on_non_negative_features(bias: bool) -> None:
    """The best of several starts: one class at zero is a local minimum (.27645 without bias)."""
    weights, radius = nonnegative.WEIGHTS, nonnegative.WEIGHTED_RADIUS
    found = min(
        minimise_ball(4, 5, radius, nonnegative=True, bias=bias, class_weights=weights, seed=seed).objective
        for seed in range(4)
    )
    assert found == pytest.approx(nonnegative.WEIGHTED_RISKS[bias], abs=1e-8)


def test_the_risk_of_unequal_weights_with_a_bias() -> None:
    found = minimise_ball(4, 4, 2.0, bias=True, class_weights=penultimate.WEIGHTS[1])
    assert found.objective == pytest.approx(penultimate.WITH_BIAS, abs=5e-6)
