"""What a run was made with: command, commit, device, versions."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nc_bench import __version__
from nc_bench.training.device import device_name


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
