"""`run_training`, as a notebook or a script calls it, and what the run says of itself."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from small_runs import NETWORK, TABLE, measured, settings

from nc_bench import Run, load_run, run_training
from nc_bench.config import Config, ConfigError
from nc_bench.errors import RunError
from nc_bench.train import main
from nc_bench.training.ensemble import Ensemble


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_training(TABLE, tmp_path_factory.mktemp("run") / "a & b", **{"training.epochs": 2})


def test_it_makes_the_run_of_the_command(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "table.json"
    file.write_text(str(settings(TABLE, training={"epochs": 2})).replace("'", '"').replace("None", "null"))
    assert main(["--config", str(file), "--out", str(tmp_path / "command")]) == 0
    command = load_run(tmp_path / "command")
    assert measured(run.path) == measured(command.path) and run.config == command.config
    assert run.manifest["config_hash"] == command.manifest["config_hash"]
    assert {path.name for path in run.path.iterdir()} == {path.name for path in command.path.iterdir()}


def test_a_shipped_configuration_is_called_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    changes: dict[str, Any] = {"training.epochs": 1, "model.widths": [8, 4], "device": "cpu"}
    run = run_training("digits_ball", **changes)
    assert run.path.parent == Path("results/runs/digits_ball") and run.manifest["status"] == "complete"
    again = run_training("digits_ball", resume=True, **changes)
    assert again.path == run.path and measured(again.path) == measured(run.path)


def test_a_longer_run_goes_on_from_the_shorter_one(tmp_path: Path) -> None:
    short = run_training(NETWORK, tmp_path / "run", **{"training.epochs": 1})
    longer = run_training(NETWORK, short.path, resume=True, **{"training.epochs": 2})
    assert list(longer.rows["epoch"].unique()) == [1, 2] and longer.manifest["epochs_done"] == 2
    with pytest.raises(RunError, match="holds a run already"):
        run_training(NETWORK, short.path)
    with pytest.raises(RunError, match="holds another run"):
        run_training(NETWORK, short.path, resume=True, seed=5)


def test_it_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    for wrong in ({"optimizer.lr": -1}, {"optimiser.lr": 1}, {"training.batch_size": 1401}):
        with pytest.raises(ConfigError):
            run_training(Config.model_validate(TABLE), tmp_path / "run", **wrong)
    with pytest.raises(RunError, match="out: should be a path, not int"):
        run_training(TABLE, 3)
    assert not (tmp_path / "run").exists()


def test_a_signal_leaves_a_run_to_resume_and_the_handlers_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    steps = Ensemble._step

    def interrupted(self: Any, *arguments: Any) -> None:
        steps(self, *arguments)
        if self.step_count == 1:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Ensemble, "_step", interrupted)
    with pytest.raises(KeyboardInterrupt, match="resume=True"):
        run_training(TABLE, tmp_path / "run")
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    stopped = load_run(tmp_path / "run")
    assert stopped.manifest["status"] == "interrupted" and (stopped.path / "report.html").exists()
    monkeypatch.undo()
    assert run_training(TABLE, tmp_path / "run", resume=True).manifest["status"] == "complete"
    assert measured(run_training(TABLE, tmp_path / "whole").path) == measured(tmp_path / "run")


def test_it_works_in_another_thread(tmp_path: Path) -> None:
    found: list[Run] = []
    thread = threading.Thread(target=lambda: found.append(run_training(TABLE, tmp_path / "run")))
    thread.start()
    thread.join()
    assert found[0].manifest["status"] == "complete"


def test_a_page_that_cannot_be_written_loses_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(run: Run) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nc_bench.reports.write_report", failing)
    assert run_training(TABLE, tmp_path / "run").manifest["status"] == "complete"
    assert "not all of it could be shown: [Errno 28]" in capsys.readouterr().err


def test_a_run_is_seen_at_a_glance(run: Run) -> None:
    text, html = repr(run), run._repr_html_()
    assert text.startswith("<Run ") and "complete, 2 of 2 epochs" in text and "not reached" in text
    assert "of the norm budget became separation" in text and "\n" not in text and len(text) < 300 + len(str(run.path))
    assert "a &amp; b" in html and "a & b" not in html and html.startswith("<table>")


def test_nothing_that_a_run_says_is_markup(run: Run) -> None:
    hostile = dataclasses.replace(run, path=Path("<script>\u202e\n"), manifest={"status": "<b>", "epochs": "<i>"})
    assert not any(tag in hostile._repr_html_() for tag in ("<script>", "<b>", "<i>", "\u202e"))
    assert repr(hostile).isprintable()


def test_a_run_that_never_measured_has_a_glance_too(run: Run) -> None:
    empty = dataclasses.replace(run, rows=run.rows[:0], predictions=run.predictions[:0], manifest={"status": "failed"})
    assert "failed, 0 of ? epochs" in repr(empty) and "claims" not in repr(empty)


def test_figures_and_page_are_made_on_demand(run: Run) -> None:
    figure = run.plot()
    assert isinstance(figure, Figure) and vars(figure)["_repr_png_"]().startswith(b"\x89PNG")
    with pytest.raises(RunError, match="did you mean 'budget'"):
        run.plot("budgett")
    with pytest.raises(RunError, match="has not recorded what the figure depth shows"):
        run.plot("depth")
    page = run.path / "report.html"
    page.unlink()
    assert run.report() == page and page.exists()


def test_the_progress_of_a_notebook_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_training(TABLE, tmp_path / "script", **{"training.epochs": 1})
    assert "epoch" not in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "ipykernel.zmqshell", object())
    run_training(TABLE, tmp_path / "notebook", **{"training.epochs": 1})
    assert "epoch" in capsys.readouterr().err
