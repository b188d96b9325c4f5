"""Where collapse fails: two-layer networks on a line."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nc_bench.theory import checks
from nc_bench.theory.prediction import Prediction, Statement


def two_layer_relu(
    *, slope: float = 0.0, width: int | None = None, class_weights: Sequence[float] | None = None
) -> Prediction:
    """Two ReLU layers, classes in [-2, -1] and [1, 2] on a line: the output is not constant on a class.

    The maximum margin classifiers for the norm sum |a| (|w| + |b|) are f_b, b in [0, 1], with f_b(1) = 1/2 =
    ``max_margin`` and f_b(2)/f_b(1) = (2+b)/(1+b), between ``ratio_minimum`` = 1.5 and ``ratio_maximum`` = 2.
    ``ratio`` = 1.5 is where gradient descent on (a, w, b) tends: its implicit norm is the Euclidean
    sum |a| sqrt(w^2 + b^2), which f_1 alone minimises, with the margin ``euclidean_margin`` = sqrt(1/2).
    At collapse the ratio would be 1.

    Leaky ReLU with the ``slope`` s < 1 below zero: f = relu(w x + b) - relu(b - w x) is (1+s) w x + (1-s) b on the
    right class, so the Euclidean norm selects (w, b) along (1+s, 1-s): ``ratio`` = (2 (1+s)^2 + (1-s)^2)/(2 (1+s^2)),
    ``euclidean_margin`` = sqrt((1+s^2)/2). The norm of Prop. 5.2 would select b = 0, ratio 2: descent does not.

    Does not apply with fewer than two neurons (``width``). Raises ValueError for wrong width or weights and for a
    slope outside [0, 1). E & Wojtowytsch 2021, Prop. 5.2, Remark 5.4 and Lemma 5.6.
    """
    checks.weights_of(class_weights, 2)
    slope = checks.nonnegative("slope", slope)
    if slope >= 1:
        raise ValueError(f"slope must be below 1, got {slope!r}: the network would be linear")
    statement = Statement(
        setting="two_layer_relu",
        assumptions=(
            "f(x) = sum a relu(w x + b), many neurons, (w, b) start in all directions, |a| <= |(w, b)|",
            "the classes lie in [-2, -1] and [1, 2], with -1 and 1 and another point of each among the data",
            "logistic or exponential loss, no decay; the ratio is reached in the limit of long training",
        ),
        source="E & Wojtowytsch 2021, Prop. 5.2, Lemma 5.6; ratio 1.5 from the Euclidean implicit norm",
    )
    reason = checks.narrow(width, 2, "an odd classifier")
    if reason:
        return statement.fails(reason)
    along, across = (1 + slope) ** 2, (1 - slope) ** 2
    selected = {"ratio": (2 * along + across) / (along + across), "euclidean_margin": math.sqrt(along + across) / 2}
    if slope > 0:
        return statement.holds(selected)
    return statement.holds({**selected, "ratio_minimum": 1.5, "ratio_maximum": 2.0, "max_margin": 0.5})


def three_neurons(
    *, p1: float, p2: float, p3: float, width: int | None = None, class_weights: Sequence[float] | None = None
) -> Prediction:
    """Points -1, 0, 1 with probabilities p1, p2, p3, labels +, -, +: h(t, 1) - h(t, -1) tends to the gap.

    ``gap`` = log(p3/(2 p1)), zero (collapse) iff p3 = 2 p1; ``exp_2a2_minus_a3`` = 2 p2/(3 p3) is the limit
    of exp(2 a2 - a3) along the gradient flow a1' = p1 e^-a1, a2' = p2 e^-a2 - p3 e^(a2-a3), a3' = p3
    e^(a2-a3); both whatever the initial condition.

    Does not apply if a probability is zero, for another width than 3 neurons, nor to unequal class weights
    (the probabilities already weigh the points). Raises ValueError if a probability is negative or their sum
    differs from 1 by more than 1e-9. E & Wojtowytsch 2021, Lemma 5.8 and (A.3).
    """
    named = {"p1": p1, "p2": p2, "p3": p3}
    p1, p2, p3 = (checks.nonnegative(name, value) for name, value in named.items())
    if abs(math.fsum((p1, p2, p3)) - 1) > 1e-9:
        raise ValueError(f"p1, p2 and p3 must sum to 1, got {p1!r} + {p2!r} + {p3!r}")
    statement = Statement(
        setting="three_neurons",
        assumptions=(
            "h(x) = a1 s(-x) - a2 s(x+1) + a3 s(x) with s = 0 below 0 and 1 above 1; only a1, a2, a3 move",
            "gradient flow of the exponential loss p1 e^-h(-1) + p2 e^h(0) + p3 e^-h(1), long times",
        ),
        source="E & Wojtowytsch 2021, Lemma 5.8 and (A.3)",
    )
    reason = checks.first(
        checks.narrow(width, 3, "the network of three neurons"),
        f"width {width} is not 3: the network has three neurons" if width not in (None, 3) else "",
        checks.unequal(class_weights, 2, "p1, p2 and p3 already weigh the points"),
        "a point has probability zero: the outputs have no limit" if min(p1, p2, p3) == 0 else "",
    )
    if reason:
        return statement.fails(reason)
    return statement.holds(
        {
            "gap": math.log(p3) - math.log(p1) - math.log(2.0),
            "exp_2a2_minus_a3": 2 * p2 / (3 * p3),
        }
    )
