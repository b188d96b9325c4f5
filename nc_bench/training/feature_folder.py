"""The folder features/ of a run: features of recorded epochs, pictures of them, and tables of classes."""

from __future__ import annotations

from collections.abc import Sequence

from nc_bench.config import Record
from nc_bench.config.training import PICTURES, log_spaced
from nc_bench.recording import Recording, Split
from nc_bench.recording.feature_files import SPLITS, write_classes, write_features
from nc_bench.recording.picture import write_picture
from nc_bench.runs import RunDirectory
from nc_bench.runs.directory import FEATURES, class_file, feature_epoch, picture_file
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


def drop_outdated(run: RunDirectory) -> None:
    """Keep few pictures, the first and the newest among them, and the newest table: for loops whose end is unknown."""
    for file, most in ((picture_file, PICTURES), (class_file, 1)):
        pattern = file(run.path, 0).name.replace("00000", "*")
        epochs = sorted(
            epoch for path in (run.path / FEATURES).glob(pattern) if (epoch := feature_epoch(path)) is not None
        )
        kept = log_spaced(epochs, most) if most > 1 else epochs[-1:]
        for epoch in set(epochs) - set(kept):
            file(run.path, epoch).unlink(missing_ok=True)


def keep_picture(
    run: RunDirectory, expected: Sequence[Expectation], recordings: Recordings, splits: Splits, *, epoch: int
) -> None:
    """Write the picture of an epoch; there is none of one class, of an absent one, or without features in memory."""
    train, test = recordings
    layer, weight = train.penultimate, None if train.weight is None else train.weight[0]
    means = layer.class_means[0]
    drawable = bool(means.isfinite().all()) and (weight is None or bool(weight.isfinite().all()))
    if layer.features is None or len(means) < 2 or not drawable:
        return
    radii = [e.values["feature_radius"] for e in expected if "feature_radius" in e.values]
    shown = None
    if splits[1] is not None and test is not None and test.penultimate.features is not None:
        shown = (test.penultimate.features[0], splits[1].labels[0])
    write_picture(
        picture_file(run.path, epoch),
        epoch=epoch,
        train=(layer.features[0], splits[0].labels[0]),
        test=shown,
        means=means,
        weight=weight,
        predicted_radius=radii[0] if radii else None,
    )
