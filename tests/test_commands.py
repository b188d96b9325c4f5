"""How commands end: one line for a user's mistake and for what ran out, a traceback for a bug, silence for `head`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from small_runs import NETWORK
from yaml import safe_dump

from nc_bench import train
from nc_bench.commands import explain, run_command
from nc_bench.errors import ConfigError, DataError, LostProcess, UserError
from nc_bench.paths import default_folder

ROOT = Path(__file__).parents[1]


def failing(error: BaseException) -> Callable[[], int]:
    def work() -> int:
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (UserError("a: wrong"), 2, "a: wrong"),
        (ConfigError("a: wrong\nb: wrong"), 2, "a: wrong\nb: wrong"),
        (DataError("no such folder"), 2, "no such folder"),
        (OSError(28, "No space left on device", "x"), 1, "cannot read or write: [Errno 28] No space left on device"),
        (BrokenPipeError(32, "Broken pipe"), 1, "cannot read or write: [Errno 32] Broken pipe"),
        (LostProcess("the scheduler has ended"), 1, "the scheduler has ended"),
        (MemoryError(), 1, "out of memory: lower training.batch_size"),
        (torch.OutOfMemoryError("CUDA out of memory."), 1, "out of memory: lower training.batch_size"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_what_is_no_bug_is_said_without_a_traceback(
    error: BaseException, status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(failing(error)) == status
    lines = capsys.readouterr().err
    assert lines.startswith(said) and lines.count("\n") == 1 + said.count("\n")


@pytest.mark.parametrize("error", [ValueError("wrong"), RuntimeError("size mismatch"), KeyError("x"), TypeError()])
def test_anything_else_is_a_bug_and_raised(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(error) is None
    with pytest.raises(type(error)):
        run_command(failing(error))
    assert capsys.readouterr().err == ""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(safe_dump(NETWORK))
    return path


@pytest.mark.parametrize("where", ["nc_bench.training.run.load_dataset", "nc_bench.training.ensemble.Ensemble._step"])
def test_training_without_memory_ends_in_one_line(
    where: str, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def exhausted(*arguments: object) -> None:
        torch.empty(2**60, dtype=torch.uint8)

    monkeypatch.setattr(where, exhausted)
    assert train.main(["--config", str(config), "--out", str(tmp_path / "run")]) == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert said[-1].startswith("out of memory: lower training.batch_size")
    assert not any("Traceback" in line for line in said)


WITH_A_BUG = """
import sys
from nc_bench.training.ensemble import Ensemble
def step(*arguments):
    raise ValueError("a bug in a step")
Ensemble._step = step
from nc_bench.{command} import main
sys.exit(main(sys.argv[1:]))
"""
"""A command whose training steps all raise a ValueError that no user has caused."""


def with_a_bug(command: str, *arguments: str, torchrun: int = 0, cwd: Path) -> subprocess.CompletedProcess[str]:
    (cwd / "buggy.py").write_text(WITH_A_BUG.format(command=command))
    many = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(torchrun)] if torchrun else []
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    line = [sys.executable, *many, "buggy.py", *arguments]
    return subprocess.run(line, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)


def test_a_value_error_in_a_training_step_shows_its_traceback(config: Path, tmp_path: Path) -> None:
    done = with_a_bug("train", "--config", str(config), "--out", "run", cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" in done.stderr and done.stderr.endswith("ValueError: a bug in a step\n")


@pytest.mark.slow
def test_it_does_so_under_torchrun(config: Path, tmp_path: Path) -> None:
    done = with_a_bug("train", "--config", str(config), "--out", "run", torchrun=2, cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" in done.stderr and "ValueError: a bug in a step" in done.stderr
    assert "exitcode  : 1" in done.stderr and "exitcode  : 2" not in done.stderr


@pytest.mark.parametrize("command", [["schema"], ["--help"], ["studies", "configs/studies"], ["verify", "--help"]])
def test_a_reader_that_leaves_is_met_with_silence(command: list[str]) -> None:
    line = [sys.executable, "-m", "nc_bench.cli", *command]
    # Unbuffered, argparse itself hides that its help could not be written.
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=buffered, text=True, cwd=ROOT
    ) as left:
        assert left.stdout is not None and left.stderr is not None
        left.stdout.close()
        assert left.stderr.read() == ""
    assert left.returncode == 141


@pytest.mark.parametrize("name", ["...yaml", "..yaml", "..", ". .yaml", "a\nb.yaml", "\x1b[2J.yaml"])
def test_a_file_whose_name_names_no_folder_needs_an_out(name: str) -> None:
    with pytest.raises(UserError, match="its name gives no folder a name; say --out") as refused:
        default_folder(Path("configs") / name)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    "name, folder", [("a.yaml", "a"), (".hidden.yaml", ".hidden"), ("a...yaml", "a.."), ("é.yaml", "é")]
)
def test_results_stay_in_the_folder_of_results(name: str, folder: str) -> None:
    assert default_folder(Path("/some/where") / name) == Path("results/runs") / folder
