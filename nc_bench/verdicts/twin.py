"""The longer twin of a run: the same run in three times as many epochs, by which it is told whether it rests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nc_bench.config import Config, ConfigError
from nc_bench.runs import read_run
from nc_bench.runs.directory import MANIFEST, PENULTIMATE
from nc_bench.verdicts.rest import TIMES


def twin_folder(run: Path, config: Config) -> Path:
    """The folder within a run's directory that holds its twin; a run that is trained on has another twin."""
    return run / f"settled-{TIMES * config.training.epochs}"


def stretched(config: Config, times: int = TIMES) -> Config:
    """The configuration of the twin: `times` as many epochs, and all that goes by them stretched by as much.

    Schedules go by fractions of the run, so that they stretch with it. It is measured at the epochs that correspond to
    the run's own. A stop at an efficiency would end both at the same one, so the twin has none.
    ConfigError where nothing is trained.
    """
    training, record = config.training, config.record
    if training.epochs == 0:
        raise ConfigError("training.epochs: 0 given; a run that is not trained has nothing to come to rest")
    stop = training.stop
    if stop is not None and stop.terminal_epochs is not None:
        stop = stop.model_copy(update={"simplex_efficiency": None, "terminal_epochs": times * stop.terminal_epochs})
    else:
        stop = None
    epochs = tuple(times * epoch for epoch in sorted(record.recorded_epochs(training.epochs)))
    return config.model_copy(
        update={
            "training": training.model_copy(update={"epochs": times * training.epochs, "stop": stop}),
            "record": record.model_copy(update={"every": epochs, "features": False}),
        }
    )


def later_row(run: Path, config: Config) -> dict[str, Any] | None:
    """The last row of a run's twin, of the training split's penultimate layer; None if it has none that is complete."""
    path = twin_folder(run, config)
    if not (path / MANIFEST).is_file():
        return None
    twin = read_run(path)
    rows = twin.rows
    if twin.manifest["status"] != "complete" or rows.empty:
        return None
    train = rows[(rows["split"] == "train") & (rows["layer"] == PENULTIMATE)]
    return None if train.empty else dict(train.iloc[-1])
