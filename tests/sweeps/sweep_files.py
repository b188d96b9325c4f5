"""Sweep files that the tests write, and the trials that they run of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from small_runs import NETWORK

from nc_bench.sweeps.clusters import Workers
from nc_bench.sweeps.engine import pending, run_trials
from nc_bench.sweeps.folder import State, SweepFolder
from nc_bench.sweeps.grid import Grid

BASE: dict[str, Any] = {
    **NETWORK,
    "training": {"epochs": 2, "batch_size": 128, "checkpoint_seconds": 0},
    "record": {"kernel_share": True},
}

STUDY: dict[str, Any] = {
    "question": "Is a fixed head as good?",
    "hypothesis": "It is.",
    "prediction": "None.",
    "matched": "All but the head.",
    "refuted_if": "It is not.",
    "rule": "Two one-sided t tests.",
    "answer": "fixed_head",
    "expected_time": "seconds",
    "limits": "Two epochs.",
    "measures": {
        "nc1_quotient": {"metric": "nc1_quotient"},
        "simplex_efficiency": {"metric": "simplex_efficiency"},
        "kernel_share": {"metric": "kernel_share"},
        "epoch of .9": {"metric": "simplex_efficiency", "stays_above": 0.9},
        "test accuracy": {"metric": "accuracy", "split": "test"},
    },
    "rows": ["arm"],
    "compare": {"against": "trained"},
    "figure": {"kind": "curves", "measures": ["nc1_quotient"]},
}

ARMS: dict[str, Any] = {"trained": {}, "fixed simplex": {"settings": {"data.labels": "random"}}}
"""Two arms that are trained as one program: the second differs in its labels, whatever its name says."""


def write_sweep(folder: Path, **keys: Any) -> Path:
    """A sweep file around a narrow network on digits, with these keys besides."""
    path = folder / "sweep.yaml"
    path.write_text(yaml.safe_dump({"base": BASE, **keys}, sort_keys=False))
    return path


def run_grid(grid: Grid, folder: SweepFolder, workers: Workers, **options: Any) -> dict[str, State]:
    """Run the trials that are pending; how all of them ended."""
    folder.lock(grid)
    try:
        run_trials(pending(grid.trials, folder.states(grid.trials)), folder, workers, **options)
    finally:
        folder.release()
    return folder.states(grid.trials)


def written(folder: SweepFolder) -> dict[Path, int]:
    """When every manifest was last written: a trial that is not run again does not change it."""
    return {path: path.stat().st_mtime_ns for path in folder.path.glob("trials/*/manifest.json")}
