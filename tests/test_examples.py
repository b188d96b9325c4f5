"""The scripts in examples/, run as they stand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nc_bench import load_run

ROOT = Path(__file__).parents[1]
SCRIPTS = ("plain_loop", "lightning_run", "transformers_run")


@pytest.mark.slow  # 30 s for the three, most of it imports
@pytest.mark.parametrize("name", SCRIPTS)
def test_an_example_leaves_a_run(name: str, tmp_path: Path) -> None:
    script = ROOT / "examples" / f"{name}.py"
    assert len(script.read_text().splitlines()) < 60
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "run")],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    run = load_run(tmp_path / "run")
    assert run.manifest["status"] == "complete" and (tmp_path / "run" / "report.html").exists()
    assert f"<Run {str(tmp_path / 'run')!r}" in done.stdout
    if name == "plain_loop":
        risk = run.predictions.set_index("name").loc["risk"]
        assert risk["verdict"] == "not reached" and risk["measured"] > risk["predicted"] > 0
