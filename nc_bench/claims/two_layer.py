"""Two ReLU layers on [-2, -1] and [1, 2]: the classes do not collapse (section 5.1).

f(x) = (1/m) sum_i a_i relu(w_i x + b_i) in the mean field scaling, with the outputs (-f, f) as logits. The loss is
the paper's, the cross entropy of these logits, log(1 + e^(-2 xi f)) with the label xi = -1, 1; or the exponential
e^(-xi f) of its section 5.2, `objective.loss: exponential` of the runs. Both are taken in their logarithm, because
they fall below the smallest double within the first hundred steps. Where f leads does not depend on which it is.
Gradient descent drives f, divided by f(1), towards x -> (|x| + 1)/2 on the classes, the end b = 1 of the paper's
family f_b: there f(2)/f(1) is 1.5, where a collapsed class would have 1.

Why so slowly: once the slopes (w, b) of the neurons that matter lie near (1, 1) or (-1, 1), what they have across
that direction no longer changes while f grows like their square, so f(2)/f(1) - 3/2 falls as f(1)^(-1/2), which is
(log t)^(-1/2).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float64
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from nc_bench.claims.claim import Bound, Claim, predicted_claim, predicted_value
from nc_bench.metrics import collapse_metrics

WIDTHS, SEEDS = (100, 400), (0, 1, 2, 3, 4)
POINTS_PER_CLASS = 6
STEPS, STEP, LARGEST_STEP = 2000, 0.5, 1.0
SHOWN = (10, 100, STEPS)
"""Steps after which the parameters are kept."""

TAIL = 16.0
"""Limits are judged over log t in [L/TAIL, L], L the last: there the start is forgotten."""

LARGE_MARGIN = 30.0
"""Beyond it log(1 + e^-m) is e^-m in double precision."""

Loss = Literal["cross_entropy", "exponential"]

SOURCE = "E & Wojtowytsch 2021, Prop. 5.2 and Lemma 5.6"


@dataclass(frozen=True, kw_only=True)
class Trained:
    """Networks of one width, one for every seed (t), after each step (n).

    log_time: log t of the gradient flow. ratio: f(2)/f(1) and f(-2)/f(-1). margin: min_x y f(x) divided by the
    norm of (5.3), (1/m) sum |a| (|w| + |b|). log_risk: log of the mean loss. snapshots: the parameters
    (a, w, b) after the steps of SHOWN.
    """

    log_time: Float64[Tensor, "n t"]
    ratio: Float64[Tensor, "n t 2"]
    margin: Float64[Tensor, "n t"]
    log_risk: Float64[Tensor, "n t"]
    snapshots: Mapping[int, Float64[Tensor, "t 3 m"]]


def points() -> Float64[Tensor, "p"]:
    """POINTS_PER_CLASS evenly spaced points of [-2, -1], then of [1, 2], ends included."""
    right = torch.linspace(1, 2, POINTS_PER_CLASS, dtype=torch.float64)
    return torch.cat([-right.flip(0), right])


def initial(width: int, seeds: tuple[int, ...]) -> Float64[Tensor, "t 3 m"]:
    """(a, w, b): w and b standard normal, a uniform with |a| <= |(w, b)|, as Prop. 5.2 asks."""
    drawn = []
    for seed in seeds:
        random = torch.Generator().manual_seed(seed)
        slopes = torch.randn(2, width, generator=random, dtype=torch.float64)
        share = 2 * torch.rand(width, generator=random, dtype=torch.float64) - 1
        drawn.append(torch.cat([(share * slopes.norm(dim=0))[None], slopes]))
    return torch.stack(drawn)


def outputs(
    parameters: Float64[Tensor, "t 3 m"], x: Float64[Tensor, "p"], slope: float = 0.0
) -> Float64[Tensor, "t p"]:
    """f(x) = (1/m) sum_i a_i relu(w_i x + b_i), leaky with `slope` below zero."""
    a, w, b = parameters[:, :, None].unbind(1)
    return (a * F.leaky_relu(x[:, None] * w + b, slope)).mean(-1)


def log_risk(signed: Float64[Tensor, "t p"], loss: Loss) -> Float64[Tensor, "t"]:
    """log of the mean loss over points where xi f is `signed`, finite for values of any size."""
    if loss == "exponential":
        losses = -signed
    else:
        margins = 2 * signed
        exact = F.softplus(-margins.clamp(max=LARGE_MARGIN)).log()
        losses = torch.where(margins > LARGE_MARGIN, -margins, exact)
    return torch.logsumexp(losses, -1) - math.log(signed.shape[-1])


@cache
def trained(width: int, loss: Loss, slope: float = 0.0) -> Trained:
    """Full-batch gradient descent from every seed, float64.

    A step is eta/risk, with eta at most LARGEST_STEP and STEP over the mean of a^2 + w^2 + b^2: it descends along
    grad log(risk), so that every step adds about the same to the margin. This is the gradient flow in rescaled
    time, whose own time (gradients times m, Prop. 5.1) is kept as `log_time`, exact but for a shift below one. It
    reaches log t of about 2000 (exponential: 500), where as many steps of length LARGEST_STEP end at log t = 8.
    """
    parameters, x = initial(width, SEEDS), points()
    log_time = torch.full((len(SEEDS),), -math.inf, dtype=torch.float64)
    rows, snapshots = [], {}
    for count in range(STEPS + 1):
        variable = parameters.clone().requires_grad_()
        found = outputs(variable, x, slope)
        risk = log_risk(x.sign() * found, loss)
        (gradient,) = torch.autograd.grad(risk.sum(), variable)
        found, risk = found.detach(), risk.detach()
        if count > 0:
            rows.append((log_time, ratios(found), margins(found, parameters), risk))
        if count in SHOWN:
            snapshots[count] = parameters
        step = (STEP / parameters.square().sum(1).mean(-1)).clamp(max=LARGEST_STEP)
        log_time = torch.logaddexp(log_time, step.log() - risk)
        parameters = parameters - step[:, None, None] * width * gradient
    times, ratio, margin, risks = (torch.stack(column) for column in zip(*rows, strict=True))
    return Trained(log_time=times, ratio=ratio, margin=margin, log_risk=risks, snapshots=snapshots)


def paths() -> list[Trained]:
    """Of both widths and both losses."""
    return [trained(width, loss) for width in WIDTHS for loss in get_args(Loss)]


def ratios(found: Float64[Tensor, "t p"]) -> Float64[Tensor, "t 2"]:
    """f(2)/f(1) and f(-2)/f(-1) from f on `points`: (2+b)/(1+b) for f_b, 1 for collapsed classes."""
    inner, outer = found[:, [POINTS_PER_CLASS, POINTS_PER_CLASS - 1]], found[:, [-1, 0]]
    return outer / inner


def margins(found: Float64[Tensor, "t p"], parameters: Float64[Tensor, "t 3 m"]) -> Float64[Tensor, "t"]:
    """min_x y f(x) over (1/m) sum |a| (|w| + |b|): at most 1/2, which the f_b reach (Lemma 5.6)."""
    a, w, b = parameters.abs().unbind(1)
    return (points().sign() * found).amin(-1) / (a * (w + b)).mean(-1)


def smallest_collapse() -> float:
    """The smallest `output_collapse` over all networks at the end, logits (-f, f)."""
    x = points()
    labels, weight = (x > 0).long(), torch.tensor([[-1.0], [1.0]], dtype=torch.float64)
    ends = [found for path in paths() for found in outputs(path.snapshots[STEPS], x)]
    return min(collapse_metrics(found[:, None], labels, weight)["output_collapse"] for found in ends)


def limits(path: Trained) -> NDArray[np.float64]:
    """Where f(2)/f(1) and f(-2)/f(-1) are heading, (t, 2): Aitken's extrapolation, which assumes no limit.

    It is exact where the distance from the limit is a power of log t: it takes the values at L/16, L/4 and L.
    """
    found = np.empty(path.ratio.shape[1:])
    for network, side in np.ndindex(found.shape):
        log_time, values = path.log_time[:, network].numpy(), path.ratio[:, network, side].numpy()
        first, second, third = np.interp(log_time[-1] / np.array([TAIL, math.sqrt(TAIL), 1]), log_time, values)
        found[network, side] = third - (third - second) ** 2 / (third - 2 * second + first)
    return found


NETWORKS = f"of {len(WIDTHS)} widths, both losses, {len(SEEDS)} seeds each, at log t of about 2000 or 500"


def claims() -> list[Claim]:
    """The ratio, its fall and its limit, the margin, and that classes stay apart; the worst of all networks."""
    return [*_limits(), *_bounds()]


def _limits() -> list[Claim]:
    return [
        _claim("ratio", "ratio", f"f(2)/f(1) nears its limit: the largest {NETWORKS}", _largest_ratio, 0.03),
        _claim(
            "ratio_limit_largest",
            "ratio",
            f"the limit of f(2)/f(1), extrapolated: the largest {NETWORKS}",
            lambda: max(float(limits(path).max()) for path in paths()),
            1e-3,
        ),
        _claim(
            "ratio_limit_smallest",
            "ratio",
            f"the limit of f(2)/f(1), extrapolated: the smallest {NETWORKS}",
            lambda: min(float(limits(path).min()) for path in paths()),
            2e-3,
        ),
    ]


def _bounds() -> list[Claim]:
    return [
        _claim(
            "ratio_minimum",
            "ratio_minimum",
            f"f(2)/f(1) is that of a maximum margin classifier: the smallest {NETWORKS}",
            _smallest_ratio,
            0.0,
            "at_least",
        ),
        _claim(
            "margin",
            "max_margin",
            f"the margin for sum |a| (|w| + |b|) = 1: the smallest {NETWORKS}",
            _smallest_margin,
            1e-3,
        ),
        Claim(
            name="two_layer_ratio_falls",
            statement="f(2)/f(1) still falls: its largest change in a step after log t = 125 or 31",
            source=SOURCE,
            predicted=lambda: 0.0,
            obtained=lambda: max(_largest_change(path) for path in paths()),
            tolerance=0.0,
            relative=False,
            bound="at_most",
        ),
        Claim(
            name="two_layer_output_collapse",
            statement=f"classes do not collapse, output_collapse is above that of every f_b: the smallest {NETWORKS}",
            source=SOURCE,
            predicted=_collapse_of_family,
            obtained=smallest_collapse,
            tolerance=0.0,
            bound="at_least",
        ),
    ]


def _claim(
    name: str, value: str, statement: str, obtained: Callable[[], float], tolerance: float, bound: Bound = "equal"
) -> Claim:
    return predicted_claim(
        f"two_layer_{name}",
        statement,
        setting="two_layer_relu",
        value=value,
        problem={},
        obtained=obtained,
        tolerance=tolerance,
        relative=False,
        bound=bound,
    )


def _collapse_of_family() -> float:
    """`output_collapse` of the f_b whose f(2)/f(1) is smallest: the variance of f on a class over its mean squared."""
    right = points()[POINTS_PER_CLASS:]
    f = 1 + (predicted_value("two_layer_relu", "ratio_minimum", {}) - 1) * (right - 1)
    return float(f.var(correction=0) / f.mean().square())


def _largest_ratio() -> float:
    return max(float(path.ratio[-1].max()) for path in paths())


def _smallest_ratio() -> float:
    return min(float(path.ratio[-1].min()) for path in paths())


def _smallest_margin() -> float:
    return min(float(path.margin[-1].min()) for path in paths())


def _largest_change(path: Trained) -> float:
    late = (path.log_time >= path.log_time[-1] / TAIL)[1:]
    return float(path.ratio.diff(dim=0)[late].max())
