"""Early stops: where the rows say so, the same when resumed, and no obstacle to going on."""

from __future__ import annotations

import math
import signal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_runs import Killed, kill, measured, network, run_until, tiny_dataset

from nc_bench import load_run
from nc_bench.config import Config, Stop, config_hash
from nc_bench.reports import sentence
from nc_bench.runs import RunDirectory
from nc_bench.training import run_training
from nc_bench.training.ensemble import Ensemble
from nc_bench.training.run import run_ensemble
from nc_bench.training.stopping import EarlyStop

MODEL = {"name": "mlp", "widths": [8, 4], "batch_norm": True, "final_activation": False}
EPOCHS = 12


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nc_bench.training.run.load_dataset", lambda settings: tiny_dataset())


def small(stop: dict[str, Any] | None, *, seed: int = 0, epochs: int = EPOCHS, **sections: Any) -> Config:
    training = {"epochs": epochs, "batch_size": 10, "stop": stop}
    return network(
        **({"model": MODEL, "training": training, "schedule": {"name": "constant"}, "seed": seed} | sections)
    )


def row(epoch: int, **values: float | None) -> dict[str, Any]:
    return {
        "epoch": epoch,
        "split": "train",
        "layer": "penultimate",
        "accuracy": 0.5,
        "simplex_efficiency": 0.5,
    } | values


@given(
    st.lists(st.tuples(st.floats(0, 1), st.sampled_from([0.5, 1.0])), max_size=12),
    st.none() | st.floats(0.01, 1),
    st.none() | st.integers(0, 5),
)
def test_the_first_rule_that_applies_decides(
    values: list[tuple[float, float]], target: float | None, more: int | None
) -> None:
    rows = [row(2 * i, simplex_efficiency=reached, accuracy=accuracy) for i, (reached, accuracy) in enumerate(values)]
    ends = [math.inf]
    ends += [r["epoch"] for r in rows if target is not None and r["simplex_efficiency"] >= target]
    ends += [r["epoch"] + more for r in rows if more is not None and r["accuracy"] == 1]
    stop = EarlyStop(Stop(simplex_efficiency=target, terminal_epochs=more), rows)
    assert stop.epoch == min(ends) and bool(stop.reason) is (stop.epoch < math.inf)


def test_other_rows_and_undefined_values_say_nothing() -> None:
    rule = Stop(simplex_efficiency=0.1, terminal_epochs=0)
    others = [row(1, accuracy=1) | {"split": "test"}, row(1, accuracy=1) | {"layer": "layer1"}]
    undefined = [row(2, simplex_efficiency=None, accuracy=None), row(3, simplex_efficiency=math.nan)]
    assert EarlyStop(rule, others + undefined).epoch == math.inf
    assert EarlyStop(None, [row(1, accuracy=1)]).epoch == math.inf


def test_it_stops_once_the_value_is_reached_and_says_so(tmp_path: Path) -> None:
    run_training(small(None), tmp_path / "whole")
    efficiencies = load_run(tmp_path / "whole").rows["simplex_efficiency"].tolist()[::2]
    target = (efficiencies[3] + efficiencies[4]) / 2
    assert max(efficiencies[:4]) < target < efficiencies[4]
    assert run_training(small({"simplex_efficiency": target}), tmp_path / "run") == "complete"
    run = load_run(tmp_path / "run")
    assert (run.manifest["epochs_done"], run.manifest["epochs"]) == (5, EPOCHS)
    assert run.manifest["stopped_early"].startswith("simplex_efficiency reached 0.")
    assert sentence(run).startswith("The run stopped early, after epoch 5 of 12: simplex_efficiency reached")
    assert measured(tmp_path / "run") == measured(tmp_path / "whole")[: 1 + 2 * 5]
    assert (tmp_path / "run" / "features" / "picture-00005.safetensors").exists() and len(run.predictions) > 5


def perfect_from(directory: Path) -> int:
    rows = load_run(directory).rows
    train = rows[rows["split"] == "train"]
    return int(train[train["accuracy"] == 1]["epoch"].iloc[0])


def test_the_terminal_phase_ends_where_it_should_though_that_epoch_is_not_recorded(tmp_path: Path) -> None:
    run_training(small(None), tmp_path / "whole")
    first = perfect_from(tmp_path / "whole")
    config = small({"terminal_epochs": 3}, record={"every": list(range(1, first + 1))})
    assert first + 3 < EPOCHS and run_training(config, tmp_path / "run") == "complete"
    run = load_run(tmp_path / "run")
    assert run.rows["epoch"].tolist()[::2] == [*range(1, first + 1), first + 3]
    assert run.manifest["stopped_early"] == f"3 epochs after zero training error was recorded, at epoch {first}"


@pytest.mark.parametrize("epoch", [1, 4])
def test_a_resumed_run_stops_where_the_other_did_and_is_over(tmp_path: Path, epoch: int) -> None:
    config = small({"terminal_epochs": 3})
    run_training(config, tmp_path / "whole")
    assert load_run(tmp_path / "whole").manifest["epochs_done"] < EPOCHS
    assert run_until(3 * epoch + 1, kill, config, tmp_path / "run") == "killed"
    assert run_training(config, tmp_path / "run", resume=True) == "complete"
    assert measured(tmp_path / "run") == measured(tmp_path / "whole")
    before = (tmp_path / "run" / "manifest.json").read_bytes()
    assert run_until(0, kill, config, tmp_path / "run", resume=True) == "complete"
    longer = small({"terminal_epochs": 3}, epochs=2 * EPOCHS)
    assert run_training(longer, tmp_path / "run", resume=True) == "complete"
    assert (tmp_path / "run" / "manifest.json").read_bytes() == before


@pytest.mark.parametrize("moment", ["finish", "write_manifest"])
def test_a_run_killed_between_its_last_checkpoint_and_its_end_does_not_train_past_its_stop(
    tmp_path: Path, moment: str
) -> None:
    config = small({"terminal_epochs": 2})
    run_training(config, tmp_path / "whole")
    ended = load_run(tmp_path / "whole").manifest
    assert 1 < ended["epochs_done"] < EPOCHS
    original, calls = getattr(RunDirectory, moment), []

    def killed(self: RunDirectory, *arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == (2 if moment == "write_manifest" else 1):
            raise Killed
        return original(self, *arguments)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(RunDirectory, moment, killed)
        with pytest.raises(Killed):
            run_training(config, tmp_path / "run")
    steps: list[int] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Ensemble, "_step", lambda self, *batch: steps.append(self.step_count))
        assert run_training(config, tmp_path / "run", resume=True) == "complete"
    assert not steps and measured(tmp_path / "run") == measured(tmp_path / "whole")
    manifest = load_run(tmp_path / "run").manifest
    assert all(manifest[key] == ended[key] for key in ("status", "epochs_done", "stopped_early"))


def test_a_rule_that_earlier_epochs_have_met_ends_a_resumed_run_where_it_is(tmp_path: Path) -> None:
    plain = small(None, record={"every": [1, 2, 3, 4, 5]})
    run_until(3 * 7 - 1, lambda: signal.raise_signal(signal.SIGTERM), plain, tmp_path)
    assert load_run(tmp_path).manifest["epochs_done"] == 7 and load_run(tmp_path).rows["epoch"].iloc[-1] == 5
    stopped = small({"simplex_efficiency": 1e-6}, record={"every": [1, 2, 3, 4, 5]})
    assert run_training(stopped, tmp_path, resume=True) == "complete"
    run = load_run(tmp_path)
    assert run.manifest["epochs_done"] == 7 and run.manifest["stopped_early"] and run.rows["epoch"].iloc[-1] == 7
    assert run.reasons[7, "train", "penultimate", "gradient_norm"].startswith("checkpoints do not keep it")


def test_a_stopped_run_goes_on_under_another_rule(tmp_path: Path) -> None:
    whole, stopped = small(None), small({"terminal_epochs": 2})
    assert config_hash(whole) == config_hash(stopped)
    run_training(whole, tmp_path / "whole")
    run_training(stopped, tmp_path / "run")
    assert load_run(tmp_path / "run").manifest["stopped_early"]
    assert run_training(whole, tmp_path / "run", resume=True) == "complete"
    assert measured(tmp_path / "run") == measured(tmp_path / "whole")
    assert load_run(tmp_path / "run").manifest["stopped_early"] is None


def test_each_trial_of_an_ensemble_stops_by_itself(tmp_path: Path) -> None:
    configs = [small({"terminal_epochs": 1}, seed=seed) for seed in range(4)]
    assert run_ensemble(configs, [tmp_path / str(seed) for seed in range(4)]) == ["complete"] * 4
    ends = set()
    for seed, config in enumerate(configs):
        run_training(config, tmp_path / f"alone{seed}")
        together, alone = load_run(tmp_path / str(seed)), load_run(tmp_path / f"alone{seed}")
        assert together.rows["epoch"].tolist() == alone.rows["epoch"].tolist()
        assert together.manifest["stopped_early"] == alone.manifest["stopped_early"]
        assert together.rows["risk"].tolist() == pytest.approx(alone.rows["risk"].tolist(), rel=1e-4)
        ends.add(together.manifest["epochs_done"])
    assert len(ends) > 1, "else the test shows nothing"
