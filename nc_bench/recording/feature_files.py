"""What a run keeps in its folder features/: features of recorded epochs, and pictures of them on a plane."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Float64, Int64
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor

from nc_bench.config import ConfigError, Record
from nc_bench.geometry.simplex import polygon_frame
from nc_bench.recording.recorder import Recorder, Recording, Split
from nc_bench.runs.directory import class_file, feature_file
from nc_bench.runs.files import arrays_digest, write_bytes

SPLITS = ("train", "test")


def check_features_can_be_kept(recorder: Recorder, record: Record, train: Split, test: Split | None) -> None:
    """Raises ConfigError, one line, if a split that is listed does not exist, or its features do not fit in memory."""
    if test is None and not isinstance(record.features, bool) and "test" in record.features:
        raise ConfigError("record.features: test listed, but there are no test samples")
    for name, split in zip(SPLITS, (train, test), strict=True):
        if name in record.kept_splits and split is not None and not recorder.keeps(split):
            raise ConfigError(
                f"record.features: those of the {name} split do not fit in the {recorder.budget / 2**30:g} GiB that "
                "are kept in memory; leave it out, or record fewer layers"
            )


def write_features(
    run: Path, *, epoch: int, step: int, split: str, recording: Recording, samples: Split, trial: int
) -> None:
    """Write one trial's features, atomically, as safetensors with epoch, step and split in the metadata.

    `features.LAYER` (N, d) of every layer in the precision of training, and `labels` (N,), in the order of the data.
    """
    layers = {f"features.{name}": layer.features for name, layer in recording.layers.items()}
    content = {name: features[trial] for name, features in layers.items() if features is not None}
    content["labels"] = samples.labels[trial]
    metadata = {"epoch": str(epoch), "step": str(step), "split": split}
    _write_safetensors(feature_file(run, epoch, split), content, metadata)


def write_plane(
    path: Path,
    *,
    epoch: int,
    train: tuple[Float[Tensor, "n d"], Int64[Tensor, "n"]],
    test: tuple[Float[Tensor, "m d"], Int64[Tensor, "m"]] | None,
    means: Float64[Tensor, "k d"],
    predicted_radius: float | None,
) -> None:
    """Save both splits' features on the plane of `polygon_frame`, and the simplex's vertices, as safetensors.

    `means` are the training class means; `predicted_radius` is |y_c - mu| where theory gives one, else the vertices
    are drawn at the mean radius that was measured.
    """
    vertices, plane = polygon_frame(means)
    centre = means.mean(0)
    if means.shape[0] == 2 and means.shape[1] > 1:
        plane[:, 1] = _widest_direction_across(train[0], centre, plane[:, 0])
    radius = predicted_radius
    if radius is None:
        radius = float(torch.linalg.vector_norm(means - centre, dim=1).mean())
    points, labels = test if test is not None else (train[0][:0], train[1][:0])
    content = {
        "train": _coordinates(plane, train[0], centre),
        "train_labels": train[1],
        "test": _coordinates(plane, points, centre),
        "test_labels": labels,
        "vertices": (radius * vertices @ plane).float(),
    }
    metadata = {"epoch": str(epoch), "predicted": "false" if predicted_radius is None else "true"}
    _write_safetensors(path, content, metadata)


def write_classes(run: Path, *, epoch: int, tables: Mapping[str, Mapping[str, NDArray[Any]]]) -> None:
    """Save the columns of `CollapseMetrics.per_class` of each split, as safetensors `SPLIT.COLUMN` (K,)."""
    content = {
        f"{split}.{name}": torch.from_numpy(column)
        for split, columns in tables.items()
        for name, column in columns.items()
    }
    _write_safetensors(class_file(run, epoch), content, {"epoch": str(epoch)})


def _write_safetensors(path: Path, content: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in content.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = arrays_digest({name: tensor.numpy() for name, tensor in tensors.items()}, metadata)
    write_bytes(path, save(tensors, {**metadata, "sha256": digest}))


def _coordinates(plane: Tensor, features: Tensor, centre: Tensor) -> Tensor:
    return ((features.double() - centre) @ plane).float()


def _widest_direction_across(features: Tensor, centre: Tensor, axis: Tensor) -> Tensor:
    across = features.double() - centre
    across = across - (across @ axis)[:, None] * axis
    return torch.linalg.eigh(across.T @ across).eigenvectors[:, -1]
