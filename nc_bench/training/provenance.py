"""With what a run was made: device, versions, commit."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from nc_bench.config import ConfigError
from nc_bench.distributed import SINGLE_PROCESS, Processes


def resolve_device(name: str, processes: Processes = SINGLE_PROCESS) -> torch.device:
    """The device of this name; auto takes a GPU where there is one for each process, cuda the process's own.

    ConfigError if there is no such device, or one GPU is asked for by several processes.
    """
    gpus = torch.cuda.device_count()
    several = f" by {processes.local_size} processes" if processes.size > 1 else ""
    if name == "auto":
        name = "cuda" if processes.local_size <= gpus else "cpu"
    device = torch.device(name)
    if device.type == "cuda" and device.index is None and processes.size > 1:
        device = torch.device("cuda", processes.local_rank)
    elif device.type == "cuda" and processes.size > 1:
        raise ConfigError(f"device: {name} is one GPU, and there are {processes.size} processes; say cuda or auto")
    if device.type == "cuda" and (device.index or 0) >= gpus:
        raise ConfigError(f"device: {name} asked for{several}, but torch sees {gpus} CUDA devices")
    return device


def provenance(device: torch.device) -> dict[str, Any]:
    """Command, commit, device, threads and versions of this process, as the manifest states them."""
    return {
        "command": " ".join(sys.argv),
        "commit": _commit(),
        "device": str(device),
        "device_name": device_name(device),
        "threads": torch.get_num_threads(),
        # torch itself tells for which CUDA it was built, where the installed package may not.
        "versions": {name: _version(name) for name in ("nc_bench", "torch", "torchvision", "numpy")}
        | {"torch": torch.__version__},
        "python": platform.python_version(),
    }


def _version(package: str) -> str | None:
    """None where the package is imported from a folder and was never installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def device_name(device: torch.device) -> str:
    """What the GPU, or the processor, calls itself."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


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
