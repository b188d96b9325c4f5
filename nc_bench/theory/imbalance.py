"""Weight decay and classes of different sizes: merged minority classifiers, dead ReLU classes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nc_bench.theory import checks
from nc_bench.theory.collapsed import margin_at, risk_at
from nc_bench.theory.prediction import Prediction, Statement, Value


def minority_collapse(
    *,
    counts: Sequence[int],
    head_decay: float,
    feature_decay: float,
    width: int | None = None,
    class_weights: Sequence[float] | None = None,
) -> Prediction:
    """Two class sizes n_A > n_B: the classifiers of the minority classes coincide iff n_B <= N^2 lw lh.

    ``threshold_count`` = N^2 lw lh, ``collapsed`` = 1 if they coincide at the optimum, else 0. Objective:
    mean cross entropy + lw/2 |W|^2 + lh/2 (sum over samples of |h|^2), signed features.

    Why: with equal minority classifiers the loss pulls the differences of their logits with strength
    sqrt(n_B)/N, against the price sqrt(lw lh) of a unit of nuclear norm; the problem is convex in the logits.
    Does not apply unless there are exactly two sizes and at least two minority classes, width >= K.
    Raises ValueError for counts below 1, fewer than two classes or a decay that is not positive.
    Hong & Ling 2023 (arXiv:2309.09725); the effect was found by Fang et al. 2021.
    """
    sizes = checks.class_counts(counts)
    head_decay = checks.positive("head_decay", head_decay)
    feature_decay = checks.positive("feature_decay", feature_decay)
    statement = Statement(
        setting="minority_collapse",
        assumptions=(
            "mean softmax cross entropy over samples, equal class weights, with or without an undecayed bias",
            "free signed features, penalties lw/2 |W|^2 and lh/2 (sum over samples of |h|^2)",
            "two class sizes, at least two minority classes, width >= K",
            "training has come to a global minimum",
        ),
        source="Hong & Ling 2023 (arXiv:2309.09725), sharp threshold for two class sizes",
    )
    smallest, different = min(sizes), len(set(sizes))
    reason = checks.first(
        checks.narrow(width, len(sizes), "the convex form"),
        checks.unequal(class_weights, len(sizes), "the formula is for the plain sample mean"),
        f"class sizes of {different} kinds: the formula is for two" if different != 2 else "",
        "there is one minority class only: nothing can merge" if sizes.count(smallest) < 2 else "",
    )
    if reason:
        return statement.fails(reason)
    threshold = _dead_count(sizes, head_decay, feature_decay)
    return statement.holds({"threshold_count": threshold, "collapsed": float(smallest <= threshold)})


def relu_imbalanced(
    *,
    counts: Sequence[int],
    head_decay: float,
    feature_decay: float,
    width: int | None = None,
    class_weights: Sequence[float] | None = None,
) -> Prediction:
    """Non-negative features, weight decay, any class sizes, no bias: every class solves its own problem.

    The class means are orthogonal. With P_k = N sqrt(lw lh (K-1)/(K n_k)): margin m_k =
    log((K-1)(1-P_k)/P_k), |h_k|^2 = m_k sqrt(lw (K-1)/(K lh n_k)), and along h_k/|h_k| the head is s_k (e_k
    - 1/K) with s_k = m_k/|h_k|, so |w_c|^2 = s_c^2 (1 - 2/K) + sum_k s_k^2/K^2. Class k is dead, h_k = 0,
    iff n_k <= N^2 lw lh K/(K-1) = ``threshold_count``. Tuples ``margin_k``, ``feature_norm_k``,
    ``head_row_norm_k`` have one entry per class; ``risk`` is the mean over samples, ``risk_balanced`` over
    classes; ``objective`` is what is trained; ``live_classes`` counts them. ``cosine`` and the metrics that
    vanish are left out once a class is dead, ``centre_offset`` once all are.

    Does not apply below a width of the number of live classes, nor to unequal class weights. Raises
    ValueError for counts below 1, fewer than two classes or a decay that is not positive. Minimised in
    closed form, class by class; compare Dang et al. 2024 (arXiv:2401.02058).
    """
    sizes = checks.class_counts(counts)
    head_decay = checks.positive("head_decay", head_decay)
    feature_decay = checks.positive("feature_decay", feature_decay)
    statement = Statement(
        setting="relu_imbalanced",
        assumptions=(
            "mean softmax cross entropy over samples, equal class weights, no bias",
            "free non-negative features, penalties lw/2 |W|^2 and lh/2 (sum over samples of |h|^2)",
            "training has come to a global minimum: features start away from zero, width >= 2K+3 advised",
        ),
        source="minimised in closed form, class by class; compare Dang et al. 2024 (arXiv:2401.02058)",
    )
    classes = len(sizes)
    shrink = math.sqrt((classes - 1) / classes)
    price = sum(sizes) * shrink * math.sqrt(head_decay) * math.sqrt(feature_decay)
    margins = tuple(margin_at(classes, price / math.sqrt(n)) for n in sizes)
    live = sum(margin > 0 for margin in margins)
    reason = checks.first(
        checks.narrow(width, max(live, 1), f"a frame of {live} orthogonal class means"),
        checks.unequal(class_weights, classes, "the formula is for the plain sample mean"),
    )
    if reason:
        return statement.fails(reason)
    balance = shrink * math.sqrt(head_decay) / math.sqrt(feature_decay)
    norms = tuple(math.sqrt(m * balance / math.sqrt(n)) for m, n in zip(margins, sizes, strict=True))
    threshold = _dead_count(sizes, head_decay, feature_decay) / shrink**2
    values = _relu_values(sizes, margins, norms, price)
    return statement.holds(values | {"live_classes": float(live), "threshold_count": threshold})


_VANISHING = ("nc1_pinv", "nc1_quotient", "nc1_cdnv", "nc1_radius", "nc4_mismatch", "output_collapse")


def _relu_values(
    sizes: tuple[int, ...], margins: tuple[float, ...], norms: tuple[float, ...], price: float
) -> dict[str, Value]:
    classes, samples = len(sizes), sum(sizes)
    risks = tuple(risk_at(classes, margin) for margin in margins)
    risk = math.fsum(n * r for n, r in zip(sizes, risks, strict=True)) / samples
    paid = price / samples * math.fsum(math.sqrt(n) * m for n, m in zip(sizes, margins, strict=True))
    values: dict[str, Value] = {
        "margin_k": margins,
        "feature_norm_k": norms,
        "head_row_norm_k": _head_row_norms(margins, norms),
        "objective": risk + paid,
        "risk": risk,
        "risk_balanced": math.fsum(risks) / classes,
        "nc0_row_sum": 0.0,
    }
    if max(margins) > 0:
        values["centre_offset"] = math.hypot(*norms) / math.fsum(norms)
    if min(margins) > 0:
        values |= {"cosine": 0.0, "accuracy": 1.0, "ncc_accuracy": 1.0}
        values |= dict.fromkeys(_VANISHING, 0.0)
    return values


def _head_row_norms(margins: tuple[float, ...], norms: tuple[float, ...]) -> tuple[float, ...]:
    classes = len(margins)
    squares = tuple((m / h) ** 2 if m > 0 else 0.0 for m, h in zip(margins, norms, strict=True))
    shared = math.fsum(squares) / classes**2
    return tuple(math.sqrt(square * (1 - 2 / classes) + shared) for square in squares)


def _dead_count(sizes: tuple[int, ...], head_decay: float, feature_decay: float) -> float:
    return (sum(sizes) * math.sqrt(head_decay) * math.sqrt(feature_decay)) ** 2
