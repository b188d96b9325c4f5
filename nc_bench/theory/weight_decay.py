"""Weight decay on head and features instead of constraints: cross entropy and squared error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nc_bench.theory import checks
from nc_bench.theory.collapsed import (
    collapsed_values,
    focal_loss,
    margin_at,
    risk_at,
    uncentred_head,
)
from nc_bench.theory.minimum import lowest
from nc_bench.theory.prediction import Prediction, Statement, Value

LOSSES = {
    "cross_entropy": "mean softmax cross entropy",
    "mse": "half the mean squared error to one-hot targets",
    "focal": "mean focal loss",
}

SOURCES = {
    "cross_entropy": "minimised in closed form; compare Zhu et al. 2021, Thm. 3.1",
    "mse": "minimised in closed form; compare Tirer & Bruna 2022",
    "focal": "minimised over the margin, against descent (numeric); compare Zhou et al. 2022 (arXiv:2210.02192)",
}


@dataclass(frozen=True, kw_only=True)
class _Problem:
    classes: int
    per_class: int
    head_decay: float
    feature_decay: float
    nonnegative: bool
    bias: bool

    @property
    def coupling(self) -> float:
        """sqrt(n lw lh): the price of a unit of nuclear norm of W H."""
        return math.sqrt(self.per_class) * math.sqrt(self.head_decay) * math.sqrt(self.feature_decay)

    @property
    def surcharge(self) -> float:
        """g: how much dearer a margin is for non-negative features: their mean costs norm to no use."""
        return math.sqrt(self.classes / (self.classes - 1)) if self.nonnegative else 1.0


@dataclass(frozen=True, kw_only=True)
class _Optimum:
    margin: float
    objective: float
    head_is_centred: bool


def weight_decay(
    *,
    classes: int,
    per_class: int,
    head_decay: float,
    feature_decay: float,
    nonnegative: bool = False,
    label_smoothing: float = 0.0,
    loss: str = "cross_entropy",
    focal_gamma: float | None = None,
    bias: bool = False,
    width: int | None = None,
    class_weights: Sequence[float] | None = None,
) -> Prediction:
    """Free features, objective = loss + lw/2 |W|^2 + lh/2 |H|^2, H over all N = nK samples, bias not decayed.

    Cross entropy (mean over samples, smoothing a): with g = 1 for signed features (width >= K-1) and
    sqrt(K/(K-1)) for non-negative ones (width >= K), P = a(K-1)/K + (K-1) g sqrt(n lw lh),
    margin m = log((K-1)(1-P)/P), objective = -log(1-P) + P m. A free bias changes nothing.
    Squared error (1/(2N) sum of squares, one-hot targets): with q = K g' sqrt(n lw lh), m = 1 - q,
    objective = q - q^2/2 without bias (g' = 1, orthogonal frame, width >= K); with a free bias (1/K each)
    (K-1)/K times that (signed: g' = 1, simplex, width >= K-1; non-negative: g' = g, frame, width >= K).

    Focal loss (signed): the lowest -(1-p)^g log p + (K-1) sqrt(n lw lh) m over m >= 0, p = 1/(1 + (K-1) e^-m).

    head_row_norm^2 = m r sqrt(n lh/lw) and feature_norm^2 = m r sqrt(lw/(n lh)), where r = 1 if both are
    orthogonal frames, (K-1)/K if both are simplices, sqrt((K-1)/K) if the head is a simplex and the
    features a frame. ``risk`` is the plain cross entropy of the optimum whatever the loss, ``objective``
    what is trained. Where decay wins (m = 0) everything is zero: risk log K, objective log K (squared
    error: 1/2 without bias, (K-1)/(2K) with), and values of undefined shape are left out. Two classes with
    non-negative features and a bias: the bias can take over part of one class's feature, so single feature
    norms are left out.

    Raises ValueError for classes < 2, per_class < 1, a decay that is not positive, smoothing outside [0, 1],
    an unknown loss, or ``loss="focal"`` without ``focal_gamma`` >= 0 and the reverse. Derived from the convex form
    min loss(Z) + sqrt(n lw lh) |Z|_nuclear (signed) and from Cauchy-Schwarz on tr(W M^T) (non-negative); compare
    Zhu et al. 2021 and Tirer & Bruna 2022. Focal loss is not convex: numeric, see Zhou et al. 2022.
    """
    problem = _Problem(
        classes=checks.whole("classes", classes, 2),
        per_class=checks.whole("per_class", per_class, 1),
        head_decay=checks.positive("head_decay", head_decay),
        feature_decay=checks.positive("feature_decay", feature_decay),
        nonnegative=checks.flag("nonnegative", nonnegative),
        bias=checks.flag("bias", bias),
    )
    label_smoothing = checks.real("label_smoothing", label_smoothing)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing must lie between 0 and 1, got {label_smoothing!r}")
    if loss not in LOSSES:
        raise ValueError(f"loss must be one of {', '.join(map(repr, LOSSES))}, got {loss!r}")
    if (loss == "focal") != (focal_gamma is not None):
        raise ValueError("focal_gamma goes with loss='focal'; state both or neither")
    gamma = checks.nonnegative("focal_gamma", 0.0 if focal_gamma is None else focal_gamma)
    squared = loss == "mse"
    statement = _statement(loss, problem)
    orthogonal = problem.nonnegative or (squared and not problem.bias)
    shape = "an orthogonal frame of K vectors" if orthogonal else "a simplex of K vertices"
    smoothed = f"the formula for {loss} is for one-hot targets, without label smoothing"
    reason = checks.first(
        checks.narrow(width, classes if orthogonal else classes - 1, shape),
        checks.unequal(class_weights, classes, "the formula is for balanced classes"),
        smoothed if loss != "cross_entropy" and label_smoothing > 0 else "",
        "for focal loss the optimum with non-negative features is not known" if loss == "focal" and nonnegative else "",
    )
    if reason:
        return statement.fails(reason)
    if loss == "focal":
        optimum = _focal(problem, gamma)
    else:
        optimum = _squared_error(problem) if squared else _cross_entropy(problem, label_smoothing)
    values = _values(problem, optimum, orthogonal) if optimum.margin > 0 else _zero(problem, optimum)
    return statement.holds(values)


def _statement(loss: str, problem: _Problem) -> Statement:
    features = "non-negative" if problem.nonnegative else "signed"
    in_words = LOSSES[loss]
    bias = "a free bias that is not decayed" if problem.bias else "no bias"
    return Statement(
        setting="weight_decay",
        assumptions=(
            f"{in_words}, balanced classes, equal class weights, {bias}",
            f"free {features} features, one vector per sample, no constraint or normalisation besides",
            "penalties lw/2 |W|^2 and lh/2 (sum over samples of |h|^2)",
            "training has come to a global minimum",
        ),
        source=SOURCES[loss],
    )


def _cross_entropy(problem: _Problem, label_smoothing: float) -> _Optimum:
    """Stationarity of log(1 + (K-1) e^-m) + P m in the margin m."""
    others = problem.classes - 1
    wrong = label_smoothing * others / problem.classes + others * problem.surcharge * problem.coupling
    margin = margin_at(problem.classes, wrong)
    # an infinite price times a margin of zero is still nothing
    paid = wrong * margin if margin > 0 else 0.0
    return _Optimum(margin=margin, objective=risk_at(problem.classes, margin) + paid, head_is_centred=True)


def _focal(problem: _Problem, gamma: float) -> _Optimum:
    """The lowest loss plus price of the margin, which can have two valleys: one of them at no margin."""
    classes, price = problem.classes, (problem.classes - 1) * problem.coupling

    def slope(margin: float) -> float:
        wrong = (classes - 1) * math.exp(-margin)
        share = wrong / (1 + wrong)
        return price - share**gamma * (share + gamma / (1 + wrong) * math.log1p(wrong))

    def objective(margin: float) -> float:
        return focal_loss(classes, margin, gamma) + price * margin

    margin, value = lowest(objective, slope, min(focal_loss(classes, 0.0, gamma) / price, 700.0))
    return _Optimum(margin=margin, objective=value, head_is_centred=True)


def _squared_error(problem: _Problem) -> _Optimum:
    """Singular values of the targets I, or with a bias I - J/K, shrunk by q."""
    surcharge = problem.surcharge if problem.bias else 1.0
    shrunk = min(1.0, problem.classes * surcharge * problem.coupling)
    scale = (problem.classes - 1) / problem.classes if problem.bias else 1.0
    return _Optimum(margin=1 - shrunk, objective=scale * (shrunk - shrunk**2 / 2), head_is_centred=problem.bias)


def _values(problem: _Problem, optimum: _Optimum, orthogonal: bool) -> dict[str, Value]:
    classes = problem.classes
    shrink = math.sqrt((classes - 1) / classes)
    share = (shrink if optimum.head_is_centred else 1.0) * (1.0 if orthogonal else shrink)
    balance = math.sqrt(problem.per_class) * math.sqrt(problem.feature_decay) / math.sqrt(problem.head_decay)
    head_row_norm = math.sqrt(optimum.margin * share * balance)
    feature_norm = math.sqrt(optimum.margin * share / balance)
    values: dict[str, Value] = {
        "objective": optimum.objective,
        "head_row_norm": head_row_norm,
        "feature_norm": feature_norm,
    }
    values |= collapsed_values(
        classes,
        margin=optimum.margin,
        feature_norm=feature_norm,
        head_opnorm=head_row_norm / shrink if optimum.head_is_centred else head_row_norm,
        orthogonal=orthogonal,
    )
    values |= uncentred_head(classes, head_row_norm, centred=optimum.head_is_centred)
    if classes == 2 and problem.nonnegative and problem.bias:
        for undetermined in ("feature_norm", "cosine", "centre_offset"):
            del values[undetermined]
    return values


def _zero(problem: _Problem, optimum: _Optimum) -> dict[str, Value]:
    chance = risk_at(problem.classes, 0.0)
    return {
        "objective": optimum.objective,
        "head_row_norm": 0.0,
        "feature_norm": 0.0,
        "margin": 0.0,
        "risk": chance,
        "risk_balanced": chance,
        "risk_floor": chance,
        "risk_gap": 0.0,
        "feature_radius": 0.0,
        "head_opnorm": 0.0,
        "nc0_row_sum": 0.0,
    }
