"""A data set: two splits of inputs and labels."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor

from nc_bench.data.images import Images
from nc_bench.errors import DataError


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Inputs (N, ...) of a floating-point type, labels (N,) of int64 in 0..classes-1, for each split.

    Inputs that are not held in memory are `Images`, which are read by the batch. Inputs keep the shape of one sample
    (64 numbers, or 1 x 28 x 28 pixels): models flatten themselves. The test split may be empty, and a class may have
    no samples. `class_names`: one for each class, where the data have them; `notes`: what was left out or changed, a
    line each; `digest`: the SHA-256 of the contents, as `load_dataset` sets it (see `data_digest`).

    Raises DataError if the training split is empty, a split's inputs and labels differ in number, the two
    splits' samples differ in shape, a label is no int64 of 0..classes-1, or names are not one for each class.
    """

    name: str
    classes: int
    train_inputs: Tensor | Images
    train_labels: Tensor
    test_inputs: Tensor | Images
    test_labels: Tensor
    class_names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    digest: str | None = None

    def __post_init__(self) -> None:
        self._check_split("train", self.train_inputs, self.train_labels)
        self._check_split("test", self.test_inputs, self.test_labels)
        if len(self.train_labels) == 0:
            raise DataError(f"{self.name}: the training split holds no samples")
        train_shape, test_shape = tuple(self.train_inputs.shape[1:]), tuple(self.test_inputs.shape[1:])
        if train_shape != test_shape:
            raise DataError(f"{self.name}: training samples have shape {train_shape}, test samples {test_shape}")
        if self.class_names is not None and len(self.class_names) != self.classes:
            raise DataError(f"{self.name}: {len(self.class_names)} class names for {self.classes} classes")

    def _check_split(self, split: str, inputs: Tensor | Images, labels: Tensor) -> None:
        if labels.dtype != torch.int64 or labels.ndim != 1:
            raise DataError(f"{self.name}: {split} labels must be one row of int64, not {labels.dtype}")
        if isinstance(inputs, Tensor) and not inputs.is_floating_point():
            raise DataError(f"{self.name}: {split} inputs must be floating-point numbers, not {inputs.dtype}")
        if len(inputs) != len(labels):
            raise DataError(f"{self.name}: {len(inputs)} {split} inputs but {len(labels)} labels")
        outside = labels[(labels < 0) | (labels >= self.classes)]
        if len(outside) > 0:
            raise DataError(f"{self.name}: {split} label {int(outside[0])} is outside 0..{self.classes - 1}")

    @property
    def class_counts(self) -> tuple[int, ...]:
        """Training samples of every class, zero for a class that has none."""
        return tuple(torch.bincount(self.train_labels, minlength=self.classes).tolist())

    def to(self, device: torch.device | str, dtype: torch.dtype) -> Dataset:
        """The same data on another device, the inputs in another floating-point type."""
        return dataclasses.replace(
            self,
            train_inputs=self.train_inputs.to(device=device, dtype=dtype),
            train_labels=self.train_labels.to(device),
            test_inputs=self.test_inputs.to(device=device, dtype=dtype),
            test_labels=self.test_labels.to(device),
        )
