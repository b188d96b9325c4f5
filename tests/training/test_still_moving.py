"""Runs whose learning rate has decayed to nothing and whose training accuracy is 1, and that are not at rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nc_bench import load_run
from nc_bench.config import load_config
from nc_bench.training import run_training, settle
from nc_bench.verdicts.rest import MOVING

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
NARROW = {"model.widths": [64, 64, 64]}
RUNS: dict[str, tuple[str, int, dict[str, Any]]] = {
    "random labels": ("digits_ball", 100, {"data.labels": "random", **NARROW}),
    "R = 12": ("digits_ball", 40, {"constraints.features.radius": 12.0, **NARROW}),
    "small decay": (
        "digits_weight_decay",
        200,
        {"objective.weight_decay": 1e-5, "optimizer.lr": 0.03, "optimizer.momentum": 0.98, **NARROW},
    ),
}
"""The configuration, T (of the first two less than the 300 and 200 at which they were called converged), changes."""


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_a_decayed_learning_rate_is_no_rest(name: str, tmp_path: Path) -> None:
    """A minute together on a quiet machine."""
    file, epochs, changes = RUNS[name]
    settings = {"training.epochs": epochs, "record.every": [epochs // 2, epochs], **changes}
    config = load_config(CONFIGS / f"{file}.yaml", [f"{key}={value}" for key, value in settings.items()])
    assert run_training(config, tmp_path) == "complete" == settle(config, tmp_path)
    efficiency = load_run(tmp_path).predictions.set_index("name").loc["simplex_efficiency"]
    assert efficiency["rest"] == MOVING and efficiency["verdict"] == "not reached"
    assert efficiency["later"] > efficiency["measured"] + 0.01
