"""The collapse budget: six efficiencies whose product is simplex_efficiency, six gaps whose sum is risk_gap."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_problems import Problem, problems, small_problem

from nc_bench import collapse_metrics
from nc_bench.metrics.names import BUDGET_PARTS

some = settings(max_examples=60, deadline=None)


def logit_rounding(problem: Problem) -> float:
    """By how much rounding may move a logit, and so a risk."""
    features = problem.features.astype(np.float64)
    largest = np.abs(features).max() * np.abs(problem.weight).sum(1).max()
    largest += 0 if problem.bias is None else np.abs(problem.bias).max()
    return float(8 * np.finfo(problem.features.dtype).eps * (1 + largest))


@some
@given(problems(), st.sampled_from([np.float64, np.float32]), st.sampled_from([1e-12, 1e-6, 1e-3, 1.0]))
def test_product_and_sum_are_exact_and_every_part_is_a_law(problem: Problem, dtype: type, scale: float) -> None:
    problem = problem.changed(features=(scale * problem.features).astype(dtype))
    metrics = collapse_metrics(*problem.arguments())
    rounding = logit_rounding(problem)
    gaps = [metrics[f"gap_{part}"] for part in BUDGET_PARTS]
    assert metrics["gap_within"] == metrics["jensen_gap"]
    assert sum(gaps) == pytest.approx(metrics["risk_gap"], rel=1e-12, abs=rounding)
    assert all(gap >= -rounding for gap in gaps)
    shares = [metrics[f"efficiency_{part}"] for part in BUDGET_PARTS]
    margin = metrics["feature_radius"] * metrics["head_opnorm"]
    if not any(map(math.isnan, shares)):
        slack = rounding / (margin * math.prod(shares[2:]))
        assert all(share <= 1 + 1e-6 + slack for share in shares)
        assert math.prod(shares) == pytest.approx(metrics["simplex_efficiency"], rel=1e-12)
    classes, width = problem.weight.shape
    assert metrics["efficiency_simplex"] <= math.sqrt(min(width, classes - 1) / (classes - 1)) * (1 + 1e-12)


@pytest.mark.parametrize("part", BUDGET_PARTS)
def test_every_part_says_what_it_is_about(part: str) -> None:
    """At a simplex with an isometric head nothing is lost; one thing spoilt costs there, and nowhere before it."""
    problem = spoilt(part)
    metrics = collapse_metrics(*problem.arguments())
    costs = {name for name in BUDGET_PARTS if metrics[f"efficiency_{name}"] < 1 - 1e-9}
    assert costs == {name for name in BUDGET_PARTS if metrics[f"gap_{name}"] > 1e-10}
    assert part in costs and costs <= {part} | COMES_WITH.get(part, set())


COMES_WITH = {
    "within": {"norm"},
    "norm": {"within"},
    "pairs": {"alignment", "isometry"},
    "simplex": {"norm", "pairs", "isometry"},
}
COMES_WITH |= {"alignment": {"pairs", "isometry"}, "isometry": {"pairs"}}


def spoilt(part: str) -> Problem:
    frame = np.eye(4) - 0.25
    labels = np.arange(24) % 4
    features, weight, bias = 2 * frame[labels], frame.copy(), None
    if part == "within":
        spread = 0.2 * np.random.default_rng(0).standard_normal((12, 4))
        features = features + np.concatenate([spread, -spread])
    elif part == "pairs":
        bias = np.array([1.0, 0.0, 0.0, 0.0])
    elif part == "alignment":
        uneven = 0.3 * np.random.default_rng(1).standard_normal((4, 4))
        weight = frame @ (np.eye(4) + uneven - uneven.T) @ frame
    elif part == "isometry":
        weight = frame @ np.diag([1.0, 1.0, 1.0, 2.0]) @ frame
    elif part == "simplex":
        features = features @ np.diag([1.0, 1.0, 1.0, 0.5]) @ frame
    else:
        features[0], features[4] = 1.5 * features[0], 0.5 * features[4]
    return Problem(features=features, labels=labels, weight=weight, bias=bias)


def test_the_direction_of_spread_decides_between_the_two_cdnv() -> None:
    """Spread orthogonal to all differences of means costs `nc1_cdnv` and not the directional one."""
    trial = small_problem()
    features = np.concatenate([trial.features, np.random.default_rng(2).standard_normal((20, 1))], 1)
    means = np.array([features[trial.labels == c].mean(0) for c in range(4)])
    features[:, :-1], features[:, -1] = means[trial.labels, :-1], features[:, -1] - means[trial.labels, -1]
    metrics = collapse_metrics(features, trial.labels)
    assert metrics["nc1_cdnv"] > 0.01 and metrics["nc1_cdnv_directional"] < 1e-25


def test_lengths_that_are_equal_have_no_deviation_however_far_their_means_are_inside() -> None:
    angles = np.random.default_rng(3).uniform(0, 2 * np.pi, 3000)
    features = 7 * np.stack([np.cos(angles), np.sin(angles)], 1)
    metrics = collapse_metrics(features, np.arange(3000) % 3)
    assert metrics["feature_norm"] == pytest.approx(7, rel=1e-14) and metrics["feature_norm_std"] < 1e-14
