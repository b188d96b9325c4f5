"""At the paper's minimiser, and the law that holds everywhere else: risk_balanced >= risk_floor."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings, target
from hypothesis import strategies as st
from metric_problems import Problem, collapsed, problems, rotation, simplex

from nc_bench import collapse_metrics
from nc_bench.metrics import METRIC_NAMES

ZERO = [name for name in METRIC_NAMES if name.startswith(("nc0", "nc1", "nc2", "nc3", "nc4"))]
ZERO += ["centre_offset", "output_collapse", "isometry_defect", "risk_gap", "jensen_gap", "gnc2_log_kernel_std"]
ZERO += ["output_collapse_worst", "bias_offset", "bias_offset_centred", "gnc3_similarity_std", "feature_norm_std"]
ZERO += [name for name in METRIC_NAMES if name.startswith("gap_")]
ONE = ["simplex_efficiency", "output_efficiency", "accuracy", "ncc_accuracy"]
ONE += [name for name in METRIC_NAMES if name.startswith("efficiency_")]
UNCENTRED = {"nc2_equinorm_w", "nc2_equiangular_w", "nc3_duality", "nc3_alignment", "nc0_row_sum"}
UNCENTRED |= {"nc2_etf_w", "nc3_etf", "bias_offset", "gnc3_similarity_std"}
SIZES = [(2, 1), (2, 5), (3, 2), (3, 8), (10, 9), (10, 10), (10, 40)]
EXPONENTS = [1e-3, 1.0, 18.0, 40.0, 300.0, 800.0, 5000.0]


def minimiser(classes: int, width: int, exponent: float, seed: int = 0) -> Problem:
    """Corollary 4.2's configuration with z_y - z_j = `exponent`: a simplex of radius R, and W an isometry on it."""
    vertices = simplex(classes, width, np.random.default_rng(seed))
    share = math.sqrt((classes - 1) / classes)
    return collapsed(exponent * share * vertices, share * vertices)


@pytest.mark.parametrize(("classes", "width"), SIZES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_simplex_scores_zero(classes: int, width: int, dtype: type) -> None:
    problem = minimiser(classes, width, exponent=6.0)
    metrics = collapse_metrics(problem.features.astype(dtype), *problem.arguments()[1:])
    rounding = 1e-13 if dtype is np.float64 else 1e-6
    assert metrics.reasons == {}
    assert {name: metrics[name] for name in ZERO if not abs(metrics[name]) < rounding} == {}
    assert {name: metrics[name] for name in ONE if not abs(metrics[name] - 1) < rounding} == {}
    assert metrics["head_opnorm"] == pytest.approx(1, rel=1e-12)
    assert metrics["feature_radius"] == pytest.approx(6 * math.sqrt((classes - 1) / classes), rel=rounding)
    assert metrics["risk"] == pytest.approx(math.log1p((classes - 1) * math.exp(-6)), rel=10 * rounding)
    assert metrics["risk_balanced"] == pytest.approx(metrics["risk_floor"], rel=10 * rounding)


@pytest.mark.parametrize(("classes", "width"), SIZES)
def test_what_softmax_does_not_see_moves_only_the_uncentred_head_metrics(classes: int, width: int) -> None:
    problem = minimiser(classes, width, exponent=6.0)
    shifted = problem.changed(weight=problem.weight + 2.0, bias=np.full(classes, 7.0))
    metrics = collapse_metrics(*shifted.arguments())
    assert {name: metrics[name] for name in ZERO if name not in UNCENTRED and not abs(metrics[name]) < 1e-13} == {}
    assert {name: metrics[name] for name in ONE if not abs(metrics[name] - 1) < 1e-13} == {}
    assert all(metrics[name] > 1e-3 for name in UNCENTRED - {"nc3_etf", "gnc3_similarity_std"})


@pytest.mark.parametrize(("classes", "width"), [(2, 2), (3, 5), (10, 10)])
def test_a_simplex_away_from_the_origin_is_a_simplex(classes: int, width: int) -> None:
    """An orthogonal frame: what non-negative features reach. Its centred radius makes the floor tight."""
    turn = rotation(width, np.random.default_rng(2))
    metrics = collapse_metrics(*collapsed(5 * turn[:classes], turn[:classes]).arguments())
    away = {"centre_offset", "bias_offset_centred", *UNCENTRED}
    assert {name: metrics[name] for name in ZERO if name not in away and not abs(metrics[name]) < 1e-13} == {}
    assert {name: metrics[name] for name in ONE if not abs(metrics[name] - 1) < 1e-13} == {}
    assert metrics["centre_offset"] == pytest.approx(1 / math.sqrt(classes), rel=1e-12)
    assert metrics["risk"] == pytest.approx(math.log1p((classes - 1) * math.exp(-5)), rel=1e-12)


@pytest.mark.parametrize("exponent", EXPONENTS)
@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_efficiency_is_one_at_every_depth_of_collapse(classes: int, exponent: float, dtype: type) -> None:
    problem = minimiser(classes, classes + 3, exponent)
    metrics = collapse_metrics(problem.features.astype(dtype), *problem.arguments()[1:])
    unit = float(np.finfo(dtype).eps)
    # Near log K the exponent is a small difference of logarithms.
    assert abs(metrics["simplex_efficiency"] - 1) < 20 * unit + 1e-15 / exponent
    assert abs(metrics["risk_gap"]) <= 20 * unit * (1 + exponent) * metrics["risk_floor"]
    floor = math.log1p((classes - 1) * math.exp(-exponent))
    assert metrics["risk_floor"] == pytest.approx(floor, rel=20 * unit * (1 + exponent))


@pytest.mark.parametrize("exponent", [1.0, 18.0, 40.0, 800.0])
@pytest.mark.parametrize("size", [1e-1, 1e-3, 1e-6, 1e-9])
def test_no_perturbation_of_the_minimiser_breaks_the_law(exponent: float, size: float) -> None:
    random = np.random.default_rng(3)
    ideal = minimiser(5, 7, exponent)
    for _ in range(10):
        problem = ideal.changed(
            features=ideal.features + size * exponent * random.standard_normal(ideal.features.shape),
            weight=ideal.weight + size * random.standard_normal(ideal.weight.shape),
            bias=size * exponent * random.standard_normal(5),
        )
        assert_law(problem)


@settings(max_examples=60, deadline=None)
@given(
    problems(),
    st.floats(0, 1),
    st.sampled_from([0.1, 1.0, 18.0, 40.0, 800.0]),
    st.sampled_from([np.float64, np.float32]),
)
def test_the_law_holds_between_noise_and_the_minimiser(
    problem: Problem, share: float, exponent: float, dtype: type
) -> None:
    """Hypothesis looks for the highest efficiency on the way from a random problem to a simplex."""
    classes, width = problem.weight.shape
    vertices = simplex(classes, max(width, classes - 1), np.random.default_rng(4))[:, :width]
    features = (1 - share) * problem.features + share * exponent * vertices[problem.labels]
    mixed = problem.changed(features=features.astype(dtype), weight=(1 - share) * problem.weight + share * vertices)
    target(assert_law(mixed))


def assert_law(problem: Problem) -> float:
    """risk_gap >= 0, and an efficiency of sqrt(min(d, K-1)/(K-1)) at most; both up to the rounding of a logit."""
    metrics = collapse_metrics(*problem.arguments())
    classes, width = problem.weight.shape
    budget = metrics["feature_radius"] * metrics["head_opnorm"]
    largest = np.abs(problem.features.astype(np.float64) @ problem.weight.T).max()
    largest += 0 if problem.bias is None else np.abs(problem.bias).max()
    unit = np.finfo(problem.features.dtype).eps
    assert metrics["risk_gap"] >= -8 * unit * (1 + largest) * metrics["risk_balanced"] - 1e-15
    cap = math.sqrt(min(width, classes - 1) / (classes - 1))
    assert metrics["simplex_efficiency"] <= cap * (1 + 8 * unit) + 8 * np.finfo(np.float64).eps * (1 + largest) / budget
    return metrics["simplex_efficiency"]
