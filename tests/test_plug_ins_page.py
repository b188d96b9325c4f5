"""The example of docs/plug_ins.md, run as a user would: from a folder of one's own, that Python does not look in."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

ROOT = Path(__file__).parents[1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files of the page."""
    page = (ROOT / "docs" / "plug_ins.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```(?:python|yaml)\n# (\S+)\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert {name for name, _ in blocks} == {
        "my_parts.py",
        "mine.yaml",
        "grid.yaml",
        "my_sets.py",
        "cube.yaml",
        "files.yaml",
    }
    for name, text in blocks:
        (tmp_path / name).write_text(text)
    return tmp_path


def run(folder: Path, *command: str) -> None:
    """With -P, Python does not look into the working directory by itself, as for the command nc-bench."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-P", "-m", *command], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr


def test_the_run_of_the_page(folder: Path) -> None:
    run(folder, "nc_bench.train", "--config", "mine.yaml", "--out", "run")
    manifest = json.loads((folder / "run" / "manifest.json").read_text())
    assert manifest["class_names"] == ["north", "east", "south"] and manifest["feature_width"] == 8
    assert sorted(manifest["plugins"]) == [
        "data.name",
        "model.name",
        "objective.loss",
        "optimizer.name",
        "record.metrics.0.name",
        "record.metrics.1.name",
    ]
    rows = pd.read_csv(folder / "run" / "metrics.csv")
    assert len(rows) == 6 and rows["within"].gt(0).all() and rows["within_4"].gt(0).all()
    assert "north" in (folder / "run" / "report.html").read_text()


@pytest.mark.slow  # 6 s
def test_the_set_of_constraints_of_the_page(folder: Path) -> None:
    run(folder, "nc_bench.train", "--config", "cube.yaml", "--out", "cube")
    rows = pd.read_csv(folder / "cube" / "metrics.csv")
    assert rows["feature_residual"].max() < 1e-6 and rows["feature_radius"].max() <= 2 * np.sqrt(8) + 1e-6
    assert json.loads((folder / "cube" / "manifest.json").read_text())["plugins"].keys() == {
        "constraints.features.set",
        "data.name",
    }


@pytest.mark.slow  # 40 s
def test_the_sweep_and_several_processes(folder: Path) -> None:
    run(folder, "nc_bench.sweep", "--config", "grid.yaml", "--out", "grid", "--workers", "2")
    trials = list((folder / "grid").glob("*/*/metrics.csv")) + list((folder / "grid").glob("*/metrics.csv"))
    assert len(trials) == 4
    many = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    run(folder, *many, "-m", "nc_bench.train", "--config", "mine.yaml", "--out", "together")
    run(folder, "nc_bench.train", "--config", "mine.yaml", "--out", "alone")
    together, alone = (pd.read_csv(folder / name / "metrics.csv") for name in ("together", "alone"))
    np.testing.assert_allclose(together["within"], alone["within"], rtol=1e-4)


@pytest.mark.slow  # 10 s
def test_data_and_weights_in_files(folder: Path) -> None:
    sys.path.insert(0, str(folder))
    try:
        from my_parts import Net  # type: ignore[import-not-found]
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("my_parts", None)
    torch.save(Net(2, (5,), width=8).state_dict(), folder / "trained.pt")
    np.save(folder / "x.npy", np.random.default_rng(0).normal(size=(20, 5)).astype(np.float32))
    np.save(folder / "y.npy", np.arange(20) % 2)
    run(folder, "nc_bench.train", "--config", "files.yaml", "--out", "run")
    assert json.loads((folder / "run" / "manifest.json").read_text())["class_names"] == ["no", "yes"]
