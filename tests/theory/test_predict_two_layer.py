"""Two-layer networks on a line: a linear programme and the gradient flow itself."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import linprog

from nc_bench.theory import predict

POINTS = np.array([-2.0, -1.0, 1.0, 2.0])


def least_norm(costs: np.ndarray, neurons: np.ndarray) -> tuple[float, np.ndarray]:
    """Least sum of |a| cost among networks with all margins at least 1: that norm and one such network."""
    active = np.maximum(np.outer(POINTS, neurons[0]) + neurons[1], 0)
    signed = np.sign(POINTS)[:, None] * active
    result = linprog(np.concatenate([costs, costs]), A_ub=-np.hstack([signed, -signed]), b_ub=-np.ones(len(POINTS)))
    positive, negative = np.split(result.x, 2)
    return float(result.fun), active @ (positive - negative)


def directions() -> np.ndarray:
    angles = np.linspace(0, 2 * np.pi, 360, endpoint=False)
    return np.stack([np.cos(angles), np.sin(angles)])


def test_the_maximum_margin_classifier_of_euclidean_parameters_has_the_predicted_ratio() -> None:
    neurons = directions()
    _, outputs = least_norm(np.ones(neurons.shape[1]), neurons)
    values = predict("two_layer_relu").values
    assert outputs[3] / outputs[2] == pytest.approx(values["ratio"], rel=1e-6)
    assert outputs[0] / outputs[1] == pytest.approx(values["ratio"], rel=1e-6)


def test_the_norm_of_the_paper_has_the_predicted_margin_and_range_of_ratios() -> None:
    """f_b for b in [0, 1] all have the least norm; the ratio runs over the predicted interval."""
    values = predict("two_layer_relu").values
    neurons = directions()
    norm, _ = least_norm(np.abs(neurons).sum(0), neurons)
    assert 1 / norm == pytest.approx(values["max_margin"], rel=1e-6)
    for b in (0.0, 0.3, 1.0):
        pair = np.array([[1.0, -1.0], [b, b]])
        norm, outputs = least_norm(np.abs(pair).sum(0), pair)
        ratio = outputs[3] / outputs[2]
        assert 1 / norm == pytest.approx(values["max_margin"], rel=1e-6)
        assert ratio == pytest.approx((2 + b) / (1 + b), rel=1e-6)
        assert values["ratio_minimum"] - 1e-6 <= ratio <= values["ratio_maximum"] + 1e-6


def test_two_layers_need_two_neurons() -> None:
    assert not predict("two_layer_relu", width=1).applies
    assert predict("two_layer_relu", width=2, class_weights=(1, 9)).applies


@pytest.mark.parametrize("start", [(0.0, 0.0, 0.0), (2.0, -1.0, 1.5)])
@pytest.mark.parametrize("p", [(0.2, 0.4, 0.4), (0.5, 0.3, 0.2), (0.1, 0.1, 0.8)])
def test_three_neurons_flow_to_the_gap(p: tuple[float, ...], start: tuple[float, ...]) -> None:
    """The gradient flow, integrated in s = log t: it slows down as 1/t."""
    p1, p2, p3 = p

    def flow(s: float, a: np.ndarray) -> np.ndarray:
        pull = p3 * math.exp(a[1] - a[2])
        return math.exp(s) * np.array([p1 * math.exp(-a[0]), p2 * math.exp(-a[1]) - pull, pull])

    a1, a2, a3 = solve_ivp(flow, (-12, 40), start, method="LSODA", rtol=1e-10, atol=1e-12).y[:, -1]
    values = predict("three_neurons", p1=p1, p2=p2, p3=p3).values
    assert (a3 - a2) - a1 == pytest.approx(values["gap"], abs=1e-6)
    assert math.exp(2 * a2 - a3) == pytest.approx(values["exp_2a2_minus_a3"], rel=1e-6)
    assert (abs(values["gap"]) < 1e-12) == (p3 == 2 * p1)


@pytest.mark.parametrize(
    ("problem", "word"),
    [
        ({"p1": 0.0, "p2": 0.5, "p3": 0.5}, "zero"),
        ({"p1": 0.2, "p2": 0.4, "p3": 0.4, "width": 2}, "width 2"),
        ({"p1": 0.2, "p2": 0.4, "p3": 0.4, "width": 4}, "width 4"),
        ({"p1": 0.2, "p2": 0.4, "p3": 0.4, "class_weights": (1, 2)}, "weigh"),
    ],
)
def test_three_neurons_say_why_they_do_not_apply(problem: dict[str, object], word: str) -> None:
    prediction = predict("three_neurons", **problem)
    assert not prediction.applies
    assert word in prediction.reason
