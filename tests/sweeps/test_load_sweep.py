"""`load_sweep`: the trials of a folder as one table, with arm, axes and seed as columns."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from sweep_files import ARMS, STUDY, write_sweep

from nc_bench import load_run, load_sweep
from nc_bench.errors import SweepError
from nc_bench.sweep import main
from nc_bench.sweeps.folder import SweepFolder
from nc_bench.sweeps.grid import load_grid


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two arms, of which one has an axis, with two seeds: six trials."""
    folder = tmp_path_factory.mktemp("sweep")
    arms = {**ARMS, "trained": {"axes": {"optimizer.lr": [0.05, 0.1]}}}
    path = write_sweep(folder, arms=arms, seeds=2)
    assert main(["--config", str(path), "--out", str(folder / "out"), "--workers", "1"]) == 0
    return folder / "out"


def test_every_row_stands_beside_its_place_in_the_grid(sweep: Path) -> None:
    loaded = load_sweep(sweep)
    assert list(loaded.trials.columns) == ["arm", "optimizer.lr", "seed", "trial", "state"]
    assert set(loaded.trials["state"]) == {"complete"} and len(loaded.trials) == 6
    rows = loaded.rows
    assert list(rows.columns[:4]) == ["arm", "optimizer.lr", "seed", "trial"]
    point = rows[(rows["arm"] == "trained") & (rows["optimizer.lr"] == 0.1) & (rows["seed"] == 1)]
    (trial,) = point["trial"].unique()
    run = load_run(sweep / "trials" / trial)
    assert run.config["seed"] == 1 and run.config["optimizer"]["lr"] == 0.1
    assert list(point["risk"]) == list(run.rows["risk"]) and list(point["epoch"]) == list(run.rows["epoch"])
    assert set(rows[rows["arm"] == "fixed simplex"]["optimizer.lr"]) == {""}
    assert len(rows) == sum(len(load_run(sweep / "trials" / trial).rows) for trial in loaded.trials["trial"])


def test_a_study_is_there_with_its_table(tmp_path: Path) -> None:
    folder = SweepFolder(tmp_path / "out")
    for keys in ({}, {"study": STUDY}):
        folder.lock(load_grid(write_sweep(tmp_path, arms=ARMS, seeds=2, **keys)))
        folder.release()
    loaded = load_sweep(str(folder.path))
    assert loaded.study is not None and loaded.study["question"] == STUDY["question"]
    assert len(loaded.trials) == 4 and loaded.rows.empty
    text = repr(loaded)
    assert "4 pending of 4 trials; by arm and seed" in text and STUDY["question"] in text
    with pytest.raises(SweepError, match=r"table\.csv: there is no such table"):
        _ = loaded.table
    (folder.path / "study").mkdir()
    (folder.path / "study" / "table.csv").write_text("arm,measure,mean\ntrained,risk,1.5\n")
    assert list(loaded.table["mean"]) == [1.5]


def test_a_folder_that_keeps_no_grid_is_told_by_what_differs(sweep: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(sweep, copy)
    shutil.rmtree(copy / "grids")
    loaded = load_sweep(copy)
    assert {"optimizer.lr", "data.labels", "seed", "trial", "state"} == set(loaded.trials.columns)
    assert len(loaded.rows) == len(load_sweep(sweep).rows) and loaded.study is None
    assert "6 complete of 6 trials" in repr(loaded)


def test_an_unfinished_sweep_has_the_rows_there_are(sweep: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(sweep, copy)
    trial = load_sweep(copy).trials["trial"][0]
    shutil.rmtree(copy / "trials" / trial)
    loaded = load_sweep(copy)
    assert list(loaded.trials["state"]).count("pending") == 1 and trial not in set(loaded.rows["trial"])
    shutil.rmtree(copy / "trials")
    assert load_sweep(copy).rows.empty and "6 pending of 6 trials" in repr(load_sweep(copy))


def test_what_is_no_sweep_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(SweepError, match=r"holds no sweep \(base.yaml is looked for\)"):
        load_sweep(tmp_path)
    with pytest.raises(SweepError, match="should be a path, not int"):
        load_sweep(3)
