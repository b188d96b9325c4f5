"""Labels of any characters, and numbers of any size: in tables, in the answer, in figures and on the terminal."""

from __future__ import annotations

import re
from itertools import cycle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sweep_files import STUDY, write_sweep

from nc_bench.reports.style import png
from nc_bench.sweep import main
from nc_bench.sweeps.figures import study_figure
from nc_bench.sweeps.folder import SweepFolder
from nc_bench.sweeps.grid import load_grid
from nc_bench.sweeps.outcome import write_study
from nc_bench.sweeps.tables import latex_table, markdown_table

LABELS = (
    "a|b",
    "two\nlines\r\nor three",
    "<script>alert(1)</script>",
    "R&D &lt;",
    "back\\slash \\input{x}",
    "$x_1$ and $",
    "100% #1 ~^{}",
    "**bold** _it_ `code` a_b",
    "[a](javascript:alert(1))",
    "![](http://example.org/x.png)",
    "שלום עולם",
    "مرحبا",
    "\u202eturned",
    "\x1b[31mred\x00",
    "日本語 🎉",
    "_hidden",
    "w" * 200,
)
SPECIAL = re.compile(r"(?<!\\)[&%$#_{}~^<>|\"]|\\(?![&%$#_{}]|text|\\)")
"""What LaTeX takes for a command, outside of a label's own escapes."""


def cells_of(labels: tuple[str, ...], column: str = "arm") -> pd.DataFrame:
    rows = [(label, "x", 3, 1.0, 0.5, 0.5, 1.5) for label in labels]
    return pd.DataFrame(rows, columns=[column, "measure", "runs", "mean", "std", "low", "high"])


@pytest.mark.parametrize("column", ["arm", "a|b\nc", "<i>"])
def test_a_label_is_one_cell_of_a_table_in_markdown(column: str) -> None:
    table = markdown_table(cells_of(LABELS, column), [column])
    lines = table.splitlines()
    assert len(lines) == 2 + len(LABELS)
    for line in lines:
        assert len(re.findall(r"(?<!\\)\|", line)) == 3, line
    assert not re.search(r"<|(?<!\\)\]\(|\x1b|\x00|\u202e", table)
    assert r"| \*\*bold\*\* \_it\_ \`code\` a_b |" in table and r"\$x_1\$" in table and "| שלום עולם |" in table
    assert "R&amp;D &amp;lt;" in table


def test_a_label_is_one_cell_of_a_table_in_latex() -> None:
    lines = latex_table(cells_of(LABELS), ["arm"]).splitlines()
    assert len(lines) == 4 + len(LABELS) + 2
    for line in lines[4:-2]:
        label, number = line.split(" & $")
        assert number == r"1 \pm 0.5$ \\"
        assert not SPECIAL.search(re.sub(r"\\text[a-z]+\{\}", "", label)), label
    assert lines[8] == r"back\textbackslash{}slash \textbackslash{}input\{x\} & $1 \pm 0.5$ \\"


def test_a_study_of_such_arms_is_written_and_drawn(tmp_path: Path) -> None:
    first = LABELS[0]
    study = {
        **STUDY,
        "question": "Is <b>this</b>\n# a heading?",
        "limits": "None | at all.",
        "measures": {**STUDY["measures"], "$m_1": {"metric": "risk"}},
        "compare": {"against": first},
    }
    arms = {label: {"settings": {"optimizer.lr": 0.1 + index}} for index, label in enumerate(LABELS)}
    grid = load_grid(write_sweep(tmp_path, arms=arms, study=study))
    results = tmp_path / "study"
    write_study(grid, SweepFolder(tmp_path / "none"), results, "sweep `a``b` <x>")
    answer = (results / "answer.md").read_text()
    assert answer.splitlines()[0] == "# Is &lt;b&gt;this&lt;/b&gt; # a heading?"
    assert "- Command: ``` sweep `a``b` <x> ```" in answer
    assert r"Limits: None \| at all." in answer
    table = (results / "table.md").read_text()
    assert r"Difference from a\|b [95 % t interval], on the same seeds" in table and "<script" not in table
    assert (results / "figure.png").stat().st_size > 10_000


@pytest.mark.parametrize("kind", ["curves", "lines", "heat_map"])
def test_a_figure_draws_any_label_without_a_warning(tmp_path: Path, kind: str) -> None:
    figure = {"kind": kind, "measures": ["$m_1$"], "x": "_rate$", "y": "arm"}
    rows = ["arm"] if kind == "heat_map" else ["arm", "_rate$"]
    study = {**STUDY, "measures": {"$m_1$": {"metric": "risk"}}, "rows": rows, "compare": None, "figure": figure}
    axes = {"optimizer.lr": {"values": [0.1, 0.2, 0.3], "label": "_rate$"}}
    grid = load_grid(write_sweep(tmp_path, arms={label: {} for label in LABELS[:6]}, axes=axes, study=study))
    random = np.random.default_rng(0)
    cells = [{**point.cell, "seed": point.seed, "$m_1$": random.random()} for point in grid.points]
    runs = pd.DataFrame(cells)
    if kind == "heat_map":
        runs["arm"] = runs["arm"].astype(str)
    curves = pd.concat([runs.assign(epoch=epoch) for epoch in (1, 10)])
    assert grid.sweep.study is not None
    assert png(study_figure(grid.sweep.study, runs, curves)).startswith(b"\x89PNG")


def test_a_dry_run_prints_every_trial_on_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nc_bench.sweeps.estimate.EFFORT", 0.01)
    arms = {label: {"settings": {"optimizer.lr": 0.1 + index}} for index, label in enumerate(LABELS)}
    path = write_sweep(tmp_path, arms=arms)
    assert main(["--config", str(path), "--out", str(tmp_path / "none"), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert len(said.splitlines()) == len(LABELS) + 2
    assert not re.search("[\x00\x1b\u202e]", said)
    assert said.splitlines()[-1].startswith("time not estimated: ")
    for line in said.splitlines()[: len(LABELS)]:
        assert re.match(r"[0-9a-f]{16}  ", line), "a name for a folder on every system"


VALUES: dict[str, list[float]] = {
    "none": [np.nan],
    "zero": [0.0],
    "one": [1.0],
    "negative": [-1.0, 0.0],
    "huge": [1e300, 1.7e308],
    "subnormal": [1e-320, 5e-324],
    "far apart": [1e-300, 1e300],
    "both signs": [-1.7e308, 1.7e308],
    "infinite": [np.inf, 1.0],
}


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("kind", ["curves", "lines", "heat_map"])
def test_a_figure_of_any_numbers_is_drawn_without_a_warning(tmp_path: Path, kind: str, values: list[float]) -> None:
    figure = {"kind": kind, "measures": ["m"], "x": "r", "y": "arm", "log_x": kind != "heat_map", "log_y": ["m"]}
    study = {**STUDY, "measures": {"m": {"metric": "risk"}}, "rows": ["arm", "r"], "compare": None, "figure": figure}
    if kind == "heat_map":
        study |= {"rows": ["arm"], "match": {"measure": "m", "at_least": 0.0}}
    axes = {"optimizer.lr": {"values": [0.1, 0.2], "label": "r"}}
    grid = load_grid(write_sweep(tmp_path, arms={"a": {}, "b": {}}, axes=axes, seeds=2, study=study))
    measured = cycle(values)
    runs = pd.DataFrame([{**point.cell, "seed": point.seed, "m": next(measured)} for point in grid.points])
    curves = pd.concat([runs.assign(epoch=epoch) for epoch in (0, 1, 10)])
    assert grid.sweep.study is not None
    assert png(study_figure(grid.sweep.study, runs, curves)).startswith(b"\x89PNG")
