"""Ctrl-C and SIGTERM end a command in one line and with status 130, also while it starts and while it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from small_runs import NETWORK

ROOT = Path(__file__).parents[1]

FIRST = "import os, signal; os.kill(os.getpid(), signal.{name})"
AGAIN = "import atexit, os, signal, threading; {register}(lambda: os.kill(os.getpid(), signal.{name})); "


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    (folder / "run.yaml").write_text(yaml.safe_dump(NETWORK))
    study = {"base": NETWORK, "axes": {"optimizer.lr": [0.1, 0.2]}}
    (folder / "sweep.yaml").write_text(yaml.safe_dump(study))
    return folder


def interrupted(folder: Path, library: str, program: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command that is sent signals when it imports this library."""
    (folder / f"{library}.py").write_text(program)
    path = os.pathsep.join([str(folder), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )


COMMANDS = [
    ("train", ["--config", "run.yaml"], "pydantic"),
    ("sweep", ["--config", "sweep.yaml", "--dry-run"], "pydantic"),
    ("report", ["run"], "pandas"),
    ("verify", [], "torch"),
    ("studies", ["."], "pydantic"),
]


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("command, arguments, library", COMMANDS, ids=[command for command, _, _ in COMMANDS])
def test_a_signal_while_libraries_are_imported_is_one_line(
    files: Path, tmp_path: Path, command: str, arguments: list[str], library: str, name: str
) -> None:
    told = [str(files / argument) if (files / argument).is_file() else argument for argument in arguments]
    ended = interrupted(tmp_path, library, FIRST.format(name=name), "-m", f"nc_bench.{command}", *told)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "interrupted\n")


@pytest.mark.parametrize("register", ["atexit.register", "threading._register_atexit"])
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_second_signal_while_python_exits_is_no_traceback(tmp_path: Path, register: str, name: str) -> None:
    program = AGAIN.format(register=register, name=name) + FIRST.format(name=name)
    ended = interrupted(tmp_path, "pandas", program, "-m", "nc_bench.report", "run")
    assert (ended.returncode, ended.stderr) == (130, "interrupted\n")


def test_the_command_with_all_commands_does_the_same(tmp_path: Path) -> None:
    start = ["-m", "nc_bench.cli", "report", "run"]
    ended = interrupted(tmp_path, "pandas", FIRST.format(name="SIGINT"), *start)
    assert (ended.returncode, ended.stderr) == (130, "interrupted\n")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_in_the_estimate_of_a_dry_run_is_one_line(files: Path, tmp_path: Path, name: str) -> None:
    program = f"""
import os, signal, sys
from nc_bench.sweeps import estimate
short = estimate._short
def interrupted(*arguments):
    os.kill(os.getpid(), signal.{name})
    return short(*arguments)
estimate._short = interrupted
from nc_bench.sweep import main
sys.exit(main(sys.argv[1:]))
"""
    told = ["--config", str(files / "sweep.yaml"), "--dry-run", "--workers", "1"]
    ended = interrupted(tmp_path, "unused", "", "-c", program, *told)
    assert (ended.returncode, ended.stderr) == (130, "interrupted\n")
