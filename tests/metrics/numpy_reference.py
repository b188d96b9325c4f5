"""The metrics once more, in plain NumPy float64: loops and exact arithmetic where speed would cost digits.

Means are taken of differences to one sample, so that an offset costs no digits; logits are exact rational numbers,
losses decimals of as many digits as they need. Slow on purpose, and for well-posed problems only (every class
present, distinct means, no zero rows); isometry_defect is left out where the class means span too little.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction
from math import fsum, inf, log, log1p, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestCentroid

Array = NDArray[np.float64]


def reference_metrics(
    features: Array, labels: NDArray[np.int64], weight: Array | None = None, bias: Array | None = None
) -> dict[str, float]:
    """Every metric, the last layer's only if there is one."""
    features = np.asarray(features, dtype=np.float64)
    classes = int(labels.max()) + 1
    within = within_class_deviations(features, labels)
    rows = centred_class_means(features, labels, classes)
    centred_features = np.array([rows[label] for label in labels]) + within
    raw_norms = np.linalg.norm(features, axis=1)
    centred_norms = np.linalg.norm(centred_features, axis=1)
    # Two points around every class mean: from the means alone scikit-learn warns that classes have no width.
    two_each = np.concatenate([rows - 1, rows + 1]), np.tile(np.arange(classes), 2)
    nearest = NearestCentroid().fit(*two_each).predict(centred_features)
    values = collapse(within, rows, features, labels) | simplex_geometry(rows)
    means = np.array([exact_mean(features[labels == c]) for c in range(classes)])
    values["centre_offset"] = np.linalg.norm(means.mean(0)) / np.mean(np.linalg.norm(means, axis=1))
    values["feature_radius"] = min(raw_norms.max(), centred_norms.max())
    values["ncc_accuracy"] = np.mean(nearest == labels)
    if weight is not None:
        weight = np.asarray(weight, dtype=np.float64)
        values |= head_geometry(weight, rows, rank_cutoff(features, labels))
        logits = exact_logits(features, weight, bias)
        values |= outputs(logits, labels, nearest)
        values |= risks(logits, labels, classes, values["feature_radius"] * values["head_opnorm"])
    return {name: float(value) for name, value in values.items()}


def within_class_deviations(features: Array, labels: NDArray[np.int64]) -> Array:
    """h_i - mu_{y_i}, both relative to the first sample of the class."""
    deviations = np.zeros_like(features)
    for label in set(labels.tolist()):
        members = labels == label
        relative = features[members] - features[members][0]
        deviations[members] = relative - exact_mean(relative)
    return deviations


def centred_class_means(features: Array, labels: NDArray[np.int64], classes: int) -> Array:
    """mu_c - mu, both relative to the first sample of all."""
    relative = features - features[0]
    means = np.array([exact_mean(relative[labels == c]) for c in range(classes)])
    return means - exact_mean(means)


def exact_mean(rows: Array) -> Array:
    return np.array([fsum(column) / len(rows) for column in rows.T])


def rank_cutoff(features: Array, labels: NDArray[np.int64]) -> float:
    """max_c |mu_c| max(K, d) eps."""
    classes = range(int(labels.max()) + 1)
    largest = max(np.linalg.norm(features[labels == c].mean(0)) for c in classes)
    return float(largest * max(len(classes), features.shape[1]) * np.finfo(np.float64).eps)


def collapse(within: Array, rows: Array, features: Array, labels: NDArray[np.int64]) -> dict[str, float]:
    classes = len(rows)
    squares = np.sum(within**2, axis=1)
    # tr(S_W pinv(S_B)) = K (1/N) sum_i |pinv(M)^T (h_i - mu_{y_i})|^2
    inverse = np.linalg.pinv(rows, rcond=rank_cutoff(features, labels) / np.linalg.norm(rows, 2))
    variances = [np.mean(squares[labels == c]) for c in range(classes)]
    deviations = [
        (variances[c] + variances[e]) / (2 * np.sum((rows[c] - rows[e]) ** 2))
        for c in range(classes)
        for e in range(c + 1, classes)
    ]
    return {
        "nc1_pinv": np.sum((within @ inverse) ** 2) / len(labels),
        "nc1_quotient": np.mean(squares) / (np.sum(rows**2) / classes),
        "nc1_cdnv": np.mean(deviations),
        "nc1_cdnv_worst": max(deviations),
        "nc1_quotient_worst": max(variances) / (np.sum(rows**2) / classes),
        "nc1_radius": sqrt(squares.max()) / np.mean(np.linalg.norm(rows, axis=1)),
    }


def simplex_geometry(rows: Array) -> dict[str, float]:
    classes = len(rows)
    pairs = [np.linalg.norm(rows[c] - rows[e]) for c in range(classes) for e in range(c + 1, classes)]
    gram = rows @ rows.T
    simplex = (np.eye(classes) - np.ones((classes, classes)) / classes) / sqrt(classes - 1)
    return {
        "nc2_equinorm": equinorm(rows),
        "nc2_equinorm_worst": furthest_share(list(np.linalg.norm(rows, axis=1))),
        "nc2_equiangular": float(np.mean(angle_errors(rows))),
        "nc2_equiangular_worst": max(angle_errors(rows)),
        "nc2_equidistant_worst": furthest_share(pairs),
        "nc2_equidistant": float(np.std(pairs, ddof=1) / np.mean(pairs)) if classes > 2 else 0.0,
        "nc2_etf": float(np.linalg.norm(gram / np.linalg.norm(gram) - simplex)),
    }


def head_geometry(weight: Array, rows: Array, cutoff: float) -> dict[str, float]:
    classes, width = rows.shape
    centred = weight - weight.mean(0)
    found: dict[str, float] = {
        "nc2_equinorm_w": equinorm(weight),
        "nc2_equinorm_w_centred": equinorm(centred),
        "nc2_equinorm_w_centred_worst": furthest_share(list(np.linalg.norm(centred, axis=1))),
        "nc2_equiangular_w": float(np.mean(angle_errors(weight))),
        "nc2_equiangular_w_centred": float(np.mean(angle_errors(centred))),
        "nc2_equiangular_w_centred_worst": max(angle_errors(centred)),
        "nc3_duality": duality(weight, rows),
        "nc3_duality_centred": duality(centred, rows),
        "nc3_duality_centred_worst": sqrt(classes)
        * max(np.linalg.norm(centred / np.linalg.norm(centred) - rows / np.linalg.norm(rows), axis=1)),
        "nc3_alignment": float(np.mean(misalignments(weight, rows))),
        "nc3_alignment_centred": float(np.mean(misalignments(centred, rows))),
        "nc3_alignment_centred_worst": max(misalignments(centred, rows)),
        "nc0_row_sum": float(np.linalg.norm(weight.T @ np.ones(classes))),
        "head_opnorm": float(np.linalg.norm(centred, 2)),
    }
    _, lengths, directions = np.linalg.svd(rows)
    if width >= classes - 1 and lengths[classes - 2] > cutoff:
        stretch = np.linalg.svd(centred @ directions[: classes - 1].T, compute_uv=False)[: classes - 1]
        found["isometry_defect"] = (stretch.max() - stretch.min()) / stretch.mean()
    return found


def equinorm(rows: Array) -> float:
    norms = [np.linalg.norm(row) for row in rows]
    return float(np.std(norms, ddof=1) / np.mean(norms))


def furthest_share(values: list[float]) -> float:
    return max(abs(value / float(np.mean(values)) - 1) for value in values)


def angle_errors(rows: Array) -> list[float]:
    classes = len(rows)
    return [
        abs(rows[c] @ rows[e] / (np.linalg.norm(rows[c]) * np.linalg.norm(rows[e])) + 1 / (classes - 1))
        for c in range(classes)
        for e in range(classes)
        if c != e
    ]


def duality(weight: Array, rows: Array) -> float:
    return float(np.linalg.norm(weight / np.linalg.norm(weight) - rows / np.linalg.norm(rows)))


def misalignments(weight: Array, rows: Array) -> list[float]:
    units = [(w / np.linalg.norm(w), m / np.linalg.norm(m)) for w, m in zip(weight, rows, strict=True)]
    return [float(np.sum((w - m) ** 2) / 2) for w, m in units]


def exact_logits(features: Array, weight: Array, bias: Array | None) -> list[list[Fraction]]:
    inputs, rows = in_units(features), in_units(weight)
    offsets = [Fraction(0 if bias is None else float(bias[c])) for c in range(len(weight))]
    products = inputs.numbers @ rows.numbers.T
    return [
        [Fraction(z, inputs.per_one * rows.per_one) + offset for z, offset in zip(row, offsets, strict=True)]
        for row in products
    ]


class InUnits(NamedTuple):
    """Floating-point numbers, exactly: Python integers, and how many units make 1."""

    numbers: NDArray[np.object_]
    per_one: int


def in_units(array: Array) -> InUnits:
    ratios = [float(x).as_integer_ratio() for x in array.flat]
    per_one = max(denominator for _, denominator in ratios)
    numbers = [numerator * (per_one // denominator) for numerator, denominator in ratios]
    return InUnits(np.array(numbers, dtype=object).reshape(array.shape), per_one)


def outputs(logits: list[list[Fraction]], labels: NDArray[np.int64], nearest: NDArray[np.int64]) -> dict[str, float]:
    classes = len(logits[0])
    predicted = np.array([z.index(max(z)) for z in logits])
    projected = [[entry - sum(z, Fraction(0)) / classes for entry in z] for z in logits]
    means = [_mean_row([z for z, label in zip(projected, labels, strict=True) if label == c]) for c in range(classes)]
    middle = _mean_row(means)
    squares = [_squared_distance(z, means[label]) for z, label in zip(projected, labels, strict=True)]
    of_classes = [[x for x, label in zip(squares, labels, strict=True) if label == c] for c in range(classes)]
    between = sum(_squared_distance(mean, middle) for mean in means) / classes
    return {
        "accuracy": np.mean(predicted == labels),
        "nc4_mismatch": np.mean(predicted != nearest),
        "output_collapse": float(sum(squares) / len(labels) / between),
        "output_collapse_worst": float(max(sum(own) / len(own) for own in of_classes) / between),
    }


def _mean_row(rows: list[list[Fraction]]) -> list[Fraction]:
    return [sum(column, Fraction(0)) / len(rows) for column in zip(*rows, strict=True)]


def _squared_distance(first: list[Fraction], second: list[Fraction]) -> Fraction:
    return sum(((a - b) ** 2 for a, b in zip(first, second, strict=True)), Fraction(0))


def risks(logits: list[list[Fraction]], labels: NDArray[np.int64], classes: int, budget: float) -> dict[str, float]:
    with localcontext() as context:
        context.prec, context.Emin, context.Emax = digits_for(logits), -(10**6), 10**6
        losses = [cross_entropy(z, int(label)) for z, label in zip(logits, labels, strict=True)]
        per_class = [_mean([x for x, label in zip(losses, labels, strict=True) if label == c]) for c in range(classes)]
        balanced = _mean(per_class)
        exponent = float((balanced.exp() - 1).ln()) if balanced else -inf
        risk = float(_mean(losses))
        shares = [_output_share(z, x) for z, x in zip(logits, losses, strict=True)]
    floor = log1p((classes - 1) * np.exp(-budget * sqrt(classes / (classes - 1))))
    efficiency = sqrt((classes - 1) / classes) * (log(classes - 1) - exponent) / budget
    return {
        "risk": risk,
        "margin": log(classes - 1) - exponent,
        "risk_balanced": float(balanced),
        "risk_floor": floor,
        "risk_gap": float(balanced) - floor,
        "simplex_efficiency": efficiency,
        "output_efficiency": max(shares),
    }


def _output_share(logits: list[Fraction], loss: Decimal) -> float:
    """The equal margin that has this loss, over the largest that outputs of this norm have."""
    classes = len(logits)
    middle = sum(logits, Fraction(0)) / classes
    length = sqrt(sum(((entry - middle) ** 2 for entry in logits), Fraction(0)) * classes / (classes - 1))
    return (log(classes - 1) - float((loss.exp() - 1).ln())) / length


def digits_for(logits: list[list[Fraction]]) -> int:
    """So many that log(1 + x) has 30 of them for the smallest x, unless it is below 1e-400."""
    return 30 + min(400, int(max(max(z) - min(z) for z in logits) / Fraction(log(10))))


def cross_entropy(logits: list[Fraction], label: int) -> Decimal:
    """log(1 + sum_{j != y} exp(z_j - z_y))."""
    differences = [z - logits[label] for j, z in enumerate(logits) if j != label]
    odds = sum((Decimal(d.numerator) / Decimal(d.denominator)).exp() for d in differences)
    return (1 + odds).ln()


def _mean(values: list[Decimal]) -> Decimal:
    return sum(values, Decimal(0)) / len(values)
