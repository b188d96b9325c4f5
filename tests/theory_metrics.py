"""Metrics of one solution in plain NumPy, written from their definitions for these tests alone."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, pairwise, permutations

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Solution:
    """A minimiser found numerically: features (N, d), labels (N,), weight (K, d), bias (K,), objective."""

    features: Array
    labels: NDArray[np.int64]
    weight: Array
    bias: Array
    objective: float


def unit(rows: Array) -> Array:
    with np.errstate(invalid="ignore"):  # a row of zeros has no direction: NaN, equal to nothing
        return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def deviations(rows: Array) -> Array:
    return rows - rows.mean(0)


def spread(values: Array) -> float:
    return float(values.std(ddof=1) / values.mean()) if len(values) > 1 else 0.0


def cosines(rows: Array) -> Array:
    return np.array([unit(rows)[a] @ unit(rows)[b] for a, b in permutations(range(len(rows)), 2)])


def distances(rows: Array) -> Array:
    return np.array([np.linalg.norm(rows[a] - rows[b]) for a, b in combinations(range(len(rows)), 2)])


def measure(solution: Solution) -> dict[str, float]:
    """Metric names and the further names that predictions use, to their measured values."""
    features, labels, weight = solution.features, solution.labels, solution.weight
    classes = len(weight)
    means = np.stack([features[labels == c].mean(0) for c in range(classes)])
    centred, head = deviations(means), deviations(weight)
    residuals = features - means[labels]
    logits = features @ weight.T + solution.bias
    losses = logsumexp(logits, axis=1) - logits[np.arange(len(labels)), labels]
    balanced = float(np.mean([losses[labels == c].mean() for c in range(classes)]))
    radius = min(np.linalg.norm(features, axis=1).max(), np.linalg.norm(features - means.mean(0), axis=1).max())
    opnorm = np.linalg.norm(head, 2)
    stretch = np.sqrt(classes / (classes - 1))
    floor = float(np.log1p((classes - 1) * np.exp(-radius * opnorm * stretch)))
    nearest = np.linalg.norm(features[:, None] - means, axis=2).argmin(1)
    return {
        **_collapse(features, labels, means, residuals),
        **_simplex(centred, weight, head),
        **_worst(features, labels, logits, centred, head),
        **_efficiencies(means @ weight.T + solution.bias, balanced, centred, head, radius),
        "nc4_mismatch": float((logits.argmax(1) != nearest).mean()),
        "nc0_row_sum": float(np.linalg.norm(weight.sum(0))),
        "centre_offset": float(np.linalg.norm(means.mean(0)) / np.linalg.norm(means, axis=1).mean()),
        "output_collapse": _output_collapse(logits, labels),
        "isometry_defect": _isometry_defect(centred, head),
        "risk": float(losses.mean()),
        "risk_balanced": balanced,
        "feature_radius": float(radius),
        "head_opnorm": float(opnorm),
        "risk_floor": floor,
        "risk_gap": balanced - floor,
        "simplex_efficiency": float((np.log(classes - 1) - np.log(np.expm1(balanced))) / (stretch * radius * opnorm)),
        "accuracy": float((logits.argmax(1) == labels).mean()),
        "ncc_accuracy": float((nearest == labels).mean()),
        "objective": solution.objective,
        "margin": float(np.delete(logits[0, labels[0]] - logits[0], labels[0]).mean()),
        "cosine": float(cosines(means).mean()),
        "cosine_centred": float(cosines(centred).mean()),
        "pair_distance": float(distances(means).mean()),
        "feature_norm": float(np.linalg.norm(means, axis=1).mean()),
        "head_row_norm": float(np.linalg.norm(weight, axis=1).mean()),
    }


def _collapse(features: Array, labels: NDArray[np.int64], means: Array, residuals: Array) -> dict[str, float]:
    centred = deviations(means)
    within = residuals.T @ residuals / len(labels)
    between = centred.T @ centred / len(means)
    radii = np.linalg.norm(centred, axis=1)
    variance = _by_class(residuals, labels)
    pairs = list(combinations(range(len(means)), 2))
    return {
        "nc1_pinv": float(np.trace(within @ np.linalg.pinv(between, rcond=1e-6)) / len(means)),
        "nc1_quotient": float(np.trace(within) / np.trace(between)),
        "nc1_cdnv": float(
            np.mean([(variance[a] + variance[b]) / 2 / ((means[a] - means[b]) ** 2).sum() for a, b in pairs])
        ),
        "nc1_radius": float(np.linalg.norm(residuals, axis=1).max() / radii.mean()),
    }


def _simplex(centred: Array, weight: Array, head: Array) -> dict[str, float]:
    classes = len(weight)
    norm = np.linalg.norm
    gram = centred @ centred.T
    target = (np.eye(classes) - 1 / classes) / np.sqrt(classes - 1)

    def equiangular(rows: Array) -> float:
        return float(np.abs(cosines(rows) + 1 / (classes - 1)).mean())

    return {
        "nc2_equinorm": spread(norm(centred, axis=1)),
        "nc2_equinorm_w": spread(norm(weight, axis=1)),
        "nc2_equinorm_w_centred": spread(norm(head, axis=1)),
        "nc2_equiangular": equiangular(centred),
        "nc2_equiangular_w": equiangular(weight),
        "nc2_equiangular_w_centred": equiangular(head),
        "nc2_equidistant": spread(distances(centred)),
        "nc2_etf": float(norm(gram / norm(gram) - target)),
        "nc3_duality": float(norm(weight / norm(weight) - centred / norm(centred))),
        "nc3_duality_centred": float(norm(head / norm(head) - centred / norm(centred))),
        "nc3_alignment": float(((unit(weight) - unit(centred)) ** 2).sum(1).mean() / 2),
        "nc3_alignment_centred": float(((unit(head) - unit(centred)) ** 2).sum(1).mean() / 2),
    }


def _worst(features: Array, labels: NDArray[np.int64], logits: Array, centred: Array, head: Array) -> dict[str, float]:
    """The largest over classes or pairs where the metric of the name without `_worst` is a mean."""
    classes, norm = len(head), np.linalg.norm
    outputs = deviations_of_classes(logits - logits.mean(1, keepdims=True), labels)
    between = np.stack([(logits - logits.mean(1, keepdims=True))[labels == c].mean(0) for c in range(classes)])
    variance = _by_class(deviations_of_classes(features, labels), labels)
    pairs = list(combinations(range(classes), 2))

    def furthest(values: Array) -> float:
        return float(np.abs(values / values.mean() - 1).max())

    def angle(rows: Array) -> float:
        return float(np.abs(cosines(rows) + 1 / (classes - 1)).max())

    return {
        "nc1_quotient_worst": float(variance.max() / (centred**2).sum(1).mean()),
        "nc1_cdnv_worst": float(
            max((variance[a] + variance[b]) / 2 / ((centred[a] - centred[b]) ** 2).sum() for a, b in pairs)
        ),
        "nc2_equinorm_worst": furthest(norm(centred, axis=1)),
        "nc2_equinorm_w_centred_worst": furthest(norm(head, axis=1)),
        "nc2_equiangular_worst": angle(centred),
        "nc2_equiangular_w_centred_worst": angle(head),
        "nc2_equidistant_worst": furthest(distances(centred)),
        "nc3_duality_centred_worst": float(
            np.sqrt(classes) * norm(head / norm(head) - centred / norm(centred), axis=1).max()
        ),
        "nc3_alignment_centred_worst": float(((unit(head) - unit(centred)) ** 2).sum(1).max() / 2),
        "output_collapse_worst": float(_by_class(outputs, labels).max() / (deviations(between) ** 2).sum(1).mean()),
    }


def _efficiencies(mean_logits: Array, balanced: float, centred: Array, head: Array, radius: float) -> dict[str, float]:
    """The six factors of `simplex_efficiency`, each the quotient of two margins that follow one another."""
    classes, norm = len(head), np.linalg.norm
    of_means = float((logsumexp(mean_logits, axis=1) - np.diag(mean_logits)).mean())
    strengths, lengths = (np.linalg.svd(rows, compute_uv=False) for rows in (head, centred))
    share = 1 / (classes - 1)
    margins = {
        "within": np.log(classes - 1) - np.log(np.expm1(balanced)),
        "pairs": np.log(classes - 1) - np.log(np.expm1(of_means)),
        "alignment": share * np.trace(head @ centred.T),
        "isometry": share * strengths @ lengths,
        "simplex": share * strengths[0] * lengths.sum(),
        "norm": strengths[0] * norm(centred) / np.sqrt(classes - 1),
        "budget": strengths[0] * radius * np.sqrt(classes / (classes - 1)),
    }
    return {f"efficiency_{part}": float(margins[part] / margins[after]) for part, after in pairwise(margins)}


def deviations_of_classes(rows: Array, labels: NDArray[np.int64]) -> Array:
    """Rows minus the mean of their class."""
    return rows - np.stack([rows[labels == c].mean(0) for c in range(labels.max() + 1)])[labels]


def _by_class(residuals: Array, labels: NDArray[np.int64]) -> Array:
    """Each class's mean square of the residuals."""
    return np.array([(residuals[labels == c] ** 2).sum(1).mean() for c in range(labels.max() + 1)])


def _output_collapse(logits: Array, labels: NDArray[np.int64]) -> float:
    outputs = logits - logits.mean(1, keepdims=True)
    means = np.stack([outputs[labels == c].mean(0) for c in range(logits.shape[1])])
    within = ((outputs - means[labels]) ** 2).sum(1).mean()
    return float(within / (deviations(means) ** 2).sum(1).mean())


def _isometry_defect(centred: Array, head: Array) -> float:
    span = np.linalg.svd(centred, full_matrices=False)[2][: len(centred) - 1]
    singular = np.linalg.svd(head @ span.T, compute_uv=False)
    return float((singular[0] - singular[-1]) / singular.mean())
