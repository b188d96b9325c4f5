"""A loop that is not the bench's: what its author states of it as a configuration, and what is recorded as our own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nc_bench.config import Config, config_of
from nc_bench.errors import UserError
from nc_bench.metrics import METRIC_NAMES
from nc_bench.models.linear_layers import unwrapped
from nc_bench.recording import Recording, Split
from nc_bench.recording.depth import DepthColumns, LayerRecording
from nc_bench.recording.model_metrics import Measured
from nc_bench.runs.directory import PENULTIMATE
from nc_bench.runs.rows import NO_NUMBERS, ROW_KEYS

STATED_ELSEWHERE = {*METRIC_NAMES, *ROW_KEYS, *NO_NUMBERS, "seconds"}
"""Columns that a loop cannot bring."""


def foreign_config(
    model: nn.Module,
    *,
    dtype: torch.dtype,
    head: Mapping[str, Any] | None,
    bounds: Mapping[str, Any] | None,
    objective: Mapping[str, Any] | None,
    nonnegative: bool | None,
    epochs: int,
    seed: int | None,
) -> Config:
    """The configuration of a foreign loop: what was found in the model, and what its author states.

    head: what was found of the last layer, by the keys of `head:`; None where features are measured alone.
    Bounds without an objective state the mean cross entropy within these bounds; without both, it is not known what is
    minimised. ConfigError, one line, for what no configuration may say.
    """
    minimised = {"loss": "cross_entropy" if bounds else "not_stated"} if objective is None else dict(objective)
    return config_of(
        {
            **({} if seed is None else {"seed": seed}),
            "dtype": "float64" if dtype == torch.float64 else "float32",
            "data": {"name": "foreign"},
            "model": {
                "name": "foreign",
                "kind": type(unwrapped(model)).__name__,
                **({"features_alone": True} if head is None else {}),
                **({} if nonnegative is None else {"nonnegative": nonnegative}),
            },
            **({} if head is None else {"head": dict(head)}),
            **({"constraints": dict(bounds)} if bounds else {}),
            "objective": minimised,
            "optimizer": {"name": "foreign"},
            "training": {"epochs": epochs, "batch_size": None},
        }
    )


def foreign_epochs(config: Config, epochs: int) -> Config:
    """The same loop with another number of epochs."""
    return config.model_copy(update={"training": config.training.model_copy(update={"epochs": epochs})})


def as_recording(measured: Measured, residuals: Mapping[str, list[float]]) -> tuple[Recording, Split]:
    """A measurement of one model as a recording of one trial, and the labels in the order of its features."""
    layer = LayerRecording(
        metrics=measured.measurement.metrics,
        class_means=measured.measurement.class_means,
        features=None if measured.features is None else measured.features[None],
    )
    recording = Recording(
        layers={PENULTIMATE: layer},
        residuals=dict(residuals),
        depth={PENULTIMATE: [DepthColumns()]},
        correct=[],
        weight=None if measured.head is None else measured.head.weight,
    )
    return recording, Split(inputs=torch.empty(len(measured.labels), 0), labels=measured.labels[None])


def checked_columns(columns: Mapping[str, Any]) -> dict[str, float]:
    """Numbers that a loop adds to its rows; UserError, one line, for a name that rows have, or no number."""
    found = {}
    for name, value in columns.items():
        if name in STATED_ELSEWHERE:
            raise UserError(f"{name}: a column that the bench measures; call yours otherwise")
        try:
            found[name] = float(value)
        except (TypeError, ValueError):
            raise UserError(f"{name}: should be a number, got {type(value).__name__}") from None
    return found


class ArrayBatches:
    """Inputs and labels in memory as a loader: pairs of so many rows, in their order."""

    def __init__(self, inputs: Any, labels: Any, rows: int = 512) -> None:
        if len(inputs) != len(labels):
            raise UserError(f"there are {len(inputs)} inputs and {len(labels)} labels")
        self.inputs, self.labels, self.rows = inputs, labels, rows

    def __len__(self) -> int:
        return -(-len(self.inputs) // self.rows)

    def __iter__(self) -> Any:
        for first in range(0, len(self.inputs), self.rows):
            part = slice(first, first + self.rows)
            yield self.inputs[part], self.labels[part]


def loader_of(data: Any, key: str) -> Any:
    """A loader as it is, or (inputs, labels) in memory as one; UserError, one line, if it can be read only once."""
    if isinstance(data, Iterator):
        raise UserError(
            f"{key}: is read in every recorded epoch, and a {type(data).__name__} can be read only once: give a "
            "DataLoader, a list of batches, or (inputs, labels)"
        )
    return ArrayBatches(*data) if isinstance(data, tuple) and len(data) == 2 else data


def names_of(data: Any, classes: int, given: Sequence[str] | None) -> list[str]:
    """The names of the classes: those given, those of the loader's data set, or their numbers."""
    if given is not None and len(given) != classes:
        raise UserError(f"class_names: {len(given)} names for {classes} classes")
    found: Any = getattr(getattr(data, "dataset", None), "classes", None) if given is None else given
    named = isinstance(found, list | tuple) and len(found) == classes
    return [str(name) for name in (found if named else range(classes))]


def class_counts(labels: Tensor, classes: int) -> list[int]:
    """Samples of every class."""
    return [int(count) for count in torch.bincount(labels.cpu(), minlength=classes)]
