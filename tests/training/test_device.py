from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_runs import NETWORK
from yaml import safe_dump

from nc_bench import train
from nc_bench.training.device import out_of_memory


def test_torch_says_that_memory_ran_out_and_so_does_the_line() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    for error in (caught.value, MemoryError(), torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")):
        line = out_of_memory(error)
        assert line is not None and "training.batch_size" in line and "data.memory_gb" in line and "\n" not in line


def test_other_errors_are_none_of_its_business() -> None:
    assert out_of_memory(RuntimeError("size mismatch")) is None and out_of_memory(ValueError("out of memory")) is None


def test_a_worker_that_was_killed_is_told_with_its_setting() -> None:
    line = out_of_memory(RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "))
    assert line is not None and "lower data.workers" in line


@pytest.mark.parametrize("where", ["load_dataset", "Ensemble._step"])
def test_the_command_says_it_in_one_line(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def exhausted(*arguments: object) -> None:
        torch.empty(2**60, dtype=torch.uint8)

    module = "nc_bench.training.run.load_dataset" if where == "load_dataset" else f"nc_bench.training.ensemble.{where}"
    monkeypatch.setattr(module, exhausted)
    config = tmp_path / "small.yaml"
    config.write_text(safe_dump(NETWORK))
    assert train.main(["--config", str(config), "--out", str(tmp_path / "run")]) == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert said[-1].startswith("out of memory: lower training.batch_size")
    assert not any("Traceback" in line for line in said)
