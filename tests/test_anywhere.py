"""Windows and macOS, as far as Linux can play them: no module that only Unix has, no call that only Linux has."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_runs import table

from nc_bench.distributed import usable_cores
from nc_bench.runs import files
from nc_bench.training import run_training

ROOT = Path(__file__).parents[1]

ELSEWHERE = """
import importlib, os, pkgutil, sys
# Other packages are imported as on Linux: only this one is tested.
import distributed, filelock, matplotlib.figure, pandas, safetensors.torch, scipy.optimize, sklearn.datasets, torch
import nc_bench.vision
import lightning.pytorch, torchmetrics, transformers.trainer
for name in ("fcntl", "grp", "pwd", "resource", "termios"):
    sys.modules[name] = None
del os.sched_getaffinity
sys.platform = sys.argv[1]

import nc_bench
for module in pkgutil.walk_packages(nc_bench.__path__, "nc_bench."):
    importlib.import_module(module.name)
from nc_bench.distributed import usable_cores
from nc_bench.report import main
assert usable_cores() == os.cpu_count()
assert len(nc_bench.load_run(sys.argv[2]).rows)
assert nc_bench.collapse_metrics and nc_bench.predict
sys.exit(main([sys.argv[2]]))
"""


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_the_package_is_imported_and_reads_and_reports_a_run(platform: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run_training(table(training={"epochs": 1}), run)
    line = [sys.executable, "-c", ELSEWHERE, platform, str(run)]
    done = subprocess.run(line, capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    assert (run / "report.html").exists()


def test_the_test_would_find_a_module_of_unix(tmp_path: Path) -> None:
    line = [sys.executable, "-c", ELSEWHERE.replace("import nc_bench\n", "import fcntl\n"), "darwin", str(tmp_path)]
    done = subprocess.run(line, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1 and "import of fcntl halted" in done.stderr


def test_cores_are_counted_where_the_system_does_not_say_which_are_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    assert usable_cores() == len(os.sched_getaffinity(0))
    monkeypatch.delattr(os, "sched_getaffinity")
    assert usable_cores() == os.cpu_count()


def test_files_are_written_where_folders_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> int:
        raise PermissionError(13, "Permission denied", arguments[0])

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(PermissionError):
        files.sync_folder(tmp_path)
    with monkeypatch.context() as windows:
        windows.setattr(os, "name", "nt")
        files.sync_folder(tmp_path)
