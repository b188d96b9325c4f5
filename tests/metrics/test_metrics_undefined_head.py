"""Weights of zeros, of equal rows and without a part in the class means: NaN, each with its reason."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from accounted import BUDGET, DECISIONS, FEATURES_ALONE, assert_accounted, defined, measured, with_worst
from metric_problems import small_problem
from numpy.typing import NDArray

from nc_bench.metrics import METRIC_NAMES, Head, measure_features


def test_a_weight_of_zeros() -> None:
    trial = small_problem()
    metrics = measured(trial.changed(weight=np.zeros_like(trial.weight)))
    zero = {"nc0_row_sum", "head_opnorm"}
    assert defined(metrics) == FEATURES_ALONE | DECISIONS | zero | {"output_efficiency"}
    assert {metrics[name] for name in zero} == {0}
    assert metrics.reasons["nc3_duality"] == "the weight is zero"
    assert metrics["risk_floor"] == pytest.approx(math.log(4), rel=1e-15)
    without = measured(trial.changed(weight=np.zeros_like(trial.weight), bias=None))
    assert without.reasons["output_efficiency"] == "the entries of every output are equal"


@pytest.mark.parametrize("offset", [0.0, 1e3])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_weight_of_equal_rows_sees_no_classes(offset: float, dtype: type) -> None:
    trial = small_problem()
    row = np.random.default_rng(1).standard_normal(6) / 3
    features: NDArray[Any] = (trial.features + offset).astype(dtype)
    metrics = measured(trial.changed(features=features, weight=np.tile(row, (4, 1))))
    centred = {name for name in METRIC_NAMES if name.endswith(("w_centred", "duality_centred", "alignment_centred"))}
    undefined = with_worst(*centred, "nc3_etf_centred", "isometry_defect", "output_collapse", "simplex_efficiency")
    assert set(metrics.reasons) == undefined | BUDGET
    assert metrics.reasons["nc3_duality_centred"] == "all rows of the weight are equal"
    assert metrics["head_opnorm"] < 1e-14
    assert metrics["risk_balanced"] >= math.log(4)


def test_one_row_of_the_weight_zero_or_at_the_mean_row() -> None:
    trial = small_problem()
    weight = trial.weight.copy()
    weight[2] = 0
    metrics = measured(trial.changed(weight=weight))
    names = ["nc2_equiangular_w", "nc3_alignment", "gnc3_similarity_std"]
    assert metrics.reasons == dict.fromkeys(names, "class 2 with a zero weight row")
    weight[2] = weight[[0, 1, 3]].mean(0)
    metrics = measured(trial.changed(weight=weight))
    worst = with_worst("nc2_equiangular_w_centred", "nc3_alignment_centred")
    assert metrics.reasons == dict.fromkeys(worst, "class 2 whose weight row is the mean row")


def test_a_weight_that_does_not_act_on_the_class_means() -> None:
    """Means in the first three dimensions, weight on the others: an isometry of nothing, not a perfect one."""
    trial = small_problem(classes=3)
    features, weight = trial.features.copy(), trial.weight.copy()
    features[:, 3:], weight[:, :3] = 0, 0
    metrics = measured(trial.changed(features=features, weight=weight))
    assert {name: why for name, why in metrics.reasons.items() if name not in BUDGET} == {
        "isometry_defect": "the weight is zero on the span of the class means",
        "nc3_etf_centred": "the weight is zero on the span of the class means",
        "nc3_etf": "the weight is zero on the class means",
        **dict.fromkeys(with_worst("output_collapse"), "all classes have the same mean output"),
    }


def test_outputs_that_all_lie_on_one_point_of_an_output_map() -> None:
    trial = small_problem()
    features, labels = torch.as_tensor(trial.features)[None], torch.as_tensor(trial.labels)[None]
    head = Head(weight=torch.as_tensor(trial.weight)[None], output_map=torch.ones_like)
    metrics = measure_features(features, labels, classes=4, head=head).metrics[0]
    assert_accounted(metrics)
    bounded = "the outputs are bounded, so they are not linear in the features"
    of_means = {"risk_of_means", "jensen_gap", "gap_within", "gap_pairs", "efficiency_within", "efficiency_pairs"}
    assert metrics.reasons == dict.fromkeys(of_means, bounded) | {
        **dict.fromkeys(with_worst("output_collapse"), "all classes have the same mean output"),
        "output_efficiency": "the entries of every output are equal",
    }
