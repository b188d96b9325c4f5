"""Commands whose standard output or error is closed, full or a terminal that is gone: the work is done all the same."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from small_runs import NETWORK
from yaml import safe_dump

from nc_bench import load_run

ROOT = Path(__file__).parents[1]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(safe_dump(NETWORK))
    return path


def train(config: Path, redirect: str) -> int:
    """The exit status of a training in `run`, beside its configuration, whose streams the shell leads elsewhere."""
    command = f'exec "$0" -m nc_bench.train --config "{config}" --out "{config.parent}/run" {redirect}'
    return subprocess.run(["bash", "-c", command, sys.executable], cwd=ROOT, check=False, timeout=120).returncode


def assert_is_whole(run: Path) -> None:
    assert load_run(run).manifest["status"] == "complete"
    assert json.loads((run / "predictions.json").read_text())
    assert (run / "report.html").exists() and list((run / "figures").glob("*.png"))


def test_closed_streams_change_nothing_and_no_file_takes_their_place(config: Path) -> None:
    assert train(config, "<&- >&- 2>&-") == 0
    assert_is_whole(config.parent / "run")


@pytest.mark.slow
@pytest.mark.parametrize("redirect", [">&-", "2>&-", "2>/dev/full"])
def test_one_closed_or_full_stream_changes_nothing(config: Path, redirect: str) -> None:
    assert train(config, f">/dev/null {redirect}") == 0
    assert_is_whole(config.parent / "run")


@pytest.mark.slow
def test_what_cannot_be_printed_is_said_and_the_run_has_its_page(config: Path) -> None:
    heard = config.parent / "heard"
    assert train(config, f'>/dev/full 2>"{heard}"') == 0
    assert_is_whole(config.parent / "run")
    assert heard.read_text().rstrip().endswith("not all of it could be shown: [Errno 28] No space left on device")
    assert "\n" not in heard.read_text().rstrip()


@pytest.mark.slow
def test_a_terminal_that_is_gone_stops_no_training(config: Path) -> None:
    master, terminal = pty.openpty()
    command = [sys.executable, "-m", "nc_bench.train", "--config", str(config), "--out", str(config.parent / "run")]
    with subprocess.Popen(command, cwd=ROOT, stdout=terminal, stderr=terminal) as training:
        os.close(terminal)
        os.close(master)
        assert training.wait(timeout=120) == 0
    assert_is_whole(config.parent / "run")


def test_a_warning_of_a_library_goes_into_no_file(tmp_path: Path) -> None:
    """What C code writes to number 2 would be in the first file that is opened after it was closed."""
    program = """
import os
from pathlib import Path
from nc_bench.commands import run_command
def work():
    with open("kept", "w") as kept:
        os.write(2, b"a warning")
        os.write(1, b"a word")
        kept.write("numbers")
    return 0
raise SystemExit(run_command(work))
"""
    line = ["bash", "-c", 'exec "$0" -c "$1" <&- >&- 2>&-', sys.executable, program]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    assert subprocess.run(line, cwd=tmp_path, env=environment, check=False, timeout=60).returncode == 0
    assert (tmp_path / "kept").read_text() == "numbers"
