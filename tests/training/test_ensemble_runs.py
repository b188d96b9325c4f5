"""Many run directories trained as one program: each is the run it would be alone, whatever happens to the others."""

from __future__ import annotations

import json
import math
import signal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from small_runs import measured, network, table, tiny_dataset

from nc_bench import load_run
from nc_bench.config import Config, ConfigError
from nc_bench.runs import RunDirectory, RunError
from nc_bench.training import run_ensemble, run_training
from nc_bench.training.checkpoint import read_checkpoint
from nc_bench.training.ensemble import Ensemble

MODEL = {"name": "mlp", "widths": [8, 4], "batch_norm": True, "final_activation": False}
RATES = (0.05, 0.02, 0.1)


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nc_bench.training.run.load_dataset", lambda settings: tiny_dataset())


def trials(epochs: int = 4, **sections: Any) -> list[Config]:
    training = {"epochs": epochs, "batch_size": 10, "checkpoint_seconds": 0}
    given = {"model": MODEL, "dtype": "float64", "training": training} | sections
    return [
        network(seed=s, optimizer={"name": "sgd", "lr": lr, "momentum": 0.9}, **given) for s, lr in enumerate(RATES)
    ]


def folders(path: Path, count: int = len(RATES)) -> list[Path]:
    return [path / str(index) for index in range(count)]


def numbers(directory: Path) -> pd.DataFrame:
    return pd.read_csv(directory / "metrics.csv").drop(columns=["split", "layer", "seconds"])


def check_close(first: Path, second: Path, tolerance: float) -> None:
    pd.testing.assert_frame_equal(numbers(first), numbers(second), rtol=tolerance, atol=tolerance)


def trained(directory: Path) -> dict[str, torch.Tensor]:
    """Parameters and buffers in the last checkpoint."""
    state = read_checkpoint(directory / "checkpoint.pt").state["model"]
    return {str(name): tensor for name, tensor in state.items()}


def check_bits(first: Path, second: Path) -> None:
    mine, theirs = trained(first), trained(second)
    assert mine.keys() == theirs.keys()
    assert {name for name in mine if not torch.equal(mine[name], theirs[name])} == set()


def poison(trial: int, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make one trial's weights NaN before its step of this number."""
    taken = Ensemble._step

    def poisoning(self: Ensemble, *batch: torch.Tensor) -> None:
        if self.step_count == step:
            with torch.no_grad():
                self.model.head.weight[trial] = math.nan
        taken(self, *batch)

    monkeypatch.setattr(Ensemble, "_step", poisoning)


def stop_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = Ensemble._step

    def stopping(self: Ensemble, *batch: torch.Tensor) -> None:
        if self.step_count == step:
            signal.raise_signal(signal.SIGTERM)
        taken(self, *batch)

    monkeypatch.setattr(Ensemble, "_step", stopping)


def test_each_directory_is_that_of_its_run_alone(tmp_path: Path) -> None:
    configs = trials()
    done: list[int] = []
    assert run_ensemble(configs, folders(tmp_path / "together"), progress=done.append) == ["complete"] * 3
    assert done == [3] * 4
    for index, config in enumerate(configs):
        own, alone = tmp_path / "together" / str(index), tmp_path / "alone" / str(index)
        run_training(config, alone)
        check_bits(own, alone)
        check_close(own, alone, 1e-10)
        mine, single = load_run(own), load_run(alone)
        assert mine.predictions["verdict"].tolist() == single.predictions["verdict"].tolist()
        assert mine.config == single.config and mine.manifest["trained_together"] == 3
        differ = {key for key in single.manifest if mine.manifest[key] != single.manifest[key]}
        clocks = {"started", "seconds", "recording_seconds", "samples_per_second"}
        assert differ <= clocks | {"trained_together", "run", "rows", "files"}
        assert {path.name for path in own.iterdir()} == {path.name for path in alone.iterdir()}


@pytest.mark.parametrize("step", [0, 5, 8, 11])
def test_a_trial_that_diverges_changes_no_bit_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    configs = trials()
    run_ensemble(configs, folders(tmp_path / "whole"))
    poison(1, step, monkeypatch)
    done: list[int] = []
    statuses = run_ensemble(configs, folders(tmp_path / "run"), progress=done.append)
    assert statuses == ["complete", "diverged", "complete"]
    epochs = step // 3
    assert sum(done) == 8 + epochs
    for index in ("0", "2"):
        assert measured(tmp_path / "run" / index) == measured(tmp_path / "whole" / index)
    lost = load_run(tmp_path / "run" / "1")
    assert (lost.manifest["status"], lost.manifest["epochs_done"]) == ("diverged", epochs)
    assert lost.rows["epoch"].tolist() == [e for e in range(1, epochs + 1) for _ in range(2)]
    if epochs:
        kept = measured(tmp_path / "run" / "1")
        assert kept == measured(tmp_path / "whole" / "1")[: len(kept)]


def test_when_all_have_diverged_training_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = Ensemble._step
    steps: list[int] = []

    def poisoning(self: Ensemble, *batch: torch.Tensor) -> None:
        steps.append(self.step_count)
        with torch.no_grad():
            self.model.head.weight.fill_(math.nan)
        taken(self, *batch)

    monkeypatch.setattr(Ensemble, "_step", poisoning)
    assert run_ensemble(trials(), folders(tmp_path)) == ["diverged"] * 3
    assert steps == [0, 1, 2]


def test_a_trial_saved_before_its_first_step_goes_on_beside_new_ones(tmp_path: Path) -> None:
    first, *_ = trials(0)
    assert run_training(first, tmp_path / "run" / "0") == "complete"
    assert (tmp_path / "run" / "0" / "checkpoint.pt").exists()
    assert run_ensemble(trials(), folders(tmp_path / "run")) == ["complete"] * 3
    run_ensemble(trials(), folders(tmp_path / "whole"))
    for index in range(3):
        check_close(tmp_path / "run" / str(index), tmp_path / "whole" / str(index), 1e-10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_bit_depends_on_the_stack(tmp_path: Path, dtype: str) -> None:
    configs = trials(dtype=dtype)
    run_ensemble(configs, folders(tmp_path / "three"))
    run_ensemble(configs[:2], folders(tmp_path / "two", 2))
    for index, config in enumerate(configs):
        run_training(config, tmp_path / "alone" / str(index))
        for other in ("three", *(["two"] if index < 2 else [])):
            assert measured(tmp_path / other / str(index)) == measured(tmp_path / "alone" / str(index))


def test_interrupted_trials_go_on_together_and_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configs, paths = trials(), folders(tmp_path / "run")
    run_ensemble(configs, folders(tmp_path / "whole"))
    with monkeypatch.context() as patched:
        stop_at(4, patched)
        assert run_ensemble(configs, paths) == ["interrupted"] * 3
    # One goes on alone to its end, the others stacked anew.
    assert run_training(configs[1], paths[1], resume=True) == "complete"
    fresh = trials()[0].model_copy(update={"seed": 7})
    statuses = run_ensemble([fresh, configs[2], configs[1], configs[0]], [tmp_path / "new", *reversed(paths)])
    assert statuses == ["complete"] * 4
    assert load_run(paths[0]).manifest["trained_together"] == 2
    assert load_run(tmp_path / "new").manifest["trained_together"] == 1
    for index, path in enumerate(paths):
        check_close(path, tmp_path / "whole" / str(index), 1e-10)
    run_training(fresh, tmp_path / "new alone")
    assert measured(tmp_path / "new") == measured(tmp_path / "new alone")


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_a_trial_may_leave_its_stack_whatever_numbers_that_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Alone it has no momentum, or no decay, and so another layout of its optimizer's state."""
    training = {"epochs": 4, "batch_size": 10, "checkpoint_seconds": 0}
    kinds: list[dict[str, float]] = [{"momentum": 0.9}, {}] if name == "sgd" else [{}, {}]
    configs = [
        network(
            model=MODEL,
            seed=seed,
            optimizer={"name": name, "lr": 0.02, **kind},
            objective={"weight_decay": decay, "decay_biases": False},
            training=training,
        )
        for seed, (kind, decay) in enumerate(zip(kinds, (0.1, 0.0), strict=True))
    ]
    paths = folders(tmp_path / "run", 2)
    with monkeypatch.context() as patched:
        stop_at(4, patched)
        assert run_ensemble(configs, paths) == ["interrupted"] * 2
    for config, path in zip(configs, paths, strict=True):
        assert run_training(config, path, resume=True) == "complete"
        run_training(config, tmp_path / "alone" / path.name)
        check_bits(path, tmp_path / "alone" / path.name)


def test_the_same_stack_goes_on_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configs, paths = trials(), folders(tmp_path / "run")
    run_ensemble(configs, folders(tmp_path / "whole"))
    for step in (1, 6, 10):
        with monkeypatch.context() as patched:
            stop_at(step, patched)
            assert run_ensemble(configs, paths) == ["interrupted"] * 3
    assert run_ensemble(configs, paths) == ["complete"] * 3
    for path in paths:
        assert measured(path) == measured(tmp_path / "whole" / path.name)
    before = [(path / "manifest.json").read_text() for path in paths]
    assert run_ensemble(configs, paths) == ["complete"] * 3
    assert [(path / "manifest.json").read_text() for path in paths] == before


def test_an_error_leaves_unfinished_trials_failed_and_resumable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs, paths = trials(), folders(tmp_path / "run")
    run_ensemble(configs, folders(tmp_path / "whole"))
    appended = RunDirectory.append

    def failing(self: RunDirectory, rows: list[dict[str, Any]]) -> None:
        if self.path == paths[1] and rows[0]["epoch"] == 3:
            raise OSError(28, "No space left on device")
        appended(self, rows)

    with monkeypatch.context() as patched:
        patched.setattr(RunDirectory, "append", failing)
        with pytest.raises(OSError, match="No space left"):
            run_ensemble(configs, paths)
    assert [load_run(path).manifest["status"] for path in paths] == ["failed"] * 3
    assert run_ensemble(configs, paths) == ["complete"] * 3
    for path in paths:
        assert measured(path) == measured(tmp_path / "whole" / path.name)


def test_tables_together(tmp_path: Path) -> None:
    configs = [table(seed=seed, constraints={"features": {"radius": 3.0 + seed}}) for seed in range(2)]
    assert run_ensemble(configs, folders(tmp_path, 2)) == ["complete"] * 2
    run_training(configs[1], tmp_path / "alone")
    check_close(tmp_path / "1", tmp_path / "alone", 1e-12)
    rows = [json.loads(line) for line in (tmp_path / "1" / "metrics.jsonl").read_text().splitlines()]
    assert [row["split"] for row in rows] == ["train"] * 3


def test_trials_that_cannot_be_stacked_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    configs = [network(), network(training={"batch_size": 8})]
    with pytest.raises(ConfigError, match=r"^training\.batch_size: .* must agree in it, got 128 and 8$"):
        run_ensemble(configs, folders(tmp_path / "run", 2))
    bad = trials(model=MODEL | {"widths": [1]}, head={"init": "simplex"})
    with pytest.raises(ConfigError, match=r"^head\.init: "):
        run_ensemble(bad, folders(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_directory_of_another_run_stops_all_and_frees_the_locks(tmp_path: Path) -> None:
    configs, paths = trials(), folders(tmp_path)
    run_training(configs[0], paths[2])
    with pytest.raises(RunError, match=r"2: holds another run"):
        run_ensemble(configs, paths)
    assert run_ensemble(configs[:2], paths[:2]) == ["complete"] * 2
