"""Features in a ball, the last layer bounded in spectral norm: Cor. 4.2 and what lies beyond it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nc_bench.theory import checks
from nc_bench.theory.ball_losses import smoothed, squared
from nc_bench.theory.collapsed import collapsed_values, focal_loss
from nc_bench.theory.narrow import narrow_reason, narrow_values
from nc_bench.theory.prediction import Prediction, Statement, Value
from nc_bench.theory.unequal_ball import groups_of, signed_with_bias
from nc_bench.theory.unequal_frame import nonnegative
from nc_bench.theory.weight_decay import LOSSES

SOLVED = 1e-10
"""Largest share of the objective that the solution of a convex programme may lack."""


@dataclass(frozen=True, kw_only=True)
class _Problem:
    classes: int
    radius: float
    head_norm: float
    nonnegative: bool
    bias: bool
    loss: str
    focal_gamma: float
    label_smoothing: float
    width: int | None
    weights: tuple[float, ...]

    @property
    def plain(self) -> bool:
        """Whether the loss is the cross entropy on one-hot targets."""
        return self.loss == "cross_entropy" and self.label_smoothing == 0

    @property
    def balanced(self) -> bool:
        return len(groups_of(self.weights).sizes) == 1

    @property
    def orthogonal(self) -> bool:
        """Whether the optimum is an orthogonal frame rather than a simplex."""
        return self.nonnegative or (self.loss == "mse" and not self.bias)

    @property
    def narrow(self) -> bool:
        """Whether there are fewer dimensions than the shape needs."""
        return self.width is not None and self.width < (self.classes if self.orthogonal else self.classes - 1)


def penultimate_ball(
    *,
    classes: int,
    radius: float,
    head_norm: float = 1.0,
    nonnegative: bool = False,
    bias: bool = False,
    loss: str = "cross_entropy",
    focal_gamma: float | None = None,
    label_smoothing: float = 0.0,
    width: int | None = None,
    class_weights: Sequence[float] | None = None,
) -> Prediction:
    """Features |f(x)| <= R for every x, last layer |W|_op <= S: the class means form a simplex.

    W is S times an isometry on their span. With L = R S sqrt(K/(K-1)):

    Signed features, width >= K-1: risk = log(1 + (K-1) e^-L), class means of norm R with cosines -1/(K-1) around the
    origin; whatever the class weights without a bias, for equal ones with a bias. Without a bias so for any loss that
    falls in the probability of the true class: ``loss="focal"`` has this minimiser, ``objective`` -(1-p)^g log p.
    Non-negative features, width >= K, equal class weights: risk = log(1 + (K-1) e^(-R S)), class means of norm R and
    orthogonal to each other, with or without a bias.

    Beyond that (signed and without bias where nothing else is said):
    ``label_smoothing`` a: m = min(log(1 + K(1-a)/a), L), ``objective`` = log(1 + (K-1) e^-m) + a m (K-1)/K; where the
    first is smaller, features need not collapse.
    ``loss="mse"``: ``objective`` = 1/2 (1 - R S)_+^2, orthogonal frame, width >= K, signed or not; with a free bias
    1/2 (sqrt((K-1)/K) - R S)_+^2, simplex, signed.
    ``width`` d < K-1, equal weights: d = 2 a regular K-gon; d >= K/2: K-d orthogonal simplices, where descent confirms
    it; see `nc_bench.theory.narrow`.
    Unequal weights with a free bias, or with non-negative features: the convex programmes of
    `nc_bench.theory.unequal_ball`; ``objective`` is the weighted risk (the ``risk`` of a run whose class sizes are
    these weights), ``class_risks`` has one entry per class, ``duality_gap`` bounds what the objective lacks.

    Why the head is determined after centring: the equal-weight cases attain the floor of `risk_floor`, which forces M
    to have K-1 equal singular values sigma and Wc to act on them as S times an isometry; a spectral norm of S leaves
    Wc nothing beyond that, so Wc = (S/sigma) M. W itself is free up to a vector added to every row.

    Raises ValueError if classes < 2, a bound is not positive, for an unknown loss, ``loss="focal"`` without
    ``focal_gamma`` >= 0 or the reverse, and smoothing outside [0, 1). E & Wojtowytsch 2021, Lemma 4.1, Cor. 4.2.
    """
    problem = _checked(
        classes, radius, head_norm, nonnegative, bias, loss, focal_gamma, label_smoothing, width, class_weights
    )
    statement = _statement(problem)
    reason = _reason(problem)
    return statement.fails(reason) if reason else _values(problem, statement)


def _checked(
    classes: int,
    radius: float,
    head_norm: float,
    nonnegative: bool,
    bias: bool,
    loss: str,
    focal_gamma: float | None,
    label_smoothing: float,
    width: int | None,
    class_weights: Sequence[float] | None,
) -> _Problem:
    if loss not in LOSSES:
        raise ValueError(f"loss must be one of {', '.join(map(repr, LOSSES))}, got {loss!r}")
    if (loss == "focal") != (focal_gamma is not None):
        raise ValueError("focal_gamma goes with loss='focal'; state both or neither")
    label_smoothing = checks.real("label_smoothing", label_smoothing)
    if not 0 <= label_smoothing < 1:
        raise ValueError(f"label_smoothing must lie in [0, 1), got {label_smoothing!r}")
    classes = checks.whole("classes", classes, 2)
    return _Problem(
        classes=classes,
        radius=checks.positive("radius", radius),
        head_norm=checks.positive("head_norm", head_norm),
        nonnegative=checks.flag("nonnegative", nonnegative),
        bias=checks.flag("bias", bias),
        loss=loss,
        focal_gamma=checks.nonnegative("focal_gamma", 0.0 if focal_gamma is None else focal_gamma),
        label_smoothing=label_smoothing,
        width=None if width is None else checks.whole("width", width, 1),
        weights=checks.weights_of(class_weights, classes),
    )


def _reason(problem: _Problem) -> str:
    """Why nothing is known, "" where something is."""
    if problem.loss != "cross_entropy" and problem.label_smoothing > 0:
        return "label smoothing is for the cross entropy"
    other = "" if problem.plain else f"for {'label smoothing' if problem.label_smoothing else problem.loss}"
    if problem.narrow:
        return _narrow_reason(problem, other)
    if other and problem.nonnegative and not (problem.loss == "mse" and not problem.bias):
        return f"{other} the optimum with non-negative features is not known"
    if problem.loss == "focal" and problem.bias:
        return f"{other} the optimum with a free bias is not known"
    if other and problem.bias and not problem.balanced:
        return f"{other} the optimum with unequal class weights and a free bias is not known"
    return ""


def _narrow_reason(problem: _Problem, other: str) -> str:
    assert problem.width is not None
    shape = "an orthogonal frame of K vectors" if problem.orthogonal else "a simplex of K vertices"
    narrow = checks.narrow(problem.width, problem.classes if problem.orthogonal else problem.classes - 1, shape)
    if other or problem.nonnegative or problem.bias or not problem.balanced:
        return f"{narrow}, and below that the optimum is known for signed features, equal weights and no bias only"
    unknown = narrow_reason(problem.classes, problem.width, problem.radius * problem.head_norm)
    return f"{narrow}, and {unknown}" if unknown else ""


def _values(problem: _Problem, statement: Statement) -> Prediction:
    classes, radius, head_norm = problem.classes, problem.radius, problem.head_norm
    if problem.narrow:
        assert problem.width is not None
        return statement.holds(narrow_values(classes, problem.width, radius, head_norm))
    if problem.loss == "mse":
        return statement.holds(squared(classes, radius, head_norm, bias=problem.bias))
    if problem.label_smoothing > 0:
        return statement.holds(smoothed(classes, radius, head_norm, problem.label_smoothing))
    if not problem.balanced and (problem.nonnegative or problem.bias):
        return _unequal(problem, statement)
    margin = radius * head_norm * (1.0 if problem.nonnegative else math.sqrt(classes / (classes - 1)))
    values = collapsed_values(
        classes, margin=margin, feature_norm=radius, head_opnorm=head_norm, orthogonal=problem.nonnegative
    )
    if problem.loss == "focal":
        values["objective"] = focal_loss(classes, margin, problem.focal_gamma)
    return statement.holds(values)


def _unequal(problem: _Problem, statement: Statement) -> Prediction:
    """The convex programmes; of the shape the non-negative optimum has an orthogonal frame of class means."""
    classes, radius, head_norm = problem.classes, problem.radius, problem.head_norm
    values: dict[str, Value] = {"feature_norm": radius, "nc1_quotient": 0.0, "nc1_radius": 0.0, "output_collapse": 0.0}
    if problem.nonnegative:
        optimum = nonnegative(problem.weights, radius, head_norm, bias=problem.bias)
        frame = collapsed_values(classes, margin=0.0, feature_norm=radius, head_opnorm=head_norm, orthogonal=True)
        names = ("cosine", "cosine_centred", "centre_offset", "feature_radius", "nc2_equinorm", "nc2_equiangular")
        values |= {name: frame[name] for name in (*names, "nc2_equidistant", "nc2_etf", "nc1_pinv", "nc1_cdnv")}
    else:
        optimum = signed_with_bias(problem.weights, radius * head_norm)
    if optimum.gap > SOLVED * optimum.objective:
        return statement.fails(
            f"the convex programme was solved to {optimum.gap / optimum.objective:.1g} of the objective only"
        )
    return statement.holds(
        {
            "objective": float(optimum.objective),
            "class_risks": optimum.class_risks,
            "risk_balanced": math.fsum(optimum.class_risks) / classes,
            "duality_gap": optimum.gap,
            **values,
        }
    )


def _statement(problem: _Problem) -> Statement:
    ball = "every feature lies in the Euclidean ball of radius R around the origin, |W|_op <= S"
    free = "the features of different samples can be chosen freely"
    return Statement(
        setting="penultimate_ball",
        assumptions=(
            f"{ball}, features non-negative" if problem.nonnegative else ball,
            free,
            f"{_loss_in_words(problem)}, no weight decay, {_rest_in_words(problem)}",
        ),
        source=_source(problem),
    )


def _loss_in_words(problem: _Problem) -> str:
    if problem.loss != "cross_entropy":
        return LOSSES[problem.loss]
    return f"softmax cross entropy with{'' if problem.label_smoothing else 'out'} label smoothing"


def _rest_in_words(problem: _Problem) -> str:
    if problem.narrow:
        return "no bias, equal class weights, width < K-1"
    if not problem.balanced and (problem.nonnegative or problem.bias):
        bias = "a free bias" if problem.bias else "no bias"
        return f"{bias}, these class weights, width >= K{'' if problem.nonnegative else '-1'}"
    if problem.nonnegative and problem.plain:
        return "equal class weights, with or without bias, width >= K"
    weights = "a free bias and equal class weights" if problem.bias else "no bias, any class weights"
    return f"{weights}, width >= K{'' if problem.orthogonal else '-1'}"


def _source(problem: _Problem) -> str:
    if problem.narrow:
        return "orthogonal simplices or a polygon, against direct minimisation (attained: proved; optimal: numeric)"
    if not problem.balanced and problem.nonnegative:
        return "a convex programme on an orthogonal frame (the head: proved; the frame: numeric)"
    if not problem.balanced and problem.bias:
        return "E & Wojtowytsch 2021, Lemma 4.1, with a free bias: a convex programme (proved)"
    if not problem.plain:
        return "E & Wojtowytsch 2021, Lemma 4.1, sample by sample, for this loss (proved)"
    if problem.nonnegative:
        return "E & Wojtowytsch 2021, Cor. 4.2, carried over to non-negative features"
    return "E & Wojtowytsch 2021, Lemma 4.1 and Cor. 4.2" + (", symmetrised over the classes" if problem.bias else "")
