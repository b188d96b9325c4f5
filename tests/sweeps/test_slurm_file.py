"""What a --slurm file may say, and the job that it becomes; without Slurm. `test_slurm.py` runs such jobs."""

from __future__ import annotations

from pathlib import Path

import pytest
from dask_jobqueue.slurm import SLURMJob

from nc_bench.config import ConfigError
from nc_bench.sweeps.clusters import local_threads
from nc_bench.sweeps.slurm import _options
from nc_bench.sweeps.slurm_file import Slurm, read_slurm

EXAMPLES = Path(__file__).parents[2] / "examples" / "cluster"


def slurm_file(folder: Path, text: str) -> Path:
    path = folder / "cluster.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("12:00:00", "12:00:00"),
        ("'12:00:00'", "12:00:00"),
        ("04:30:00", "04:30:00"),
        ("1-12:00:00", "1-12:00:00"),
        ("100:00:00", "100:00:00"),
    ],
)
def test_a_walltime_needs_no_quotes(written: str, read: str, tmp_path: Path) -> None:
    assert read_slurm(slurm_file(tmp_path, f"jobs: 1\ncores: 1\nwalltime: {written}\n")).walltime == read


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("jobs: 1\ncores: 1\nwall_time: 1:00:00", "wall_time: unknown key; did you mean 'walltime'?"),
        ("jobs: 1\ncore: 2", "core: unknown key; did you mean 'cores'?"),
        ("jobs: 1\ncores: 1\nwalltime: 90", "walltime: 90 given, should be hours:minutes:seconds, such as 12:00:00, "),
        ("jobs: 1\ncores: 1\nwalltime: 90:00", "walltime: '90:00' given, should be hours:minutes:seconds, such as "),
        ("jobs: 1\ncores: 1\nmemory: 8", "memory: 8 given, should be a number with a unit, such as 8GB"),
        ("jobs: no\ncores: 1", "no is read as false by some and as text by others"),
    ],
)
def test_what_is_wrong_is_named(text: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        read_slurm(slurm_file(tmp_path, text))
    assert problem in str(refused.value)


def job_of(settings: Slurm) -> str:
    options = _options(settings, "name", Path("/logs"))
    for of_the_cluster in ("interface", "scheduler_options"):
        options.pop(of_the_cluster)
    return SLURMJob(scheduler="tcp://scheduler:1", name="worker", **options).job_script()


def test_a_job_asks_for_what_the_file_says() -> None:
    job = job_of(read_slurm(EXAMPLES / "gpu_workers.yaml"))
    for line in ("--cpus-per-task=8", "--mem=30G", "-t 12:00:00", "--gres=gpu:1"):
        assert f"#SBATCH {line}\n" in job, job
    assert "export OMP_NUM_THREADS=8\n" in job


def test_a_job_without_memory_asks_for_none_and_has_no_limit() -> None:
    job = job_of(Slurm(jobs=1, cores=2))
    assert "--mem=" not in job and job.rstrip().endswith("--memory-limit 0")
    assert "--mem=" in job_of(read_slurm(EXAMPLES / "workers.yaml"))


@pytest.mark.parametrize(("stated", "threads"), [("3", 3), ("", None), ("0", None), ("many", None)])
def test_workers_of_this_machine_take_the_threads_that_are_asked_for(
    stated: str, threads: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nc_bench.sweeps.clusters.usable_cores", lambda: 8)
    monkeypatch.setenv("OMP_NUM_THREADS", stated)
    assert local_threads(2) == (threads or 4)
