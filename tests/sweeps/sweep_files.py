"""Sweep files that the tests write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from small_runs import NETWORK

BASE: dict[str, Any] = {**NETWORK, "training": {"epochs": 2, "batch_size": 128, "checkpoint_seconds": 0}}

STUDY: dict[str, Any] = {
    "question": "Do random labels collapse?",
    "answer": "random_labels",
    "expected_time": "seconds",
    "limits": "Two epochs.",
    "measures": {
        "nc1_quotient": {"metric": "nc1_quotient"},
        "simplex_efficiency": {"metric": "simplex_efficiency"},
        "collapse epoch": {"metric": "collapse_epoch"},
        "test accuracy": {"metric": "accuracy", "split": "test"},
    },
    "rows": ["arm"],
    "compare": {"against": "true labels"},
    "figure": {"kind": "curves", "measures": ["nc1_quotient"]},
}

ARMS: dict[str, Any] = {"true labels": {}, "random labels": {"settings": {"data.labels": "random"}}}


def write_sweep(folder: Path, **keys: Any) -> Path:
    """A sweep file around a narrow network on digits, with these keys besides."""
    path = folder / "sweep.yaml"
    path.write_text(yaml.safe_dump({"base": BASE, **keys}, sort_keys=False))
    return path
