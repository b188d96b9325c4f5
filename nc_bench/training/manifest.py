"""What manifest.json states: how far a run came, its data and model, and what it was made with."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nc_bench import __version__
from nc_bench.config import Config, config_hash, plugins_of
from nc_bench.data import Dataset, data_digest
from nc_bench.metrics import null_baseline, why_no_null
from nc_bench.recording import Recorder
from nc_bench.recording.depth import depth_nulls
from nc_bench.rng import Stream
from nc_bench.training.device import device_name
from nc_bench.training.ensemble import Ensemble
from nc_bench.training.optimizers import muon_parameters
from nc_bench.verdicts.claims import CLAIMS

DEPTH_NULLS = ("nc2_equiangular", "nc2_equinorm")
"""What random class means score, as the manifest states it for every layer."""

WIDEST_NULL = 4096
"""Beyond this width the Monte Carlo takes too much memory, and its value is below .013 for angles and norms."""


def facts_of_trials(
    ensemble: Ensemble, recorder: Recorder, dataset: Dataset, device: torch.device
) -> list[dict[str, Any]]:
    """What does not change while a trial trains, for each: data, model, device, versions."""
    trials = len(ensemble.configs)
    shared = {
        **({"layers": _layers(recorder, ensemble.samples)} if recorder.stages else {}),
        "classes": ensemble.classes,
        "class_names": list(dataset.class_names or map(str, range(dataset.classes))),
        **({"data_notes": list(dataset.notes)} if dataset.notes else {}),
        "data_digest": dataset.digest or data_digest(dataset),
        "samples": {"train": ensemble.samples, "test": len(ensemble.test_labels)},
        "input_shape": list(ensemble.input_shape),
        **_width_and_null(ensemble.classes, ensemble.model.width),
        "parameters": sum(parameter.numel() for parameter in ensemble.model.parameters()) // trials,
        **({"plugins": plugins} if (plugins := _plugins(ensemble.configs[0])) else {}),
        **({"muon_moves": moved} if (moved := muon_parameters(ensemble.model, ensemble.configs)) else {}),
        "processes": ensemble.processes.size,
        **provenance(device),
    }
    return [
        {
            "config_hash": config_hash(config),
            "seeds": {"seed": config.seed, "streams": {stream.name.lower(): stream.value for stream in Stream}},
            "class_counts": counts,
            **shared,
        }
        for config, counts in zip(ensemble.configs, ensemble.class_counts, strict=True)
    ]


def facts_of_loop(
    config: Config,
    *,
    class_names: Sequence[str],
    class_counts: Sequence[int],
    samples: Mapping[str, int],
    data_digest: str,
    width: int,
    parameters: int,
    device: torch.device,
) -> dict[str, Any]:
    """The same of a run whose loop is not the bench's: what was found in its model and data, and this process."""
    return {
        "config_hash": config_hash(config),
        "class_counts": list(class_counts),
        "classes": len(class_counts),
        "class_names": list(class_names),
        "data_digest": data_digest,
        "samples": dict(samples),
        **_width_and_null(len(class_counts), width),
        "parameters": parameters,
        **provenance(device),
    }


def _width_and_null(classes: int, width: int) -> dict[str, Any]:
    null = null_baseline(classes, width)
    return {
        "feature_width": width,
        "null": {name: value for name, value in null.items() if name in CLAIMS},
        **({"null_reason": why} if (why := why_no_null(classes)) else {}),
    }


def provenance(device: torch.device) -> dict[str, Any]:
    """Command, commit, device, threads and versions of this process, as the manifest states them."""
    return {
        "command": " ".join(sys.argv),
        "commit": _commit(),
        "device": str(device),
        "device_name": device_name(device),
        "threads": torch.get_num_threads(),
        "versions": {
            "nc_bench": __version__,
            "torch": torch.__version__,  # says for which CUDA it was built; the metadata of the package may not
            "torchvision": _version("torchvision"),
            "numpy": np.__version__,
        },
        "python": platform.python_version(),
    }


def _layers(recorder: Recorder, samples: int) -> dict[str, Any]:
    """Width of every recorded layer, and what random class means of this width score where that can be said."""
    found, readers = {}, recorder.readers()
    record, last = recorder.configs[0].record, list(readers)[-1]
    for name, width in recorder.widths.items():
        null = null_baseline(recorder.classes, width) if width <= WIDEST_NULL else {}
        depth = depth_nulls(recorder.classes, width, samples, readers[name], record, is_last=name == last)
        found[name] = {"width": width, "null": {key: null[key] for key in DEPTH_NULLS if key in null} | depth}
    return found


def _plugins(config: Config) -> dict[str, dict[str, str | None]]:
    """The plug-ins of a run by the key that names each."""
    return {key: {"path": path, "source": source} for key, path, source in plugins_of(config)}


def _version(package: str) -> str | None:
    """None where the package is not installed: torchvision is read without importing it."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The commit of the source tree this package is imported from, "+changes" if it differs; None outside git."""
    folder = Path(__file__).resolve().parents[2]
    try:
        git = ["git", "-C", str(folder)]
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True, timeout=10)
        changes = subprocess.run(
            [*git, "status", "--porcelain", "--", "nc_bench"],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return head.stdout.strip() + ("+changes" if changes.stdout.strip() else "")
