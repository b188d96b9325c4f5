"""What recorded layers say together: columns of the rows besides the metrics of each layer (docs/metrics.md)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from nc_bench.config import Record
from nc_bench.metrics import CollapseMetrics
from nc_bench.metrics.depth import (
    equi_separation,
    kernel_share,
    mean_directions,
    principal_angles,
    random_angles,
    random_stable_rank,
    row_directions,
    stable_rank,
)
from nc_bench.metrics.hulls import hull_overlap
from nc_bench.runs.directory import PENULTIMATE

SEPARATION = ("equi_separation_slope", "equi_separation_correlation")
ANGLES = ("next_weight_angle_mean", "next_weight_angle_largest")
RANKS = ("stable_rank_within", "stable_rank_next_weight")
KERNEL, HULLS = "kernel_share", "hull_overlap"
DEPTH_NAMES = (*SEPARATION, *ANGLES, *RANKS, KERNEL, HULLS)
"""In the order of the columns. The first two and kernel_share only at the penultimate layer, the last four only on
request, and hull_overlap after the last epoch."""

NOT_READ = "no linear layer reads this layer's output as it is"
MIN_CLASSES = 2
NOT_KEPT = "the features do not fit in memory"


@dataclass(frozen=True, kw_only=True)
class LayerRecording:
    """Metrics per trial, the class means they were taken around, and the features (t, N, d) if they fit in memory."""

    metrics: list[CollapseMetrics]
    class_means: Float64[Tensor, "t k d"]
    features: Float[Tensor, "t n d"] | None


@dataclass(frozen=True, kw_only=True)
class DepthColumns:
    """Columns of one row, and the reasons of those that are NaN."""

    values: dict[str, float] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def add(self, names: tuple[str, ...], values: tuple[float, ...], reason: str) -> None:
        """Columns that are undefined for the same reason."""
        self.values.update(zip(names, values, strict=True))
        self.reasons.update({name: reason for name, value in zip(names, values, strict=True) if math.isnan(value)})


def depth_columns(
    layers: Mapping[str, LayerRecording],
    readers: Mapping[str, Float64[Tensor, "t o d"] | None],
    labels: Int64[Tensor, "t n"],
    record: Record,
    *,
    hulls: bool,
) -> dict[str, list[DepthColumns]]:
    """For every layer and trial: where only the penultimate layer is recorded, none but what `record` asks for.

    readers: the weight that reads each layer, in the order of depth. hulls: whether convex hulls are looked at.
    """
    trials, several = range(len(labels)), len(layers) > 1
    columns = {name: [DepthColumns() for _ in trials] for name in layers}
    for name, layer in layers.items():
        for trial in trials:
            weight, column = readers[name], columns[name][trial]
            its_weight = None if weight is None else weight[trial]
            if several and name == PENULTIMATE:
                spreads = [layers[place].metrics[trial]["nc1_pinv"] for place in readers]
                *values, reason = equi_separation(spreads)
                column.add(SEPARATION, tuple(values), reason)
            if several:
                column.add(ANGLES, *_angles(layer, its_weight, trial))
            if record.stable_ranks:
                column.add(RANKS[:1], *_rank_within(layer, labels, trial))
                column.add(RANKS[1:], *_rank_of_weight(its_weight))
            if record.kernel_share and name == PENULTIMATE and its_weight is not None:
                column.add((KERNEL,), *_kernel_share(layer, its_weight, trial))
            if hulls and record.hull_overlap is not None:
                column.add((HULLS,), *_hull_overlap(layer, labels[trial], trial, record.hull_overlap))
    return columns


def depth_nulls(
    classes: int, width: int, samples: int, reader: Float64[Tensor, "t o d"] | None, record: Record, *, is_last: bool
) -> dict[str, float]:
    """What random class means, features and a random weight score at a layer of this width, by column."""
    nulls: dict[str, float] = {}
    if record.kernel_share and is_last:
        nulls[KERNEL] = max(0.0, 1 - (classes - 1) / width)
    if record.stable_ranks:
        nulls[RANKS[0]] = random_stable_rank(samples, width)
    if reader is not None:
        rows = reader.shape[-2]
        nulls |= dict(zip(ANGLES, random_angles(classes - 1, rows, width), strict=True))
        if record.stable_ranks:
            nulls[RANKS[1]] = random_stable_rank(rows, width)
    return {name: value for name, value in nulls.items() if not math.isnan(value)}


def _angles(layer: LayerRecording, weight: Float64[Tensor, "o d"] | None, trial: int) -> tuple[tuple[float, ...], str]:
    """Mean and largest principal angle between the span of the class means and the row space of the weight."""
    undefined = (math.nan, math.nan)
    # The metric that is defined exactly where centred class means have directions.
    if reason := layer.metrics[trial].reasons.get("effective_rank_means", ""):
        return undefined, reason
    if weight is None:
        return undefined, NOT_READ
    if not weight.isfinite().all() or not weight.any():
        return undefined, "the weight is zero or not finite"
    angles = principal_angles(mean_directions(layer.class_means[trial]), row_directions(weight))
    return (float(angles.mean()), float(angles[-1])), ""


def _rank_within(layer: LayerRecording, labels: Int64[Tensor, "t n"], trial: int) -> tuple[tuple[float, ...], str]:
    if layer.features is None:
        return (math.nan,), NOT_KEPT
    own = layer.features[trial].double() - layer.class_means[trial][labels[trial]]
    return (stable_rank(own),), "the deviations from the class means are all zero, or not finite"


def _rank_of_weight(weight: Float64[Tensor, "o d"] | None) -> tuple[tuple[float, ...], str]:
    if weight is None:
        return (math.nan,), NOT_READ
    return (stable_rank(weight),), "the weight is zero or not finite"


def _kernel_share(layer: LayerRecording, weight: Float64[Tensor, "k d"], trial: int) -> tuple[tuple[float, ...], str]:
    if layer.features is None:
        return (math.nan,), NOT_KEPT
    share = kernel_share(layer.features[trial].double(), weight)
    return (share,), "all features are zero, all rows of the weight are equal, or something is not finite"


def _hull_overlap(
    layer: LayerRecording, labels: Int64[Tensor, "n"], trial: int, most: int
) -> tuple[tuple[float, ...], str]:
    """Of the first `most` samples of each class."""
    if layer.features is None:
        return (math.nan,), NOT_KEPT
    first = torch.cat([(labels == label).nonzero()[:most, 0] for label in labels.unique()])
    features = layer.features[trial, first]
    if not features.isfinite().all() or len(labels.unique()) < MIN_CLASSES:
        return (math.nan,), "the features are not finite, or of one class"
    return (hull_overlap(features, labels[first]),), ""
