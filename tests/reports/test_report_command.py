from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from made_runs import prediction, write_picture, write_sweep_of_runs

from nc_bench import Run
from nc_bench.report import main

MakeRun = Callable[..., Run]

WITHOUT_TORCH = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision"):
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Blocked())
from nc_bench.report import main
sys.exit(max(main(line.split("|")) for line in sys.argv[1:]))
"""
"""Runs the command once for each of its arguments, whose parts are between strokes."""


def test_a_run_is_presented_without_torch(make_run: MakeRun) -> None:
    run = make_run()
    write_picture(run, epoch=300, classes=10, spread=0.1)
    command = [sys.executable, "-W", "error", "-c", WITHOUT_TORCH, str(run.path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    shown = done.stdout
    parts = (
        "7 of 7 verdicts hold; 99.4 % of the norm budget",
        "the simplex appeared.",
        "predicted",
        "report.html",
    )
    assert [parts.index(part) for part in sorted(parts, key=shown.index)] == [0, 1, 2, 3]
    for name in ("report.html", "figures/metric_curves.png", "figures/simplex_plane.png"):
        assert str(run.path / name) in shown and (run.path / name).stat().st_size > 1000


def test_runs_are_compared_and_a_sweep_is_shown_without_torch(make_run: MakeRun, tmp_path: Path) -> None:
    runs = [make_run(name=name) for name in ("a", "b")]
    write_picture(runs[0], epoch=300, classes=10, spread=0.1)
    sweep = write_sweep_of_runs(tmp_path / "sweep", [({"arm": arm}, seed, {}) for arm in "ab" for seed in (0, 1)])
    page = tmp_path / "page.html"
    lines = [f"{runs[0].path}|{runs[1].path}|--out|{page}", str(sweep)]
    command = [sys.executable, "-W", "error", "-c", WITHOUT_TORCH, *lines]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"page: {page}" in done.stdout and f"page: {sweep / 'report.html'}" in done.stdout
    assert page.stat().st_size > 50_000 and (sweep / "report.html").stat().st_size > 50_000


def test_a_folder_that_is_no_run_does_not_stop_the_others(
    make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [make_run(name=name) for name in ("a", "b")]
    none, out = tmp_path / "none", tmp_path / "page.html"
    assert main([str(none), *(str(run.path) for run in runs), "--out", str(out)]) == 2
    shown = capsys.readouterr()
    assert shown.err == f"{none}: holds no run (config.yaml and manifest.json are looked for)\n"
    assert [line.split(": ")[0] for line in shown.out.splitlines()] == [repr(str(run.path)) for run in runs] + ["page"]
    assert "2 runs compared" in out.read_text()


def test_a_folder_that_cannot_be_written_is_one_line(make_run: MakeRun, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run()
    (run.path / "figures").write_text("a file stands where the folder should be")
    assert main([str(run.path)]) == 1
    shown = capsys.readouterr()
    assert "the simplex appeared." in shown.out
    assert len(shown.err.splitlines()) == 1 and str(run.path / "figures") in shown.err


def test_a_configuration_of_another_version_is_one_line(make_run: MakeRun, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(config={"head": {"temperature": 3}})
    assert main([str(run.path)]) == 2
    (problem,) = capsys.readouterr().err.splitlines()
    assert f"{run.path / 'config.yaml'}: head.temperature" in problem


def test_text_of_a_run_moves_no_cursor_of_the_terminal(make_run: MakeRun, capsys: pytest.CaptureFixture[str]) -> None:
    evil = "\x1b[31m\u202e</script>" + "n" * 200
    claims = [prediction("risk", 0.05, claim=evil, source=evil, assumption=evil)]
    run = make_run(name="a\u202e\x1b[2Jb", manifest={"status": evil}, predictions=claims)
    assert main([str(run.path)]) == 0
    shown = capsys.readouterr().out
    assert not {"\x1b", "\u202e"} & set(shown) and shown.count("</script>") >= 3
    assert max(map(len, shown.splitlines())) < 1000


@pytest.mark.parametrize(
    ("manifest", "config"), [("[]", ""), ("{}", "a: 1"), ('{"status": 3}', ""), ("", ""), ('{"hello": [1]}', "[1]")]
)
def test_a_folder_of_something_else_is_one_line(
    tmp_path: Path, manifest: str, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "manifest.json").write_text(manifest)
    (tmp_path / "config.yaml").write_text(config)
    assert main([str(tmp_path), "--animation"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert str(tmp_path) in line
