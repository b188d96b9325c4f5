"""Attacked work of several processes: one run of two ranks, and a sweep with its workers.

Started as a program by torchrun, with a folder and the operation at which rank 0 is killed, it is one of the ranks.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from fault_runs import BASE, JOBS
from faults import Operations, kill

ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
    "PYTHONPATH": str(Path(__file__).parents[1]),
}


def two_ranks(place: Path, number: int) -> int:
    """Train under torchrun; rank 0 is killed at the operation of this number (0: none)."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--no-python"]
    worker = [sys.executable, __file__, str(place), str(number)]
    with (place / "said").open("w") as said:
        return subprocess.run([*launcher, *worker], env=ENVIRONMENT, stdout=said, stderr=said).returncode


def _as_rank(place: Path, number: int) -> int:
    if number and os.environ["RANK"] == "0":
        Operations(place, number, kill).install()
    return JOBS[0].work(place)


def sweep(place: Path, delay: float | None) -> int:
    """Run a sweep of four trials, or kill it and all its workers after this many seconds."""
    config = place / "sweep.yaml"
    config.write_text(json.dumps({"base": BASE, "axes": {"optimizer.lr": [0.05, 0.02]}, "seeds": 2}))
    command = [sys.executable, "-m", "nc_bench.sweep", "--config", str(config), "--workers", "2"]
    with (place / "said").open("w") as said:
        process = subprocess.Popen(
            [*command, "--out", str(place / "out")],
            env=ENVIRONMENT,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        try:
            return process.wait(delay)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return process.wait()


if __name__ == "__main__":
    sys.exit(_as_rank(Path(sys.argv[1]), int(sys.argv[2])))
