"""Squared error with weight decay and class sizes that differ: singular values of the targets, shrunk."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nc_bench.theory import checks
from nc_bench.theory.prediction import Prediction, Statement, Value

Array = NDArray[np.float64]


def weight_decay_mse(
    *,
    counts: Sequence[int],
    head_decay: float,
    feature_decay: float,
    bias: str | float | None = None,
    width: int | None = None,
    class_weights: Sequence[float] | None = None,
) -> Prediction:
    """Free features, objective = 1/(2N) sum |W h + b - e_y|^2 + lw/2 |W|^2 + lh/2 |H|^2 [+ lb/2 |b|^2].

    W H is the part of the targets Y (K x N) that is left when its singular values are shrunk by N c, c = sqrt(lw lh):
    no bias (None): sqrt(n_k) for class k, orthogonal means, class k dead iff n_k <= N^2 lw lh; ``bias="free"``: those
    of Y (I - 11^T/N), b = (n_k/N)_k; ``bias=lb``, a number (equal sizes n only): sqrt(n) on the K-1 directions that sum
    to 0, and along (1, ..., 1) shrunk by N c (1 + lb)/lb, which leads from the simplex (lb <= q/(1-q), q = K sqrt(n
    lw lh)) to the orthogonal frame.

    ``objective``; ``head_row_norms`` and ``feature_norms``, one entry per class; ``risk`` and ``risk_balanced`` are the
    plain cross entropy there; ``cosine`` between raw class means where it is one for all pairs and nothing is dead.
    Does not apply below the width K (free bias: K-1), to unequal weights, or to a decayed bias with unequal sizes.
    Raises ValueError for counts below 1, fewer than two classes, a decay that is not positive, or another bias.
    Minimised in closed form: the nuclear norm is the price of W H.
    """
    sizes = np.array(checks.class_counts(counts), dtype=float)
    head_decay = checks.positive("head_decay", head_decay)
    feature_decay = checks.positive("feature_decay", feature_decay)
    if isinstance(bias, str) and bias != "free":
        raise ValueError(f"bias must be None, 'free' or its decay, got {bias!r}")
    bias_decay = None if bias is None or isinstance(bias, str) else checks.positive("bias", bias)
    statement = Statement(
        setting="weight_decay_mse",
        assumptions=(
            "half the mean squared error to one-hot targets, over samples of equal weight",
            "free signed features, penalties lw/2 |W|^2 and lh/2 (sum over samples of |h|^2)",
            _bias_in_words(bias, bias_decay),
            "training has come to a global minimum",
        ),
        source="singular values of the targets, shrunk (proved); compare Tirer & Bruna 2022, Dang et al. 2023",
    )
    uneven = bias_decay is not None and sizes.min() < sizes.max()
    reason = checks.first(
        checks.narrow(width, len(sizes) - (bias == "free"), "the optimum"),
        checks.unequal(class_weights, len(sizes), "the formula is for the plain sample mean"),
        "class sizes differ: with a decayed bias the formula is for equal ones" if uneven else "",
    )
    if reason:
        return statement.fails(reason)
    return statement.holds(_values(sizes, head_decay, feature_decay, bias, bias_decay))


def _bias_in_words(bias: str | float | None, decay: float | None) -> str:
    if decay is not None:
        return "a bias with the penalty lb/2 |b|^2"
    return "no bias" if bias is None else "a free bias that is not decayed"


def _values(
    sizes: Array, head_decay: float, feature_decay: float, bias: str | float | None, bias_decay: float | None
) -> dict[str, Value]:
    samples, price = sizes.sum(), math.sqrt(head_decay * feature_decay)
    directions, singular = _targets(sizes, bias)
    shrinkage = np.full(len(singular), samples * price)
    offset = np.zeros(len(sizes))
    if bias_decay is not None:
        # The direction (1, ..., 1)/sqrt(K): the bias takes over a part of what is left of it.
        along = np.abs(directions.sum(0)) > 0.5 * math.sqrt(len(sizes))
        shrinkage[along] *= (1 + bias_decay) / bias_decay
    kept = np.maximum(singular - shrinkage, 0.0)
    lost = (singular - kept) ** 2 / (2 * samples)
    if bias_decay is not None:
        lost[along] *= bias_decay / (1 + bias_decay)
        missing = float((singular - kept)[along].sum())
        offset += missing / (math.sqrt(samples) * (1 + bias_decay)) / math.sqrt(len(sizes))
    if bias == "free":
        offset = sizes / samples
    objective = float(lost.sum() + price * kept.sum())
    rows = math.sqrt(feature_decay / head_decay) * (directions**2 @ kept)
    # A sample of class k is column k of U^T, in units of its singular value: V = Y^T U / singular.
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = np.where(singular > 0, _class_rows(sizes, bias) @ directions / singular, 0.0)
    features = math.sqrt(head_decay / feature_decay) * (columns**2 @ kept)
    logits = (columns * kept) @ directions.T + offset
    risks = np.logaddexp.reduce(logits, axis=1) - logits.diagonal()
    values: dict[str, Value] = {
        "objective": objective,
        "head_row_norms": tuple(np.sqrt(rows).tolist()),
        "feature_norms": tuple(np.sqrt(features).tolist()),
        "risk": float(sizes @ risks / samples),
        "risk_balanced": float(risks.mean()),
    }
    gram = (columns * kept) @ columns.T
    if gram.diagonal().min() > 0:
        cosines = gram / np.sqrt(np.outer(gram.diagonal(), gram.diagonal()))
        pairs = cosines[~np.eye(len(sizes), dtype=bool)]
        if pairs.max() - pairs.min() < 1e-9:
            values["cosine"] = float(pairs.mean())
    return values


def _class_rows(sizes: Array, bias: str | float | None) -> Array:
    """Targets of one sample of each class, as rows: e_k, with a free bias minus (n_k/N)_k."""
    rows = np.eye(len(sizes))
    return rows - sizes / sizes.sum() if bias == "free" else rows


def _targets(sizes: Array, bias: str | float | None) -> tuple[Array, Array]:
    """Left singular vectors (columns) and singular values of the targets."""
    if bias is None:
        return np.eye(len(sizes)), np.sqrt(sizes)
    if bias == "free":
        rows = _class_rows(sizes, bias)
        squares, directions = np.linalg.eigh(rows.T * sizes @ rows)
        squares[0] = 0.0  # along (1, ..., 1) there is nothing
        return directions, np.sqrt(squares)
    ones = np.full((len(sizes), 1), len(sizes) ** -0.5)
    rest = np.linalg.svd(ones, full_matrices=True)[0][:, 1:]
    return np.hstack([ones, rest]), np.full(len(sizes), math.sqrt(sizes[0]))
