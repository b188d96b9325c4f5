"""Measures neural collapse in PyTorch classifiers and compares every number with random directions and with theory."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nc_bench.api import Run, load_run, run_training
    from nc_bench.config import Config, load_config
    from nc_bench.geometry.moments import ClassMoments
    from nc_bench.metrics import CollapseAccumulator, collapse_metrics
    from nc_bench.recording import FeatureTap, measure_model
    from nc_bench.run_recorder import RunRecorder
    from nc_bench.sweeps.load import load_sweep
    from nc_bench.theory import Prediction, predict

    __version__: str

_HOMES = {
    "ClassMoments": "nc_bench.geometry.moments",
    "CollapseAccumulator": "nc_bench.metrics",
    "Config": "nc_bench.config",
    "FeatureTap": "nc_bench.recording",
    "Prediction": "nc_bench.theory",
    "Run": "nc_bench.api",
    "RunRecorder": "nc_bench.run_recorder",
    "collapse_metrics": "nc_bench.metrics",
    "load_config": "nc_bench.config",
    "load_run": "nc_bench.api",
    "load_sweep": "nc_bench.sweeps.load",
    "measure_model": "nc_bench.recording",
    "predict": "nc_bench.theory",
    "run_training": "nc_bench.api",
}

__all__ = [
    "ClassMoments",
    "CollapseAccumulator",
    "Config",
    "FeatureTap",
    "Prediction",
    "Run",
    "RunRecorder",
    "__version__",
    "collapse_metrics",
    "load_config",
    "load_run",
    "load_sweep",
    "measure_model",
    "predict",
    "run_training",
]


def __getattr__(name: str) -> Any:
    """Public names are imported when they are first used, so that predictions and reports need no torch."""
    if name == "__version__":
        return _version()
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'nc_bench' has no attribute {name!r}")


def _version() -> str:
    # What reads it takes longer to import than a command's help.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("nc_bench")
    except PackageNotFoundError:  # imported from a folder that was never installed
        return "0+unknown"


def __dir__() -> list[str]:
    return __all__
