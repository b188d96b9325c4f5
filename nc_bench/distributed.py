"""The processes that train one run together: torchrun starts them, and each computes its share of every batch.

The only module that knows of torch.distributed. One process alone is a group of one: the same calls, no communication.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar
from weakref import WeakSet

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from nc_bench.errors import LostProcess, UserError

T = TypeVar("T")

GROUP_TIMEOUT = timedelta(minutes=30)
"""How long a process waits for one that is alive but late, as rank 0 is while it reads a large data set."""


@dataclass(frozen=True, kw_only=True)
class Processes:
    """A group of `size` processes, seen by the one with number `rank`; `local_*` count those on this machine.

    Every method but `local_slice` and `weight` communicates: all processes call it, in the same order. Sums are the
    same on all processes, bit for bit.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @property
    def is_rank0(self) -> bool:
        """Whether this is the process that writes files and prints."""
        return self.rank == 0

    def local_slice(self, count: int) -> slice:
        """This process's part of `count` things: contiguous, in the order of ranks, sizes one apart at most."""
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def weight(self, count: int) -> float:
        """Factor for the mean over this process's share, so that the processes' average is the mean over `count`."""
        share = self.local_slice(count)
        return self.size * (share.stop - share.start) / count

    def gather(self, tensors: Sequence[Tensor]) -> list[list[Tensor]]:
        """The tensors of every process, in the order of ranks; shapes agree between processes."""
        if self.size == 1:
            return [list(tensors)]
        columns = []
        for tensor in tensors:
            sent = tensor.contiguous().to(_carrier(tensor.device, dist.get_backend_config()))
            parts = [torch.empty_like(sent) for _ in range(self.size)]
            dist.all_gather(parts, sent)
            columns.append([part.to(tensor.device) for part in parts])
        return [list(row) for row in zip(*columns, strict=True)]

    def total(self, tensor: Tensor) -> Tensor:
        """Sum over the processes."""
        total, *others = (part for (part,) in self.gather([tensor]))
        for other in others:
            total = total + other
        return total

    def concatenate(self, mine: Tensor, count: int, dim: int = 0) -> Tensor:
        """The `count` rows along `dim` of which each process holds its share."""
        if self.size == 1:
            return mine
        rows, longest = mine.movedim(dim, 0), -(-count // self.size)
        padding = rows.new_zeros(longest - len(rows), *rows.shape[1:])
        parts = [part for (part,) in self.gather([torch.cat([rows, padding])])]
        sizes = [count * (rank + 1) // self.size - count * rank // self.size for rank in range(self.size)]
        whole = torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])
        return whole.movedim(0, dim).contiguous()

    def any(self, flag: bool) -> bool:
        """Whether the flag is true on any process. Never waits for a GPU."""
        return flag if self.size == 1 else bool(self.total(torch.tensor(int(flag))))

    def on_rank0(self, work: Callable[[], T]) -> T:
        """The result of `work`, which only rank 0 does; if it fails, all processes raise the same error."""
        if self.size == 1:
            return work()
        done, error = _run_catching(work) if self.is_rank0 else (None, None)
        content: list[Any] = [done, _sendable(error, self.rank)]
        dist.broadcast_object_list(content, src=0)
        return self._result(content[0], error, [content[1]])

    def all_or_raise(self, work: Callable[[], T]) -> T:
        """Do `work` on every process; if it fails on any, all raise the error of the lowest rank that failed."""
        if self.size == 1:
            return work()
        done, error = _run_catching(work)
        errors: list[Any] = [None] * self.size
        dist.all_gather_object(errors, _sendable(error, self.rank))
        return self._result(done, error, errors)

    def rank0_first(self, work: Callable[[], T]) -> T:
        """As `all_or_raise`, but rank 0 is done before the others begin: what it downloads, they find."""
        done: list[T] = []
        self.on_rank0(lambda: done.append(work()))
        return self.all_or_raise(lambda: done[0] if done else work())

    def average_gradients(self, module: nn.Module) -> nn.Module:
        """The module, with gradients averaged over the processes in backward; it starts as rank 0's.

        Buffers follow rank 0's, so running statistics are those of rank 0's shares.
        """
        if self.size == 1:
            return module
        wrapped = DistributedDataParallel(module)
        _DDP_MODULES.add(wrapped)
        return wrapped

    def broadcast_buffers(self, module: nn.Module) -> None:
        """Give every process rank 0's buffers, as every forward pass of `average_gradients` begins."""
        if self.size > 1:
            for buffer in module.buffers():
                dist.broadcast(buffer, src=0)

    def _result(self, done: tuple[T] | None, error: Exception | None, errors: list[Any]) -> T:
        failed = [rank for rank, sent in enumerate(errors) if sent is not None]
        if failed:
            if error is not None and failed[0] == self.rank:
                raise error
            kind, message = errors[failed[0]]
            raise kind(message)
        assert done is not None
        return done[0]


SINGLE_PROCESS = Processes()

_DDP_MODULES: WeakSet[DistributedDataParallel] = WeakSet()
"""Modules that hold a reference to the group, to be dropped when it ends."""


@contextmanager
def process_group() -> Iterator[Processes]:
    """The group that torchrun started this process in, while the block lasts; a group of one without torchrun.

    Raises LostProcess in place of what torch raises when another process dies during the block.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield SINGLE_PROCESS
        return
    processes = Processes(
        rank=int(os.environ["RANK"]),
        size=size,
        local_rank=int(os.environ["LOCAL_RANK"]),
        local_size=int(os.environ["LOCAL_WORLD_SIZE"]),
    )
    # Imported before there is a group. DistributedDataParallel imports it later, and the defaults of its functions
    # would then refer to the group of that moment, which could not be destroyed (see _end_group).
    import torch.distributed.nn.functional

    # Flags and Python objects travel between CPUs, so that no decision waits for a GPU.
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    with _raising_lost_process():
        dist.init_process_group(backend, timeout=GROUP_TIMEOUT, **_rendezvous(processes))
        try:
            yield processes
        finally:
            _end_group()


def current_group() -> Processes:
    """All processes of torch.distributed, where the caller's own code has joined them; a group of one elsewhere."""
    if not (dist.is_available() and dist.is_initialized()):
        return SINGLE_PROCESS
    return Processes(
        rank=dist.get_rank(),
        size=dist.get_world_size(),
        local_rank=int(os.environ.get("LOCAL_RANK", "0")),
        local_size=int(os.environ.get("LOCAL_WORLD_SIZE", "1")),
    )


def _carrier(device: torch.device, backends: str) -> torch.device:
    """Where a tensor of this device has to be for the group to carry it; `backends` as "cpu:gloo,cuda:nccl"."""
    carried = [pair.partition(":")[0] for pair in backends.split(",")]
    return device if device.type in carried else torch.device(carried[0])


def usable_cores() -> int:
    """How many cores this process may run on; where the system does not say, as many as the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _end_group() -> None:
    """Destroy the group and its threads: nothing may still refer to it.

    A thread of gloo that frees its last tensor while the interpreter shuts down ends the process with SIGABRT.
    """
    for wrapped in _DDP_MODULES:
        del wrapped.reducer, wrapped.logger, wrapped.process_group
    _DDP_MODULES.clear()
    dist.destroy_process_group()


def _rendezvous(processes: Processes) -> dict[str, Any]:
    """Where the processes find each other.

    torchrun's own store outlives a restart, with the addresses of dead processes in it, and the next attempt would
    wait for them for ever: each attempt has its own names in it. Attempts are counted per machine, so that on
    several ones TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 has to be set, which gives every attempt a new store.
    """
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True" or processes.local_size < processes.size:
        return {}
    store, rank, size = next(rendezvous("env://"))
    attempt = os.environ["TORCHELASTIC_RESTART_COUNT"]
    return {"store": PrefixStore(f"attempt {attempt}", store), "rank": rank, "world_size": size}


def _run_catching(work: Callable[[], T]) -> tuple[tuple[T] | None, Exception | None]:
    try:
        return (work(),), None
    except Exception as error:
        return None, error


def _sendable(error: Exception | None, rank: int) -> tuple[type[Exception], str] | None:
    """What the other processes raise: the kinds of errors that commands tell apart, with the same message."""
    if error is None:
        return None
    for kind in (UserError, OSError, LostProcess, MemoryError):
        if isinstance(error, kind):
            return kind, str(error)
    return RuntimeError, f"{type(error).__name__} on process {rank}: {error}"


@contextmanager
def _raising_lost_process() -> Iterator[None]:
    try:
        yield
    except LostProcess:
        raise
    except RuntimeError as error:
        if isinstance(error, dist.DistError) or "gloo" in str(error):
            raise LostProcess(
                "another process of this run has ended; --resume continues from the last checkpoint"
            ) from error
        raise
