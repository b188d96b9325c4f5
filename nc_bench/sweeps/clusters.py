"""Where trials are run: worker processes of this machine, or a Dask scheduler that is there already."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dask
import torch
from distributed import Client, LocalCluster

from nc_bench.distributed import usable_cores
from nc_bench.errors import SweepError
from nc_bench.text import first_line

MAX_WORKER_DEATHS = 2
"""Workers that may die while they train a group of trials before the group is tried alone, and again when alone."""

WORKER_TIMEOUT = "10000 days"
"""How long the scheduler waits for a worker of this machine that has died and is being started again: for ever. With
Dask's default of 15 seconds it could drop a worker that dies twice in a row, and the last trials would never run."""

CONNECTION_SECONDS = "10s"

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Environment variables that set the number of threads of a process."""

MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 * 2**20), "MALLOC_TRIM_THRESHOLD_": str(4 * 2**30)}
"""Keeps the memory of a step for the next one: asking for it again would take a tenth of the time of stacked trials."""


@dataclass(frozen=True, kw_only=True)
class Workers:
    """A running cluster: its client, how many workers it should have, and torch threads and GPUs of each.

    threads: None where the workers were started by somebody else. gpus: how many devices the workers of this machine
    share, worker i taking the device i modulo gpus; 0 leaves `device: auto` as it is.
    """

    client: Client
    number: int
    threads: int | None
    gpus: int


@contextmanager
def local_workers(number: int | None, *, gpus: int) -> Iterator[Workers]:
    """Processes on this machine: by default one per GPU, or else one per core; threads share the cores."""
    count = number or local_number(gpus)
    threads = local_threads(count)
    environment = {name: str(threads) for name in THREADS} | MEMORY
    own = {"distributed.nanny.pre-spawn-environ": environment, "distributed.deploy.lost-worker-timeout": WORKER_TIMEOUT}
    with quiet_dask(own):
        cluster = LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            memory_limit=0,
            silence_logs=logging.CRITICAL,
            preload=["nc_bench.sweeps.preload"],
        )
        with cluster, Client(cluster) as client:
            yield Workers(client=client, number=count, threads=threads, gpus=gpus)


@contextmanager
def remote_workers(address: str) -> Iterator[Workers]:
    """The workers of a running scheduler; SweepError if it does not answer or has none."""
    with quiet_dask({}):
        try:
            client = Client(address, timeout=CONNECTION_SECONDS)
        except (OSError, ValueError) as error:
            raise SweepError(f"--scheduler {address}: no scheduler answers ({first_line(error)})") from None
        with client:
            number = len(client.scheduler_info(n_workers=-1)["workers"])
            if number == 0:
                raise SweepError(f"--scheduler {address}: the scheduler has no workers")
            yield Workers(client=client, number=number, threads=None, gpus=0)


def local_number(gpus: int) -> int:
    """Default number of workers on this machine: one per GPU, or one per core where there is none."""
    return gpus or usable_cores()


def local_threads(workers: int) -> int:
    """Threads of each of these workers of this machine: they share the cores, unless OMP_NUM_THREADS says how many."""
    stated = os.environ.get(THREADS[0], "")
    if stated.isdecimal() and int(stated) > 0:
        return int(stated)
    return max(1, usable_cores() // workers)


def gpu_count() -> int:
    """How many CUDA devices torch sees."""
    return torch.cuda.device_count()


@contextmanager
def quiet_dask(settings: dict[str, Any]) -> Iterator[None]:
    """Dask without its logs, with workers that may start processes, a bounded number of retries, and these settings."""
    logger = logging.getLogger("distributed")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    common = {
        "distributed.worker.daemon": False,
        "distributed.scheduler.allowed-failures": MAX_WORKER_DEATHS,
        "distributed.admin.log-format": "",
        "logging": {"distributed": "critical"},
    }
    try:
        with dask.config.set(common | settings):
            yield
    finally:
        logger.setLevel(level)
