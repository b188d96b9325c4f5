"""The metrics of features that a loop hands over batch by batch, once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from nc_bench.geometry.arrays import Array, check_arrays, check_labels, classes_of, tensor_of
from nc_bench.metrics.collapse import checked_head, measure_classes, number_of_classes
from nc_bench.metrics.feature_store import FeatureStore, checked_budget
from nc_bench.metrics.gather import Gather, no_gather
from nc_bench.metrics.result import CollapseMetrics
from nc_bench.paths import expanded

FEATURE_BUDGET = 2**31
"""Bytes of features that are kept in memory; what is beyond waits in a file, or is computed again."""

DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


class CollapseAccumulator:
    """`collapse_metrics` of all samples that `update` has seen, for loops that see every batch once.

    The metrics need the features twice, so these are kept, on the CPU: in memory up to `budget` bytes (default 2 GiB),
    beyond it all of them in a temporary file in `folder` (default: where the system has its temporary files), which is
    removed on `reset`, with the accumulator, and when the process ends. Memory while it computes: 9 to 12 numbers of 8
    bytes per class and width. The values are those of `collapse_metrics` for the same samples in the same order, bit
    for bit; in another order, or over several processes, to 1e-12 in float64 and 1e-6 in float32.

    A pickle, and `state_dict`, hold the features.

    Raises ValueError, one line, for no number of classes, a budget that is no number of bytes, a folder that does
    not exist.

    Example::

        accumulator = CollapseAccumulator(classes=10)
        for images, labels in loader:
            accumulator.update(backbone(images), labels)
        accumulator.compute(head.weight, head.bias)["nc1_pinv"]
    """

    def __init__(self, classes: Any, *, budget: int = FEATURE_BUDGET, folder: Any = None) -> None:
        self.classes = classes_of(classes)
        path = None if folder is None else expanded(folder, key="folder")
        if path is not None and not path.is_dir():
            raise ValueError(f"folder: there is no directory {path}")
        self._features = FeatureStore(checked_budget(budget), path)
        self._labels: list[Tensor] = []

    @property
    def samples(self) -> int:
        """Number of samples so far."""
        return self._features.rows

    @property
    def spilled(self) -> bool:
        """Whether the features are in a file."""
        return self._features.spilled

    def update(self, features: Array, labels: Array) -> None:
        """Take in one batch: features (N, d) of any floating dtype, labels (N,) of any integer dtype; N may be 0.

        The features are copied, without their graph. ValueError, one line, for what `collapse_metrics` refuses, and for
        another width or dtype than before; OSError if the file cannot be written. Nothing is taken in then.
        """
        features, labels = tensor_of("features", features), tensor_of("labels", labels)
        check_arrays(features, labels)
        labels = labels.to("cpu", torch.int64, copy=True)
        check_labels(labels, self.classes)
        self._check_like(features, "before")
        self._features.append(features)
        self._labels.append(labels)

    def merge(self, other: Any) -> None:
        """Take in the samples of another accumulator, after this one's; the other stays as it is.

        ValueError, one line, for what is no accumulator, or has another number of classes, width or dtype.
        """
        if not isinstance(other, CollapseAccumulator):
            raise ValueError(f"only another CollapseAccumulator can be merged, got {type(other).__name__}")
        self._take(other.classes, other._features.tensor(), other._joined_labels())

    def compute(
        self,
        weight: Array | None = None,
        bias: Array | None = None,
        *,
        minimum_samples: int = 1,
        absent: str = "nan",
        class_names: Sequence[str] | None = None,
        gather: Gather = no_gather,
    ) -> CollapseMetrics:
        """The metrics of all samples so far, which stay; arguments, value and errors are those of `collapse_metrics`.

        gather: where each of several processes has seen a share of the samples (some perhaps none), brings their sums
        together; all call `compute`, and get the metrics of all samples. That of the processes of torch.distributed is
        `nc_bench.distributed.current_group().gather`.
        """
        features, labels = self._share(gather), self._joined_labels()
        head = checked_head(weight, bias, features)
        count = number_of_classes(labels, head, self.classes)
        return measure_classes(
            features,
            labels,
            head,
            count,
            minimum_samples=minimum_samples,
            absent=absent,
            class_names=class_names,
            gather=gather,
        )

    def reset(self) -> None:
        """Forget all samples, and remove the file."""
        self._features.clear()
        self._labels = []

    def empty_copy(self) -> CollapseAccumulator:
        """Another accumulator with the same arguments, without samples."""
        return CollapseAccumulator(self.classes, budget=self._features.budget, folder=self._features.folder)

    def state_dict(self) -> dict[str, Any]:
        """classes, features (N, d) (None before the first batch) and labels (N,), for torch.save. Not copied.

        Features in a file are mapped into memory, not read.
        """
        return {"classes": self.classes, "features": self._features.tensor(), "labels": self._joined_labels()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Forget all samples and take in those of a `state_dict`.

        ValueError, one line, for what is no state of an accumulator of as many classes; all stays as it was then.
        """
        if not isinstance(state, Mapping) or set(state) != {"classes", "features", "labels"}:
            raise ValueError("the state must hold classes, features and labels, as state_dict gives it")
        features, labels = state["features"], tensor_of("labels", state["labels"])
        if features is not None:
            features = tensor_of("features", features)
            check_arrays(features, labels)
            labels = labels.to("cpu", torch.int64)
            check_labels(labels, self.classes)
        loaded = self.empty_copy()
        loaded._take(state["classes"], features, labels)
        self.reset()
        self._features, self._labels = loaded._features, loaded._labels

    def _take(self, classes: Any, features: Float[Tensor, "n d"] | None, labels: Int64[Tensor, "n"]) -> None:
        if classes != self.classes:
            raise ValueError(f"there are {classes} classes, and {self.classes} of this accumulator")
        if features is not None:
            self._check_like(features, "of this accumulator")
            self._features.append(features)
            self._labels.append(labels)

    def _check_like(self, features: Float[Tensor, "n d"], whose: str) -> None:
        known = self._features.none
        if known is not None and features.shape[1] != known.shape[1]:
            raise ValueError(f"features have width {features.shape[1]}, those {whose} {known.shape[1]}")
        if known is not None and features.dtype != known.dtype:
            raise ValueError(f"features are {features.dtype}, those {whose} {known.dtype}")

    def _joined_labels(self) -> Int64[Tensor, "n"]:
        if len(self._labels) != 1:
            self._labels = [torch.cat(self._labels) if self._labels else torch.empty(0, dtype=torch.int64)]
        return self._labels[0]

    def _share(self, gather: Gather) -> Float[Tensor, "n d"]:
        """This process's features, perhaps no rows, once all processes know that theirs are alike."""
        mine, none = self._features.tensor(), self._features.none
        kind = [0, 0] if none is None else [none.shape[1], DTYPES.index(none.dtype)]
        shares = [share.tolist() for (share,) in gather([torch.tensor([self.samples, *kind])])]
        if not any(samples for samples, *_ in shares):
            raise ValueError("there are no samples to measure; update comes before compute")
        kinds = sorted({(width, DTYPES[index]) for _, width, index in shares if width}, key=str)
        if len(kinds) > 1:
            raise ValueError(f"the processes' features differ in width or dtype: {' and '.join(map(str, kinds))}")
        return torch.empty(0, kinds[0][0], dtype=kinds[0][1]) if mine is None else mine
