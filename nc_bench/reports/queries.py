"""What the reports look up in a run: last values, curves, values by layer, and claims."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nc_bench.runs import RunTables
from nc_bench.runs.directory import PENULTIMATE, class_file
from nc_bench.runs.files import read_arrays


def last_row(run: RunTables, split: str) -> dict[str, Any]:
    """The last recorded row of a split, empty if there is none."""
    rows = _rows(run, split)
    return {} if rows.empty else dict(rows.iloc[-1])


def last_value(run: RunTables, split: str, name: str) -> float:
    """The last recorded value of a metric, NaN if it was not recorded or is undefined."""
    return float(last_row(run, split).get(name, math.nan))


def curve(run: RunTables, split: str, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Epochs and values of one metric, both empty if it was not recorded."""
    rows = _rows(run, split)
    if name not in rows:
        return np.empty(0), np.empty(0)
    return rows["epoch"].to_numpy(np.float64), rows[name].to_numpy(np.float64)


def layer_names(run: RunTables) -> list[str]:
    """The layers that were recorded, from the input's side to the penultimate."""
    names = list(dict.fromkeys(run.rows["layer"])) if not run.rows.empty else []
    return [name for name in names if name != PENULTIMATE] + [PENULTIMATE] * (PENULTIMATE in names)


def last_by_layer(run: RunTables, split: str, name: str) -> NDArray[np.float64]:
    """The last recorded value of a metric at each layer of `layer_names`, NaN where there is none."""
    values = [_rows(run, split, layer).get(name) for layer in layer_names(run)]
    return np.array([math.nan if v is None or v.empty else v.iloc[-1] for v in values], np.float64)


def claim(run: RunTables, name: str) -> dict[str, Any]:
    """The prediction of this name, empty if there is none."""
    rows = run.predictions[run.predictions["name"] == name]
    return {} if rows.empty else dict(rows.iloc[0])


def null_value(run: RunTables, name: str) -> float:
    """What random class means and weights give, NaN where no claim of this name says it."""
    return float(claim(run, name).get("null", math.nan))


def class_columns(run: RunTables, split: str) -> dict[str, NDArray[Any]]:
    """The columns of a split's table of classes at the last recorded epoch, (K,) by name; empty where none was kept.

    RunError names a file that cannot be read.
    """
    last = last_row(run, "train")
    path = class_file(run.path, int(last["epoch"])) if last else run.path
    if not path.is_file():
        return {}
    arrays, _ = read_arrays(path)
    return {name.removeprefix(f"{split}."): column for name, column in arrays.items() if name.startswith(f"{split}.")}


def _rows(run: RunTables, split: str, layer: str = PENULTIMATE) -> Any:
    if run.rows.empty:
        return run.rows
    return run.rows[(run.rows["split"] == split) & (run.rows["layer"] == layer)]
