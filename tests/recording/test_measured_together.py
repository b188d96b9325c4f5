"""measure_model where each process has a share of the samples: the whole's values on every process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PROGRAM = """
import sys, torch, warnings
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.distributed.fsdp.wrap import ModuleWrapPolicy
from nc_bench import CollapseAccumulator, RunRecorder, measure_model
from nc_bench.distributed import current_group, process_group
from nc_bench.errors import UserError

warnings.simplefilter("ignore")

def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3)).double()

def batches(x, y, size=7):
    return [(x[at : at + size], y[at : at + size]) for at in range(0, len(x), size)]

def same(found, wanted, rel=1e-12):
    assert list(found) == list(wanted) and found.reasons == wanted.reasons
    for name in wanted:
        assert abs(found[name] - wanted[name]) <= rel * abs(wanted[name]) + 1e-14 or name in wanted.reasons, name

def refused(call, words):
    try:
        call()
    except UserError as error:
        assert words in str(error) and "\\n" not in str(error), error
    else:
        raise AssertionError(words)

with process_group() as group:
    x = torch.randn(64, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    y = torch.arange(64) % 3
    mine = slice(0, 40) if group.rank == 0 else slice(40, 64)
    own, whole = batches(x[mine], y[mine]), measure_model(network(), batches(x, y))
    for model in (network(), nn.parallel.DistributedDataParallel(network())):
        for budget in (2**30, 0, 900):  # of 900 bytes only one process exceeds its budget
            same(measure_model(model, own, processes=current_group(), budget=budget), whole)
    alone = measure_model(network(), own)
    assert alone.per_class["count"].sum() == len(y[mine])
    assert measure_model(network(), own, processes=group).per_class["count"].sum() == 64
    accumulator = CollapseAccumulator(3)
    accumulator.update(network()[:4](x[mine]).detach(), y[mine])
    same(accumulator.compute(network()[4].weight, network()[4].bias, gather=group.gather), whole)

    # One process has nothing, or something wrong: all say so, and none waits.
    far = batches(x[mine], y[mine] + 3)
    for bad, words in (([], "no samples to measure"), (far, "batch 1: labels must lie in 0..2")):
        refused(lambda: measure_model(network(), bad if group.rank else own, processes=group), words)
    twice = iter([*own])
    refused(lambda: measure_model(network(), twice if group.rank else own, processes=group, budget=0), "read only once")

    # Sharded models communicate in their forward passes: the shares need as many batches.
    half = slice(32 * group.rank, 32 * group.rank + 32)
    own, mesh = batches(x[half], y[half], 8), init_device_mesh("cpu", (2,))
    inner = network()
    for layer in (inner[2], inner[4], inner):
        fully_shard(layer, mesh=mesh)
    policy = ModuleWrapPolicy({nn.Linear})
    outer = FullyShardedDataParallel(network(), device_id=torch.device("cpu"), auto_wrap_policy=policy)
    for model in (inner, outer):
        assert sum(p.to_local().numel() if hasattr(p, "to_local") else p.numel() for p in model.parameters()) < 90
        same(measure_model(model, own, processes=group), whole)
        same(measure_model(model, own, processes=group, budget=0), whole)
        same(measure_model(model, own, processes=group, layer="4"), whole)
        refused(lambda: RunRecorder("never", model, train=(x, y)), "sharded over processes")
sys.stdout.write(f"rank {group.rank} agrees\\n")
"""


@pytest.mark.slow  # 15 s
def test_two_processes_measure_the_whole(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*torchrun, str(tmp_path / "program.py")],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == ["rank 0 agrees", "rank 1 agrees"]
    assert not (tmp_path / "never").exists()
