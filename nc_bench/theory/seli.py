"""Imbalanced classes as the decay vanishes: the geometry of the simplex-encoded labels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from nc_bench.theory import checks
from nc_bench.theory.prediction import Prediction, Statement


def seli(
    *, counts: Sequence[int], width: int | None = None, class_weights: Sequence[float] | None = None
) -> Prediction:
    """Directions of W and of the class means for any class sizes, in the limit of vanishing decay, no bias.

    With the singular value decomposition (I - J/K) Y = V S U^T of the centred one-hot labels (K x N): W W^T
    ~ V S V^T and H^T H ~ U S U^T. ``head_norm_ratio_k`` and ``feature_norm_ratio_k`` are |w_k| and |mu_k|
    over their mean, one entry per class; ``head_cosine_pairs`` and ``feature_cosine_pairs`` are cosines of
    w_c, w_c' and of raw class means, for c < c' in the order (0,1), (0,2), ... At balance: ratios 1,
    cosines -1/(K-1).

    Does not apply below the width K-1, nor to unequal class weights. Raises ValueError for counts below 1 or
    fewer than two classes. Thrampoulidis et al. 2022 (SELI geometry).
    """
    sizes = checks.class_counts(counts)
    statement = Statement(
        setting="seli",
        assumptions=(
            "the limit of vanishing decay, reached logarithmically: no trained run is near it, so hold a run "
            "against the optimum at its own decay",
            "softmax cross entropy without bias, equal class weights, free signed features, width >= K-1",
        ),
        source="Thrampoulidis et al. 2022 (SELI geometry)",
    )
    reason = checks.first(
        checks.narrow(width, len(sizes) - 1, "the span of the class means"),
        checks.unequal(class_weights, len(sizes), "the formula is for the plain sample mean"),
    )
    if reason:
        return statement.fails(reason)
    head, features = _grams(np.array(sizes, dtype=np.float64))
    return statement.holds(
        {
            "head_norm_ratio_k": _norm_ratios(head),
            "feature_norm_ratio_k": _norm_ratios(features),
            "head_cosine_pairs": _cosines(head),
            "feature_cosine_pairs": _cosines(features),
        }
    )


def _grams(sizes: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gram matrices of W and of the class means; samples of a class share a column, so K x K is enough."""
    classes, root = len(sizes), np.sqrt(sizes)
    left, singular, right = np.linalg.svd((np.eye(classes) - 1 / classes) * root)
    per_sample = right / root
    return (left * singular) @ left.T, (per_sample.T * singular) @ per_sample


def _norm_ratios(gram: NDArray[np.float64]) -> tuple[float, ...]:
    norms = np.sqrt(np.diag(gram))
    return tuple((norms / norms.mean()).tolist())


def _cosines(gram: NDArray[np.float64]) -> tuple[float, ...]:
    norms = np.sqrt(np.diag(gram))
    return tuple(float(gram[a, b] / (norms[a] * norms[b])) for a, b in combinations(range(len(gram)), 2))
