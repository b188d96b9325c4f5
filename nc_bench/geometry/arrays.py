"""What users hand in as arrays and counts, as tensors and whole numbers: one ValueError for all that is neither."""

from __future__ import annotations

import operator
import warnings
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from numpy.typing import NDArray
from torch import Tensor

from nc_bench.text import one_line

Array = Any
"""A tensor, NumPy array or pandas table, a list of numbers, or whatever NumPy makes an array of; `tensor_of` says."""

MAX_CLASSES = 2**17
"""Above it a table of K^2 numbers takes more than 137 GB."""


def tensor_of(name: str, value: Array) -> Tensor:
    """A dense tensor without a graph; Python numbers are float64 and int64, as in NumPy.

    ValueError, one line: what is no array of numbers, is masked somewhere, or has no numbers in memory.
    """
    if isinstance(value, list | tuple) and value and all(isinstance(entry, Tensor) for entry in value):
        value = _stacked(name, value)
    if not isinstance(value, Tensor):
        return _from_numpy(name, _numpy_array(name, value))
    if value.layout != torch.strided or value.is_meta or value.is_quantized or value.is_nested:
        raise ValueError(f"{name} must be a dense tensor with its numbers in memory, got {_kind(value)}")
    if value.is_floating_point() and value.dtype.itemsize < 2:
        raise ValueError(f"{name} must have 16 bits a number or more, got {value.dtype}")
    return value.detach()


def count_of(name: str, value: Any) -> int:
    """A positive whole number; ValueError, one line, for anything else."""
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        count = operator.index(value)
    except (TypeError, RuntimeError):
        raise ValueError(f"{name} must be a whole number, got {value!r:.60}") from None
    if count < 1:
        raise ValueError(f"{name} must be positive, got {count}")
    return count


def classes_of(value: Any) -> int:
    """A number of classes; ValueError, one line, for what is none, and for more than MAX_CLASSES."""
    classes = count_of("classes", value)
    if classes > MAX_CLASSES:
        raise ValueError(
            f"classes is {classes}, more than {MAX_CLASSES}; labels must be the numbers 0..K-1 of K classes"
        )
    return classes


def check_arrays(features: Tensor, labels: Tensor) -> None:
    """ValueError unless features are (N, d) floating with d > 0, and labels (N,) integers."""
    if features.ndim != 2 or features.shape[1] == 0 or not features.is_floating_point():
        tokens = features.ndim == 3 and features.is_floating_point()
        hint = "; take one token, features[:, 0], or features.flatten(0, 1) with a label for each" if tokens else ""
        got = f"{tuple(features.shape)} {features.dtype}"
        raise ValueError(f"features must be a floating (N, d) array, got {got}{hint}")
    if labels.ndim != 1 or labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        one_hot = labels.ndim == 2 and labels.shape[1] > 1
        hint = (
            "; of one-hot labels give their argmax" if one_hot else "; give class numbers as int64" * (labels.ndim == 1)
        )
        raise ValueError(f"labels must be an integer (N,) array, got {tuple(labels.shape)} {labels.dtype}{hint}")
    if features.shape[0] != labels.shape[0]:
        raise ValueError(f"{features.shape[0]} features but {labels.shape[0]} labels")


def check_labels(labels: Int64[Tensor, "n"], classes: int) -> None:
    """ValueError unless all labels lie in 0..classes-1."""
    if labels.numel() and (int(labels.min()) < 0 or int(labels.max()) >= classes):
        low, high = int(labels.min()), int(labels.max())
        raise ValueError(f"labels must lie in 0..{classes - 1}, got values from {low} to {high}")


def _numpy_array(name: str, value: Any) -> NDArray[Any]:
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ValueError(f"{name} is masked in {np.ma.count_masked(value)} places; leave these samples out")
    if value is None or isinstance(value, str | bytes | dict | set):
        raise ValueError(f"{name} must be an array of numbers, got {type(value).__name__}")
    try:
        array = np.asarray(value)
        # What pandas calls Int64 and Float64 comes as objects.
        return np.asarray(array.tolist()) if array.dtype == object else array
    except Exception as error:  # whatever the object's own conversion raises
        raise ValueError(f"{name} is no array of numbers: {one_line(error)}") from None


def _from_numpy(name: str, array: NDArray[Any]) -> Tensor:
    if array.dtype.kind not in "biufc":
        raise ValueError(f"{name} must be an array of numbers, got {array.dtype}")
    if array.dtype.kind == "u":
        if array.size and array.max() > np.iinfo(np.int64).max:
            raise ValueError(f"{name} holds {array.max()}, which is beyond int64")
        array = array.astype(np.int64)
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if any(stride < 0 for stride in array.strides):
        array = array.copy()
    with warnings.catch_warnings():
        # Nobody writes to it: arrays that are read only are taken as they are.
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.as_tensor(array)


def _stacked(name: str, rows: list[Tensor] | tuple[Tensor, ...]) -> Tensor:
    try:
        return torch.stack(list(rows))
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"{name} is a list of tensors that do not fit each other: {one_line(error)}") from None


def _kind(value: Tensor) -> str:
    kinds = {"meta": value.is_meta, "quantized": value.is_quantized, "nested": value.is_nested}
    return " ".join([*(kind for kind, holds in kinds.items() if holds), str(value.layout)])
