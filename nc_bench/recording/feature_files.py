"""What a run keeps in its folder features/: features of recorded epochs, and tables of classes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor

from nc_bench.config import ConfigError, Record
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
    write_safetensors(feature_file(run, epoch, split), content, metadata)


def write_classes(run: Path, *, epoch: int, tables: Mapping[str, Mapping[str, NDArray[Any]]]) -> None:
    """Save the columns of `CollapseMetrics.per_class` of each split, as safetensors `SPLIT.COLUMN` (K,)."""
    content = {
        f"{split}.{name}": torch.from_numpy(column)
        for split, columns in tables.items()
        for name, column in columns.items()
    }
    write_safetensors(class_file(run, epoch), content, {"epoch": str(epoch)})


def write_safetensors(path: Path, content: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    """Write tensors and notes about them, atomically, with their SHA-256 among the notes (see `read_arrays`)."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in content.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = arrays_digest({name: tensor.numpy() for name, tensor in tensors.items()}, metadata)
    write_bytes(path, save(tensors, {**metadata, "sha256": digest}))
