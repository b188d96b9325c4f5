"""What the page draws of an epoch: samples, class means, rows of W and vertices in coordinates of the simplex."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Float64, Int32, Int64
from torch import Tensor

from nc_bench.geometry.simplex import polygon_frame
from nc_bench.recording.feature_files import write_safetensors

MOST_SHOWN = 10
"""Classes with coordinates of their own; of more classes these are the first, and all are seen on the polygon."""

MOST_A_CLASS, MOST_SAMPLES = 100, 1000
"""Samples of one split, so 2,000 of both."""

SPATIAL = 4
"""Coordinates that it takes at least to draw in three dimensions: those of four classes have the sum 0."""

Labelled = tuple[Float[Tensor, "n d"], Int64[Tensor, "n"]]
OtherLabelled = tuple[Float[Tensor, "m d"], Int64[Tensor, "m"]]


@dataclass(frozen=True, kw_only=True)
class _Frame:
    """What projects features: on `axes` relative to `centre`, on `plane` relative to the mean of all class means."""

    centre: Float64[Tensor, "d"]
    axes: Float64[Tensor, "d c"]
    origin: Float64[Tensor, "d"]
    plane: Float64[Tensor, "d 2"]


def write_picture(
    path: Path,
    *,
    epoch: int,
    train: Labelled,
    test: OtherLabelled | None,
    means: Float64[Tensor, "k d"],
    weight: Float64[Tensor, "k d"] | None,
    predicted_radius: float | None,
) -> None:
    """Save what the page draws of an epoch, as safetensors; K >= 2 training class means, all finite.

    Coordinate c of a vector is its product with vertex c of the unit simplex nearest to the means of the S = min(K, 10)
    first classes (`polygon_frame`), scaled such that the map keeps all lengths in the span of these means; below four
    classes further orthonormal directions follow, in which the training samples spread the most. `*_polygon` are
    coordinates (n, 2) on the plane in which the simplex of all K classes is a regular polygon.

    For each split: SPLIT (n, max(S, 4)) and SPLIT_polygon, int16, to be multiplied by `scale` (2,); SPLIT_labels and
    SPLIT_rows (positions in the data); SPLIT_distance, the distance to the vertex in all d dimensions. `means`,
    `weight` (relative to their mean; without rows where there is no last layer) and `vertices`, (S, max(S, 4)) and as
    `*_polygon` (K, 2), float64. The vertices are at `predicted_radius`, |y_c - mu|, where theory gives one, else at the
    mean radius of the class means.
    """
    means, weight = means.cpu(), means.new_empty(0, means.shape[1], device="cpu") if weight is None else weight.cpu()
    chosen = {"train": _sampled(train, len(means))}
    chosen["test"] = _sampled(test, len(means)) if test is not None else _nothing(means.shape[1])
    vertices, frame = _frame(means, chosen["train"].features)
    radius = predicted_radius
    if radius is None:
        radius = float(torch.linalg.vector_norm(means - frame.origin, dim=1).mean())
    content = {}
    for split, samples in chosen.items():
        ideal = frame.origin + radius * vertices[samples.labels.long()]
        content[f"{split}_labels"], content[f"{split}_rows"] = samples.labels, samples.rows
        content[f"{split}_distance"] = torch.linalg.vector_norm(samples.features - ideal, dim=1).float()
    scales = []
    for suffix, centre, axes in (("", frame.centre, frame.axes), ("_polygon", frame.origin, frame.plane)):
        exact = {split: (samples.features - centre) @ axes for split, samples in chosen.items()}
        scales.append(max(float(values.abs().max()) if len(values) else 0.0 for values in exact.values()) / 32767)
        content |= {f"{split}{suffix}": _rounded(values, scales[-1]) for split, values in exact.items()}
        shown = MOST_SHOWN if suffix == "" else len(means)
        rows = weight[:shown] - weight[:shown].mean(0, keepdim=True)
        corners = vertices[:shown] - vertices[:shown].mean(0)
        content[f"means{suffix}"] = (means[:shown] - centre) @ axes
        content[f"weight{suffix}"] = rows @ axes
        content[f"vertices{suffix}"] = radius * corners @ axes
    content["scale"] = torch.tensor(scales, dtype=torch.float64)
    predicted = "false" if predicted_radius is None else "true"
    write_safetensors(path, content, {"epoch": str(epoch), "predicted": predicted})


def _frame(means: Tensor, features: Tensor) -> tuple[Float64[Tensor, "k d"], _Frame]:
    """The unit vertices of all classes, and what projects on them."""
    vertices, plane = polygon_frame(means)
    shown = means[:MOST_SHOWN]
    centre, count = shown.mean(0), len(shown)
    nearest = vertices if count == len(means) else polygon_frame(shown)[0]
    axes = nearest.T / math.sqrt(count / (count - 1))
    if count < SPATIAL:
        further = _widest(features - centre, axes @ axes.T, SPATIAL - count)
        axes = torch.cat([axes, further], 1)
        if len(means) == 2:
            plane[:, 1] = further[:, 0]
    return vertices, _Frame(centre=centre, axes=axes, origin=means.mean(0), plane=plane)


def _widest(features: Float64[Tensor, "n d"], span: Float64[Tensor, "d d"], count: int) -> Float64[Tensor, "d c"]:
    """Orthonormal directions across the span in which features spread the most, 0 for those that there are not.

    `span` projects on it. The largest entry of each direction is positive, so that it is the same in the next picture.
    """
    _, sizes, directions = torch.linalg.svd(features - features @ span, full_matrices=False)
    rounding = 1e-12 * torch.linalg.matrix_norm(features)
    found = directions[:count][sizes[:count] > rounding]
    largest = found.gather(1, found.abs().argmax(1, keepdim=True)) if len(found) else found
    return torch.nn.functional.pad((found * largest.sign()).T, (0, count - len(found)))


@dataclass(frozen=True, kw_only=True)
class _Samples:
    """Some samples of a split, with their positions in it."""

    features: Float64[Tensor, "n d"]
    labels: Int32[Tensor, "n"]
    rows: Int32[Tensor, "n"]


def _nothing(width: int) -> _Samples:
    none = torch.empty(0, dtype=torch.int32)
    return _Samples(features=torch.empty(0, width, dtype=torch.float64), labels=none, rows=none)


def _sampled(split: Labelled, classes: int) -> _Samples:
    rows = sampled_rows(split[1].cpu(), classes)
    features = split[0][rows.to(split[0].device)].double().cpu()
    return _Samples(features=features, labels=split[1].cpu()[rows].int(), rows=rows.int())


def sampled_rows(labels: Int64[Tensor, "n"], classes: int) -> Int64[Tensor, "m"]:
    """Positions of the samples that are drawn, increasing: at most 100 a class and 1,000 in all, the first of each.

    Of more than ten classes, the ten that have coordinates of their own share one half, the others the other half.
    """
    order = labels.argsort(stable=True)
    by_class = labels[order]
    rank = torch.empty_like(labels)
    rank[order] = torch.arange(len(labels)) - torch.searchsorted(by_class, by_class)
    most = torch.full((classes,), min(MOST_A_CLASS, MOST_SAMPLES // classes), dtype=torch.int64)
    if classes > MOST_SHOWN:
        half = MOST_SAMPLES // 2
        most[:MOST_SHOWN] = half // MOST_SHOWN
        most[MOST_SHOWN:] = min(MOST_A_CLASS, max(1, half // (classes - MOST_SHOWN)))
    rows = torch.arange(len(labels))[rank < most[labels]]
    if len(rows) > MOST_SAMPLES:
        rows = rows[labels[rows].argsort(stable=True)[:MOST_SAMPLES]].sort().values
    return rows


def _rounded(values: Float64[Tensor, "n c"], scale: float) -> Tensor:
    return (values / (scale or 1.0)).round().to(torch.int16)
