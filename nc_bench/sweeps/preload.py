"""Run first by every worker process of this machine: it ignores Ctrl-C, because the sweep itself ends its workers."""

from __future__ import annotations

import signal
from typing import Any


def dask_setup(worker: Any) -> None:
    """Called by Dask in the worker's main thread before it takes its first task."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
