"""Input that cannot be measured is refused in one line; anything array-like of the right shape is taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from nc_bench import collapse_metrics
from nc_bench.metrics import METRIC_NAMES

RANDOM = np.random.default_rng(0)
FEATURES, LABELS = RANDOM.standard_normal((6, 3)), np.array([0, 1, 2, 0, 1, 2])
WEIGHT, BIAS = RANDOM.standard_normal((3, 3)), RANDOM.standard_normal(3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"features": FEATURES[0]}, r"features must be a floating (N, d) array, got (3,)"),
        ({"features": FEATURES[None]}, r"features must be a floating (N, d) array, got (1, 6, 3)"),
        ({"features": FEATURES[:, :0]}, r"features must be a floating (N, d) array, got (6, 0)"),
        ({"features": FEATURES.astype(int)}, r"got (6, 3) torch.int64"),
        ({"features": FEATURES + 1j}, r"got (6, 3) torch.complex128"),
        ({"labels": LABELS[:, None]}, r"labels must be an integer (N,) array, got (6, 1)"),
        ({"labels": LABELS.astype(float)}, r"labels must be an integer (N,) array, got (6,) torch.float64"),
        ({"labels": LABELS * 1j}, r"labels must be an integer (N,) array"),
        ({"labels": LABELS[:5]}, r"6 features but 5 labels"),
        ({"labels": LABELS - 1}, r"labels must lie in 0..2, got values from -1 to 1"),
        ({"labels": LABELS - 1, "weight": None, "bias": None}, r"labels must lie in 0..1, got values from -1 to 1"),
        ({"labels": LABELS + 1}, r"labels must lie in 0..2, got values from 1 to 3"),
        ({"weight": None, "bias": None, "classes": 2}, r"labels must lie in 0..1, got values from 0 to 2"),
        ({"weight": None, "bias": None, "classes": 0}, r"classes must be positive, got 0"),
        ({"classes": 4}, r"classes is 4, but weight has 3 rows"),
        ({"features": FEATURES[:0], "labels": LABELS[:0]}, r"there are no samples to measure"),
        ({"weight": None}, r"bias was given without weight"),
        ({"weight": WEIGHT[0]}, r"weight must be (K, 3), got (3,)"),
        ({"weight": WEIGHT[None]}, r"weight must be (K, 3), got (1, 3, 3)"),
        ({"weight": WEIGHT[:, :2]}, r"weight must be (K, 3), got (3, 2)"),
        ({"weight": WEIGHT[:0], "bias": BIAS[:0]}, r"weight must be (K, 3), got (0, 3)"),
        ({"weight": np.array(2.0)}, r"weight must be (K, 3), got ()"),
        ({"bias": BIAS[:2]}, r"bias must be (3,), got (2,)"),
        ({"bias": np.array(1.0)}, r"bias must be (3,), got ()"),
    ],
)
def test_refused_in_one_line(arguments: dict[str, Any], message: str) -> None:
    given = {"features": FEATURES, "labels": LABELS, "weight": WEIGHT, "bias": BIAS} | arguments
    with pytest.raises(ValueError) as caught:
        collapse_metrics(**given)
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "convert", [torch.as_tensor, np.asfortranarray, lambda array: torch.nn.Parameter(torch.as_tensor(array))]
)
def test_arrays_of_any_kind(convert: Callable[[Any], Any]) -> None:
    expected = collapse_metrics(FEATURES, LABELS, WEIGHT, BIAS)
    metrics = collapse_metrics(convert(FEATURES), torch.as_tensor(LABELS), convert(WEIGHT), convert(BIAS))
    assert metrics == pytest.approx(expected, rel=1e-12, abs=1e-15)
    assert tuple(metrics) == METRIC_NAMES and all(type(value) is float for value in metrics.values())


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int32, torch.uint16])
def test_labels_of_any_integer_type(dtype: torch.dtype) -> None:
    metrics = collapse_metrics(FEATURES, torch.as_tensor(LABELS).to(dtype), WEIGHT, BIAS)
    assert metrics == collapse_metrics(FEATURES, LABELS, WEIGHT, BIAS)


def test_a_network_in_training_keeps_its_arrays_and_its_graph() -> None:
    features = torch.tensor(FEATURES, requires_grad=True)
    before = features.detach().clone()
    metrics = collapse_metrics(features * 1, LABELS, WEIGHT, BIAS)
    assert torch.equal(features, before) and features.grad is None
    assert isinstance(metrics, dict) and metrics.reasons == {}
