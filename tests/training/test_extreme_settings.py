"""Settings at the ends of what a float holds: a run has the right numbers, or ends as diverged, without a warning."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from small_runs import network, tiny_dataset

from nc_bench import Run, load_run
from nc_bench.config import Config
from nc_bench.training import run_training

DATA = tiny_dataset()
MODEL = {"name": "mlp", "widths": [8, 4], "final_activation": False}
TRAINING = {"epochs": 2, "batch_size": 10}
BALLS = {"features": {"radius": 5.0}, "head": {"radius": 1.0}}
SGD = {"name": "sgd", "lr": 0.05}
ADAMW = {"name": "adamw", "lr": 0.01, "decoupled_decay": 0.0}


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nc_bench.training.run.load_dataset", lambda settings: DATA)


def small(**sections: Any) -> Config:
    chosen: dict[str, Any] = {"dtype": "float32", "constraints": BALLS, "optimizer": SGD, "record": {"every": [0]}}
    return network(model=MODEL, training=TRAINING, **{**chosen, **sections})


def finished(folder: Path, **sections: Any) -> Run:
    assert run_training(small(**sections), folder) == "complete"
    return load_run(folder)


def risks(run: Run) -> list[float]:
    return list(run.rows["risk"])


@pytest.mark.parametrize(
    "sections",
    [
        {"optimizer": SGD | {"lr": 1e308}},
        {"optimizer": SGD, "objective": {"weight_decay": 1e308}},
        {"optimizer": ADAMW | {"decoupled_decay": 1e308}},
        {"objective": {"loss": "mse"}, "optimizer": SGD | {"lr": 1e300}},
        {"constraints": {"features": {"radius": 1e300, "set": "sphere"}}},
    ],
)
def test_what_overflows_ends_as_diverged(tmp_path: Path, sections: dict[str, Any]) -> None:
    assert run_training(small(**sections), tmp_path) == "diverged"
    assert load_run(tmp_path).manifest["status"] == "diverged"


@pytest.mark.parametrize("bounded", ["features", "head", "outputs"])
def test_a_bound_beyond_the_type_bounds_nothing(tmp_path: Path, bounded: str) -> None:
    far = finished(tmp_path / "far", constraints={bounded: {"radius": 1e300}})
    # Risks of bounded outputs are taken of float32 outputs, others of float64 products of features and head.
    assert risks(far) == pytest.approx(risks(finished(tmp_path / "none", constraints={})), rel=1e-6)


@pytest.mark.parametrize("bounded", ["features", "head", "outputs"])
def test_a_bound_below_the_type_leaves_chance(tmp_path: Path, bounded: str) -> None:
    run = finished(tmp_path, constraints={bounded: {"radius": 1e-300}})
    assert risks(run) == pytest.approx([math.log(3)] * 4)
    reasons = {name for _, _, _, name in run.reasons}
    known = run.rows["simplex_efficiency"].dropna()
    assert (known.abs() <= 1 + 1e-9).all() and (len(known) == 4 or "simplex_efficiency" in reasons)


def test_a_huge_power_is_the_largest_entry(tmp_path: Path) -> None:
    run = finished(tmp_path / "huge", constraints={"features": {"radius": 1.0, "p": 1e308}})
    largest = finished(tmp_path / "largest", constraints={"features": {"radius": 1.0, "p": math.inf}})
    assert risks(run) == pytest.approx(risks(largest), rel=1e-6)


def test_a_rate_below_the_type_moves_nothing(tmp_path: Path) -> None:
    first, _, last, _ = risks(finished(tmp_path, optimizer=SGD | {"lr": 1e-300}))
    assert first == last


@pytest.mark.parametrize("betas", [[1 - 2**-53, 0.999], [0.9, 1 - 2**-53], [1 - 2**-53, 1 - 2**-53], [0.0, 0.0]])
def test_averages_that_forget_nothing_or_all(tmp_path: Path, betas: list[float]) -> None:
    """The limits beta -> 1 are means over all steps: Adam's correction has to hold there, also in float32."""
    first, _, last, _ = risks(finished(tmp_path / "run", optimizer=ADAMW | {"betas": betas}))
    near = [min(beta, 1 - 1e-6) for beta in betas]
    assert last < first
    assert last == pytest.approx(risks(finished(tmp_path / "near", optimizer=ADAMW | {"betas": near}))[2], rel=1e-3)


def test_labels_smoothed_almost_to_nothing(tmp_path: Path) -> None:
    almost = finished(tmp_path / "almost", objective={"label_smoothing": 1 - 2**-53})
    assert risks(almost) == pytest.approx(risks(finished(tmp_path / "near", objective={"label_smoothing": 1 - 1e-6})))
    with pytest.raises(ValidationError, match="label_smoothing"):
        small(objective={"label_smoothing": 1.0})
