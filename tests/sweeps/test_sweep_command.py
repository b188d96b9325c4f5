"""The command `python -m nc_bench.sweep`: dry run, run, status, study, and where nothing can be run."""

from __future__ import annotations

from pathlib import Path

import pytest
from sweep_files import ARMS, BASE, STUDY, write_sweep, written

from nc_bench.sweep import main
from nc_bench.sweeps.folder import SweepFolder


def test_the_whole_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole command: dry run, run, status, and the study made again without training."""
    path = write_sweep(tmp_path, arms=ARMS, seeds=2, study=STUDY)
    arguments = ["--config", str(path), "--out", str(tmp_path / "out")]
    assert main([*arguments, "--dry-run", "--workers", "1"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 6 and "pending" in out[0] and out[4] == "4 of 4 trials are to be run, in 1 programs"
    assert out[5].startswith("about ") and not (tmp_path / "out").exists()
    assert main([*arguments, "--workers", "1"]) == 0
    out = capsys.readouterr().out.splitlines()
    # Behind the lines that say how far the sweep is.
    answer = out[out.index(f"{tmp_path / 'out'}: 4 complete of 4 trials") + 1]
    assert answer.split(":")[0] in ("Supported", "Refuted", "Undecided") and "n = 2." in answer
    study = tmp_path / "out" / "study"
    before = written(SweepFolder(tmp_path / "out"))
    kept = {file.name: file.read_bytes() for file in study.iterdir()}
    assert set(kept) == {"table.md", "table.csv", "table.tex", "differences.csv", "figure.png", "answer.md"}
    for file in study.iterdir():
        file.unlink()
    assert main([*arguments, "--workers", "1"]) == 0
    assert {file.name: file.read_bytes() for file in study.iterdir()} == kept
    assert written(SweepFolder(tmp_path / "out")) == before
    assert main([*arguments, "--workers", "1", "--study-out", str(tmp_path / "curated")]) == 0
    assert {file.name: file.read_bytes() for file in (tmp_path / "curated").iterdir()} == kept
    assert main([*arguments, "--status"]) == 0
    capsys.readouterr()
    assert main([*arguments, "training.epochs=3"]) == 2
    assert "holds a sweep of another base (training.epochs: 2 -> 3)" in capsys.readouterr().err
    assert BASE["training"]["epochs"] == 2


def test_without_a_place_named_everything_lies_under_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_sweep(tmp_path, arms=ARMS, seeds=1, study=STUDY)
    monkeypatch.chdir(tmp_path)
    assert main(["--config", str(path), "--workers", "1"]) == 0
    assert [folder.name for folder in Path("results").iterdir()] == ["runs"]
    assert (Path("results") / "runs" / "sweep" / "study" / "answer.md").exists()


@pytest.mark.parametrize(
    "arguments, problem",
    [
        (["--scheduler", "tcp://127.0.0.1:9"], "--scheduler tcp://127.0.0.1:9: no scheduler answers"),
        (["--slurm", "{}/slurm.yaml"], "sbatch, scancel, squeue not found: Slurm's commands are not installed here"),
        (["--slurm", "{}/none.yaml"], "cannot be read"),
        (["--slurm", "{}/vague.yaml"], "vague.yaml: memory: much given, should be a number with a unit, such as 8GB"),
    ],
)
def test_where_nothing_can_be_run(
    tmp_path: Path,
    arguments: list[str],
    problem: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("nc_bench.sweeps.clusters.CONNECTION_SECONDS", "1s")
    (tmp_path / "slurm.yaml").write_text("{jobs: 1, cores: 1, memory: 1GB}")
    (tmp_path / "vague.yaml").write_text("{jobs: 1, cores: 1, memory: much}")
    path = write_sweep(tmp_path)
    asked = [argument.format(tmp_path) for argument in arguments]
    assert main(["--config", str(path), "--out", str(tmp_path / "out"), *asked]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert problem in line
