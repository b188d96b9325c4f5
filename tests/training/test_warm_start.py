"""Starting from another run's weights, and measuring them as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from small_runs import measured, network, tiny_dataset

from nc_bench import load_run
from nc_bench.config import Config, ConfigError, config_hash
from nc_bench.reports import sentence
from nc_bench.training import run_training
from nc_bench.training.checkpoint import read_checkpoint
from nc_bench.training.run import run_ensemble
from nc_bench.verdicts.laws import LAWS

MODEL = {"name": "mlp", "widths": [8, 4], "batch_norm": True, "final_activation": False}


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nc_bench.training.run.load_dataset", lambda settings: tiny_dataset())


def small(epochs: int, warm_start: Path | None = None, **sections: Any) -> Config:
    training = {"epochs": epochs, "batch_size": 10, "warm_start": warm_start and str(warm_start)}
    return network(**({"model": MODEL, "training": training, "schedule": {"name": "constant"}} | sections))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("nc_bench.training.run.load_dataset", lambda settings: tiny_dataset())
        directory = tmp_path_factory.mktemp("trained") / "run"
        run_training(small(4, record={"layers": "all"}), directory)
    return directory


def weights(directory: Path) -> dict[str, torch.Tensor]:
    model: dict[str, torch.Tensor] = read_checkpoint(directory / "checkpoint.pt").state["model"]
    return model


STATE_OF_TRAINING = ["epoch", "step", "gradient_norm", "seconds"]


def test_evaluation_gives_the_last_rows_of_the_run_again(tmp_path: Path, trained: Path) -> None:
    config = small(0, trained, seed=7, record={"layers": "all"})
    assert run_training(config, tmp_path / "run") == "complete"
    run, source = load_run(tmp_path / "run"), load_run(trained)
    assert set(run.rows["epoch"]) == set(run.rows["step"]) == {0} and len(run.rows) == 6
    pd.testing.assert_frame_equal(
        run.rows.drop(columns=STATE_OF_TRAINING),
        source.rows.iloc[-6:].reset_index(drop=True).drop(columns=STATE_OF_TRAINING),
        check_exact=True,
    )
    judged, before = (r.predictions.set_index("name") for r in (run, source))
    laws = [law.name for law in LAWS]  # of all rows, of which the trained run has more
    assert judged["measured"].drop(laws).equals(before["measured"].drop(laws))
    assert set(judged["rest"]) <= {"at rest", ""}, "nothing moved"
    assert "Without training the training risk" in sentence(run)
    assert run.reasons[0, "train", "penultimate", "gradient_norm"] == "no step has been taken yet"
    assert all(torch.equal(weights(tmp_path / "run")[name], value) for name, value in weights(trained).items())
    assert run_training(config, tmp_path / "run", resume=True) == "complete"


def test_an_evaluation_can_be_trained_on(tmp_path: Path, trained: Path) -> None:
    run_training(small(0, trained), tmp_path / "run")
    run_training(small(2, trained), tmp_path / "run", resume=True)
    run_training(small(2, trained), tmp_path / "whole")
    assert measured(tmp_path / "run") == measured(tmp_path / "whole")


@pytest.mark.parametrize("file", [False, True])
def test_weights_are_taken_and_nothing_else(tmp_path: Path, trained: Path, file: bool) -> None:
    config = small(2, trained / "checkpoint.pt" if file else trained, record={"every": [0, 1]})
    run_training(config, tmp_path / "run")
    rows = load_run(tmp_path / "run").rows
    assert rows["step"].tolist()[::2] == [0, 3, 6]
    risks = load_run(trained).rows
    assert rows["risk"].iloc[0] == risks[(risks["split"] == "train") & (risks["epoch"] == 4)]["risk"].iloc[0]
    # A fresh optimizer: the first step has no momentum of before, so it is not the step that the run goes on with.
    continued = small(5, record={"layers": "all"})
    run_training(continued, tmp_path / "longer")
    after = load_run(tmp_path / "longer").rows
    assert rows["risk"].iloc[2] != after[(after["split"] == "train") & (after["epoch"] == 5)]["risk"].iloc[0]
    assert config_hash(config) != config_hash(small(2, record={"every": [0, 1]}))


def test_a_resumed_run_needs_the_file_no_more(tmp_path: Path, trained: Path) -> None:
    source = tmp_path / "weights.pt"
    source.write_bytes((trained / "checkpoint.pt").read_bytes())
    run_training(small(4, source), tmp_path / "whole")
    run_training(small(2, source), tmp_path / "run")
    source.unlink()
    assert run_training(small(4, source), tmp_path / "run", resume=True) == "complete"
    assert measured(tmp_path / "run") == measured(tmp_path / "whole")


def test_all_trials_of_an_ensemble_start_there(tmp_path: Path, trained: Path) -> None:
    configs = [small(1, trained, seed=seed, record={"every": [0]}) for seed in (0, 1)]
    run_ensemble(configs, [tmp_path / "a", tmp_path / "b"])
    first, second = (load_run(tmp_path / name).rows["risk"].tolist() for name in "ab")
    assert first[:2] == pytest.approx(second[:2]) and first[2] != second[2]


def test_what_leaves_its_constraint_is_brought_back(tmp_path: Path, trained: Path) -> None:
    tight = {"features": {"radius": 5.0}, "head": {"radius": 0.5}}
    run_training(small(0, trained, constraints=tight), tmp_path / "run")
    assert load_run(tmp_path / "run").rows["head_opnorm"].iloc[0] <= 0.5 * (1 + 1e-6)


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"model": MODEL | {"widths": [9, 4]}}, r"backbone.layer1.linear.weight is \(8, 5\) there and \(9, 5\) here"),
        ({"model": MODEL | {"widths": [8, 8, 4]}}, "only the model has backbone.layer2.norm.bias"),
        ({"model": MODEL | {"batch_norm": False}}, "only the checkpoint has backbone.layer1.norm.bias"),
    ],
)
def test_weights_of_another_model_are_refused(
    tmp_path: Path, trained: Path, sections: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=rf"^training\.warm_start: .*checkpoint\.pt: {said}$"):
        run_training(small(1, trained, **sections), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_checkpoint_that_is_not_there_or_damaged_is_refused(tmp_path: Path, trained: Path) -> None:
    with pytest.raises(ConfigError, match=r"^training\.warm_start: .*nowhere: there is no such checkpoint$"):
        run_training(small(1, tmp_path / "nowhere"), tmp_path / "run")
    damaged = tmp_path / "damaged.pt"
    damaged.write_bytes((trained / "checkpoint.pt").read_bytes()[:-1])
    with pytest.raises(ConfigError, match=r"^training\.warm_start: .*damaged\.pt: cut off"):
        run_training(small(1, damaged), tmp_path / "run")
    assert not (tmp_path / "run").exists()
