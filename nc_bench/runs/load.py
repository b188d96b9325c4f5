"""Reading a run directory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from nc_bench.errors import RunError
from nc_bench.runs.directory import (
    CONFIG,
    MANIFEST,
    PREDICTIONS,
    ROWS,
    VERDICT_COLUMNS,
    feature_file,
    read_json,
    read_rows,
    rows_to_frame,
)


@dataclass(frozen=True, kw_only=True)
class RunTables:
    """What a run directory holds.

    config: the resolved configuration as nested dicts. manifest: status, versions, device, seeds, class counts.
    rows: a table with one row per recorded epoch, split and layer: the metrics by name, then further columns,
    NaN where undefined. predictions: one row per claim (empty until the run has ended). reasons: for every NaN
    metric (epoch, split, layer, name) why it is undefined. features: where the features of a recorded (epoch, split)
    are kept, if `record.features` asked for them: safetensors with `features.LAYER` (N, d) and `labels` (N,).
    """

    path: Path
    config: dict[str, Any]
    manifest: dict[str, Any]
    rows: pd.DataFrame
    predictions: pd.DataFrame
    reasons: dict[tuple[int, str, str, str], str]
    features: dict[tuple[int, str], Path]


def read_run(directory: str | Path) -> RunTables:
    """Read a run directory, finished or not. Works without torch.

    Raises RunError (a ValueError) naming the file if the directory holds no run or a file is damaged.
    """
    path = Path(directory)
    if not (path / CONFIG).is_file() or not (path / MANIFEST).is_file():
        raise RunError(f"{path}: holds no run ({CONFIG} and {MANIFEST} are looked for)")
    rows = read_rows(path / ROWS)
    reasons = {
        (row["epoch"], row["split"], row["layer"], name): reason
        for row in rows
        for name, reason in row.get("reasons", {}).items()
    }
    predictions = read_json(path / PREDICTIONS) if (path / PREDICTIONS).exists() else []
    frame = pd.DataFrame(predictions, columns=list(VERDICT_COLUMNS))
    numbers = {name: "float64" for name, kind in VERDICT_COLUMNS.items() if kind is float}
    return RunTables(
        path=path,
        config=_config(path / CONFIG),
        manifest=read_json(path / MANIFEST),
        rows=rows_to_frame(rows),
        predictions=frame.astype(numbers),
        reasons=reasons,
        features={
            (row["epoch"], row["split"]): file
            for row in rows
            if (file := feature_file(path, row["epoch"], row["split"])).is_file()
        },
    )


def _config(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = yaml.safe_load(path.read_bytes())
    except yaml.YAMLError as error:
        raise RunError(f"{path}: damaged (not YAML: {' '.join(str(error).split())})") from None
    return content
