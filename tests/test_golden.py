"""Golden curves: the first epochs of training, as they were when they were checked, on any CPU.

A change that is not meant to change numbers shows the same curve; one that is writes a new curve here and says why.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from small_runs import network, tiny_images

from nc_bench import load_run
from nc_bench.config import Config, load_config
from nc_bench.training import run_training

CONFIGS = Path(__file__).parents[1] / "configs"

# epoch: (risk, simplex_efficiency, nc1_quotient) of the training split
BALL = {
    1: (1.0107777878285518, 0.31440391987805955, 0.3732273820346178),
    2: (0.21440823806516254, 0.6878008824315407, 0.2173838691420096),
    3: (0.14217818835913665, 0.772752212103186, 0.1767810986217056),
    5: (0.10051849696044089, 0.8429085061140685, 0.1389820574578701),
    10: (0.0869732338735286, 0.8717961418538063, 0.12348783919946207),
}
TABLE = {
    1: (1.1803720121980157, 0.39612025260029315, 1.2538914403391608),
    2: (0.1202199825056104, 0.8072738062032364, 0.3929550483020236),
    10: (0.052404719989804525, 0.9713828637166413, 0.056763972651143385),
    20: (0.04662415458665712, 0.9941163640642672, 0.011613566549193197),
    50: (0.04524980166136552, 0.999925723441951, 0.00014816178684351426),
}
DECAY = {
    1: (1.0357394899397485, 0.07394354263217996, 0.288660054505982),
    2: (0.3992415883974638, 0.09511535478752786, 0.2696439446789815),
    4: (0.34420395209297083, 0.10512874882066386, 0.24174220801239832),
}
RESIDUAL = {
    1: (1.1325405423979324, -0.03203658847831415, 5.168989640845703),
    2: (1.0282636526309858, 0.04310639983513509, 4.889862835874662),
    4: (0.8344097303256436, 0.10311209028659885, 2.6456098440458184),
}


def check(config: Config, directory: Path, golden: dict[int, tuple[float, float, float]], *, tolerance: float) -> None:
    assert run_training(config, directory) == "complete"
    rows = load_run(directory).rows
    train: pd.DataFrame = rows[rows["split"] == "train"].set_index("epoch")
    for epoch, values in golden.items():
        measured = train.loc[epoch, ["risk", "simplex_efficiency", "nc1_quotient"]].tolist()
        assert measured == pytest.approx(values, rel=tolerance), epoch


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-3), ("float64", 1e-7)])
def test_a_bounded_network(tmp_path: Path, dtype: str, tolerance: float) -> None:
    config = load_config(CONFIGS / "digits_ball.yaml", ["training.epochs=10", "device=cpu", f"dtype={dtype}"])
    check(config, tmp_path, BALL, tolerance=tolerance)


def test_a_table_of_features(tmp_path: Path) -> None:
    config = load_config(CONFIGS / "digits_ufm_ball.yaml", ["training.epochs=50", "device=cpu"])
    check(config, tmp_path, TABLE, tolerance=1e-8)


def test_a_decayed_network_under_adam(tmp_path: Path) -> None:
    config = network(
        dtype="float64",
        model={"name": "mlp", "widths": [16, 12], "activation": "gelu"},
        head={"bias": True},
        constraints={"features": None, "head": None},
        objective={"weight_decay": 0.01, "feature_decay": 1e-6},
        optimizer={"name": "adam", "lr": 0.01, "backbone_lr_factor": 2.0},
        schedule={"name": "multi_step", "milestones": [0.5]},
        training={"epochs": 4},
    )
    check(config, tmp_path, DECAY, tolerance=1e-7)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-3), ("float64", 1e-7)])
def test_a_residual_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str, tolerance: float) -> None:
    data = tiny_images(train=60, test=12)
    monkeypatch.setattr("nc_bench.training.run.load_dataset", lambda _: data)
    config = network(
        dtype=dtype,
        model={"name": "resnet18", "width_multiplier": 1 / 16},
        head={"bias": True},
        constraints={"features": None, "head": None},
        objective={"weight_decay": 5e-4},
        optimizer={"name": "sgd", "lr": 0.02, "momentum": 0.9},
        training={"epochs": 4, "batch_size": 20},
    )
    check(config, tmp_path, RESIDUAL, tolerance=tolerance)
