"""A notebook: cells that a real Jupyter kernel runs, and what each of them shows."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]

TRAIN = """
import nc_bench
settings = {
    "data": {"name": "noise", "classes": 3, "dimension": 8, "samples_per_class": 20},
    "model": {"name": "mlp", "widths": [8]},
    "optimizer": {"name": "sgd", "lr": 0.1},
    "training": {"epochs": 3, "batch_size": None},
    "device": "cpu",
}
run = nc_bench.run_training(settings, "run")
"""

MEASURE = """
import torch
loader = [(torch.randn(20, 8), torch.arange(20) % 3)] * 3
metrics = nc_bench.measure_model(torch.nn.Linear(8, 3), loader)
metrics
"""

STOP = """
import os, signal, threading
threading.Timer(3.0, os.kill, (os.getpid(), signal.SIGINT)).start()  # what the stop button sends
try:
    nc_bench.run_training(settings, "long", **{"training.epochs": 1000000, "record.every": "log"})
except KeyboardInterrupt as stopped:
    print(f"stopped: {stopped}")
nc_bench.load_run("long").manifest["status"]
"""

WRONG = """
nc_bench.run_training(settings, "wrong", seed=-1)
"""


@pytest.mark.slow  # 25 s
def test_a_notebook_trains_shows_draws_measures_and_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    cells = [TRAIN, "run", "run.plot()", MEASURE, STOP, WRONG]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in cells])
    folder = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(book, timeout=120, kernel_name="python3", resources=folder, allow_errors=True).execute()
    trained, shown, drawn, measured, stopped, wrong = ([dict(one) for one in cell.outputs] for cell in book.cells)

    assert "3/3" in written(trained, "stderr") and "epoch" in written(trained, "stderr"), trained
    assert not any(one["output_type"] in ("error", "execute_result") for one in trained)
    assert (tmp_path / "run" / "report.html").exists()
    html = result(shown)["text/html"]
    assert html.startswith("<table>") and "complete, 3 of 3 epochs" in html
    assert result(shown)["text/plain"].startswith("<Run 'run': complete, 3 of 3 epochs")
    assert base64.b64decode(result(drawn)["image/png"]).startswith(b"\x89PNG")
    assert "first pass" in written(measured, "stderr")
    assert result(measured)["text/plain"].startswith("CollapseMetrics(nc1_pinv=")
    assert "stopped: long: interrupted; run_training(..., 'long', resume=True) goes on" in written(stopped, "stdout")
    assert result(stopped)["text/plain"] == "'interrupted'" and (tmp_path / "long" / "report.html").exists()
    (error,) = (one for one in wrong if one["output_type"] == "error")
    assert error["ename"] == "ConfigError" and "seed" in error["evalue"] and "\n" not in error["evalue"]
    assert not (tmp_path / "wrong").exists()


def written(outputs: list[dict[str, Any]], stream: str) -> str:
    return "".join(one["text"] for one in outputs if one["output_type"] == "stream" and one["name"] == stream)


def result(outputs: list[dict[str, Any]]) -> dict[str, str]:
    """What the last line of a cell shows, by the kind of content."""
    (data,) = (one["data"] for one in outputs if one["output_type"] == "execute_result")
    return dict(data)
