"""Two-layer networks as particles: many neurons, leaky neurons, and how fast their outputs grow (section 5.1).

The data, the start and the descent are those of `two_layer`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial

import numpy as np
import torch
from jaxtyping import Float64
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from torch import Tensor

from nc_bench.claims.claim import Claim, predicted_claim
from nc_bench.claims.two_layer import STEPS, TAIL, Loss, initial, limits, log_risk, outputs, points, trained
from nc_bench.theory import mean_field

NEURONS = 20
"""Of the networks whose flow is integrated."""

LEAK, LEAKY_WIDTH = 0.2, 100

WIDTHS, NETWORKS = (100, 1000, 10_000), (2000, 500, 400)
"""Numbers of neurons, and of random starts at each: the spread over the starts is known to some per cent."""

FLOW_STEPS, FLOW_STEP, TOGETHER = 10, 0.5, 50_000
"""Euler steps in the time of the particles, and neurons of so many networks at once as fit a cache."""

GROWN: Mapping[Loss, tuple[float, float]] = {"cross_entropy": (400.0, 1600.0), "exponential": (100.0, 400.0)}
"""log t at two times long after the start."""

MEAN_FIELD = "E & Wojtowytsch 2021, Prop. 5.1"
GROWTH = "E & Wojtowytsch 2021, Remark 5.5, integrated"


def claims() -> list[Claim]:
    """Particles, leaky neurons, growth."""
    return [*_particles(), *_leaky(), *_growth()]


def _particles() -> list[Claim]:
    return [
        Claim(
            name="mean_field_doubled",
            statement=f"every one of {NEURONS} neurons twice: by how much longer the gradient flow takes to risk 0.1",
            source=MEAN_FIELD,
            predicted=lambda: mean_field.time_scale(2 * NEURONS) / mean_field.time_scale(NEURONS),
            obtained=lambda: arrival(2)[0] / arrival(1)[0],
            tolerance=1e-6,
        ),
        Claim(
            name="mean_field_doubled_outputs",
            statement="and the outputs there: the largest difference",
            source=MEAN_FIELD,
            predicted=lambda: 0.0,
            obtained=lambda: float(np.abs(arrival(2)[1] - arrival(1)[1]).max()),
            tolerance=1e-6,
            relative=False,
        ),
        Claim(
            name="mean_field_unscaled_time",
            statement="by how much the flow with 1/m before the sum takes longer than without, from m^(-1/2) times its "
            f"parameters, to risk 0.1; m = {NEURONS}",
            source="E & Wojtowytsch 2021, Remark 5.7",
            predicted=lambda: mean_field.time_scale(NEURONS),
            obtained=lambda: arrival(1)[0] / arrival(1, scaled=False)[0],
            tolerance=1e-6,
        ),
        Claim(
            name="mean_field_unscaled_outputs",
            statement="and the outputs there: the largest difference",
            source="E & Wojtowytsch 2021, Remark 5.7",
            predicted=lambda: 0.0,
            obtained=lambda: float(np.abs(arrival(1, scaled=False)[1] - arrival(1)[1]).max()),
            tolerance=1e-6,
            relative=False,
        ),
        Claim(
            name="mean_field_one_curve",
            statement="networks of 100, 1000 and 10,000 neurons approach one curve: the exponent with which the "
            "spread of f(t, x) over random starts falls with the width",
            source=f"{MEAN_FIELD}, and the law of large numbers",
            predicted=lambda: _exponent([mean_field.width_spread(width) for width in WIDTHS]),
            obtained=lambda: _exponent([spread(*case) for case in zip(WIDTHS, NETWORKS, strict=True)]),
            tolerance=0.03,
            relative=False,
        ),
    ]


def _leaky() -> list[Claim]:
    problem = {"slope": LEAK}
    said = f"leaky ReLU, slope {LEAK:g}"
    return [
        *(
            predicted_claim(
                f"two_layer_leaky_ratio_{name}",
                f"{said}: the limit of f(2)/f(1), extrapolated: the {name} of 5 seeds",
                setting="two_layer_relu",
                value="ratio",
                problem=problem,
                obtained=partial(_leaky_limit, choose),
                tolerance=1e-3,
                relative=False,
            )
            for name, choose in (("largest", max), ("smallest", min))
        ),
        predicted_claim(
            "two_layer_leaky_margin",
            f"{said}: the margin for sum |a| sqrt(w^2 + b^2) = 1: the smallest of 5 seeds",
            setting="two_layer_relu",
            value="euclidean_margin",
            problem=problem,
            obtained=_smallest_margin,
            tolerance=1e-3,
            relative=False,
        ),
    ]


def _growth() -> list[Claim]:
    return [
        *(
            Claim(
                name=f"two_layer_growth_{loss}",
                statement=f"rate at which -log risk grows with log t between {first:g} and {last:g}: the smallest of 5 "
                "seeds",
                source=GROWTH,
                predicted=partial(_predicted_rate, first, last),
                obtained=partial(_smallest_rate, loss),
                tolerance=1e-4,
            )
            for loss, (first, last) in GROWN.items()
        ),
        Claim(
            name="two_layer_ratio_exponent",
            statement="exponent of log t with which f(2)/f(1) comes to rest: the mean of 5 seeds and both sides",
            source="E & Wojtowytsch 2021, Prop. 5.2; neurons keep what they have across the direction they grow in",
            predicted=lambda: -0.5,
            obtained=_approach,
            tolerance=0.03,
            relative=False,
        ),
    ]


@cache
def arrival(copies: int, scaled: bool = True) -> tuple[float, NDArray[np.float64]]:
    """When the gradient flow of the cross entropy reaches the risk 0.1, and f on the points then.

    Every one of NEURONS random neurons is there `copies` times. f is the mean over the neurons if `scaled`; else the
    sum, from the same parameters times m^(-1/2). The time is that of plain gradients, not multiplied by m.
    """
    x = points()
    start = initial(NEURONS, (0,)).repeat(1, 1, copies)
    width = start.shape[-1]
    factor = 1.0 if scaled else float(width)
    start = start if scaled else start / width**0.5

    def risk_of(parameters: Tensor) -> tuple[Tensor, Tensor]:
        found = factor * outputs(parameters.view(1, 3, width), x)
        return log_risk(x.sign() * found, "cross_entropy").exp().sum(), found[0]

    def flow(_: float, y: NDArray[np.float64]) -> NDArray[np.float64]:
        parameters = torch.from_numpy(y).requires_grad_()
        (slope,) = torch.autograd.grad(risk_of(parameters)[0], parameters)
        return -slope.numpy()

    def excess(_: float, y: NDArray[np.float64]) -> float:
        return float(risk_of(torch.from_numpy(y))[0]) - 0.1

    excess.terminal = True  # type: ignore[attr-defined]
    found = solve_ivp(flow, (0, 1e6), start.flatten().numpy(), events=excess, rtol=1e-9, atol=1e-11)
    (time,), (end,) = found.t_events[0], found.y_events[0]
    return float(time), risk_of(torch.from_numpy(end))[1].numpy()


@cache
def spread(width: int, networks: int) -> float:
    """Root mean square deviation of f(t, x) from its mean over random starts, over steps of the flow and points x."""
    seeds = range(networks)
    size = max(1, TOGETHER // width)
    curves = torch.cat([_curves(width, tuple(seeds[first : first + size])) for first in range(0, networks, size)])
    return float(curves.var(0).mean().sqrt())


def _curves(width: int, seeds: tuple[int, ...]) -> Float64[Tensor, "t steps p"]:
    """f at -2, -1, 1 and 2 along Euler steps of the particles: gradients times m, steps that do not depend on m."""
    parameters, x = initial(width, seeds), torch.tensor([-2.0, -1.0, 1.0, 2.0], dtype=torch.float64)
    rows = []
    for _ in range(FLOW_STEPS):
        parameters.requires_grad_()
        found = outputs(parameters, x)
        (slope,) = torch.autograd.grad(log_risk(x.sign() * found, "cross_entropy").exp().sum(), parameters)
        parameters = parameters.detach() - FLOW_STEP * width * slope
        rows.append(found.detach())
    return torch.stack(rows, 1)


def _exponent(spreads: Sequence[float]) -> float:
    """Slope of log spread against log width."""
    return float(np.polyfit(np.log(WIDTHS), np.log(spreads), 1)[0])


def _leaky_limit(choose: Callable[[list[float]], float]) -> float:
    return choose(limits(trained(LEAKY_WIDTH, "cross_entropy", LEAK)).flatten().tolist())


def _smallest_margin() -> float:
    parameters, x = trained(LEAKY_WIDTH, "cross_entropy", LEAK).snapshots[STEPS], points()
    a, w, b = parameters.unbind(1)
    norm = (a.abs() * (w.square() + b.square()).sqrt()).mean(-1)
    return float(((x.sign() * outputs(parameters, x, LEAK)).amin(-1) / norm).min())


def _predicted_rate(first: float, last: float) -> float:
    return (mean_field.log_risk(first) - mean_field.log_risk(last)) / (last - first)


def _smallest_rate(loss: Loss) -> float:
    path, ends = trained(LEAKY_WIDTH, loss), GROWN[loss]
    rates = [
        np.diff(np.interp(ends, path.log_time[:, network].numpy(), -path.log_risk[:, network].numpy())).item()
        for network in range(path.log_time.shape[1])
    ]
    return min(rates) / (ends[1] - ends[0])


def _approach() -> float:
    """From the values at log t = L/16, L/4 and L: two changes, whose quotient does not depend on the limit."""
    path = trained(LEAKY_WIDTH, "cross_entropy")
    exponents = []
    for network, side in np.ndindex(path.ratio.shape[1:]):
        log_time, values = path.log_time[:, network].numpy(), path.ratio[:, network, side].numpy()
        steps = np.diff(np.interp(log_time[-1] / np.array([TAIL, math.sqrt(TAIL), 1]), log_time, values))
        exponents.append(math.log(steps[1] / steps[0]) / math.log(math.sqrt(TAIL)))
    return float(np.mean(exponents))
