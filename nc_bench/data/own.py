"""Data of the user's own, whatever they come from: checked, and brought into the form of a `Dataset`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from nc_bench.config import ReadByBatch
from nc_bench.data.dataset import Dataset
from nc_bench.data.images import Images, PixelSource, levels_from_images
from nc_bench.errors import DataError
from nc_bench.text import one_line

BLOCK = 2**22
"""Numbers that are looked at together."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """Samples of an array (N, ...), memory-mapped or not, by their number."""

    array: Any

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.array.shape[1:])

    def __len__(self) -> int:
        return len(self.array)

    def read(self, indices: Sequence[int]) -> Tensor:
        # A copy: a file that is memory-mapped for reading cannot be written to.
        return torch.as_tensor(np.array(self.array[list(indices)]))


@dataclass(frozen=True, kw_only=True, eq=False)
class OwnSplit:
    """Inputs and labels of one split. `key` says in messages where they come from."""

    key: str
    source: PixelSource
    labels: Int64[Tensor, "n"]


def own_dataset(
    settings: ReadByBatch, train: OwnSplit, test: OwnSplit | None, class_names: Sequence[str] | None
) -> Dataset:
    """The two splits as a data set; classes are as many as names, or as labels say.

    Images (c, h, w) of bytes are standardised by the training images, as those of every data set here;
    floating-point numbers are taken as they are. Raises DataError for any other kind of input, splits of different
    kind, inputs and labels that differ in number, labels that are negative, and arrays that hold NaN or infinity.
    """
    dtype = _checked(train)
    if test is not None and _checked(test) != dtype:
        raise DataError(f"{test.key}: its inputs are of another type than those of the training split")
    for split in (train, test):
        if split is not None and len(split.source) != len(split.labels):
            raise DataError(f"{split.key}: {len(split.source)} inputs but {len(split.labels)} labels")
        if split is not None and len(split.labels) and int(split.labels.min()) < 0:
            raise DataError(f"{split.key}: labels should be 0, 1, .., but one is {int(split.labels.min())}")
    if len(train.labels) == 0:
        raise DataError(f"{train.key}: holds no samples")
    for split in (train, test):
        if split is not None and dtype != torch.uint8:
            _check_finite(split)
    levels = None
    if dtype == torch.uint8:
        raw = Images(source=train.source, levels=torch.zeros(train.source.shape[0], 256), chosen=_all(train))
        levels = levels_from_images(raw.pixels())
    kind = torch.float64 if dtype == torch.float64 else torch.float32
    inputs = Images(source=train.source, levels=levels, chosen=_all(train), dtype=kind)
    of_test = (
        inputs.select(slice(0))
        if test is None
        else Images(source=test.source, levels=levels, chosen=_all(test), dtype=kind)
    )
    labels = [train.labels, train.labels[:0] if test is None else test.labels]
    classes = len(class_names) if class_names else 1 + max(int(part.max()) for part in labels if len(part))
    return Dataset(
        name=settings.name,
        classes=classes,
        train_inputs=inputs,
        train_labels=labels[0],
        test_inputs=of_test,
        test_labels=labels[1],
        class_names=tuple(class_names) if class_names else None,
    )


def as_labels(labels: Any, key: str) -> Int64[Tensor, "n"]:
    """Labels (N,) of whole numbers as int64; DataError for any others."""
    try:
        found = labels.detach().cpu() if isinstance(labels, Tensor) else torch.as_tensor(np.array(labels))
    except (TypeError, ValueError) as error:
        raise DataError(f"{key}: labels cannot be read as numbers: {one_line(error)}") from None
    whole = not (found.is_floating_point() or found.is_complex() or found.dtype == torch.bool)
    if found.ndim != 1 or not whole:
        raise DataError(
            f"{key}: labels should be one row of whole numbers, not of shape {tuple(found.shape)} and type "
            f"{str(found.dtype).removeprefix('torch.')}"
        )
    return found.to(torch.int64)


def as_rows(inputs: Any, key: str) -> Rows:
    """An array (N, ...) of numbers; DataError for anything else."""
    array = inputs.detach().cpu() if isinstance(inputs, Tensor) else inputs
    if not isinstance(array, Tensor | np.ndarray):
        array = np.asarray(array)
    if not isinstance(array, Tensor) and array.dtype.kind not in "fiub":
        raise DataError(f"{key}: inputs should be an array of numbers, not of type {array.dtype}")
    if array.ndim < 2:
        raise DataError(f"{key}: inputs should be an array (N, ...) of samples, not of shape {tuple(array.shape)}")
    return Rows(array=array.numpy() if isinstance(array, Tensor) and array.dtype != torch.bfloat16 else array)


def _checked(split: OwnSplit) -> torch.dtype:
    """The type of the inputs, which is floating-point or that of images of bytes."""
    dtype, shape = split.source.read([0] if len(split.source) else []).dtype, split.source.shape
    if dtype.is_floating_point or (dtype == torch.uint8 and len(shape) == 3):
        return torch.float64 if dtype == torch.float64 else torch.uint8 if dtype == torch.uint8 else torch.float32
    raise DataError(
        f"{split.key}: inputs should be floating-point numbers, or images (c, h, w) of bytes (uint8), not "
        f"{str(dtype).removeprefix('torch.')} of shape {tuple(shape)}"
    )


def _check_finite(split: OwnSplit) -> None:
    """DataError for the first sample of an array with NaN or infinity. What is read by the batch is not looked at."""
    if not isinstance(split.source, Rows):
        return
    rows = max(1, BLOCK // max(1, prod(split.source.shape)))
    for start in range(0, len(split.source), rows):
        block = split.source.read(range(start, min(start + rows, len(split.source))))
        wrong = (~block.isfinite()).flatten(1).any(1)
        if bool(wrong.any()):
            raise DataError(f"{split.key}: sample {start + int(wrong.nonzero()[0])} holds NaN or infinity")


def _all(split: OwnSplit) -> Tensor:
    return torch.arange(len(split.source))
