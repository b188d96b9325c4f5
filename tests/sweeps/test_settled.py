"""Longer twins of the trials of a sweep: `settled`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sweep_files import STUDY, write_sweep

from nc_bench.config import ConfigError
from nc_bench.sweeps.collect import SETTLED, collect
from nc_bench.sweeps.engine import grouped
from nc_bench.sweeps.folder import SweepFolder
from nc_bench.sweeps.grid import load_grid
from nc_bench.sweeps.outcome import write_study
from nc_bench.training import run_ensemble
from nc_bench.verdicts.rest import MOVING, NOT_KNOWN
from nc_bench.verdicts.twin import stretched

ARMS = {"trained": {}, "fixed simplex": {"settings": {"head": {"trainable": False, "init": "simplex"}}}}


def test_every_trial_has_a_twin_that_is_stacked_with_the_other_twins(tmp_path: Path) -> None:
    grid = load_grid(write_sweep(tmp_path, seeds=4, settled=3))
    twins = [point.twin for point in grid.points]
    assert [twin[1] for twin in twins if twin is not None] == [stretched(point.config) for point in grid.points]
    assert len(grid.trials) == 8 and len(grid.points) == 4
    assert sorted(map(len, grouped(grid.trials, 1, stacked=True))) == [4, 4]


def test_some_seeds_are_enough(tmp_path: Path) -> None:
    grid = load_grid(write_sweep(tmp_path, seeds=[5, 3, 8], settled=2, settled_seeds=1))
    assert [point.seed for point in grid.points if point.twin is not None] == [5]
    assert len(grid.trials) == 4
    twin = grid.points[0].twin
    assert twin is not None and twin[1].training.epochs == 2 * grid.points[0].config.training.epochs


@pytest.mark.parametrize(
    ("keys", "problem"),
    [({"settled": 1}, "should be 2 or more times as long"), ({"settled_seeds": 1}, "settled_seeds: needs settled")],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, keys: dict[str, int], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        load_grid(write_sweep(tmp_path, **keys))


def test_what_moves_is_told_by_the_twin_and_else_not_known(tmp_path: Path) -> None:
    path = write_sweep(tmp_path, arms=ARMS, seeds=2, settled=3, settled_seeds=1, study=STUDY)
    grid, folder = load_grid(path), SweepFolder(tmp_path / "out")
    for group in grouped(grid.trials, 1, stacked=True):
        run_ensemble([grid.trials[trial] for trial in group], [folder.directory(trial) for trial in group])
    assert grid.sweep.study is not None
    runs, _, settled = collect(grid, folder, grid.sweep.study)
    assert list(settled.columns) == [*grid.columns, "seed", *SETTLED] and set(settled["seed"]) == {0}
    assert set(settled["measure"]) == set(STUDY["measures"]) - {"epoch of .9"}, "epochs have no twin"
    assert set(runs["rest"][runs["seed"] == 0]) == {MOVING} and set(runs["rest"][runs["seed"] == 1]) == {NOT_KNOWN}
    efficiency = settled[settled["measure"] == "simplex_efficiency"]
    assert (efficiency["later"] > efficiency["value"]).all() and (efficiency["rest"] == MOVING).all()
    assert (efficiency["change"] == efficiency["later"] - efficiency["value"]).all()
    own = runs[runs["seed"] == 0].set_index("arm")["simplex_efficiency"]
    assert efficiency.set_index("arm")["value"].equals(own.rename("value"))
    write_study(grid, folder, tmp_path / "study", "command")
    page = (tmp_path / "study" / "answer.md").read_text()
    assert "By how much measures go on moving in each doubling of the epochs, n = 1: " in page
    assert re.search(r"simplex\\?_efficiency from [0-9.]+ to [0-9.]+ \(still moving in 2 of 2\)", page), page
