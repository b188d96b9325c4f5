"""Workers that are Slurm jobs; a job that ends early is replaced while the sweep runs."""

from __future__ import annotations

import logging
import shlex
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distributed import Client
from tornado.ioloop import PeriodicCallback

from nc_bench.errors import SweepError
from nc_bench.sweeps.clusters import MEMORY, THREADS, Workers, quiet_dask
from nc_bench.sweeps.slurm_file import Slurm, read_slurm
from nc_bench.telling import tell
from nc_bench.text import first_line

if TYPE_CHECKING:
    from dask_jobqueue.slurm import SLURMCluster

COMMANDS = ("sbatch", "scancel", "squeue")

RENEWAL_SECONDS, POLL_SECONDS = 10.0, 2.0


@contextmanager
def slurm_workers(path: Path, logs: Path) -> Iterator[Workers]:
    """Slurm jobs as a file describes them, once the first of them answers; each writes logs/<job>.log.

    A job that ends early, at its walltime or on a lost node, is followed by another one. The results folder has to
    be seen by the jobs under the same path. Raises ConfigError for the file, and SweepError if Slurm or
    dask-jobqueue is missing, if Slurm refuses such a job, or if all jobs end before one of their workers answers.
    """
    settings = read_slurm(path)
    missing = [command for command in COMMANDS if shutil.which(command) is None]
    if missing:
        raise SweepError(f"--slurm {path}: {', '.join(missing)} not found: Slurm's commands are not installed here")
    try:
        from dask_jobqueue.slurm import SLURMCluster
    except ImportError:
        raise SweepError(f"--slurm {path}: dask-jobqueue is missing: pip install 'nc_bench[slurm]'") from None
    logs.mkdir(parents=True, exist_ok=True)
    name = f"nc_bench-{uuid.uuid4().hex[:8]}"
    with quiet_dask({}):
        try:
            started = SLURMCluster(**_options(settings, name, logs.absolute()), silence_logs=logging.CRITICAL)
        except RuntimeError as error:
            raise SweepError(f"--slurm {path}: {first_line(error)}") from None
        with started as cluster, Client(cluster) as client:
            _check_accepted(path, cluster.job_script())
            with _keep_submitted(cluster, settings.jobs):
                _wait_for_first(cluster, name, path, logs)
                yield Workers(client=client, number=settings.jobs, threads=settings.cores, gpus=0)


def _options(settings: Slurm, name: str, logs: Path) -> dict[str, Any]:
    # The workers are other processes than those of `local_workers`, so that their settings go by the environment.
    threads = {variable: str(settings.cores) for variable in THREADS}
    environment = threads | MEMORY | {"DASK_DISTRIBUTED__WORKER__DAEMON": "False"}
    # dask-jobqueue wants to know the memory of a job; where none is stated, Slurm is not asked for it and the worker
    # has no limit.
    no_memory = {"memory": "1GB", "job_directives_skip": ["--mem="], "worker_extra_args": ["--memory-limit", "0"]}
    return {
        "cores": 1,
        "job_cpu": settings.cores,
        "processes": 1,
        **(no_memory if settings.memory is None else {"memory": settings.memory}),
        "walltime": settings.walltime,
        "queue": settings.partition,
        "account": settings.account,
        "job_name": name,
        "job_extra_directives": [f'--output="{logs}/%j.log"', *settings.directives],
        "job_script_prologue": [f"export {key}={value}" for key, value in environment.items()] + [*settings.prologue],
        "interface": settings.interface,
        "scheduler_options": {"dashboard_address": ":0"},
        # It stands in a shell script, and a path may hold spaces.
        "python": shlex.quote(sys.executable),
    }


def _check_accepted(path: Path, script: str) -> None:
    """Ask Slurm whether it would take this job, without submitting it."""
    answer = subprocess.run(["sbatch", "--test-only"], input=script, capture_output=True, text=True)
    if answer.returncode != 0:
        reason = " ".join(answer.stderr.split()) or f"exit status {answer.returncode}"
        raise SweepError(f"--slurm {path}: Slurm refuses the job ({reason})")


@contextmanager
def _keep_submitted(cluster: SLURMCluster, jobs: int) -> Iterator[None]:
    """Submit this many jobs, and replace those that end: Dask notices a lost job, but replaces it only when asked."""
    loop = cluster.loop
    assert loop is not None
    renewal = PeriodicCallback(lambda: cluster.scale(jobs=jobs), 1000 * RENEWAL_SECONDS)
    cluster.scale(jobs=jobs)
    loop.add_callback(renewal.start)
    try:
        yield
    finally:
        loop.add_callback(renewal.stop)


def _wait_for_first(cluster: SLURMCluster, name: str, path: Path, logs: Path) -> None:
    """Return when a worker answers, however long the queue is; SweepError if all jobs have ended before that."""
    tell(f"waiting for the first Slurm job (squeue --name={name}); they write to {logs}")
    ask = ["squeue", "--noheader", "--format=%A", f"--name={name}"]
    while not cluster.scheduler_info["workers"]:
        time.sleep(POLL_SECONDS)
        submitted = bool(cluster.workers)
        queue = subprocess.run(ask, capture_output=True, text=True)
        if submitted and queue.returncode == 0 and not queue.stdout.strip():
            raise SweepError(f"--slurm {path}: the jobs ended before one of their workers answered; see {logs}")
