"""Weight decay under focal loss, and under squared error with any counts and bias: against SciPy."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from theory_metrics import cosines, measure
from theory_minimisers import best, focal, minimise_decay, squared_error

from nc_bench.theory import predict

quick = settings(deadline=None, max_examples=60)

DECAY = {"head_decay": 2e-2, "feature_decay": 5e-3}


@pytest.mark.parametrize("gamma", [0.5, 2.0, 5.0])
@pytest.mark.parametrize("bias", [False, True])
def test_focal_loss_with_decay_is_the_minimum_in_every_name(gamma: float, bias: bool) -> None:
    prediction = predict("weight_decay", classes=3, per_class=2, loss="focal", focal_gamma=gamma, bias=bias, **DECAY)
    solution = best(lambda seed: minimise_decay([2] * 3, 3, loss=focal(gamma), bias=bias, seed=seed, **DECAY), 4)
    measured = measure(solution)
    assert solution.objective == pytest.approx(prediction.values["objective"], abs=1e-13)
    for name, value in prediction.values.items():
        assert measured[name] == pytest.approx(value, abs=2e-6), name


@quick
@given(st.integers(2, 50), st.integers(1, 100), st.floats(1e-8, 1.0))
def test_focal_loss_without_gamma_is_cross_entropy(classes: int, per_class: int, decay: float) -> None:
    problem = {"classes": classes, "per_class": per_class, "head_decay": decay, "feature_decay": decay}
    plain = predict("weight_decay", **problem).values
    values = predict("weight_decay", **problem, loss="focal", focal_gamma=0).values
    assert values["objective"] == pytest.approx(plain["objective"], rel=1e-12)
    assert values["margin"] == pytest.approx(plain["margin"], rel=1e-8, abs=1e-7)


def test_where_decay_wins_over_the_focal_loss() -> None:
    """From both sides, against the minimum itself: descent finds no state in which some classes alone are alive."""
    problem = {"classes": 3, "per_class": 1, "loss": "focal", "focal_gamma": 5.0}
    low, high = 1e-3, 1.0
    for _ in range(50):
        middle = math.sqrt(low * high)
        margin = predict("weight_decay", **problem, head_decay=middle, feature_decay=middle).values["margin"]
        low, high = (middle, high) if margin > 0 else (low, middle)
    for decay in (low * 0.99, high * 1.01):
        values = predict("weight_decay", **problem, head_decay=decay, feature_decay=decay).values
        assert (values["margin"] > 0) == (decay < low)
        solve = partial(minimise_decay, [1] * 3, 3, decay, decay, loss=focal(5.0))
        found = best(lambda seed, solve=solve: solve(seed=seed), 12)  # type: ignore[misc]
        assert found.objective == pytest.approx(values["objective"], abs=1e-11)
    assert "non-negative" in predict("weight_decay", **problem, **DECAY, nonnegative=True).reason
    assert "smoothing" in predict("weight_decay", **problem, **DECAY, label_smoothing=0.1).reason


MSE: list[dict[str, Any]] = [
    {"counts": (3, 2, 1)},
    {"counts": (4, 4)},
    {"counts": (5, 2, 1), "bias": "free"},
    {"counts": (2, 2, 2), "bias": "free"},
    {"counts": (2, 2, 2), "bias": 0.01},
    {"counts": (2, 2, 2), "bias": 1.0},
    {"counts": (1, 1, 1, 1), "bias": 100.0},
    {"counts": (12, 4, 1)},
]


@pytest.mark.parametrize("problem", MSE, ids=str)
@pytest.mark.parametrize("decay", [DECAY, {"head_decay": 0.1, "feature_decay": 0.04}], ids=["weak", "strong"])
def test_squared_error_with_decay_is_the_minimum_in_every_name(
    problem: dict[str, Any], decay: dict[str, float]
) -> None:
    values = dict(predict("weight_decay_mse", **problem, **decay).values)
    bias, counts = problem.get("bias"), problem["counts"]
    options = {"bias": bias is not None, "bias_decay": bias if isinstance(bias, float) else 0.0}
    solution = best(
        lambda seed: minimise_decay(counts, len(counts), loss=squared_error, seed=seed, **options, **decay), starts=4
    )
    assert solution.objective == pytest.approx(values["objective"], abs=1e-12)
    measured = measure(solution)
    means = np.stack([solution.features[solution.labels == c].mean(0) for c in range(len(counts))])
    assert np.linalg.norm(solution.weight, axis=1) == pytest.approx(values["head_row_norms"], abs=2e-5)
    assert np.linalg.norm(means, axis=1) == pytest.approx(values["feature_norms"], abs=2e-5)
    for name in ("risk", "risk_balanced"):
        assert measured[name] == pytest.approx(values[name], abs=1e-7), name
    if "cosine" in values:
        assert cosines(means) == pytest.approx(values["cosine"], abs=1e-4)
    elif min(values["feature_norms"]) > 1e-3:
        assert np.ptp(cosines(means)) > 1e-4


@quick
@given(st.integers(2, 20), st.integers(1, 50), st.floats(1e-6, 0.3), st.floats(1e-6, 0.3))
def test_squared_error_with_equal_counts_is_the_balanced_formula(
    classes: int, per_class: int, head_decay: float, feature_decay: float
) -> None:
    decay = {"head_decay": head_decay, "feature_decay": feature_decay}
    for bias, balanced in ((None, False), ("free", True)):
        values = predict("weight_decay_mse", counts=(per_class,) * classes, bias=bias, **decay).values
        plain = predict("weight_decay", classes=classes, per_class=per_class, loss="mse", bias=balanced, **decay).values
        assert values["objective"] == pytest.approx(plain["objective"], rel=1e-10)
        assert values["risk"] == pytest.approx(plain["risk"], rel=1e-9)
        assert values["head_row_norms"] == pytest.approx((plain["head_row_norm"],) * classes, rel=1e-6, abs=1e-6)
        assert values["feature_norms"] == pytest.approx((plain["feature_norm"],) * classes, rel=1e-6, abs=1e-6)


@quick
@given(st.integers(2, 20), st.integers(1, 50), st.floats(0.01, 0.95), st.floats(1e-3, 1e3))
def test_the_decay_of_the_bias_leads_from_the_simplex_to_the_frame(
    classes: int, per_class: int, q: float, factor: float
) -> None:
    """The simplex up to lb = q/(1-q), where the free bias differs by its value alone; the frame at lb = infinity."""
    decay = {"head_decay": q**2 / classes**2 / per_class, "feature_decay": 1.0}
    counts, boundary = (per_class,) * classes, q / (1 - q)
    at = predict("weight_decay_mse", counts=counts, bias=factor * boundary, **decay).values
    root = math.sqrt(per_class)
    kept, along = root * (1 - q), max(root * (1 - q * (1 + factor * boundary) / (factor * boundary)), 0.0)
    assert at["cosine"] == pytest.approx((along - kept) / (along + (classes - 1) * kept), abs=1e-9)
    assert (at["cosine"] <= -1 / (classes - 1) + 1e-12) or factor > 1
    free = predict("weight_decay_mse", counts=counts, bias="free", **decay).values
    barely = predict("weight_decay_mse", counts=counts, bias=boundary * 1e-9, **decay).values
    assert barely["objective"] == pytest.approx(free["objective"], rel=1e-6)
    none = predict("weight_decay_mse", counts=counts, **decay).values
    fully = predict("weight_decay_mse", counts=counts, bias=1e9, **decay).values
    assert fully["objective"] == pytest.approx(none["objective"], rel=1e-6)
    assert fully["cosine"] == pytest.approx(0.0, abs=1e-6)
    assert free["objective"] <= at["objective"] * (1 + 1e-9) <= none["objective"] * (1 + 2e-9)


@quick
@given(st.lists(st.integers(1, 1000), min_size=2, max_size=8), st.floats(1e-6, 0.05))
def test_a_class_is_dead_exactly_up_to_its_threshold(counts: list[int], decay: float) -> None:
    values = predict("weight_decay_mse", counts=counts, head_decay=decay, feature_decay=decay).values
    threshold = sum(counts) ** 2 * decay**2
    for count, norm in zip(counts, values["feature_norms"], strict=True):
        if not math.isclose(count, threshold, rel_tol=1e-9):
            assert (norm == 0) == (count < threshold)


@pytest.mark.parametrize(
    ("problem", "word"),
    [
        ({"counts": (2, 1), "bias": 0.1}, "equal ones"),
        ({"counts": (2, 1, 1), "width": 2}, "width 2"),
        ({"counts": (2, 1, 1), "width": 1, "bias": "free"}, "width 1"),
        ({"counts": (2, 1), "class_weights": (1, 2)}, "weights"),
    ],
)
def test_squared_error_says_why_it_does_not_apply(problem: dict[str, Any], word: str) -> None:
    prediction = predict("weight_decay_mse", **problem, **DECAY)
    assert not prediction.applies and word in prediction.reason
    assert predict("weight_decay_mse", counts=(2, 1, 1), width=2, bias="free", **DECAY).applies
