"""How fast: gradient flow of free features and head on the simplex, without bounds or decay."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nc_bench.theory import checks
from nc_bench.theory.collapsed import VANISHING_WITH_CENTRED_HEAD, collapsed_values
from nc_bench.theory.minimum import sign_change
from nc_bench.theory.prediction import Prediction, Statement


def gradient_flow(
    *,
    classes: int,
    per_class: int,
    time: float,
    start_margin: float,
    width: int | None = None,
    class_weights: Sequence[float] | None = None,
) -> Prediction:
    """Gradient flow of the mean cross entropy from a simplex with |W|^2 = |H|^2: the margin grows like log t.

    With W = u E, h = v e_y, E the simplex of unit rows and u^2 = n v^2 (which the flow keeps), the margin m =
    u v K/(K-1) obeys m' = 2 m / (sqrt(n) (e^m + K - 1)), so Ei(m) + (K-1) log m = 2 t/sqrt(n) + C. ``margin`` is that
    at ``time`` t >= 0 from ``start_margin`` > 0 at t = 0; one unit of time is 1/lr steps of gradient descent at a small
    learning rate lr. ``risk`` = log(1 + (K-1) e^-m); norms and the metrics of a simplex follow.

    Does not apply below the width K-1 or for unequal weights; from other starts the clock is approached, not kept.
    Raises ValueError for classes < 2, per_class < 1, a start that is not positive, a negative time, or a margin above
    700, which float64 does not hold.
    """
    classes = checks.whole("classes", classes, 2)
    per_class = checks.whole("per_class", per_class, 1)
    time = checks.nonnegative("time", time)
    start = checks.positive("start_margin", start_margin)
    statement = Statement(
        setting="gradient_flow",
        assumptions=(
            "free signed features, head without bias, no bound, no decay, mean softmax cross entropy, balanced classes",
            "gradient flow from a simplex on which the squared norms of head and features are equal",
        ),
        source="the flow on the simplex, integrated in closed form (proved)",
    )
    reason = checks.first(
        checks.narrow(width, classes - 1, "a simplex of K vertices"),
        checks.unequal(class_weights, classes, "the formula is for balanced classes"),
    )
    if reason:
        return statement.fails(reason)
    margin = _margin_after(classes, 2 * time / math.sqrt(per_class), start)
    stretch = classes / (classes - 1)
    feature_norm = math.sqrt(margin / (stretch * math.sqrt(per_class)))
    head_row_norm = feature_norm * math.sqrt(per_class)
    values = collapsed_values(
        classes,
        margin=margin,
        feature_norm=feature_norm,
        head_opnorm=head_row_norm * math.sqrt(stretch),
        orthogonal=False,
    )
    values |= {"feature_norm": feature_norm, "head_row_norm": head_row_norm}
    return statement.holds(values | dict.fromkeys(VANISHING_WITH_CENTRED_HEAD, 0.0))


def _margin_after(classes: int, increase: float, start: float) -> float:
    """The root m >= start of Ei(m) + (K-1) log m = Ei(start) + (K-1) log(start) + increase."""
    from scipy.special import expi  # slow to load, and needed here alone

    def clock(margin: float) -> float:
        return float(expi(margin)) + (classes - 1) * math.log(margin)

    if start > 700 or clock(700.0) - clock(start) < increase:
        raise ValueError("the margin would pass 700, beyond which exp(margin) leaves float64")
    goal = clock(start) + increase
    return sign_change(lambda margin: goal - clock(margin), start, 700.0)
