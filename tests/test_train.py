"""The command: what it refuses, where it writes, what it says and how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from small_runs import NETWORK, TABLE, measured, settings

from nc_bench import load_run
from nc_bench.config import Config, dump_config
from nc_bench.reports.figures import FIGURES_OF_A_RUN
from nc_bench.train import main

ROOT = Path(__file__).parents[1]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "few_steps.yaml"
    path.write_text(dump_config(Config.model_validate(settings(TABLE, training={"epochs": 2}))))
    return path


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Nothing is trained or presented: the directories that would have been."""
    asked: list[Path] = []

    def run_training(config: Config, directory: Path, *, resume: bool, show: str) -> str:
        asked.append(directory)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "config.yaml").write_text(dump_config(config))
        return "complete"

    monkeypatch.setattr("nc_bench.training.run_training", run_training)
    monkeypatch.setattr("nc_bench.reports.render_run", lambda directory: None)
    return asked


def test_a_run_is_trained_and_presented_and_a_finished_one_presented_again(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a directory"
    assert main(["--config", str(config), "--out", str(out)]) == 0
    first = capsys.readouterr()
    assert first.err == "" and str(out / "metrics.csv") in first.out and "After 2 epochs" in first.out
    assert load_run(out).manifest["status"] == "complete" and len(measured(out)) == 3
    table = (out / "metrics.csv").read_bytes()
    assert main(["--config", str(config), "--out", str(out), "--resume"]) == 0
    again = capsys.readouterr()
    assert (
        first.out == f"{out}: 2 epochs\n{again.out}"
        and again.err == f"{out}: complete already, so nothing is trained\n"
    )
    assert (out / "metrics.csv").read_bytes() == table


@pytest.mark.parametrize(
    "line",
    [
        "--config FILE --out OUT seed=3 training.epochs=7",
        "--config FILE seed=3 training.epochs=7 --out OUT",
        "seed=3 --config FILE training.epochs=7 --out OUT",
        "seed=3 training.epochs=7 --resume --out OUT --config FILE",
        "--config FILE training.epochs=5 --out OUT seed=3 --resume training.epochs=7",
    ],
)
def test_overrides_may_stand_anywhere_and_the_last_one_counts(
    line: str, config: Path, tmp_path: Path, quiet: list[Path]
) -> None:
    words = [{"FILE": str(config), "OUT": str(tmp_path / "out")}.get(word, word) for word in line.split()]
    assert main(words) == 0
    assert quiet == [tmp_path / "out"]
    text = (tmp_path / "out" / "config.yaml").read_text()
    assert "seed: 3\n" in text and "epochs: 7\n" in text


@pytest.mark.parametrize(("status", "code"), [("complete", 0), ("diverged", 3), ("interrupted", 130)])
def test_exit_status(
    status: str,
    code: int,
    config: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown: list[Any] = []
    monkeypatch.setattr("nc_bench.training.run_training", lambda config, directory, resume, show: status)
    monkeypatch.setattr("nc_bench.reports.render_run", shown.append)
    out = tmp_path / "out"
    assert main(["--config", str(config), "--out", str(out)]) == code
    assert shown == [out]
    hint = f"interrupted; go on with --resume --out {out}\n" if status == "interrupted" else ""
    assert capsys.readouterr().out == hint


def test_a_run_that_diverges_is_presented_and_said_to(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wild = {"model": {"name": "mlp", "widths": [8, 4]}, "constraints": {"features": None, "head": None}}
    wild |= {"optimizer": {"name": "sgd", "lr": 1e6}}
    config.write_text(dump_config(Config.model_validate(settings(NETWORK, **wild))))
    assert main(["--config", str(config), "--out", str(tmp_path / "out")]) == 3
    said = capsys.readouterr()
    assert "diverged" in said.out and said.err == ""
    assert load_run(tmp_path / "out").manifest["status"] == "diverged"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["optimizer.lr=-1"], "command line: optimizer.lr: "),
        (["optimiser.lr=1"], "did you mean 'optimizer'?"),
        (["optimizer.lr"], "command line: 'optimizer.lr' is not of the form dotted.key=value"),
        (["training.batch_size=1401"], "training.batch_size: 1401 is larger than the 1400 training samples"),
        (["data.name=mnist", "data.root=/no/such/place"], "set data.root to the folder that holds MNIST/raw"),
    ],
)
def test_what_is_refused_is_said_on_one_line(
    arguments: list[str], said: str, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["--config", str(config), "--out", str(out), *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert not out.exists()


def test_a_missing_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", str(tmp_path / "no.yaml")]) == 2
    assert capsys.readouterr().err == f"{tmp_path / 'no.yaml'}: cannot be read: No such file or directory\n"
    assert main([]) == 2
    said = capsys.readouterr().err
    assert said == "nc-bench train: name a configuration, for example: nc-bench train digits_ball\n"


def test_a_wrong_configuration_is_refused_before_torch_and_pandas_are_imported(config: Path) -> None:
    without = "import sys; sys.modules['torch'] = sys.modules['pandas'] = None"
    program = f"{without}; from nc_bench.train import main; sys.exit(main(sys.argv[1:]))"
    line = [sys.executable, "-c", program, "--config", str(config), "optimizer.lr=-1"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith("command line: optimizer.lr: ")


@pytest.mark.parametrize("place", ["few_steps.yaml", "few_steps.yaml/below"])
def test_a_place_that_cannot_be_written(
    place: str, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--config", str(config), "--out", str(tmp_path / place)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("cannot read or write: ") and str(tmp_path / "few_steps.yaml") in error
    assert error.count("\n") == 1


def test_by_default_runs_lie_under_the_name_of_the_configuration(
    config: Path, tmp_path: Path, quiet: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert main(["--config", str(config)]) == 0
    first, second = quiet
    assert first.parent == second.parent == Path("results/runs/few_steps") and first.name < second.name


def test_to_resume_without_a_directory_finds_the_newest_run_of_the_same_configuration(
    config: Path, tmp_path: Path, quiet: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments in (["seed=1"], ["seed=2"], ["seed=1"], ["seed=2"], ["seed=3"]):
        main(["--config", str(config), *arguments])
    damaged = quiet[-1].parent / "9999" / "config.yaml"
    damaged.parent.mkdir()
    damaged.write_text("data: 3")
    main(["--config", str(config), "--resume", "seed=1", "training.epochs=9", "device=auto"])
    assert quiet[-1] == quiet[2]
    main(["--config", str(config), "--resume", "seed=4"])
    assert quiet[-1] not in quiet[:-1]


@pytest.mark.parametrize("error", [RuntimeError("no\npicture"), OSError(28, "No space left on device"), ValueError()])
def test_what_cannot_be_shown_changes_no_status(
    config: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
) -> None:
    def failing(directory: Path) -> None:
        raise error

    monkeypatch.setattr("nc_bench.reports.render_run", failing)
    assert main(["--config", str(config), "--out", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().err
    assert said.startswith(f"{tmp_path / 'run'}: the run is kept, but not all of it could be shown: ")
    assert said.count("\n") == 1 and load_run(tmp_path / "run").manifest["status"] == "complete"


def test_a_figure_that_cannot_be_drawn_is_left_out_of_the_page(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(run: object) -> None:
        raise OverflowError("features beyond float32")

    monkeypatch.setitem(FIGURES_OF_A_RUN, "simplex_plane", failing)
    out = tmp_path / "run"
    assert main(["--config", str(config), "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert said.err == f"{out / 'figures' / 'simplex_plane.png'}: cannot be drawn (features beyond float32)\n"
    assert (out / "report.html").exists() and "report.html" in said.out


def test_a_picture_that_training_cannot_make_does_not_end_it(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise OverflowError("features beyond float32")

    monkeypatch.setattr("nc_bench.training.run_writer.keep_picture", failing)
    out = tmp_path / "run"
    assert main(["--config", str(config), "--out", str(out)]) == 0
    first, *_ = capsys.readouterr().err.splitlines()
    assert first == f"{out}: no picture of the features of epoch 1 (features beyond float32)"


def test_an_ascii_terminal_and_a_name_that_is_no_text_change_no_status(config: Path, tmp_path: Path) -> None:
    out = os.fsencode(tmp_path) + b"/caf\xe9 \xe2\x88\x9e"
    command = [sys.executable, "-m", "nc_bench.train", "--config", str(config), "--out", out]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"caf\udce9" in done.stdout and os.path.exists(out + b"/report.html")


def test_a_quiet_run_prints_nothing_and_leaves_its_page(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--config", str(config), "--out", str(tmp_path / "out"), "--quiet"]) == 0
    assert capsys.readouterr() == ("", "") and (tmp_path / "out" / "report.html").exists()
    assert main(["--config", str(config), "--out", str(tmp_path / "out"), "--quiet"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "holds a run already" in line


def test_a_log_says_where_a_run_goes_on(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--config", str(config), "--out", str(tmp_path / "out")]
    main([*arguments, "--quiet"])
    assert main([*arguments, "--resume", "training.epochs=3"]) == 0
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'out'}: 2 of 3 epochs are done\n")
