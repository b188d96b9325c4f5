"""The scripts in examples/, run as they stand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nc_bench import load_run

ROOT = Path(__file__).parents[1]
RUNS = ("plain_loop", "lightning_run", "transformers_run", "own_prediction")


def run_example(name: str, folder: Path, *arguments: str) -> str:
    """What a script prints, run from `folder`."""
    script = ROOT / "examples" / f"{name}.py"
    assert len(script.read_text().splitlines()) < 60
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(script), *arguments],
        capture_output=True,
        text=True,
        env=environment,
        cwd=folder,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow  # 40 s for the four, most of it imports
@pytest.mark.parametrize("name", RUNS)
def test_an_example_leaves_a_run(name: str, tmp_path: Path) -> None:
    printed = run_example(name, tmp_path, str(tmp_path / "run"))
    run = load_run(tmp_path / "run")
    assert run.manifest["status"] == "complete" and (tmp_path / "run" / "report.html").exists()
    assert f"<Run {str(tmp_path / 'run')!r}" in printed
    if name == "plain_loop":
        risk = run.predictions.set_index("name").loc["risk"]
        assert risk["verdict"] == "not reached" and risk["measured"] > risk["predicted"] > 0
    if name == "own_prediction":
        assert "my prediction 1.0595, nc_bench's 1.0595" in printed


@pytest.mark.slow  # 10 s
def test_a_model_of_torchvision_is_measured(tmp_path: Path) -> None:
    printed = run_example("measure_torchvision", tmp_path, "1")
    assert "300 samples of 10 classes" in printed and "after 1 epochs" in printed


@pytest.mark.slow  # 15 s, most of it the start of a worker
def test_a_study_of_ones_own_is_answered(tmp_path: Path) -> None:
    printed = run_example("own_study", tmp_path, str(tmp_path / "momentum"))
    assert "Supported: momentum changes efficiency by" in printed
    assert (tmp_path / "momentum" / "study" / "answer.md").exists()
