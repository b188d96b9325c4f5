"""Input that cannot be measured is refused in one line; anything array-like of the right shape is taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

from nc_bench import ClassMoments, collapse_metrics
from nc_bench.metrics import METRIC_NAMES

RANDOM = np.random.default_rng(0)
FEATURES, LABELS = RANDOM.standard_normal((6, 3)), np.array([0, 1, 2, 0, 1, 2])
# Rows along the class means, so that every metric is defined.
WEIGHT = FEATURES[:3] + FEATURES[3:] + 0.1 * RANDOM.standard_normal((3, 3))
BIAS = 0.1 * RANDOM.standard_normal(3)


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


TWO_PASSES = collapse_metrics(FEATURES, LABELS, WEIGHT, BIAS)


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    copied = array.copy()
    copied.flags.writeable = False
    return copied


@pytest.mark.parametrize(
    "convert",
    [
        lambda array: array.tolist(),
        lambda array: tuple(map(tuple, array)) if array.ndim == 2 else tuple(array),
        lambda array: [torch.as_tensor(row) for row in array],
        lambda array: pd.DataFrame(array) if array.ndim == 2 else pd.Series(array),
        lambda array: pd.DataFrame(array).astype("Float64") if array.ndim == 2 else pd.Series(array),
        lambda array: array[::-1][::-1],
        lambda array: array.astype(array.dtype.newbyteorder(">")),
        lambda array: array.astype(np.longdouble) if array.dtype.kind == "f" else array,
        lambda array: np.ma.masked_array(array, mask=False),
        read_only,
    ],
)
def test_whatever_holds_the_numbers_is_measured_in_their_precision(convert: Callable[[Any], Any]) -> None:
    """Python floats are float64: as float32 they would differ in the eighth digit."""
    metrics = collapse_metrics(convert(FEATURES), convert(LABELS), convert(WEIGHT), convert(BIAS))
    assert metrics == pytest.approx(TWO_PASSES, rel=1e-13, abs=1e-16)
    moments, expected = ClassMoments(np.int64(3), np.int64(3)), ClassMoments(3, 3)
    moments.update(convert(FEATURES), convert(LABELS))
    expected.update(FEATURES, LABELS)
    torch.testing.assert_close(moments.within_scatter, expected.within_scatter, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("classes", [np.int64(3), torch.tensor(3), np.uint8(3)])
def test_classes_of_any_integer_type(classes: Any) -> None:
    assert collapse_metrics(FEATURES, LABELS, classes=classes) == collapse_metrics(FEATURES, LABELS)


class Broken:
    def __array__(self, *arguments: object, **keywords: object) -> NDArray[Any]:
        raise RuntimeError("out\nof order")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"features": np.ma.masked_array(FEATURES, mask=FEATURES > 1)}, "features is masked in "),
        ({"labels": np.ma.masked_equal(LABELS, 2)}, "labels is masked in 2 places; leave these samples out"),
        ({"weight": WEIGHT + 0j}, "weight must hold real numbers, got torch.complex128"),
        ({"bias": BIAS * 1j}, "bias must hold real numbers"),
        (
            {"labels": LABELS > 0},
            "labels must be an integer (N,) array, got (6,) torch.bool; give class numbers as int64",
        ),
        ({"labels": LABELS.astype(np.float32)}, "got (6,) torch.float32; give class numbers as int64"),
        ({"labels": np.eye(3)[LABELS]}, "got (6, 3) torch.float64; of one-hot labels give their argmax"),
        ({"labels": ["a", "b", "c", "a", "b", "c"]}, "labels must be an array of numbers, got <U1"),
        ({"labels": LABELS.astype("datetime64[s]")}, "labels must be an array of numbers, got datetime64[s]"),
        ({"labels": LABELS.astype(np.uint64) + np.uint64(2**63)}, "which is beyond int64"),
        ({"labels": pd.Series([0, 1, None, 0, 1, 2], dtype="Int64")}, "labels"),
        ({"labels": None}, "labels must be an array of numbers, got NoneType"),
        ({"features": "features.npy"}, "features must be an array of numbers, got str"),
        ({"features": {"a": 1}}, "features must be an array of numbers, got dict"),
        ({"features": [[1.0], [1.0, 2.0]]}, "features is no array of numbers: "),
        ({"features": [torch.ones(2), torch.ones(3)]}, "features is a list of tensors that do not fit each other"),
        ({"features": Broken()}, "features is no array of numbers: out of order"),
        ({"features": torch.eye(6, 3).to_sparse()}, "features must be a dense tensor with its numbers in memory, got"),
        ({"features": torch.ones(6, 3, device="meta")}, "got meta torch.strided"),
        ({"features": torch.ones(6, 3).to(torch.float8_e5m2)}, "features must have 16 bits a number or more"),
        ({"weight": None, "bias": None, "classes": 3.0}, "classes must be a whole number, got 3.0"),
        ({"weight": None, "bias": None, "classes": True}, "classes must be a whole number, got True"),
        ({"weight": None, "bias": None, "classes": "3"}, "classes must be a whole number, got '3'"),
        ({"weight": None, "bias": None, "classes": 10**12}, "classes is 1000000000000, more than 131072"),
        ({"weight": None, "bias": None, "labels": LABELS * 10**9}, "classes is 2000000001, more than 131072"),
    ],
)
def test_what_is_no_array_or_no_count_is_one_line(arguments: dict[str, Any], message: str) -> None:
    given = {"features": FEATURES, "labels": LABELS, "weight": WEIGHT, "bias": BIAS} | arguments
    with pytest.raises(ValueError) as caught:
        collapse_metrics(**given)
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((2.0, 3), "classes must be a whole number, got 2.0"),
        ((2, None), "width must be a whole number, got None"),
        ((np.True_, 3), "classes must be a whole number"),
        ((10, 10**7), "have more than 17179869184 numbers"),
    ],
)
def test_moments_of_no_size(sizes: tuple[Any, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ClassMoments(*sizes)


def test_moments_merge_with_moments_only() -> None:
    with pytest.raises(ValueError, match="only other ClassMoments can be merged, got dict"):
        ClassMoments(2, 2).merge({})
