"""The folder features/ of a run: features of recorded epochs, pictures of them on a plane, and tables of classes."""

from __future__ import annotations

from collections.abc import Sequence

from nc_bench.config import Record
from nc_bench.recording import Recording, Split
from nc_bench.recording.feature_files import SPLITS, write_classes, write_features, write_plane
from nc_bench.runs import RunDirectory
from nc_bench.runs.directory import FEATURES
from nc_bench.verdicts.expectations import Expectation

Recordings = tuple[Recording, Recording | None]
Splits = tuple[Split, Split | None]
"""Of the training and the test split."""


def keep_features(
    run: RunDirectory, record: Record, recordings: Recordings, splits: Splits, *, trial: int, epoch: int, step: int
) -> None:
    """Write the features of the splits that `record` keeps; `trial` is the run's position in the recordings."""
    for name, recording, split in zip(SPLITS, recordings, splits, strict=True):
        if name in record.kept_splits and recording is not None and split is not None:
            write_features(
                run.path, epoch=epoch, step=step, split=name, recording=recording, samples=split, trial=trial
            )


def keep_classes(run: RunDirectory, recordings: Recordings, *, trial: int, epoch: int) -> None:
    """Write the tables of classes of both splits, which is done for the last epoch."""
    tables = {
        name: recording.penultimate.metrics[trial].per_class
        for name, recording in zip(SPLITS, recordings, strict=True)
        if recording is not None
    }
    write_classes(run.path, epoch=epoch, tables=tables)


def keep_picture(
    run: RunDirectory,
    expected: Sequence[Expectation],
    recordings: Recordings,
    splits: Splits,
    *,
    epoch: int,
    is_last: bool,
) -> None:
    """Write the picture of the first recorded epoch and of the last one; without a class there is no simplex."""
    folder, (train, test) = run.path / FEATURES, recordings
    layer = train.penultimate
    wanted = is_last or not any(folder.glob("plane-*"))
    if not wanted or layer.features is None or not bool(layer.class_means.isfinite().all()):
        return
    radii = [e.values["feature_radius"] for e in expected if "feature_radius" in e.values]
    shown = None
    if splits[1] is not None and test is not None and test.penultimate.features is not None:
        shown = (test.penultimate.features[0], splits[1].labels[0])
    write_plane(
        folder / f"plane-{epoch:05d}.safetensors",
        epoch=epoch,
        train=(layer.features[0], splits[0].labels[0]),
        test=shown,
        means=layer.class_means[0],
        predicted_radius=radii[0] if radii else None,
    )
