"""Precision where it is easily lost: tiny and huge scales, large biases and offsets, low-precision features."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from metric_problems import small_problem
from numpy.typing import NDArray

from nc_bench import collapse_metrics
from nc_bench.metrics import HEAD_NAMES, METRIC_NAMES

NORMS = {"feature_radius", "feature_norm", "head_opnorm", "nc0_row_sum"}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1e-10, 1e10, 1e20, 1e30])
def test_at_any_other_scale_the_numbers_of_scale_one(scale: float, dtype: type) -> None:
    """Features that weight decay shrinks to 1e-25 have no smaller NC1; in float32 their squares are 0."""
    trial = small_problem()
    features: NDArray[Any] = (scale * trial.features).astype(dtype)
    expected = collapse_metrics(trial.features, trial.labels)
    metrics = collapse_metrics(features, trial.labels)
    for name in set(METRIC_NAMES) - HEAD_NAMES - NORMS:
        assert metrics[name] == pytest.approx(expected[name], rel=1e-5 if dtype is np.float32 else 1e-12)
    scaled = collapse_metrics(features, trial.labels, trial.weight / scale, trial.bias)
    for name, value in collapse_metrics(*trial.arguments()).items():
        if name not in NORMS:
            assert scaled[name] == pytest.approx(value, rel=1e-5 if dtype is np.float32 else 1e-12)


@pytest.mark.parametrize("bias", [1e6, 1e12])
def test_a_large_bias_or_offset_hides_no_output(bias: float) -> None:
    """Mean outputs that differ by 1 on top of 1e12 are not the same."""
    trial = small_problem()
    expected = collapse_metrics(*trial.changed(bias=np.zeros(4)).arguments())
    constant = collapse_metrics(*trial.changed(bias=np.full(4, bias)).arguments())
    for name in ("output_collapse", "risk", "accuracy"):
        assert constant[name] == pytest.approx(expected[name], rel=1e-12)
    apart = collapse_metrics(*trial.changed(bias=bias * np.arange(4)).arguments())
    assert apart["output_collapse"] == pytest.approx(expected["output_collapse"], rel=1e-12)


def test_float32_features_and_rows_that_share_almost_everything() -> None:
    trial = small_problem()
    trial = trial.changed(features=trial.features.astype(np.float32))
    expected = collapse_metrics(*trial.changed(weight=1e-3 * trial.weight).arguments())
    metrics = collapse_metrics(*trial.changed(weight=1e-3 * trial.weight + 1e4).arguments())
    for name in ("output_collapse", "risk", "accuracy", "risk_gap", "simplex_efficiency"):
        assert metrics[name] == pytest.approx(expected[name], rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_features_are_measured_as_exactly_as_float32(dtype: torch.dtype) -> None:
    trial = small_problem()
    rounded = torch.as_tensor(trial.features).to(dtype)
    expected = collapse_metrics(rounded.double(), *trial.arguments()[1:])
    assert collapse_metrics(rounded, *trial.arguments()[1:]) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_products_that_autocast_shortens_have_no_part_in_the_numbers() -> None:
    """Whoever measures inside a training loop gets the numbers of outside, to the last bit."""
    trial = small_problem()
    problem = trial.changed(features=trial.features.astype(np.float32)).arguments()
    expected = collapse_metrics(*problem)
    with torch.autocast("cpu", torch.bfloat16):
        assert collapse_metrics(*problem) == expected
        assert torch.is_autocast_enabled("cpu")
