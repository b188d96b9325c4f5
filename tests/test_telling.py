"""Lines about work that goes on, in a log."""

from __future__ import annotations

import io
import sys

import pytest

from nc_bench.telling import ProgressLines, duration, progress_shown


def lines_of(seconds_a_part: float, parts: int, capsys: pytest.CaptureFixture[str], start: int = 0) -> list[str]:
    now = [0.0]
    lines = ProgressLines(parts, "epochs", clock=lambda: now[0])
    lines.begin("there", start)
    for done in range(start + 1, parts + 1):
        now[0] += seconds_a_part
        lines.reach(done, "risk 0.5")
    return capsys.readouterr().out.splitlines()


def test_a_long_job_says_every_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    first, *rest = lines_of(36.0, 1000, capsys)
    assert first == "there" and len(rest) == 9
    assert rest[0] == "100 of 1000 epochs, risk 0.5, 1:00:00, about 9:00:00 left"
    assert [line.split()[0] for line in rest] == [str(100 * tenth) for tenth in range(1, 10)]


def test_a_job_of_minutes_says_no_more_than_a_line_a_minute(capsys: pytest.CaptureFixture[str]) -> None:
    _, *rest = lines_of(1.0, 200, capsys)
    assert [line.split()[0] for line in rest] == ["60", "120", "180"]


def test_a_short_job_says_where_it_is_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert lines_of(0.01, 300, capsys) == ["there"] and lines_of(0.01, 0, capsys) == ["there"]


def test_what_is_left_follows_from_what_this_process_did(capsys: pytest.CaptureFixture[str]) -> None:
    _, first, *_ = lines_of(60.0, 100, capsys, start=85)
    assert first == "90 of 100 epochs, risk 0.5, 0:05:00, about 0:10:00 left"


def test_an_output_that_is_closed_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stdout", closed)
    ProgressLines(10, "epochs").begin("there")


def test_how_progress_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (progress_shown(quiet=True), progress_shown(quiet=False)) == ("nothing", "lines")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert progress_shown(quiet=False) == "bar"
    monkeypatch.setattr(sys, "stdout", None)
    assert progress_shown(quiet=False) == "lines"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 seconds"), (119, "119 seconds"), (200, "0:03:20"), (86400, "24:00:00")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
