"""Where trials are run: worker processes of this machine, a Dask scheduler that is there already, or Slurm jobs."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
import torch
from distributed import Client, LocalCluster
from pydantic import Field, ValidationError

from nc_bench.config import ConfigError, read_mapping
from nc_bench.config.section import Section
from nc_bench.config.values import Count
from nc_bench.sweeps.folder import SweepError

DEATHS_BORNE = 2
"""Workers that may die with a group of trials before its trials are tried one by one, and one by one are given up."""

CONNECTION_SECONDS = "10s"


@dataclass(frozen=True, kw_only=True)
class Workers:
    """A running cluster: its client, how many workers it should have, and torch threads and GPUs of each.

    threads: None where the workers were started by somebody else, who chose. gpus: devices that the workers of
    this machine share out, worker i taking the device i modulo gpus; 0 leaves `device: auto` as it is.
    """

    client: Client
    number: int
    threads: int | None
    gpus: int


class Slurm(Section):
    """What a --slurm file says."""

    jobs: Count = Field(description="Slurm jobs, one worker each.")
    cores: Count = Field(description="Cores of a job; its worker computes with as many threads.")
    memory: str = Field(description="Memory of a job, such as 8GB.")
    walltime: str = Field(default="04:00:00", description="Longest time of a job, hours:minutes:seconds.")
    partition: str | None = Field(default=None, description="Slurm partition.")
    account: str | None = Field(default=None, description="Slurm account.")
    directives: tuple[str, ...] = Field(default=(), description="Further #SBATCH lines, such as --gres=gpu:1.")
    prologue: tuple[str, ...] = Field(default=(), description="Shell lines before the worker starts.")
    interface: str | None = Field(default=None, description="Network interface of the scheduler, such as ib0.")


@contextmanager
def local_workers(number: int | None, *, gpus: int) -> Iterator[Workers]:
    """Processes on this machine: by default one per GPU, or else one per core; threads share the cores out."""
    count = number or local_number(gpus)
    threads = max(1, _cores() // count)
    environment = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    with _quiet_dask(environment):
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
    """Whatever workers a scheduler has; SweepError if it does not answer or has none."""
    with _quiet_dask({}):
        try:
            client = Client(address, timeout=CONNECTION_SECONDS)
        except (OSError, ValueError) as error:
            raise SweepError(f"--scheduler {address}: no scheduler answers ({_first_line(error)})") from None
        with client:
            number = len(client.scheduler_info(n_workers=-1)["workers"])
            if number == 0:
                raise SweepError(f"--scheduler {address}: the scheduler has no workers")
            yield Workers(client=client, number=number, threads=None, gpus=0)


@contextmanager
def slurm_workers(path: Path) -> Iterator[Workers]:
    """Slurm jobs as a file describes them; SweepError if Slurm or dask-jobqueue is missing, ConfigError for the file.

    The results folder has to be seen by the jobs under the same path.
    """
    asked = _read_slurm(path)
    missing = [command for command in ("sbatch", "scancel") if shutil.which(command) is None]
    if missing:
        raise SweepError(f"--slurm {path}: {' and '.join(missing)} not found: Slurm's commands are not installed here")
    try:
        from dask_jobqueue.slurm import SLURMCluster
    except ImportError:
        raise SweepError(f"--slurm {path}: dask-jobqueue is missing: pip install 'nc_bench[slurm]'") from None
    options: dict[str, Any] = {
        "cores": 1,
        "job_cpu": asked.cores,
        "processes": 1,
        "memory": asked.memory,
        "walltime": asked.walltime,
        "queue": asked.partition,
        "account": asked.account,
        "job_extra_directives": list(asked.directives),
        "job_script_prologue": [f"export OMP_NUM_THREADS={asked.cores}", *asked.prologue],
        "interface": asked.interface,
        "scheduler_options": {"dashboard_address": ":0"},
    }
    with _quiet_dask({}), SLURMCluster(**options, silence_logs=logging.CRITICAL) as cluster, Client(cluster) as client:
        cluster.scale(jobs=asked.jobs)
        yield Workers(client=client, number=asked.jobs, threads=asked.cores, gpus=0)


def local_number(gpus: int) -> int:
    """Workers of this machine unless told otherwise: one per GPU, or one per core where there is none."""
    return gpus or _cores()


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def gpu_count() -> int:
    """How many CUDA devices torch sees."""
    return torch.cuda.device_count()


def _read_slurm(path: Path) -> Slurm:
    try:
        return Slurm.model_validate(read_mapping(path))
    except ValidationError as error:
        lines = [f"{path}: {'.'.join(map(str, d['loc']))}: {d['msg']}" for d in error.errors()]
        raise ConfigError("\n".join(lines)) from None


@contextmanager
def _quiet_dask(environment: dict[str, str]) -> Iterator[None]:
    """Dask without its logs, with workers that may have children, bounded retries, and this environment."""
    logger = logging.getLogger("distributed")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    settings = {
        "distributed.worker.daemon": False,
        "distributed.scheduler.allowed-failures": DEATHS_BORNE,
        "distributed.nanny.pre-spawn-environ": environment,
        "distributed.admin.log-format": "",
        "logging": {"distributed": "critical"},
    }
    try:
        with dask.config.set(settings):
            yield
    finally:
        logger.setLevel(level)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
