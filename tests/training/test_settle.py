"""The longer twin of a run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from small_runs import network

from nc_bench import load_run
from nc_bench.config import ConfigError
from nc_bench.train import main
from nc_bench.training import run_training, settle
from nc_bench.verdicts.rest import MOVING, state_of_change
from nc_bench.verdicts.twin import stretched, twin_folder

CONFIG = network(training={"epochs": 2}, record={"every": [0, 1, 2]})


def test_the_twin_is_the_stretched_run_and_says_what_moves(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert run_training(CONFIG, run) == "complete" == settle(CONFIG, run)
    judged = load_run(run).predictions.set_index("name")
    twin = load_run(twin_folder(run, CONFIG))
    assert twin.path == run / "settled-6" and sorted(set(twin.rows["epoch"])) == [0, 3, 6]
    assert run_training(stretched(CONFIG), tmp_path / "alone") == "complete"
    alone = load_run(tmp_path / "alone").rows.iloc[-2]
    said = judged[judged["rest"] != ""]
    np.testing.assert_array_equal(said["later"], [alone[name] for name in said.index])
    assert said.loc["risk", "rest"] == MOVING and said.loc["risk", "measured"] > said.loc["risk", "later"]
    for _, row in (
        said[["measured", "later", "tolerance", "rest"]].loc[["simplex_efficiency", "nc1_quotient"]].iterrows()
    ):
        assert row["rest"] == state_of_change(row["measured"], row["later"], row["tolerance"])
    # What the verdicts say is sealed like those of any run, and a second call trains nothing.
    kept = {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != "manifest.json"}
    assert run_training(CONFIG, run, resume=True) == "complete" == settle(CONFIG, run)
    assert {path: path.read_bytes() for path in kept} == kept
    (run / "predictions.json").write_text("[]")
    assert load_run(run).predictions.set_index("name").equals(judged), "they follow from both runs' rows"


def test_the_command_settles_and_resumes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(json.dumps(CONFIG.model_dump(mode="json")))
    arguments = ["--config", str(file), "--out", str(tmp_path / "run")]
    assert main(arguments) == 0
    assert "train --settle compares it" in capsys.readouterr().out
    assert main([*arguments, "--resume", "--settle"]) == 0
    assert "still moving in 3 times as many epochs: " in capsys.readouterr().out


def test_what_is_not_trained_is_refused_before_it_runs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing to come to rest"):
        settle(network(training={"epochs": 0}), tmp_path / "run")
    assert not (tmp_path / "run").exists()
