"""At scales from 1e-300 to 1e300 of features, weight and bias: the right number, or NaN with a reason."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from metric_problems import Problem, class_means, simplex, small_problem
from mpmath import mp
from mpmath_reference import exact_metrics
from numpy.typing import NDArray

from nc_bench import collapse_metrics
from nc_bench.metrics import CollapseMetrics

SCALES = [10.0**power for power in (-300, -250, -160, -100, -30, -16, -8, -3, 0, 3, 8, 16, 30, 100, 160, 250, 300)]

SUBNORMAL = 1e-312
"""Below, float64 has fewer than 9 digits."""


@st.composite
def well_posed(draw: st.DrawFn) -> Problem:
    """Few samples of few classes, none near to another or to what makes a metric ill-conditioned."""
    classes, width = draw(st.integers(2, 4)), draw(st.integers(1, 4))
    random = np.random.default_rng(draw(st.integers(0, 10**6)))
    labels = np.concatenate([np.arange(classes), random.integers(0, classes, 3)])
    means = 2.0 * np.arange(classes)[:, None] ** random.permuted([1, 2, 1, 2])[:width] + random.uniform(
        size=(classes, width)
    )
    features = means[labels] + draw(st.sampled_from([0.3, 1e-3])) * random.standard_normal((len(labels), width))
    weight = random.standard_normal((classes, width)) + draw(st.sampled_from([0.0, 1.0])) * (means - means.mean(0))
    return Problem(features=features, labels=labels, weight=weight, bias=None)


def wrong(metrics: CollapseMetrics, problem: Problem) -> dict[str, tuple[float, float]]:
    """Metrics that are numbers, and not the right ones to 1e-9.

    Shares and angles may be rounding, to 1e-12, and parts of the risk that are 0, to 1e-12 of the
    norms and of what the bias alone adds to the risk, of second order in it, or of the risk.
    """
    expected = exact_metrics(*problem.arguments())
    offset = 0 if problem.bias is None else max(abs(mp.mpf(float(b))) for b in problem.bias)
    size = min(max(expected["feature_radius"] * expected["head_opnorm"], offset**2), 1 + expected["risk_balanced"])
    found = {}
    for name, value in metrics.items():
        if not math.isnan(value):
            rounding = 1e-12 * size if name.startswith(("gap", "jensen")) else 1e-11
            rounding = SUBNORMAL if name in WITH_UNITS else rounding + SUBNORMAL
            if abs(mp.mpf(value) - expected[name]) > 1e-9 * abs(expected[name]) + rounding:
                found[name] = (value, float(expected[name]))
    return found


WITH_UNITS = {"feature_radius", "head_opnorm", "nc0_row_sum", "risk_gap", "simplex_efficiency", "risk", "risk_balanced"}
WITH_UNITS |= {"risk_floor", "risk_of_means", "bias_offset", "bias_offset_centred", "feature_norm"}


@settings(max_examples=60, deadline=None)
@example(small_problem(3), 1e-300, 1e-300, 1e-16)
@example(small_problem(3, classes=2, width=1, each=2), 1e-100, 1e-100, 1e250)
@given(well_posed(), st.sampled_from(SCALES), st.sampled_from(SCALES), st.sampled_from([0.0, *SCALES]))
def test_numbers_at_any_scale_are_right(problem: Problem, features: float, weight: float, bias: float) -> None:
    random = np.random.default_rng(5)
    biases = bias * random.standard_normal(problem.classes) if bias else None
    scaled = problem.changed(features=features * problem.features, weight=weight * problem.weight, bias=biases)
    metrics = collapse_metrics(*scaled.arguments())
    assert all(math.isfinite(value) or metrics.reasons[name] for name, value in metrics.items())
    assert wrong(metrics, scaled) == {}


@pytest.mark.parametrize("features", SCALES)
def test_without_a_bias_there_is_a_number_wherever_float64_holds_the_outputs(features: float) -> None:
    trial = small_problem()
    rows = class_means(trial)
    for weight in SCALES:
        scaled = trial.changed(features=features * trial.features, weight=weight * rows, bias=None)
        metrics = collapse_metrics(*scaled.arguments())
        assert metrics.reasons == {} or features * weight > 1e300
        assert set(metrics.reasons.values()) <= {"the value is beyond the range of float64"}


@pytest.mark.parametrize("features", SCALES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_no_scale_makes_a_share_larger_than_it_is(features: float, dtype: type) -> None:
    """Near log K the margin is far below the rounding of the risk: a simplex uses all, with two means exchanged 1/3."""
    if dtype is np.float32 and not 1e-30 <= features <= 1e30:
        return
    for weight in SCALES:
        check_share(features, weight, dtype)


def check_share(features: float, weight: float, dtype: type) -> None:
    vertices = simplex(4, 6, np.random.default_rng(0))
    labels = np.arange(12) % 4
    for order, share in ((np.arange(4), 1.0), (np.array([1, 0, 2, 3]), 1 / 3)):
        rows: NDArray[Any] = (features * vertices[labels]).astype(dtype)
        metrics = collapse_metrics(rows, labels, weight * vertices[order])
        budget = features * weight
        if budget < 1e-3 or (share == 1.0 and budget < 1e300):
            rounding = 1e-12 if dtype is np.float64 else 1e-6
            curved = 10 * budget if share < 1 else 0
            assert metrics["simplex_efficiency"] == pytest.approx(share, rel=rounding + curved)
            assert metrics["risk_gap"] >= -rounding * budget - SUBNORMAL
