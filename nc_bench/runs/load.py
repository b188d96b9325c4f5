"""Reading a run directory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from numpy.typing import NDArray

from nc_bench.errors import RunError
from nc_bench.runs.directory import CONFIG, MANIFEST, PREDICTIONS, ROWS, VERDICT_COLUMNS, feature_file
from nc_bench.runs.files import digest, parsed_json, read_arrays
from nc_bench.runs.manifest import read_manifest
from nc_bench.runs.rows import Rows, Seal, read_rows, rows_to_frame

NUMBERS = tuple(name for name, kind in VERDICT_COLUMNS.items() if kind is float)
"""The columns of the table of predictions that hold numbers."""

FINISHED = ("complete", "diverged")
"""Statuses of runs that write no more rows."""


@dataclass(frozen=True, kw_only=True)
class RunTables:
    """What a run directory holds.

    config: the resolved configuration as nested dicts. manifest: status, versions, device, seeds, class counts.
    rows: a table with one row per recorded epoch, split and layer: the metrics by name, then further columns,
    NaN where undefined. predictions: one row per claim (empty until the run has ended). reasons: for every NaN
    metric (epoch, split, layer, name) why it is undefined. features: where the features of a recorded (epoch, split)
    are kept, if `record.features` asked for them: safetensors, which `load_features` checks and reads.
    """

    path: Path
    config: dict[str, Any]
    manifest: dict[str, Any]
    rows: pd.DataFrame
    predictions: pd.DataFrame
    reasons: dict[tuple[int, str, str, str], str]
    features: dict[tuple[int, str], Path]

    def load_features(self, epoch: int, split: str) -> dict[str, NDArray[Any]]:
        """The features kept at an epoch of a split: `features.LAYER` (N, d) by layer, and `labels` (N,).

        Raises RunError (a ValueError), one line, if none are kept there, or the file's SHA-256 does not match.
        """
        if (epoch, split) not in self.features:
            kept = ", ".join(f"{at} ({of})" for at, of in sorted(self.features)) or "none; set record.features"
            raise RunError(f"{self.path}: keeps no features of epoch {epoch} ({split}); kept are: {kept}")
        arrays, _ = read_arrays(self.features[epoch, split])
        return arrays


def read_run(directory: str | Path) -> RunTables:
    """Read a run directory, finished or not. Works without torch. Rows are those of metrics.jsonl that are sealed.

    predictions.json is read where it is the file that the manifest names, else `predictions` is empty (see
    `nc_bench.verdicts.judging.read_judged_run`, which makes them again).

    Raises RunError (a ValueError) naming the file if the directory holds no run or a file is damaged.
    """
    path = Path(directory).expanduser()
    if not (path / CONFIG).is_file() or not (path / MANIFEST).is_file():
        raise RunError(f"{path}: holds no run ({CONFIG} and {MANIFEST} are looked for)")
    manifest = read_manifest(path / MANIFEST)
    rows = run_rows(path, manifest).rows
    reasons = {
        (row["epoch"], row["split"], row["layer"], name): reason
        for row in rows
        for name, reason in row.get("reasons", {}).items()
    }
    return RunTables(
        path=path,
        config=_config(path / CONFIG, manifest),
        manifest=manifest,
        rows=rows_to_frame(rows),
        predictions=predictions_frame(_predictions(path / PREDICTIONS, manifest)),
        reasons=reasons,
        features={
            (row["epoch"], row["split"]): file
            for row in rows
            if (file := feature_file(path, row["epoch"], row["split"])).is_file()
        },
    )


def run_rows(path: Path, manifest: dict[str, Any]) -> Rows:
    """The rows of a run: of a finished one those that its manifest names, else also newer ones, sealed row by row.

    RunError, one line, if a row is damaged or missing.
    """
    found = read_rows(path / ROWS)
    if "rows" not in manifest:
        return found.whole()
    sealed = found.up_to(Seal.of(manifest["rows"]))
    return sealed if manifest.get("status") in FINISHED else found.whole()


def predictions_frame(predictions: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Judged claims as a table."""
    frame = pd.DataFrame(predictions, columns=list(VERDICT_COLUMNS))
    return frame.astype(dict.fromkeys(NUMBERS, "float64"))


def _predictions(path: Path, manifest: dict[str, Any]) -> list[dict[str, Any]]:
    stated = manifest.get("files", {}).get(PREDICTIONS)
    content = path.read_bytes() if path.exists() else None
    if content is None or (stated is not None and digest(content) != stated):
        return []
    found = parsed_json(content, path, first_line=1)
    if not isinstance(found, list) or any(not isinstance(row, dict) for row in found):
        raise RunError(f"{path}: damaged (holds no list of claims)")
    if any(not isinstance(row.get(name, 0.0), int | float | None) for row in found for name in NUMBERS):
        raise RunError(f"{path}: damaged (holds something else than numbers)")
    return found


def _config(path: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    raw = path.read_bytes()
    stated = manifest.get("files", {}).get(CONFIG)
    if stated is not None and digest(raw) != stated:
        hint = "the rows are good, and --resume with the run's configuration writes it again"
        raise RunError(f"{path}: damaged (its SHA-256 is not the one in {MANIFEST}); {hint}")
    try:
        content = yaml.safe_load(raw)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise RunError(f"{path}: damaged (not YAML: {' '.join(str(error).split())})") from None
    if not isinstance(content, dict):
        raise RunError(f"{path}: damaged (holds no mapping of names to values)")
    return content
