"""Predicted against measured, joined by name: deviation, tolerance, verdict."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from nc_bench.config import Config, load_config
from nc_bench.runs import RunDirectory, RunTables, read_run
from nc_bench.runs.directory import CONFIG, PENULTIMATE, PREDICTIONS, Verdict
from nc_bench.runs.load import FINISHED, predictions_frame
from nc_bench.runs.rows import rows_to_frame
from nc_bench.verdicts.claims import CLAIMS, deviation_of, tolerance_of
from nc_bench.verdicts.convergence import converged
from nc_bench.verdicts.expectations import Expectation, expectations
from nc_bench.verdicts.laws import judge_laws, simplex_caps


def judge_run(
    run: RunDirectory,
    config: Config,
    expected: Sequence[Expectation],
    null: Mapping[str, float],
    facts: Mapping[str, Any],
) -> dict[str, str]:
    """Judge the rows that a run has written, and write metrics.csv and predictions.json; the SHA-256 of each.

    `null`: what random directions give, by metric name; `facts`: those of the manifest. RunError for damaged rows,
    OSError if it cannot be written.
    """
    return run.finish(judge(config, expected, rows_to_frame(run.rows()), null, simplex_caps(facts)))


def read_judged_run(directory: str | Path) -> RunTables:
    """As `read_run`; claims of a finished run whose predictions.json is missing or damaged are judged again."""
    run = read_run(directory)
    facts = run.manifest
    lost = PREDICTIONS in facts.get("files", {}) and run.predictions.empty and not run.rows.empty
    if not lost or facts["status"] not in FINISHED:
        return run
    config = load_config(run.path / CONFIG)
    null = {name: math.nan if value is None else value for name, value in facts["null"].items()}
    expected = expectations(config, facts["class_counts"], facts["feature_width"])
    judged = judge(config, expected, run.rows, null, simplex_caps(facts))
    return dataclasses.replace(run, predictions=predictions_frame(judged))


def judge(
    config: Config,
    expected: Sequence[Expectation],
    rows: pd.DataFrame,
    null: Mapping[str, float],
    caps: Mapping[str, float] | None = None,
) -> list[Verdict]:
    """One row per claim, judged on the last recorded epoch of the training split, and one per law, judged on all rows.

    Claims are judged on the penultimate layer. `caps`: by layer the largest `efficiency_simplex`, where it is not 1.

    holds: |measured - predicted| within the tolerance, which for NC2 and NC3 is also never more than half of what
    random directions give. Otherwise not converged if the run still moves, else fails.
    """
    train = rows[(rows["split"] == "train") & (rows["layer"] == PENULTIMATE)]
    if train.empty:
        return []
    last = train.iloc[-1]
    moving = config.training.epochs > 0 and not converged(train, by_stationarity=False)
    judged = []
    for expectation in expected:
        for name in CLAIMS:
            if name in expectation.values:
                judged.append(_verdict(config, name, expectation, float(last.get(name, math.nan)), null, moving))
    judged.sort(key=lambda row: list(CLAIMS).index(row["name"]))
    return [*judged, *judge_laws(config, rows, caps or {})]


def _verdict(
    config: Config,
    name: str,
    expectation: Expectation,
    measured: float,
    null: Mapping[str, float],
    moving: bool,
) -> Verdict:
    predicted, random = expectation.values[name], null.get(name, math.nan)
    deviation = deviation_of(name, measured, predicted)
    tolerance = _tolerance(config, name, random, proved=expectation.proved)
    if expectation.not_applicable:
        verdict, tolerance = "not applicable", math.nan
    elif math.isnan(measured):
        verdict = "not applicable"
    elif abs(deviation) <= tolerance:
        verdict = "holds"
    else:
        verdict = "not converged" if moving else "fails"
    return Verdict(
        name=name,
        claim=CLAIMS[name].sentence,
        predicted=predicted,
        null=random,
        measured=measured,
        deviation=deviation,
        tolerance=tolerance,
        verdict=verdict,
        assumption=expectation.not_applicable or expectation.assumption,
        source=expectation.source,
    )


def _tolerance(config: Config, name: str, null: float, *, proved: bool) -> float:
    exact = config.model.takes_indices and proved and config.training.autocast == "none"
    return tolerance_of(name, null, exact_in=config.dtype if exact else "")
