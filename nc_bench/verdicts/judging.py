"""Predicted against measured, joined by name: deviation, tolerance, verdict."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from nc_bench.config import Config, load_config
from nc_bench.runs import RunDirectory, RunTables, read_run
from nc_bench.runs.directory import CONFIG, PENULTIMATE, PREDICTIONS, Verdict
from nc_bench.runs.load import FINISHED, predictions_frame
from nc_bench.runs.rows import rows_to_frame
from nc_bench.verdicts.claims import CLAIMS, deviation_of, tolerance_of
from nc_bench.verdicts.convergence import converged
from nc_bench.verdicts.expectations import Expectation, expectations

LAW_ROUNDING = 1e-9
"""How far rounding may put risk_balanced below risk_floor."""

SHARE_ROUNDING = 1e-6
"""How far the rounding of float32 features may put simplex_efficiency above 1."""


def judge_run(
    run: RunDirectory, config: Config, expected: Sequence[Expectation], null: Mapping[str, float]
) -> dict[str, str]:
    """Judge the rows that a run has written, and write metrics.csv and predictions.json; the SHA-256 of each.

    `null`: what random directions give, by metric name. RunError for damaged rows, OSError if it cannot be written.
    """
    return run.finish(judge(config, expected, rows_to_frame(run.rows()), null))


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
    judged = judge(config, expected, run.rows, null)
    return dataclasses.replace(run, predictions=predictions_frame(judged))


def judge(
    config: Config, expected: Sequence[Expectation], rows: pd.DataFrame, null: Mapping[str, float]
) -> list[Verdict]:
    """One row per claim, judged on the last recorded epoch of the training split, and the law of every row.

    What is judged is the penultimate layer.

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
    return [*judged, _law(config, rows)]


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


def _law(config: Config, rows: pd.DataFrame) -> Verdict:
    """The law of every recorded row: risk_balanced >= risk_floor, which no linear head can break.

    simplex_efficiency <= 1 says the same, relative to the norms: where both risks are close to log K, or to 0, only
    the share shows a violation.
    """
    gaps = rows["risk_gap"].dropna()
    smallest = float(gaps.min()) if len(gaps) else math.nan
    excess = float((rows["simplex_efficiency"] - 1).max())
    broken = smallest < -LAW_ROUNDING or excess > SHARE_ROUNDING
    bounded_outputs = config.constraints.outputs is not None
    applies = not bounded_outputs and not math.isnan(smallest)
    if bounded_outputs:
        assumption = "the outputs are not linear in the features: they are bounded"
    else:
        assumption = "a linear head; any features, weights, bias and class sizes"
    return Verdict(
        name="risk_gap",
        claim=f"the risk is never below its floor ({len(gaps)} measurements)",
        predicted=0.0,
        null=math.nan,
        measured=smallest,
        deviation=(-excess if excess > SHARE_ROUNDING else min(smallest, 0.0)) if applies else math.nan,
        tolerance=LAW_ROUNDING if applies else math.nan,
        verdict=("fails" if broken else "holds") if applies else "not applicable",
        assumption=assumption,
        source="E & Wojtowytsch 2021, Cor. 4.2 averaged over permutations of the classes",
    )
