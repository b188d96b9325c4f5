"""The metrics once more, in mpmath with 60 digits and no limit to exponents: right at any scale of the numbers.

For small, well-posed problems: every class present, distinct means, no zero rows, no rank cutoff.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise, permutations
from typing import Any

import numpy as np
from mpmath import mp
from numpy.typing import NDArray

Row = list[Any]
Rows = list[Row]

DIGITS = 60


def exact_metrics(
    features: NDArray[Any], labels: NDArray[np.int64], weight: NDArray[Any], bias: NDArray[Any] | None
) -> dict[str, Any]:
    """Every metric of these numbers, as mpmath numbers."""
    with mp.workdps(DIGITS):
        return _metrics(_rows(features), labels.tolist(), _rows(weight), None if bias is None else _rows([bias])[0])


def _rows(array: Any) -> Rows:
    return [[mp.mpf(float(x)) for x in row] for row in array]


def _metrics(features: Rows, labels: list[int], weight: Rows, bias: Row | None) -> dict[str, Any]:
    classes = len(weight)
    members = [[h for h, y in zip(features, labels, strict=True) if y == c] for c in range(classes)]
    means = [mean_row(rows) for rows in members]
    middle = mean_row(means)
    rows = [difference(mean, middle) for mean in means]
    centred = [difference(w, mean_row(weight)) for w in weight]
    radius = min(max(map(norm, features)), max(norm(difference(h, middle)) for h in features))
    opnorm = singular_values(centred)[0]
    products = [[dot(w, h) for w in weight] for h in features]
    scores = [[-norm(difference(h, mean)) for mean in means] for h in features]
    nearest = [row.index(max(row)) for row in scores]
    bias = bias or [mp.mpf(0)] * classes
    predicted = [row.index(max(row)) for row in (with_bias(row, bias) for row in products)]
    lengths = [norm(h) for h in features]
    offset = with_bias([dot(w, middle) for w in weight], bias or [mp.mpf(0)] * classes)
    mean_outputs = [[dot(w, m) for w in weight] for m in means]
    return (
        within(members, means, rows)
        | geometry(rows, centred, weight)
        | output_collapse(products, labels, classes)
        | risks(products, bias, labels, classes, radius * opnorm)
        | collapse_budget(products, mean_outputs, bias, labels, rows, centred, radius)
        | {
            "bias_offset": norm(offset),
            "bias_offset_centred": norm([z - mean(offset) for z in offset]),
            "feature_norm": mean(lengths),
            "feature_norm_std": mp.sqrt(mean((x - mean(lengths)) ** 2 for x in lengths)) / mean(lengths),
            "centre_offset": norm(middle) / mean(map(norm, means)),
            "feature_radius": radius,
            "head_opnorm": opnorm,
            "nc0_row_sum": norm([sum(column) for column in zip(*weight, strict=True)]),
            "accuracy": mean(int(p == y) for p, y in zip(predicted, labels, strict=True)),
            "ncc_accuracy": mean(int(n == y) for n, y in zip(nearest, labels, strict=True)),
            "nc4_mismatch": mean(int(p != n) for p, n in zip(predicted, nearest, strict=True)),
        }
    )


def within(members: Sequence[Rows], means: Rows, rows: Rows) -> dict[str, Any]:
    classes = len(means)
    deviations = [[difference(h, mean) for h in own] for own, mean in zip(members, means, strict=True)]
    samples = sum(map(len, members))
    squares = [[dot(x, x) for x in own] for own in deviations]
    total = sum(map(sum, squares)) / samples
    variances = [mean(own) for own in squares]
    apart = {(c, e): norm(difference(rows[c], rows[e])) for c, e in combinations(range(classes), 2)}
    _, lengths, right = singular_directions(rows)
    along = [sum(dot(x, v) ** 2 for own in deviations for x in own) / s**2 for s, v in zip(lengths, right, strict=True)]
    return {
        "nc1_pinv": sum(along) / samples,
        "nc1_quotient": total / mean(dot(row, row) for row in rows),
        "nc1_cdnv": mean((variances[c] + variances[e]) / (2 * length**2) for (c, e), length in apart.items()),
        "nc1_cdnv_worst": max((variances[c] + variances[e]) / (2 * length**2) for (c, e), length in apart.items()),
        "nc1_quotient_worst": max(variances) / mean(dot(row, row) for row in rows),
        "nc2_equidistant_worst": furthest_share(list(apart.values())),
        "nc1_radius": mp.sqrt(max(map(max, squares))) / mean(map(norm, rows)),
        "nc2_equidistant": variation(list(apart.values())),
        "nc1_cdnv_directional": mean(
            mean(dot(x, difference(rows[c], rows[e])) ** 2 for x in deviations[c]) / apart[min(c, e), max(c, e)] ** 4
            for c, e in permutations(range(classes), 2)
        ),
    }


def geometry(rows: Rows, centred: Rows, weight: Rows) -> dict[str, Any]:
    found = {"nc2_equinorm": variation([norm(row) for row in rows]), "nc2_equiangular": mean(angle_errors(rows))}
    for place, matrix in (("", rows), ("_w_centred", centred)):
        found[f"nc2_equinorm{place}_worst"] = furthest_share([norm(row) for row in matrix])
        found[f"nc2_equiangular{place}_worst"] = max(angle_errors(matrix))
    off = [difference(scaled(w, centred), scaled(m, rows)) for w, m in zip(centred, rows, strict=True)]
    found["nc3_duality_centred_worst"] = mp.sqrt(len(rows)) * max(map(norm, off))
    found["nc3_alignment_centred_worst"] = max(1 - cosine(w, m) for w, m in zip(centred, rows, strict=True))
    found["nc2_etf"] = etf_error(rows, rows)
    for suffix, matrix in (("", weight), ("_centred", centred)):
        found[f"nc2_equinorm_w{suffix}"] = variation([norm(row) for row in matrix])
        found[f"nc2_equiangular_w{suffix}"] = mean(angle_errors(matrix))
        found[f"nc3_duality{suffix}"] = frobenius(
            [difference(scaled(w, matrix), scaled(m, rows)) for w, m in zip(matrix, rows, strict=True)]
        )
        found[f"nc2_etf_w{suffix}"] = etf_error(matrix, matrix)
        found[f"nc3_etf{suffix}"] = etf_error(matrix, rows)
        found[f"nc3_alignment{suffix}"] = mean(1 - cosine(w, m) for w, m in zip(matrix, rows, strict=True))
    _, lengths, right = singular_directions(rows)
    units = [[x / norm(row) for x in row] for row in rows]
    closeness = [-mp.log(norm(difference(u, v))) for u, v in combinations(units, 2)]
    found["gnc2_log_kernel"], found["gnc2_log_kernel_std"] = mean(closeness), deviation(closeness)
    found["gnc3_similarity_std"] = deviation([cosine(w, m) for w, m in zip(weight, rows, strict=True)])
    found["effective_rank_means"] = mp.exp(-sum(s / sum(lengths) * mp.log(s / sum(lengths)) for s in lengths))
    if len(lengths) == len(rows) - 1:
        stretch = singular_values([[dot(w, v) for v in right] for w in centred])[: len(rows) - 1]
        found["isometry_defect"] = (stretch[0] - stretch[-1]) / mean(stretch)
    return found


def with_bias(products: Row, bias: Row) -> Row:
    return [product + offset for product, offset in zip(products, bias, strict=True)]


def output_collapse(products: Rows, labels: list[int], classes: int) -> dict[str, Any]:
    """Without the bias, which cancels."""
    projected = [[z - mean(row) for z in row] for row in products]
    means = [mean_row([z for z, y in zip(projected, labels, strict=True) if y == c]) for c in range(classes)]
    middle = mean_row(means)
    squares = [norm(difference(z, means[y])) ** 2 for z, y in zip(projected, labels, strict=True)]
    between = mean(norm(difference(z, middle)) ** 2 for z in means)
    widest = max(mean(x for x, y in zip(squares, labels, strict=True) if y == c) for c in range(classes))
    return {"output_collapse": mean(squares) / between, "output_collapse_worst": widest / between}


def risks(products: Rows, bias: Row, labels: list[int], classes: int, budget: Any) -> dict[str, Any]:
    """With so many digits that neither 1 + e^-z nor log K + z nor log K + z^2 loses those of z."""
    with mp.workdps(enough_digits([budget, *bias, *(z for row in products for z in row)])):
        outputs = [with_bias(row, bias) for row in products]
        losses = [cross_entropy(z, y) for z, y in zip(outputs, labels, strict=True)]
        balanced = mean(mean(x for x, y in zip(losses, labels, strict=True) if y == c) for c in range(classes))
        floor = equal_risk(budget * mp.sqrt(mp.mpf(classes) / (classes - 1)), classes)
        share = mp.sqrt(mp.mpf(classes - 1) / classes)
        lengths = [norm([entry - mean(z) for entry in z]) for z in outputs]
        margins = [equal_margin(loss, classes) for loss in losses]
        return {
            "output_efficiency": share * max(m / r for m, r in zip(margins, lengths, strict=True)),
            "risk": mean(losses),
            "risk_balanced": balanced,
            "margin": equal_margin(balanced, classes),
            "risk_floor": floor,
            "risk_gap": balanced - floor,
            "simplex_efficiency": share * equal_margin(balanced, classes) / budget,
        }


def collapse_budget(
    products: Rows, mean_outputs: Rows, bias: Row, labels: list[int], rows: Rows, centred: Rows, radius: Any
) -> dict[str, Any]:
    """The six efficiencies and the six gaps, as products and differences of the margins in between."""
    classes, s, sigma = len(rows), singular_values(centred), singular_values(rows)
    trace = sum(dot(w, m) for w, m in zip(centred, rows, strict=True))
    budget = radius * s[0] * mp.sqrt(mp.mpf(classes) / (classes - 1))
    with mp.workdps(enough_digits([budget, *bias, *(z for row in products for z in row)])):
        lines = [trace, dot(s, sigma), s[0] * sum(sigma), s[0] * norm(sigma) * mp.sqrt(classes - 1)]
        margins = [x / (classes - 1) for x in lines] + [budget]
        losses = [cross_entropy(with_bias(z, bias), y) for z, y in zip(products, labels, strict=True)]
        balanced = mean(mean(x for x, y in zip(losses, labels, strict=True) if y == c) for c in range(classes))
        of_means = mean(cross_entropy(with_bias(z, bias), c) for c, z in enumerate(mean_outputs))
        between = equal_margin(of_means, classes)
        values = {"risk_of_means": of_means, "jensen_gap": balanced - of_means, "gap_within": balanced - of_means}
        values["gap_pairs"] = of_means - equal_risk(margins[0], classes)
        values["efficiency_within"] = equal_margin(balanced, classes) / between
        values["efficiency_pairs"] = between / margins[0]
        for part, (small, large) in zip(("alignment", "isometry", "simplex", "norm"), pairwise(margins), strict=True):
            values[f"efficiency_{part}"] = small / large
            values[f"gap_{part}"] = equal_risk(small, classes) - equal_risk(large, classes)
    return values


def cross_entropy(outputs: Row, label: int) -> Any:
    return mp.log1p(sum(mp.exp(z - outputs[label]) for c, z in enumerate(outputs) if c != label))


def equal_risk(margin: Any, classes: int) -> Any:
    return mp.log1p((classes - 1) * mp.exp(-margin))


def equal_margin(risk: Any, classes: int) -> Any:
    return mp.log(classes - 1) - mp.log(mp.expm1(risk))


def enough_digits(numbers: Row) -> int:
    """So many that a sum keeps the digits of its smallest term, 1e250 + 1e-200, and its square theirs."""
    longest = max(int(mp.log10(abs(x))) if x else 0 for x in numbers)
    return DIGITS + 2 * (max(map(size_in_digits, numbers)) + max(longest, 0))


def size_in_digits(number: Any) -> int:
    """How many places the first digit is away from the point; far above it e^-z is 0 whatever the digits."""
    return 0 if number == 0 or abs(number) > 1e4 else int(abs(mp.log10(abs(number))) + abs(number) / 2)


def mean(values: Any) -> Any:
    values = list(values)
    return mp.fsum(values) / len(values)


def mean_row(rows: Rows) -> Row:
    return [mean(column) for column in zip(*rows, strict=True)]


def difference(first: Row, second: Row) -> Row:
    return [a - b for a, b in zip(first, second, strict=True)]


def dot(first: Row, second: Row) -> Any:
    return mp.fsum(a * b for a, b in zip(first, second, strict=True))


def norm(row: Row) -> Any:
    return mp.sqrt(dot(row, row))


def frobenius(rows: Rows) -> Any:
    return mp.sqrt(sum(dot(row, row) for row in rows))


def scaled(row: Row, rows: Rows) -> Row:
    length = frobenius(rows)
    return [x / length for x in row]


def cosine(first: Row, second: Row) -> Any:
    return dot(first, second) / norm(first) / norm(second)


def deviation(values: Row) -> Any:
    """The unbiased standard deviation; 0 of a single value."""
    middle = mean(values)
    return mp.sqrt(sum((x - middle) ** 2 for x in values) / max(len(values) - 1, 1))


def variation(values: Row) -> Any:
    return deviation(values) / mean(values)


def furthest_share(values: Row) -> Any:
    return max(abs(value / mean(values) - 1) for value in values)


def angle_errors(rows: Rows) -> Row:
    classes = len(rows)
    pairs = permutations(range(classes), 2)
    return [abs(cosine(rows[c], rows[e]) + mp.mpf(1) / (classes - 1)) for c, e in pairs]


def etf_error(first: Rows, second: Rows) -> Any:
    """|A/|A| - (I - 11^T/K)/sqrt(K-1)|_F, A = F S^T."""
    classes = len(first)
    products = [[dot(a, b) for b in second] for a in first]
    length, share, scale = frobenius(products), mp.mpf(1) / classes, mp.sqrt(classes - 1)
    numbers = range(classes)
    return frobenius([[products[c][e] / length - (int(c == e) - share) / scale for e in numbers] for c in numbers])


def singular_values(rows: Rows) -> Row:
    """Largest first; of rows that sum to zero, so without the one that is 0."""
    return singular_directions(rows)[1]


def singular_directions(rows: Rows) -> tuple[Any, Row, Rows]:
    """U, s and the rows of V^T in min(K-1, d) directions, of rows that sum to zero."""
    unit = max(abs(x) for row in rows for x in row)
    left, lengths, right = mp.svd_r(mp.matrix([[x / unit for x in row] for row in rows]))
    kept = min(len(rows) - 1, len(rows[0]))
    width = len(rows[0])
    return left, [lengths[j] * unit for j in range(kept)], [[right[j, i] for i in range(width)] for j in range(kept)]
