"""Run directories and sweeps of made-up but plausible numbers, written as training writes them."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from safetensors.numpy import save_file

from nc_bench import Run, load_run

CONFIG: dict[str, Any] = {
    "seed": 0,
    "device": "cpu",
    "dtype": "float32",
    "data": {"name": "digits", "labels": "original"},
    "model": {
        "name": "mlp",
        "widths": [256, 256, 64],
        "activation": "relu",
        "batch_norm": True,
        "final_activation": False,
    },
    "head": {"bias": False, "init": "default", "trainable": True},
    "constraints": {"features": {"radius": 5.0, "p": 2.0}, "head": {"radius": 1.0}, "outputs": None},
    "objective": {"loss": "cross_entropy", "weight_decay": 0.0, "decay_biases": True, "feature_decay": 0.0},
    "optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9},
    "schedule": {"name": "cosine"},
    "training": {"epochs": 300, "batch_size": 128, "checkpoint_seconds": 10.0},
    "record": {"every": "epoch"},
}

MANIFEST: dict[str, Any] = {
    "status": "complete",
    "epochs_done": 300,
    "epochs": 300,
    "seeds": {"seed": 0},
    "versions": {"nc_bench": "0.1.0", "torch": "2.13.0"},
    "device": "cpu",
    "config_hash": "0123456789abcdef",
    "command": "nc-bench train --config 'digits & more.yaml'",
    "classes": 10,
    "samples": {"train": 1400, "test": 397},
    "seconds": 9.4,
}

LAST: dict[str, float] = {
    "risk": 0.0467,
    "risk_balanced": 0.0467,
    "risk_floor": 0.045232,
    "risk_gap": 0.001468,
    "nc1_pinv": 2e-4,
    "nc1_quotient": 1e-4,
    "nc1_cdnv": 6e-5,
    "nc2_equiangular": 0.004,
    "nc2_equinorm": 0.003,
    "nc3_duality_centred": 0.02,
    "simplex_efficiency": 0.994,
    "accuracy": 1.0,
    "ncc_accuracy": 1.0,
    "feature_radius": 5.0,
}
"""What the training split of the demo ends with."""

TEST_ACCURACY = 0.977
CLAIMED: dict[str, tuple[float, float, float]] = {
    "nc3_duality_centred": (0.0, 1.414, 0.05),
    "nc2_equiangular": (0.0, 0.098, 0.049),
    "nc2_equinorm": (0.0, 0.088, 0.044),
    "nc1_quotient": (0.0, math.nan, 0.05),
    "simplex_efficiency": (1.0, math.nan, 0.05),
    "risk": (0.045232488355, math.nan, 0.05),
    "risk_gap": (0.0, math.nan, 1e-9),
}
"""Predicted, null and tolerance of each claim, not in the order in which they are to be shown."""

EPOCHS = (1, 2, 5, 10, 50, 100, 200, 300)


def prediction(name: str, measured: float, **changes: Any) -> dict[str, Any]:
    """A row of predictions.json, judged as training judges it."""
    predicted, null, tolerance = CLAIMED[name]
    deviation = min(measured, 0.0) if name == "risk_gap" else measured - predicted
    if name == "risk":
        deviation /= predicted
    row = {
        "name": name,
        "claim": f"the claim about {name}",
        "predicted": predicted,
        "null": null,
        "measured": measured,
        "later": math.nan,
        "deviation": deviation,
        "tolerance": tolerance,
        "verdict": "holds" if abs(deviation) <= tolerance else "fails",
        "rest": "",
        "assumption": "no bias",
        "source": "E & Wojtowytsch 2021, Cor. 4.2",
    }
    return row | changes


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with some entries replaced, section by section; a `name` among the changes replaces the section."""
    result = dict(copy.deepcopy(dict(base)))
    for key, value in changes.items():
        nested = isinstance(value, Mapping) and isinstance(result.get(key), Mapping) and "name" not in value
        result[key] = merged(result[key], value) if nested else value
    return result


def rows_of(last: Mapping[str, float], test: Mapping[str, float]) -> list[dict[str, Any]]:
    """Rows that approach `last` from ten times farther away."""
    rows = []
    for epoch in EPOCHS:
        for split, final in (("train", last), ("test", test)):
            far = 1 + 9 * (EPOCHS[-1] - epoch) / EPOCHS[-1]
            values = {name: value * far if abs(value) < 0.5 else value / far for name, value in final.items()}
            if final:
                rows.append({"epoch": epoch, "step": 11 * epoch, "split": split, "layer": "penultimate", **values})
    return rows


def _null(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def _lines(rows: list[dict[str, Any]], reasons: Mapping[str, str]) -> str:
    made = [{**{k: _null(v) for k, v in row.items()}, "reasons": dict(reasons), "seconds": 1.0} for row in rows]
    return "".join(json.dumps(row) + "\n" for row in made)


def write_run(
    path: Path,
    *,
    config: Mapping[str, Any] | None = None,
    manifest: Mapping[str, Any] | None = None,
    last: Mapping[str, float] | None = None,
    test: Mapping[str, float] | None = None,
    recorded: bool = True,
    tested: bool = True,
    predictions: list[dict[str, Any]] | None = None,
    reasons: Mapping[str, str] | None = None,
) -> Run:
    """Write a run directory, the demo's unless told otherwise, and load it.

    config, manifest: changes; last, test: changes of a split's final values; predictions: all of them, or else made
    from `last`; reasons: why values are undefined.
    """
    path.mkdir()
    train = LAST | dict(last or {})
    final_test = LAST | {"accuracy": TEST_ACCURACY, "risk": 0.11} | dict(test or {})
    rows = rows_of(train if recorded else {}, final_test if tested and recorded else {})
    judged = [prediction(key, train[key]) for key in CLAIMED] if predictions is None else predictions
    (path / "config.yaml").write_text(yaml.safe_dump(merged(CONFIG, config or {}), sort_keys=False))
    (path / "manifest.json").write_text(json.dumps(merged(MANIFEST, manifest or {})))
    (path / "metrics.jsonl").write_text(_lines(rows, reasons or {}))
    (path / "predictions.json").write_text(json.dumps([{k: _null(v) for k, v in row.items()} for row in judged]))
    return load_run(path)


def write_picture(
    run: Run,
    *,
    epoch: int,
    classes: int,
    spread: float,
    tested: bool = True,
    predicted: bool = True,
    scales: tuple[float, float] = (1.0, 1.0),
    means: float = 1.1,
) -> None:
    """Samples around the vertices of a regular simplex, in the run's folder of features.

    `scales` multiply samples and vertices, `means` the class means.
    """
    random = np.random.default_rng(epoch)
    shown, labels = min(classes, 10), np.arange(4 * classes, dtype=np.int32) % classes
    angles = 2 * np.pi * np.arange(classes) / classes
    polygon = np.stack([np.cos(angles), np.sin(angles)], 1)
    simplex = np.pad(np.eye(shown) - 1 / shown, ((0, 0), (0, max(0, 4 - shown))))
    content: dict[str, Any] = {"scale": np.full(2, scales[0] / 8192)}
    for split, number in (("train", len(labels)), ("test", len(labels) if tested else 0)):
        noise = random.normal(size=(number, simplex.shape[1]))
        content[f"{split}_labels"], content[f"{split}_rows"] = labels[:number], np.arange(number, dtype=np.int32)
        content[f"{split}_distance"] = np.linalg.norm(noise, axis=1).astype(np.float32)
        for suffix, corners in (("", simplex[labels[:number] % shown]), ("_polygon", polygon[labels[:number]])):
            values = corners + spread * noise[:, : corners.shape[1]]
            content[f"{split}{suffix}"] = (8192 * values.clip(-3, 3)).astype(np.int16)
    with np.errstate(all="ignore"):
        for name, factor in (("means", means), ("weight", 0.1), ("vertices", scales[1])):
            content[name], content[f"{name}_polygon"] = factor * simplex, factor * polygon
    folder = run.path / "features"
    folder.mkdir(exist_ok=True)
    notes = {"epoch": str(epoch), "predicted": str(predicted).lower()}
    save_file(content, folder / f"picture-{epoch:05d}.safetensors", notes)


def write_sweep_of_runs(
    folder: Path, points: Sequence[tuple[Mapping[str, Any], int, Mapping[str, Any] | None]], **kept: Any
) -> Path:
    """A folder of a sweep: for each point its cell, seed and the changes of `write_run`, None if it was not run.

    kept: what the grid keeps besides, the study and its answer.
    """
    (folder / "trials").mkdir(parents=True)
    (folder / "base.yaml").write_text(yaml.safe_dump(CONFIG, sort_keys=False))
    for number, (_, seed, changes) in enumerate(points):
        if changes is not None:
            changes = {**changes, "config": {"seed": seed, **changes.get("config", {})}}
            write_run(folder / "trials" / f"{number:016x}", **changes)
    grid = {
        "columns": list(dict.fromkeys(name for cell, *_ in points for name in cell)),
        "points": [{"cell": dict(c), "seed": s, "trial": f"{n:016x}"} for n, (c, s, _) in enumerate(points)],
        "study": None,
        **kept,
    }
    (folder / "grids").mkdir()
    (folder / "grids" / "grid.json").write_text(json.dumps(grid))
    return folder
