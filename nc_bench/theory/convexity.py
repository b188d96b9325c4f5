"""How the cross entropy bends: its Hessian, where it is flat, and what scatter within a class costs."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Matrix = NDArray[np.float64]


def loss_hessian(logits: ArrayLike) -> Matrix:
    """diag(p) - p p^T with p = softmax(z): the Hessian, (K, K), of -log p_c in the logits z (K,), whatever the class c.

    Positive semidefinite; its kernel is spanned by (1, ..., 1). E & Wojtowytsch 2021, Lemma 2.1.
    """
    p = _softmax(logits)
    return np.diag(p) - np.outer(p, p)


def log_curvature_product(logits: ArrayLike) -> float:
    """log(K p_1 ... p_K): the logarithm of the product of the K-1 positive eigenvalues of the Hessian.

    Finite, so the loss is strictly convex on every hyperplane sum z = const. The Hessian is the Laplacian of the
    complete graph with the weights p_i p_j; the number is that of its spanning trees, weighted (matrix-tree theorem).
    """
    p = _softmax(logits)
    return math.log(len(p)) + math.fsum(np.log(p))


def least_curvature(logits: ArrayLike) -> float:
    """min_j p_j: no positive eigenvalue of the Hessian is smaller.

    The eigenvalues of diag(p) lie between those of diag(p) - p p^T, which differs from it by a matrix of rank one.
    """
    return float(_softmax(logits).min())


def scatter_cost(means: ArrayLike, covariances: ArrayLike) -> float:
    """(1/2K) sum_c tr(D^2 Phi(z_c) S_c): by how much scatter raises the risk, to leading order in the scatter.

    means: z_c, the mean output of every class, (K, K). covariances: S_c of the outputs of the class, (K, K, K).
    E & Wojtowytsch 2021, the expansion below Lemma 3.1.
    """
    costs = [
        np.trace(loss_hessian(mean) @ covariance) / 2
        for mean, covariance in zip(np.asarray(means), np.asarray(covariances), strict=True)
    ]
    return math.fsum(costs) / len(costs)


def _softmax(logits: ArrayLike) -> Matrix:
    z = np.asarray(logits, dtype=np.float64)
    powers = np.exp(z - z.max())
    return powers / powers.sum()
