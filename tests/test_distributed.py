"""A group of processes: shares without gaps, the same answers everywhere, and errors that stop all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nc_bench.distributed import Processes, _carrier, current_group, process_group

ROOT = Path(__file__).parents[1]


@settings(deadline=None)
@given(count=st.integers(1, 40), size=st.integers(1, 9))
def test_shares_are_contiguous_without_gaps_and_even(count: int, size: int) -> None:
    shares = [Processes(rank=rank, size=size).local_slice(count) for rank in range(size)]
    things = list(range(count))
    assert [thing for share in shares for thing in things[share]] == things
    sizes = [len(things[share]) for share in shares]
    assert max(sizes) - min(sizes) <= 1


@settings(deadline=None)
@given(values=st.lists(st.floats(-9, 9), min_size=4, max_size=30), size=st.integers(1, 4))
def test_weighted_means_of_shares_average_to_the_mean(values: list[float], size: int) -> None:
    whole, group = torch.tensor(values, dtype=torch.float64), [Processes(rank=r, size=size) for r in range(size)]
    parts = [p.weight(len(values)) * whole[p.local_slice(len(values))].mean() for p in group]
    torch.testing.assert_close(sum(parts) / size, whole.mean(), rtol=1e-12, atol=1e-12)


def test_one_process_is_a_group_of_one() -> None:
    with process_group() as alone:
        assert alone == Processes() == current_group() and alone.is_rank0
        rows, model = torch.arange(6.0).view(3, 2), torch.nn.Linear(2, 2)
        assert alone.local_slice(7) == slice(0, 7) and alone.weight(7) == 1.0
        assert alone.total(rows) is rows and alone.concatenate(rows, 3) is rows
        assert alone.average_gradients(model) is model
        assert alone.any(True) and not alone.any(False)
        assert alone.on_rank0(lambda: 3) == alone.all_or_raise(lambda: 3) == 3
        for call in (alone.on_rank0, alone.all_or_raise):
            with pytest.raises(ValueError, match="as it was"):
                call(fail)


def fail() -> None:
    raise ValueError("as it was")


@pytest.mark.parametrize(
    ("device", "backends", "carrier"),
    [
        ("cpu", "cpu:gloo,cuda:nccl", "cpu"),
        ("cuda:1", "cpu:gloo,cuda:nccl", "cuda:1"),
        ("cpu", "cuda:nccl", "cuda"),
        ("mps", "cpu:gloo", "cpu"),
    ],
)
def test_what_a_backend_does_not_carry_travels_on_another_device(device: str, backends: str, carrier: str) -> None:
    assert _carrier(torch.device(device), backends) == torch.device(carrier)


PROGRAM = """
import sys, torch
from nc_bench.distributed import current_group, process_group
from nc_bench.errors import DataError, UserError

with process_group() as group:
    rank = group.rank
    rows = torch.arange(10.0).view(5, 2)
    assert group.size == 2 and group.is_rank0 == (rank == 0) and current_group() == group
    mine = rows[group.local_slice(5)]
    assert len(mine) == 2 + rank and torch.equal(group.concatenate(mine, 5), rows)
    assert torch.equal(group.concatenate(mine.T, 5, dim=1), rows.T)
    assert group.total(mine.sum()) == rows.sum()
    assert group.gather([torch.tensor(rank), torch.tensor([rank * 2.0])]) == [[0, 0.0], [1, 2.0]]
    assert group.any(rank == 1) and not group.any(False)
    assert group.on_rank0(lambda: {"rank": rank}) == {"rank": 0}
    assert group.all_or_raise(lambda: rank) == rank

    def fail(who):
        if rank in who:
            raise DataError(f"not on {rank}") if rank == 1 else OSError("full")
        return "fine"

    # Every process raises the same kind of error with the same line.
    for call, who, kind, said in (
        (group.on_rank0, [0], OSError, "full"),
        (group.all_or_raise, [1], UserError, "not on 1"),
        (group.all_or_raise, [0, 1], OSError, "full"),
        (group.rank0_first, [1], UserError, "not on 1"),
    ):
        try:
            call(lambda: fail(who))
        except kind as error:
            assert str(error) == said
        else:
            raise AssertionError(who)

    # A bug is no mistake of the user: its own process raises it, the others say where it happened.
    def has_a_bug():
        if rank == 1:
            raise ValueError("a bug")

    try:
        group.all_or_raise(has_a_bug)
    except (ValueError, RuntimeError) as error:
        assert not isinstance(error, UserError)
        assert type(error) is (ValueError if rank == 1 else RuntimeError)
        assert str(error) == ("a bug" if rank == 1 else "ValueError on process 1: a bug")
    else:
        raise AssertionError("the bug is lost")
    assert group.rank0_first(lambda: rank) == rank

    # The batch norm sees other samples on each rank: everyone then has the first one's statistics.
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 1)).double()
    if rank == 1:
        torch.nn.init.constant_(model[0].weight, 9.0)
    joint = group.average_gradients(model)
    (group.weight(5) * joint(mine.double()).square().mean()).backward()
    group.broadcast_buffers(model)
    for tensor in [*model.parameters(), *model.buffers(), *(p.grad for p in model.parameters())]:
        first, second = group.gather([tensor.detach()])
        assert torch.equal(first[0], second[0])
# In one piece: print writes the end of the line for itself, and the other rank comes between.
sys.stdout.write(f"rank {rank} agrees\\n")
"""


def test_two_processes_agree(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*torchrun, str(tmp_path / "program.py")], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == ["rank 0 agrees", "rank 1 agrees"]
