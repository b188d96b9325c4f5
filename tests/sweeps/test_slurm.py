"""Sweeps as Slurm jobs, on a cluster of one node that the tests start from Debian's packages, slurm-wlm and munge."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from sweep_files import write_sweep

from nc_bench.sweep import main
from nc_bench.sweeps.folder import State, SweepFolder
from nc_bench.sweeps.grid import load_grid

TIMEOUT = 300.0
SEARCHED = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
DAEMONS = ("munged", "slurmctld", "slurmd")
MISSING = [name for name in (*DAEMONS, "sbatch", "scancel", "sinfo", "squeue") if not shutil.which(name, path=SEARCHED)]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"Slurm is not installed here: no {', '.join(MISSING)}"),
]

# Two cores and 4 GB are promised whatever the machine has: nothing here is bound to cores or held to its memory.
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/ended
MailProg=/bin/true
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0
KillWait=5
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=4096
PartitionName=only Nodes=ALL Default=YES State=UP
"""


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a running cluster; its clients find it by SLURM_CONF, the folder's slurm.conf."""
    folder = tmp_path_factory.mktemp("slurm")
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setenv("PATH", SEARCHED)
        patch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
        stack.callback(kill_all_of, folder)
        configure(folder)
        munge = [f"--{name}={folder}/munge.{name.split('-')[0]}" for name in ("socket", "key-file", "pid-file")]
        munge += [f"--seed-file={folder}/munge.seed", "--foreground", "--force"]
        stack.enter_context(daemon(folder, "munged", *munge))
        wait_for((folder / "munge.socket").exists)
        stack.enter_context(daemon(folder, "slurmctld", "-D"))
        stack.enter_context(daemon(folder, "slurmd", "-D"))
        wait_for(lambda: said("sinfo", "--noheader", "--format=%T") == ["idle"])
        yield folder


def configure(folder: Path) -> None:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        ports = {"controller": first.getsockname()[1], "node": second.getsockname()[1]}
    host, user = socket.gethostname().split(".")[0], pwd.getpwuid(os.getuid()).pw_name
    (folder / "slurm.conf").write_text(CONFIGURATION.format(folder=folder, host=host, user=user, **ports))
    (folder / "state").mkdir()
    (folder / "spool").mkdir()
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o400)


@contextmanager
def daemon(folder: Path, name: str, *arguments: str) -> Iterator[None]:
    with (folder / f"{name}.log").open("w") as log, subprocess.Popen([name, *arguments], stdout=log, stderr=log) as it:
        try:
            yield
        finally:
            it.terminate()
            try:
                it.wait(30)
            except subprocess.TimeoutExpired:
                it.kill()


def kill_all_of(folder: Path) -> None:
    """End whatever was started with this cluster's SLURM_CONF and is still there: daemons, jobs and their workers."""
    mark = f"{folder}/slurm.conf"
    for process in psutil.process_iter():
        try:
            if process.environ().get("SLURM_CONF") == mark:
                process.kill()
        except psutil.Error:
            continue


def said(*command: str) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True).stdout.split()


def ended(slurm: Path) -> dict[str, str]:
    """Names of the jobs that have ended, by their numbers."""
    text = (slurm / "ended").read_text() if (slurm / "ended").exists() else ""
    return dict(re.findall(r"^JobId=(\d+) .*? Name=(\S+) ", text, re.MULTILINE))


def wait_for(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def write_slurm(folder: Path, **keys: Any) -> Path:
    path = folder / "slurm.yaml"
    asked = {"jobs": 1, "cores": 1, "memory": "1GB", "walltime": "00:20:00", "partition": "only", "interface": "lo"}
    path.write_text(yaml.safe_dump({**asked, **keys}))
    return path


def command(sweep: Path, slurm_file: Path) -> list[str]:
    return ["--config", str(sweep), "--slurm", str(slurm_file), "--out", str(sweep.parent / "out put")]


def test_trials_run_in_jobs(slurm: Path, tmp_path: Path) -> None:
    """Two jobs share four trials; afterwards no job is left, and the same command has nothing to do."""
    sweep = write_sweep(tmp_path, axes={"optimizer.lr": [0.01, 0.02]}, seeds=2)
    note = f"echo $SLURM_JOB_ID $SLURM_CPUS_PER_TASK $OMP_NUM_THREADS >> {tmp_path}/started"
    asked = command(sweep, write_slurm(tmp_path, jobs=2, prologue=[note]))
    done = subprocess.run(
        [sys.executable, "-m", "nc_bench.sweep", *asked], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert ": 4 complete of 4 trials\n" in done.stdout and "Traceback" not in done.stderr
    (name,) = re.findall(r"--name=(nc_bench-\w+)", done.stderr)
    wait_for(lambda: not said("squeue", "--noheader", "--format=%A"))
    jobs = {job for job, of in ended(slurm).items() if of == name}
    started = [line.split() for line in (tmp_path / "started").read_text().splitlines()]
    assert len(jobs) == 2 and {job for job, _, _ in started} == jobs and all(line[1:] == ["1", "1"] for line in started)
    logs = {path.stem: path.read_text() for path in (tmp_path / "out put" / "slurm").iterdir()}
    assert set(logs) == jobs and all("Registered to" in text for text in logs.values())
    assert {path.name for path in tmp_path.iterdir()} == {"out put", "slurm.yaml", "started", "sweep.yaml"}
    assert main(asked) == 0 and len(ended(slurm)) == len(jobs)


def test_a_job_that_is_lost_is_replaced(slurm: Path, tmp_path: Path) -> None:
    """As at its walltime: the next job goes on with the trials from their checkpoints."""
    sweep = write_sweep(tmp_path, settings={"training.epochs": 60}, seeds=2)
    folder, grid = SweepFolder(tmp_path / "out put"), load_grid(sweep)
    asked = [sys.executable, "-m", "nc_bench.sweep", *command(sweep, write_slurm(tmp_path))]
    with subprocess.Popen(asked, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as driver:
        try:
            wait_for(lambda: len(list(folder.path.glob("trials/*/checkpoint.pt"))) == 2)
            (lost,) = said("squeue", "--noheader", "--format=%A")
            said("scancel", lost)
            assert State.COMPLETE not in folder.states(grid.trials).values()
            _, errors = driver.communicate(timeout=TIMEOUT)
        finally:
            driver.terminate()
    assert driver.returncode == 0, errors
    assert set(folder.states(grid.trials).values()) == {State.COMPLETE} and "Traceback" not in errors
    logs = {path.stem for path in (folder.path / "slurm").iterdir()}
    assert lost in logs and len(logs) == 2


@pytest.mark.parametrize(
    "keys, problem",
    [
        ({"partition": "other"}, r"Slurm refuses the job \(.*invalid partition specified: other.*\)"),
        ({"cores": 64}, r"Slurm refuses the job \(.*Requested node configuration is not available\)"),
        ({"directives": ["--nonsense=1"]}, r"Slurm refuses the job \(.*unrecognized option '--nonsense=1'.*\)"),
        ({"interface": "eth99"}, r".*'eth99' is not a valid network interface.*"),
        ({"prologue": ["exit 1"]}, r"the jobs ended before one of their workers answered; see .*/out put/slurm"),
    ],
)
def test_jobs_that_cannot_be(
    slurm: Path, tmp_path: Path, keys: dict[str, Any], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = write_slurm(tmp_path, **keys)
    assert main(command(write_sweep(tmp_path), asked)) == 2
    *waiting, line = capsys.readouterr().err.splitlines()
    assert re.fullmatch(rf"--slurm {re.escape(str(asked))}: {problem}", line), line
    assert len(waiting) == ("prologue" in keys)
