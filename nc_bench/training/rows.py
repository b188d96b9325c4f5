"""What a recording adds to the table of a run: a row per split and layer, with what training itself knows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from nc_bench.recording import Recording
from nc_bench.runs.directory import PENULTIMATE
from nc_bench.training.ensemble import Ensemble
from nc_bench.training.stationarity import stationarity_residuals

Row = dict[str, Any]

NOT_KEPT = "checkpoints do not keep it, and the run was resumed at this epoch"


def rows_of_recording(
    ensemble: Ensemble, train: Recording, test: Recording | None, clocks: Mapping[int, float]
) -> dict[int, list[Row]]:
    """The rows of the trials that have a clock, in seconds; the penultimate layer of the training split comes first.

    Only that one has the objective, the norm of the gradient and the stationarity residual.
    """
    losses = ensemble.mean_losses(
        [metrics["risk"] for metrics in train.penultimate.metrics], train.penultimate.features
    )
    penalties = ensemble.penalties(train.penultimate.features)
    stationarity = stationarity_residuals(ensemble, ensemble.train_split(), train)
    gradient_norms = ensemble.gradient_norms()
    scale = ensemble.learning_rate_factor()
    rows: dict[int, list[Row]] = {}
    for trial, clock in clocks.items():
        rate = ensemble.configs[trial].optimizer.lr * scale
        residual, reason = stationarity[trial]
        columns: dict[str, float | None] = {
            "objective": losses[trial] + penalties[trial],
            "learning_rate": rate,
            "gradient_norm": gradient_norms[trial],
            "stationarity_residual": residual,
        }
        rows[trial] = _rows(ensemble, "train", train, trial, clock, columns)
        reasons = rows[trial][0]["reasons"]
        if reason:
            reasons["stationarity_residual"] = reason
        if math.isnan(gradient_norms[trial]):
            reasons["gradient_norm"] = "no step has been taken yet" if ensemble.step_count == 0 else NOT_KEPT
        if test is not None:
            columns = dict.fromkeys(columns) | {"learning_rate": rate}
            rows[trial] += _rows(ensemble, "test", test, trial, clock, columns)
    return rows


def _rows(
    ensemble: Ensemble,
    split: str,
    recording: Recording,
    trial: int,
    seconds: float,
    columns: Mapping[str, float | None],
) -> list[Row]:
    """A row per layer, the penultimate first; only this one has columns besides the metrics of the features."""
    own = {**columns, **{name: values[trial] for name, values in recording.residuals.items()}}
    return [
        {
            "epoch": ensemble.step_count // ensemble.steps_per_epoch,
            "step": ensemble.step_count,
            "split": split,
            "layer": name,
            **layer.metrics[trial],
            **(own if name == PENULTIMATE else {}),
            **recording.depth[name][trial].values,
            "seconds": seconds,
            "reasons": {**layer.metrics[trial].reasons, **recording.depth[name][trial].reasons},
        }
        for name, layer in recording.layers.items()
    ]
