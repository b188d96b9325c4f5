"""The device of a run: which one, its name, and how to make its arithmetic deterministic."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from nc_bench.config import ConfigError
from nc_bench.distributed import SINGLE_PROCESS, Processes


def resolve_device(name: str, processes: Processes = SINGLE_PROCESS) -> torch.device:
    """The device of this name; auto takes a GPU where there is one for each process, cuda the process's own.

    Raises ConfigError if there is no such device, or several processes would share one GPU.
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


def device_name(device: torch.device) -> str:
    """The model name of the GPU or the processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


@contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """Inside the block the same computation on this device gives the same bits again, which a CPU does anyway.

    To be entered before the first product on the GPU. An operation that torch has no deterministic form of runs as it
    is, and torch warns of it.
    """
    if device.type != "cuda":
        yield
        return
    # Without it cuBLAS may sum the same product in another order.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    enabled = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    settings: Any = torch.utils.deterministic
    filled = settings.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Nothing here reads uninitialised memory, so filling it would only take time.
    settings.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
        settings.fill_uninitialized_memory = filled
