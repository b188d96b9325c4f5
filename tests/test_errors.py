"""What ends a command in one line, and what is a bug."""

from __future__ import annotations

import pytest
import torch

from nc_bench import config, data, runs
from nc_bench.errors import ConfigError, DataError, LostProcess, RunError, SweepError, UserError, out_of_memory
from nc_bench.training.checkpoint import DamagedCheckpoint


def test_every_error_of_a_user_is_one_and_a_value_error() -> None:
    for kind in (ConfigError, DataError, RunError, SweepError, DamagedCheckpoint):
        assert issubclass(kind, UserError) and issubclass(kind, ValueError)
    assert not issubclass(LostProcess, UserError)
    assert (config.ConfigError, data.DataError, runs.RunError) == (ConfigError, DataError, RunError)


def test_memory_that_ran_out_is_known_by_what_torch_says() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    for error in (caught.value, MemoryError(), torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")):
        line = out_of_memory(error)
        assert line is not None and "training.batch_size" in line and "data.memory_gb" in line and "\n" not in line


def test_other_errors_are_not_taken_for_it() -> None:
    assert out_of_memory(RuntimeError("size mismatch")) is None
    assert out_of_memory(ValueError("out of memory")) is None


def test_the_message_for_a_killed_reader_names_its_setting() -> None:
    line = out_of_memory(RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "))
    assert line is not None and "lower data.workers" in line
