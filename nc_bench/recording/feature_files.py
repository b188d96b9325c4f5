"""Features of every recorded epoch as safetensors files, where the configuration asks for them."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save

from nc_bench.config import ConfigError, Record
from nc_bench.recording.recorder import Recorder, Recording, Split
from nc_bench.runs.directory import feature_file
from nc_bench.runs.files import write_bytes

SPLITS = ("train", "test")


def kept_splits(record: Record) -> tuple[str, ...]:
    """The splits whose features are kept."""
    if isinstance(record.features, bool):
        return SPLITS if record.features else ()
    return record.features


def check_features_can_be_kept(recorder: Recorder, record: Record, train: Split, test: Split | None) -> None:
    """Raises ConfigError, one line, if a split that is listed does not exist, or its features do not fit in memory."""
    if test is None and not isinstance(record.features, bool) and "test" in record.features:
        raise ConfigError("record.features: test listed, but there are no test samples")
    for name, split in zip(SPLITS, (train, test), strict=True):
        if name in kept_splits(record) and split is not None and not recorder.keeps(split):
            raise ConfigError(
                f"record.features: those of the {name} split do not fit in the {recorder.budget / 2**30:g} GiB that "
                "are kept in memory; leave it out, or record fewer layers"
            )


def write_features(
    run: Path, *, epoch: int, step: int, split: str, recording: Recording, samples: Split, trial: int
) -> None:
    """Write one trial's features, atomically: `features.LAYER` (N, d) of every layer in the precision of training,
    and `labels` (N,), in the order of the data. Metadata: epoch, step, split."""
    layers = {f"features.{name}": layer.features for name, layer in recording.layers.items()}
    content = {name: features[trial] for name, features in layers.items() if features is not None}
    content["labels"] = samples.labels[trial]
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in content.items()}
    path = feature_file(run, epoch, split)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, save(tensors, {"epoch": str(epoch), "step": str(step), "split": split}))
