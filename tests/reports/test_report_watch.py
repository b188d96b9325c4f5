"""The page of a run that goes on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nc_bench import Run
from nc_bench.report import main
from nc_bench.reports.watch import watch_run
from nc_bench.runs import RunError

MakeRun = Callable[..., Run]

RELOADS = '"reloadSeconds":5'


@pytest.fixture
def going(make_run: MakeRun) -> Run:
    return make_run(manifest={"status": "running", "epochs_done": 50}, predictions=[])


def follow(run: Run, *steps: Callable[[], object]) -> list[tuple[int, bool]]:
    """Watch with these steps in the place of sleeping; the page's inode and whether it loads itself, after each."""
    seen: list[tuple[int, bool]] = []
    left: Iterator[Callable[[], object]] = iter(steps)
    page = run.path / "report.html"

    def note() -> None:
        seen.append((page.stat().st_ino, RELOADS in page.read_text()))

    def sleep(seconds: float) -> None:
        assert 1 <= seconds < 600
        note()
        next(left)()

    said: list[Path] = []
    try:
        watch_run(run.path, said.append, sleep)
    finally:
        note()
    assert said == [page] and next(left, None) is None
    return seen


def change(run: Run, **entries: object) -> None:
    path = run.path / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def add_row(run: Run) -> None:
    path = run.path / "metrics.jsonl"
    path.write_text(path.read_text() + path.read_text().splitlines()[0] + "\n")


def test_the_page_is_written_again_when_there_is_something_new(going: Run) -> None:
    seen = follow(going, lambda: None, lambda: add_row(going), lambda: None, lambda: change(going, status="complete"))
    inodes, reloads = zip(*seen, strict=True)
    assert inodes[0] == inodes[1] != inodes[2] == inodes[3] != inodes[4]
    assert reloads == (True, True, True, True, False)


@pytest.mark.parametrize("status", ["complete", "diverged", "failed", "interrupted"])
def test_a_run_that_has_ended_is_not_waited_for(make_run: MakeRun, status: str) -> None:
    assert [reloads for _, reloads in follow(make_run(manifest={"status": status}))] == [False]


def test_ctrl_c_leaves_a_page_that_stands_still(going: Run) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        follow(going, interrupt)
    assert RELOADS not in (going.path / "report.html").read_text()


def test_files_that_are_being_written_are_read_again(going: Run) -> None:
    whole = (going.path / "manifest.json").read_bytes()

    def half() -> None:
        (going.path / "manifest.json").write_bytes(whole[:50])

    def mend() -> None:
        (going.path / "manifest.json").write_bytes(whole)
        change(going, status="complete")

    assert [reloads for _, reloads in follow(going, half, lambda: None, mend)] == [True, True, True, False]
    change(going, status="running")
    with pytest.raises(RunError, match="damaged"):
        follow(going, half, *[lambda: None] * 4)


def test_a_folder_without_a_run_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "--watch"]) == 2
    assert capsys.readouterr().err == f"{tmp_path}: holds no run (config.yaml and manifest.json are looked for)\n"
    assert main([str(tmp_path), str(tmp_path), "--watch"]) == 2
    assert capsys.readouterr().err == "--watch: follows one run, not 2\n"


def test_the_end_of_a_run_is_told(make_run: MakeRun, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(make_run().path), "--watch"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("page: ") and "the simplex appeared." in shown


@pytest.mark.slow  # 3 seconds: a process of its own
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_the_command_in_silence(going: Run, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "nc_bench.report", str(going.path), "--watch"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None and watching.stderr is not None
        assert watching.stdout.readline().startswith("page: ")
        watching.send_signal(number)
        assert (watching.wait(60), watching.stdout.read(), watching.stderr.read()) == (0, "", "")
