"""What a recording adds to the table of a run: a row per split and layer, with what training itself knows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from nc_bench.metrics import CollapseMetrics
from nc_bench.recording import Recording, Split
from nc_bench.runs.directory import CORRECT, PENULTIMATE, class_column
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
        place: dict[str, Any] = {
            "epoch": ensemble.step_count // ensemble.steps_per_epoch,
            "step": ensemble.step_count,
            "seconds": clock,
            "per_class": ensemble.configs[trial].record.per_class,
            "trial": trial,
        }
        own, why = _own_metrics(ensemble, ensemble.train_split(), train, trial)
        rows[trial] = layer_rows(train, columns | own, split="train", **place)
        reasons = rows[trial][0]["reasons"]
        reasons |= why
        if reason:
            reasons["stationarity_residual"] = reason
        if math.isnan(gradient_norms[trial]):
            reasons["gradient_norm"] = "no step has been taken yet" if ensemble.step_count == 0 else NOT_KEPT
        if test is not None:
            columns = dict.fromkeys(columns) | {"learning_rate": rate}
            own, why = _own_metrics(ensemble, ensemble.test_split(), test, trial)
            of_test = layer_rows(test, columns | own, split="test", **place)
            of_test[0]["reasons"] |= why
            rows[trial] += of_test
    return rows


def layer_rows(
    recording: Recording,
    columns: Mapping[str, float | None],
    *,
    epoch: int,
    step: int,
    split: str,
    seconds: float,
    per_class: Sequence[str] = (),
    trial: int = 0,
) -> list[Row]:
    """A row per layer, the penultimate first; only this one has columns besides the metrics of the features.

    `per_class` are the columns of `record.per_class`. With `record.correct_only` a row of the correctly classified
    samples comes last, as a split of its own.
    """
    residuals = {name: values[trial] for name, values in recording.residuals.items()}
    where = {"epoch": epoch, "step": step}
    rows: list[Row] = []
    for name, layer in recording.layers.items():
        metrics, depth = layer.metrics[trial], recording.depth[name][trial]
        own, reasons = class_columns(metrics, per_class) if name == PENULTIMATE else ({}, {})
        rows.append({
            **where, "split": split, "layer": name, **metrics,
            **({**columns, **residuals} if name == PENULTIMATE else {}), **depth.values, **own,
            "seconds": seconds, "reasons": {**metrics.reasons, **depth.reasons, **reasons},
        })  # fmt: skip
    if recording.correct:
        metrics = recording.correct[trial]
        own, reasons = class_columns(metrics, per_class)
        rows.append({
            **where, "split": f"{split}{CORRECT}", "layer": PENULTIMATE, **metrics, **own,
            "seconds": seconds, "reasons": {**metrics.reasons, **reasons},
        })  # fmt: skip
    return rows


def _own_metrics(
    ensemble: Ensemble, split: Split | None, recording: Recording, trial: int
) -> tuple[dict[str, float], dict[str, str]]:
    """The columns of `record.metrics`, and why some are NaN."""
    assert split is not None, "it was measured"
    features = recording.penultimate.features
    its_features = None if features is None else features[trial]
    return ensemble.own_metrics.values(its_features, split.labels[trial], ensemble.model, trial)


def class_columns(metrics: CollapseMetrics, names: Sequence[str]) -> tuple[dict[str, float], dict[str, str]]:
    """The columns that `record.per_class` asks for, a number of every class, and why some are NaN."""
    values = {
        class_column(name, label): float(value)
        for name in names
        for label, value in enumerate(metrics.per_class.get(name, ()))
    }
    reasons = {
        column: "the class has no samples, or its number is undefined"
        for column, value in values.items()
        if math.isnan(value)
    }
    return values, reasons
