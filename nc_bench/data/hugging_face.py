"""Data sets of the library datasets, from the folder that save_to_disk wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nc_bench.config import HuggingFace
from nc_bench.data.dataset import Dataset
from nc_bench.data.own import OwnSplit, as_labels, own_dataset
from nc_bench.errors import DataError
from nc_bench.paths import expanded, printable
from nc_bench.text import did_you_mean, listed, one_line


@dataclass(frozen=True, kw_only=True, eq=False)
class ColumnRows:
    """The column of the inputs by row. shape: that of the first row, which all should have."""

    split: Any
    column: str
    key: str
    shape: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.split)

    def read(self, indices: Sequence[int]) -> Tensor:
        if not indices:
            return torch.empty(0, *self.shape)
        found = [_tensor(value, self.key) for value in self.split[list(indices)][self.column]]
        for index, tensor in zip(indices, found, strict=True):
            if tuple(tensor.shape) != self.shape:
                shape = tuple(tensor.shape)
                raise DataError(f"{self.key}: row {index} of {self.column} has shape {shape}, the first {self.shape}")
        return torch.stack(found)


def load_hugging_face(settings: HuggingFace) -> Dataset:
    """The two splits in `data.root`; class names are those of the label's feature, where it has any.

    Raises DataError, one line: the library is not installed, no such folder, split or column, rows of different
    shapes, and what `own_dataset` refuses.
    """
    root = expanded(settings.root, key="data.root", error=DataError)
    try:
        import datasets
    except ModuleNotFoundError:
        needed = "datasets, which is not installed: pip install 'nc_bench[datasets]'"
        raise DataError(f"data.name: hugging_face needs {needed}") from None
    try:
        stored = datasets.load_from_disk(str(root))
    except Exception as error:  # whatever the library makes of another folder
        raise DataError(f"data.root: {printable(root)}: cannot be read by load_from_disk: {one_line(error)}") from None
    splits = dict(stored) if isinstance(stored, dict) else {settings.train_split: stored}
    train = _split(settings, splits, settings.train_split, "train_split")
    wanted = settings.test_split if isinstance(stored, dict) else None
    test = None if wanted is None else _split(settings, splits, wanted, "test_split")
    names = getattr(splits[settings.train_split].features[settings.label], "names", None)
    return own_dataset(settings, train, test, settings.class_names or names)


def _split(settings: HuggingFace, splits: dict[str, Any], name: str, key: str) -> OwnSplit:
    if name not in splits:
        hint = did_you_mean(name, splits) or f"it has {listed(sorted(splits))}"
        raise DataError(f"data.{key}: the data set has no split {name}; {hint}")
    split = splits[name]
    for field, column in (("inputs", settings.inputs), ("label", settings.label)):
        if column not in split.column_names:
            hint = did_you_mean(column, split.column_names) or f"it has {listed(split.column_names)}"
            raise DataError(f"data.{field}: the data set has no column {column}; {hint}")
    place = f"data.root: {name}"
    labels = as_labels(split[settings.label][:], place)
    if len(split) == 0:
        raise DataError(f"{place}: holds no samples")
    shape = tuple(_tensor(split[0][settings.inputs], place).shape)
    return OwnSplit(
        key=place, source=ColumnRows(split=split, column=settings.inputs, key=place, shape=shape), labels=labels
    )


def _tensor(value: Any, key: str) -> Tensor:
    """An image as bytes (c, h, w), or a row of numbers: lists of Python's floats are float32."""
    array = np.asarray(value)
    if hasattr(value, "getbands"):
        array = np.moveaxis(array, -1, 0) if array.ndim == 3 else array[None]
    elif isinstance(value, list) and array.dtype == np.float64:
        array = array.astype(np.float32)
    if array.dtype.kind not in "fiub":
        raise DataError(f"{key}: inputs should be images or numbers, not {type(value).__name__}")
    return torch.as_tensor(np.array(array))
