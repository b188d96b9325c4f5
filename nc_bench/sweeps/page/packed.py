"""The data of a sweep's page as the scripts read it: arrays as base64, every number once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nc_bench.reports.page.document import PAGE
from nc_bench.reports.page.motion import packed
from nc_bench.reports.page.shell import link_to
from nc_bench.sweeps.folder import TRIALS, State
from nc_bench.sweeps.page.bands import Bands
from nc_bench.sweeps.page.differences import Differences
from nc_bench.sweeps.page.measures import is_logarithmic
from nc_bench.sweeps.page.trials import SweepData
from nc_bench.sweeps.tables import written

MOST_NUMBERS = 220_000
"""Last values of trials that the page keeps; measures beyond it are left out, the ones named last."""

STATES = tuple(State)


def packed_trials(data: SweepData, out: Path) -> dict[str, Any]:
    """The points of the grid: their columns, states and measures, and where their pages lie."""
    points = data.points
    kept = list(data.measures)[: max(6, MOST_NUMBERS // max(len(points), 1))]
    trials = list(dict.fromkeys(points["trial"]))
    places = {trial: at for at, trial in enumerate(trials)}
    codes = {state.value: at for at, state in enumerate(STATES)}
    folder = data.path / TRIALS
    has_page = [(folder / trial / PAGE).is_file() for trial in trials]
    return {
        "columns": [_column(points[name], name) for name in (*data.columns, "seed")],
        "states": [state.value for state in STATES],
        "state": packed(np.array([codes[state] for state in points["state"]]), np.uint8),
        "trials": trials,
        "trial": packed(np.array([places[trial] for trial in points["trial"]]), np.uint32),
        "hasPage": packed(np.array(has_page), np.uint8),
        "folder": link_to(folder, out),
        "page": PAGE,
        "measures": [
            {
                "name": name,
                "isLog": is_logarithmic(data.measures[name], data.study, name),
                "values": _floats(points[name].to_numpy(np.float64)),
            }
            for name in kept
        ],
        "leftOut": len(data.measures) - len(kept),
    }


def _floats(values: NDArray[np.float64]) -> str:
    """As float32; what it cannot hold is no number."""
    fits = np.abs(values) < np.finfo(np.float32).max
    return packed(np.where(fits, values, np.nan), np.float32)


def _column(values: pd.Series, name: str) -> dict[str, Any]:
    """The different values of a column, numbers in their order, and which of them each point has."""
    different = list(dict.fromkeys(values))
    numbers = [value for value in different if value != ""]
    is_number = bool(numbers) and all(isinstance(v, int | float) and not isinstance(v, bool) for v in numbers)
    if is_number:
        different = sorted(numbers) + [""] * ("" in different)
    places = {(type(value) is bool, value): at for at, value in enumerate(different)}
    codes = [places[type(value) is bool, value] for value in values]
    labels = [written(value) for value in different]
    numeric = [float(value) for value in numbers] if is_number else []
    return {"name": name, "labels": labels, "numbers": sorted(numeric), "codes": packed(np.array(codes), np.uint16)}


def packed_bands(data: SweepData, bands: Bands) -> dict[str, Any]:
    """The curves: the cells by the places of their values among those of their columns."""
    return {
        "by": list(bands.by),
        "pooled": list(bands.pooled),
        "cells": [[written(value) for value in cell] for cell in bands.cells],
        "runs": bands.runs,
        "epochs": bands.epochs,
        "measures": [
            {
                "name": name,
                "isLog": is_logarithmic(data.measures[name], data.study, name),
                "means": _floats(means),
                "halves": _floats(bands.halves[name]),
            }
            for name, means in bands.means.items()
        ],
        "leftOut": bands.left_out,
    }


def packed_differences(found: list[Differences]) -> list[dict[str, Any]]:
    """The differences of each column, row by row."""
    return [
        {
            "column": one.column,
            "against": written(one.against),
            "by": list(one.by),
            "measures": list(dict.fromkeys(one.table["measure"])),
            "rows": [_row(one, row) for row in one.table.to_dict("records")],
        }
        for one in found
    ]


def _row(one: Differences, row: dict[str, Any]) -> dict[str, Any]:
    numbers = {name: float(f"{row[name]:.4g}") for name in ("mean", "low", "high", "p_value", "p_holm")}
    labels = [written(row[one.column]), *(written(row[name]) for name in one.by)]
    return {"labels": labels, "measure": row["measure"], "n": row["runs"], "paired": bool(row["paired"]), **numbers}
