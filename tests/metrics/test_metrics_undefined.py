"""Undefined is NaN with a reason: never an exception, never a number."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from accounted import (
    BUDGET,
    DECISIONS,
    FEATURES_ALONE,
    NORMS,
    WEIGHT_ALONE,
    assert_accounted,
    defined,
    measured,
    with_worst,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from metric_problems import Problem, small_problem

from nc_bench import collapse_metrics
from nc_bench.metrics import METRIC_NAMES

SPECIAL = [0.0, 1.0, -1.0, 1e-3, 1e30, 1e-30, 1e60, 1e-60, 1e100, 1e-100, 1e200, -1e200, 1e-200, 1e308, 5e-324]
SPECIAL += [math.nan, math.inf, -math.inf]
benign = st.sampled_from([0.0, 1.0, 1.0, -1.0, 2.0, 0.5, 3.0])
dangerous = benign | st.sampled_from(SPECIAL) | st.floats(-1e3, 1e3)


@settings(max_examples=200, deadline=None)
@given(st.data(), st.integers(1, 4), st.integers(1, 4), st.integers(1, 6))
def test_every_nan_has_a_reason_every_reason_a_nan_and_nothing_raises(
    data: st.DataObject, classes: int, width: int, samples: int
) -> None:
    """Few samples of few values: empty and merged classes, zeros, equal rows, overflow and NaN in all combinations."""
    elements = st.sampled_from([benign, dangerous])
    features = data.draw(arrays.arrays(np.float64, (samples, width), elements=data.draw(elements)))
    weight = data.draw(arrays.arrays(np.float64, (classes, width), elements=data.draw(elements)))
    bias = data.draw(st.none() | arrays.arrays(np.float64, classes, elements=data.draw(elements)))
    labels = data.draw(arrays.arrays(np.int64, samples, elements=st.integers(0, classes - 1)))
    narrow = data.draw(st.sampled_from([torch.float64, torch.float32, torch.float16]))
    rounded = torch.as_tensor(features).to(narrow)
    for metrics in (collapse_metrics(rounded, labels, weight, bias), collapse_metrics(rounded, labels)):
        assert_accounted(metrics)
        assert_possible(metrics)


def assert_possible(metrics: Mapping[str, float]) -> None:
    """What a defined value cannot be, whatever was measured."""
    found = {name: value for name, value in metrics.items() if not math.isnan(value)}
    shares = {"accuracy", "ncc_accuracy", "nc4_mismatch"}
    signed = {
        "simplex_efficiency",
        "output_efficiency",
        "margin",
        "risk_gap",
        "output_collapse",
        "output_collapse_worst",
        "jensen_gap",
        "gnc2_log_kernel",
    }
    signed |= {name for name in METRIC_NAMES if name.startswith(("gap_", "efficiency_"))}
    assert all(value >= 0 for name, value in found.items() if name not in signed)
    efficiencies = [value for name, value in found.items() if name.startswith("efficiency_")]
    assert all(value <= 1 + 1e-6 for value in efficiencies)
    assert found.get("output_efficiency", 0) <= 1 + 1e-12
    assert all(found[name] <= 1 for name in shares & set(found))
    assert found.get("nc3_duality", 0) <= 2 + 1e-12 and found.get("nc3_alignment", 0) <= 2 + 1e-12
    assert found.get("centre_offset", 0) <= 1 + 1e-12


@pytest.mark.parametrize("values", [[math.nan], [math.inf], [-math.inf], [math.inf, -math.inf], [1.7e308, 1.7e308]])
def test_a_feature_that_is_no_number_or_a_sum_that_is_none_leaves_the_weight_only(values: list[float]) -> None:
    trial = small_problem()
    trial.features[np.flatnonzero(trial.labels == 1)[: len(values)], 2] = values
    metrics = measured(trial)
    assert defined(metrics) == WEIGHT_ALONE
    assert set(metrics.reasons.values()) == {
        "the features hold NaN or infinity, their sum is infinite, or all class means are below 1e-70 of the largest "
        "feature"
    }


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_weight_that_is_no_number_leaves_the_features_only(value: float) -> None:
    trial = small_problem()
    trial.weight[1, 2] = value
    metrics = measured(trial)
    assert defined(metrics) == FEATURES_ALONE
    assert set(metrics.reasons.values()) == {"the weight or bias holds NaN or infinity"}


def test_one_huge_feature_merges_the_classes_that_it_dwarfs() -> None:
    trial = small_problem()
    trial.features[3, 2] = 1e200
    metrics = measured(trial)
    assert metrics.reasons["nc1_cdnv"] == "classes 0, 1 and 2 sharing a mean"
    assert metrics["feature_radius"] == pytest.approx(math.sqrt(0.9**2 + 3 * 0.05**2) * 1e200, rel=0.1)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_bias_that_is_no_number_leaves_the_features_only(value: float) -> None:
    trial = small_problem()
    assert trial.bias is not None
    trial.bias[0] = value
    assert defined(measured(trial)) == FEATURES_ALONE


def test_features_that_a_bias_hides_completely() -> None:
    trial = small_problem()
    metrics = measured(trial.changed(features=1e-200 * trial.features, weight=1e-200 * trial.weight))
    reason = "the features times the weight are too small next to the bias"
    assert metrics.reasons == dict.fromkeys(["simplex_efficiency", "efficiency_within", "efficiency_pairs"], reason)


def test_a_value_beyond_float64_is_nan_with_a_reason() -> None:
    trial = small_problem()
    assert trial.bias is not None
    trial.bias[:] = [1.7e308, -1.7e308, 0, 0]
    metrics = measured(trial)
    assert metrics.reasons["risk"] == "the value is beyond the range of float64"
    assert defined(metrics) >= FEATURES_ALONE


def test_an_empty_class() -> None:
    trial = small_problem()
    present = trial.labels != 1
    metrics = measured(trial.changed(features=trial.features[present], labels=trial.labels[present]))
    assert defined(metrics) == WEIGHT_ALONE | {
        "risk",
        "accuracy",
        "output_efficiency",
        "feature_norm",
        "feature_norm_std",
    }
    assert set(metrics.reasons.values()) == {"class 1 without samples"}


def test_many_empty_classes_are_counted() -> None:
    trial = small_problem()
    metrics = collapse_metrics(trial.features, trial.labels, classes=30)
    assert set(metrics.reasons.values()) == {"classes 4, 5, 6 and 23 more without samples"}
    assert "classes 4 and 5 without" in collapse_metrics(trial.features, trial.labels, classes=6).reasons["nc2_etf"]


def test_one_class_only() -> None:
    trial = small_problem(classes=1)
    metrics = measured(trial)
    assert defined(metrics) == (DECISIONS - {"margin"} | NORMS | {"centre_offset", "feature_norm", "feature_norm_std"})
    assert set(metrics.reasons.values()) == {"there is only one class"}
    assert (metrics["accuracy"], metrics["risk"], metrics["risk_gap"]) == (1, 0, 0)


@pytest.mark.parametrize("with_head", [True, False])
def test_one_sample_only(with_head: bool) -> None:
    trial = small_problem(classes=1, each=1)
    metrics = measured(trial) if with_head else collapse_metrics(trial.features, trial.labels)
    assert metrics["ncc_accuracy"] == 1 and metrics["centre_offset"] == pytest.approx(1, rel=1e-15)
    assert {name for name in metrics if name.startswith(("nc1", "nc2"))} <= set(metrics.reasons)


def test_one_sample_in_each_class_has_no_scatter() -> None:
    metrics = measured(small_problem(each=1))
    assert [metrics[name] for name in METRIC_NAMES if name.startswith("nc1")] == [0] * 7
    assert metrics["output_collapse"] == 0 and metrics.reasons == {}


def test_features_that_are_all_zero() -> None:
    trial = small_problem()
    metrics = measured(trial.changed(features=np.zeros_like(trial.features)))
    assert defined(metrics) == WEIGHT_ALONE | DECISIONS | {"output_efficiency", "feature_radius", "feature_norm"}
    assert metrics.reasons["feature_norm_std"] == "all features are zero"
    assert metrics.reasons["centre_offset"] == "all class means are at the origin"
    assert metrics.reasons["nc1_quotient"] == "all class means coincide"
    assert metrics.reasons["simplex_efficiency"] == "feature_radius times head_opnorm is zero"
    assert metrics.reasons["output_collapse"] == "all classes have the same mean output"
    assert metrics["feature_radius"] == 0


@pytest.mark.parametrize("offset", [0.1, 1.0, 1e5])
def test_features_that_are_all_equal_differ_by_rounding_only(offset: float) -> None:
    trial = small_problem()
    metrics = measured(trial.changed(features=np.full_like(trial.features, offset)))
    lengths = {"output_efficiency", "feature_radius", "centre_offset", "feature_norm", "feature_norm_std"}
    assert defined(metrics) == WEIGHT_ALONE | DECISIONS | lengths
    assert metrics["centre_offset"] == pytest.approx(1, rel=1e-12)
    assert metrics.reasons["isometry_defect"] == "the class means span 0 dimensions, not 3"


@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_merged_classes(offset: float) -> None:
    """Classes 1 and 2 share their mean: pairs and the span are undefined, the rest is not."""
    trial = small_problem()
    features = trial.features + offset
    features[trial.labels == 2] = features[trial.labels == 1]
    metrics = measured(trial.changed(features=features))
    assert {name: why for name, why in metrics.reasons.items() if name not in BUDGET} == {
        **dict.fromkeys([*with_worst("nc1_cdnv"), "nc1_cdnv_directional"], "classes 1 and 2 sharing a mean"),
        **dict.fromkeys(
            ["gnc2_log_kernel", "gnc2_log_kernel_std"], "classes 1 and 2 with their means in one direction"
        ),
        "isometry_defect": "the class means span 2 dimensions, not 3",
    }


def test_a_class_at_the_mean_of_the_class_means() -> None:
    vertices = np.array([[1.0, 0.0], [-0.5, 0.75], [-0.5, -0.75], [0.0, 0.0]])
    labels = np.arange(12) % 4
    trial = Problem(features=vertices[labels], labels=labels, weight=np.eye(4, 2) + 1, bias=None)
    metrics = measured(trial)
    angles = with_worst("nc2_equiangular", "nc3_alignment", "nc3_alignment_centred")
    angles |= {"gnc2_log_kernel", "gnc2_log_kernel_std", "gnc3_similarity_std"}
    assert {metrics.reasons[name] for name in angles} == {"class 3 with its mean at the mean of the class means"}
    assert set(metrics.reasons) - BUDGET == angles | {"isometry_defect"}
