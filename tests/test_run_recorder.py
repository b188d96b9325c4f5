"""Loops that are not the bench's, recorded as runs: rows, verdicts for what is stated, resumption, refusals."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import Killed, tiny_dataset
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import nc_bench
from nc_bench import RunRecorder, collapse_metrics, load_run
from nc_bench.errors import ConfigError, RunError, UserError
from nc_bench.geometry.simplex import simplex_vertices
from nc_bench.reports import sentence
from nc_bench.reports.description import describe
from nc_bench.runs import RunDirectory
from nc_bench.runs.files import write_bytes

DATA = tiny_dataset()
TRAIN = (DATA.train_inputs.float(), DATA.train_labels)
TEST = (DATA.test_inputs.float(), DATA.test_labels)
BOUNDS = {"features": {"radius": 5.0}, "head": {"radius": 1.0}}


@pytest.fixture(autouse=True)
def without_figures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page takes a second or more, and only some tests look at it."""
    if not request.node.get_closest_marker("slow"):
        monkeypatch.setattr("nc_bench.run_recorder.Run.report", lambda self: None)


def network() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Dropout(0.5), nn.Linear(6, 3))


def train_once(model: nn.Module) -> None:
    model.train()
    loss = nn.functional.cross_entropy(model(TRAIN[0]), TRAIN[1])
    loss.backward()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.sub_(0.1 * parameter.grad)
            parameter.grad = None


def recorder(path: Path, model: nn.Module | None = None, **changes: Any) -> RunRecorder:
    return RunRecorder(path, model or network(), **{"train": TRAIN, "test": TEST, **changes})


def loop(path: Path, recorded: range, **changes: Any) -> nc_bench.Run:
    """Epochs of a network, recorded."""
    model = network()
    with recorder(path, model, **changes) as recording:
        for epoch in recorded:
            train_once(model)
            recording.record(epoch, learning_rate=0.1)
    return load_run(path)


@pytest.mark.slow  # 5 s, most of it the figures
def test_a_loop_becomes_a_run_with_rows_laws_nulls_and_page(tmp_path: Path) -> None:
    model = network()
    train = DataLoader(TensorDataset(*TRAIN), batch_size=7, shuffle=True)
    with recorder(tmp_path, model, train=train, epochs=2) as recording:
        for epoch in (1, 2):
            train_once(model)
            found = recording.record(epoch, step=4 * epoch, learning_rate=0.1)
    assert model.training and all(module.training for module in model)
    run = load_run(tmp_path)
    assert list(run.rows["split"]) == ["train", "test"] * 2 and list(run.rows["step"]) == [4, 4, 8, 8]
    last = run.rows.iloc[-2]
    features = model[:3].eval()(TRAIN[0])
    expected = collapse_metrics(features, TRAIN[1], model[3].weight, model[3].bias)
    assert {name: last[name] for name in expected} == pytest.approx(expected, rel=1e-6, abs=1e-9, nan_ok=True)
    assert found["train"] == pytest.approx(expected, rel=1e-6, abs=1e-9, nan_ok=True)
    assert last["learning_rate"] == 0.1 and run.rows.iloc[-1]["learning_rate"] != 0.1
    centres = torch.stack([features[TRAIN[1] == label].mean(0) for label in range(3)]).double()
    nearest = torch.cdist(model[:3](TEST[0]).double(), centres).argmin(1)
    assert run.rows.iloc[-1]["ncc_accuracy"] == pytest.approx(float((nearest == TEST[1]).double().mean()))
    assert run.manifest["status"] == "complete" and run.manifest["epochs"] == run.manifest["epochs_done"] == 2
    assert run.manifest["class_counts"] == [8, 8, 8] and run.manifest["samples"] == {"train": 24, "test": 9}
    laws = run.predictions[run.predictions["name"].isin(["risk_gap", "jensen_gap", "budget_gaps"])]
    assert list(laws["verdict"]) == ["holds"] * 3
    angles = run.predictions.set_index("name").loc["nc2_equiangular"]
    assert angles["null"] == run.manifest["null"]["nc2_equiangular"] > 0.1
    page = (tmp_path / "report.html").read_text()
    assert "trained by a loop of its author" in page and "Sequential" in page


def test_the_configuration_holds_what_was_stated_and_nothing_else(tmp_path: Path) -> None:
    loop(tmp_path / "bare", range(1, 2))
    written = load_run(tmp_path / "bare").config
    assert written == {
        "dtype": "float32",
        "data": {"name": "foreign"},
        "model": {"name": "foreign", "kind": "Sequential"},
        "head": {"bias": True, "trainable": True},
        "objective": {"loss": "not_stated"},
        "optimizer": {"name": "foreign"},
        "training": {"epochs": 1, "batch_size": None},
    }
    risk = load_run(tmp_path / "bare").predictions.set_index("name").loc["risk"]
    assert (risk["verdict"], risk["assumption"]) == ("not applicable", "what the loop minimises is not stated")
    stated = {"bounds": BOUNDS, "objective": {"loss": "mse"}, "nonnegative": True, "seed": 4, "epochs": 7}
    written = loop(tmp_path / "stated", range(1, 2), **stated).config
    assert written["constraints"]["features"]["radius"] == 5 and written["objective"] == {"loss": "mse"}
    assert written["seed"] == 4 and written["model"]["nonnegative"] is True and written["training"]["epochs"] == 7
    run = load_run(tmp_path / "stated")
    assert run.manifest["stopped_early"] == "its loop ended there"
    with pytest.raises(ConfigError, match="which alone can train it"):
        nc_bench.run_training(tmp_path / "stated" / "config.yaml", tmp_path / "other")


def at_the_minimum(radius: float = 5.0) -> tuple[nn.Linear, torch.Tensor, torch.Tensor]:
    """A head of norm 1 over features at the vertices of a simplex of this radius, which are the inputs."""
    vertices = simplex_vertices(3, 4, generator=torch.Generator().manual_seed(1))
    model = nn.Linear(4, 3, bias=False).double()
    model.weight = nn.Parameter(vertices / torch.linalg.matrix_norm(vertices, 2))
    labels = torch.arange(12) % 3
    units = vertices / vertices.norm(dim=1, keepdim=True)
    return model, radius * units[labels], labels


def test_a_trained_model_is_held_against_the_bounds_that_are_stated(tmp_path: Path) -> None:
    model, inputs, labels = at_the_minimum()
    with RunRecorder(tmp_path, model, train=(inputs, labels), bounds=BOUNDS, nonnegative=False, epochs=0) as recording:
        recording.record(0)
    run = load_run(tmp_path)
    verdicts = run.predictions.set_index("name")
    assert set(verdicts["verdict"]) == {"holds"}, verdicts["verdict"]
    assert verdicts.loc["risk", "predicted"] == pytest.approx(verdicts.loc["risk", "measured"], rel=1e-9)
    assert run.rows["feature_residual"].max() < 1e-12
    assert sentence(run).startswith("As it was given, the training risk is")


@pytest.mark.parametrize(
    ("stated", "reason"),
    [
        ({"nonnegative": False, "bounds": BOUNDS}, "the stated bound |f(x)| <= 5 is missed by 0.2 of it"),
        ({"bounds": {**BOUNDS, "features": {"radius": 6}}}, "features of foreign are not known to fill the ball"),
        ({"nonnegative": False, "bounds": {"features": {"radius": 6}}}, "only one of features and head is bounded"),
    ],
)
def test_what_is_not_known_or_does_not_hold_is_not_judged(stated: dict[str, Any], reason: str, tmp_path: Path) -> None:
    model, inputs, labels = at_the_minimum(6.0)
    with RunRecorder(tmp_path, model, train=(inputs, labels), epochs=0, **stated) as recording:
        recording.record(0)
    risk = load_run(tmp_path).predictions.set_index("name").loc["risk"]
    assert risk["verdict"] == "not applicable" and reason in risk["assumption"]


def test_a_recorder_changes_nothing_in_the_loop(tmp_path: Path) -> None:
    def trained(record: Callable[[nn.Module, Any, int], object]) -> list[torch.Tensor]:
        torch.manual_seed(0)
        model, drawn = network(), []
        loader = DataLoader(TensorDataset(*TRAIN), batch_size=5, shuffle=True)
        for epoch in (1, 2):
            for inputs, labels in loader:
                drawn.append(nn.functional.cross_entropy(model(inputs), labels).detach())
            train_once(model)
            record(model, loader, epoch)
        return [*drawn, *model.parameters()]

    alone = trained(lambda *_: None)
    opened: list[RunRecorder] = []

    def record(model: nn.Module, loader: Any, epoch: int) -> None:
        if not opened:
            opened.append(RunRecorder(tmp_path, model, train=loader, test=TEST))
        opened[0].record(epoch)

    recorded = trained(record)
    opened[0].close()
    assert all(torch.equal(one, other) for one, other in zip(alone, recorded, strict=True))


def test_the_features_of_a_layer_are_recorded_alone(tmp_path: Path) -> None:
    model = network().eval()
    with recorder(tmp_path, model, layer="1", classes=3, bounds={"features": {"radius": 9.0}}) as recording:
        found = recording.record(1)
    expected = collapse_metrics(model[:1](TRAIN[0]).detach(), TRAIN[1])
    assert found["train"] == pytest.approx(expected, rel=1e-6, nan_ok=True) and "risk" not in found["train"]
    run = load_run(tmp_path)
    assert run.config["model"] == {"name": "foreign", "kind": "Sequential", "features_alone": True}
    assert run.rows["feature_residual"].max() == 0 and "Sequential, without a last layer" in describe(run)
    with pytest.raises(ConfigError, match=r"constraints\.head: features are measured alone, without a last layer"):
        recorder(tmp_path / "other", model, layer="1", classes=3, bounds=BOUNDS)


def epochs_in(path: Path) -> list[int]:
    return list(load_run(path).rows.query("split == 'train'")["epoch"])


def test_a_resumed_loop_goes_on_or_back_and_records_no_epoch_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    left = recorder(tmp_path)
    for epoch in (1, 2, 3):
        left.record(epoch)
    left.run.release()  # as the kernel does when the process is killed
    assert load_run(tmp_path).manifest["status"] == "running" and epochs_in(tmp_path) == [1, 2, 3]
    with recorder(tmp_path, resume=True) as recording:
        assert recording.last_epoch == 3
        recording.record(2)
        assert "the loop has gone back: rows of epoch 2 and later ones are replaced" in capsys.readouterr().err
        with pytest.raises(RunError, match="epoch 2 is recorded, so 2 cannot follow"):
            recording.record(2)
        recording.record(4)
    assert epochs_in(tmp_path) == [1, 2, 4] and load_run(tmp_path).manifest["status"] == "complete"
    with recorder(tmp_path, resume=True) as recording:
        recording.record(5)
    assert epochs_in(tmp_path) == [1, 2, 4, 5]
    assert recorder(tmp_path, resume=True).close().manifest["epochs_done"] == 5
    kept = {path.name for path in (tmp_path / "features").iterdir() if path.name.startswith("classes")}
    assert kept == {"classes-00005.safetensors"}


def test_other_data_of_the_same_numbers_are_refused_and_the_same_ones_in_any_order_are_taken(tmp_path: Path) -> None:
    with recorder(tmp_path) as recording:
        recording.record(1)
    others = {"train": (TRAIN[0] + 1e-3, TRAIN[1])}, {"test": (TEST[0].flip(0), TEST[1])}, {"test": None}
    for other in others:
        resumed = recorder(tmp_path, resume=True, **other)
        with pytest.raises(RunError, match=r"the data are others than those of this run, with .* random augmentation$"):
            resumed.record(2)
        resumed.fail()
    shuffled = DataLoader(TensorDataset(*TRAIN), batch_size=5, shuffle=True)
    with recorder(tmp_path, resume=True, train=shuffled) as recording:
        recording.record(2)
    assert epochs_in(tmp_path) == [1, 2]


def test_what_cannot_be_recorded_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run"
    first = recorder(path)
    with pytest.raises(RunError, match="another process is writing there"):
        recorder(path, resume=True)
    with pytest.raises(RunError, match="nothing was recorded"):
        first.close()
    first = recorder(path)
    for epoch, words in ((-1, "should not be negative"), (1.5, "should be a whole number")):
        with pytest.raises(UserError, match=words):
            first.record(epoch)
    with pytest.raises(UserError, match="risk: a column that the bench measures"):
        first.record(1, risk=2.0)
    first.record(1)
    first.close()
    with pytest.raises(RunError, match="closed"):
        first.record(2)
    with pytest.raises(RunError, match="holds a run already"):
        recorder(path)
    with pytest.raises(RunError, match="holds another run"):
        recorder(path, resume=True, bounds=BOUNDS)
    other = recorder(path, resume=True, train=(TRAIN[0][:20], TRAIN[1][:20]))
    with pytest.raises(RunError, match="with samples train 20, test 9 instead of train 24, test 9"):
        other.record(2)
    other.fail()
    assert epochs_in(path) == [1] and load_run(path).manifest["status"] == "complete"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"bounds": {"features": {"raduis": 5}}}, "constraints.features.raduis: unknown key; did you mean 'radius'?"),
        ({"objective": {"loss": "hinge"}}, "objective.loss: hinge given"),
        ({"train": iter([TRAIN])}, "train: is read in every recorded epoch, and a list_iterator can be read only once"),
        ({"test": (batch for batch in [TEST])}, "test: is read in every recorded epoch, and a generator can be read"),
        ({"train": (TRAIN[0], TRAIN[1][:3])}, "there are 24 inputs and 3 labels"),
        ({"train": (TRAIN[0], TRAIN[1] + 1)}, "batch 1: labels must lie in 0..2, got values from 1 to 3"),
        ({"log": ["tensorbord"]}, "log: 'tensorbord' is no logger"),
    ],
)
def test_a_wrong_statement_is_refused_before_anything_is_written(
    changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=re.escape(words)):
        recorder(tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()


def test_how_a_loop_ends_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for error, status in ((RuntimeError("no"), "failed"), (KeyboardInterrupt(), "interrupted")):
        with pytest.raises(type(error)), recorder(tmp_path / status) as recording:
            recording.record(1)
            raise error
        assert load_run(tmp_path / status).manifest["status"] == status and epochs_in(tmp_path / status) == [1]
    model = network()
    with recorder(tmp_path / "diverged", model) as recording:
        recording.record(1)
        with torch.no_grad():
            model[0].weight.fill_(torch.nan)
        assert recording.record(2) == {}
    assert "epoch 2 is not recorded (batch 1: the model's output holds NaN or infinity" in capsys.readouterr().err
    assert load_run(tmp_path / "diverged").manifest["status"] == "diverged"
    assert epochs_in(tmp_path / "diverged") == [1]


def test_a_run_that_was_never_finite_says_so(tmp_path: Path) -> None:
    first = TRAIN[0].clone()
    first[5, 2] = torch.nan
    batches = [(TRAIN[0], TRAIN[1]), (first, TRAIN[1])]
    said = "nothing was recorded; no features and risk were finite"
    with pytest.raises(RunError, match=said), recorder(tmp_path / "run", train=batches) as recording:
        recording.record(1)
    assert not (tmp_path / "run" / "manifest.json").exists()


def writes(monkeypatch: pytest.MonkeyPatch, last: int) -> list[str]:
    """Kill the process, as it were, before its write of this number; what was written before."""
    done: list[str] = []

    def counted(path: Path, content: bytes) -> None:
        if len(done) == last:
            raise Killed
        done.append(path.name)
        write_bytes(path, content)

    def appended(self: RunDirectory, rows: Any) -> None:
        if len(done) == last:
            raise Killed
        done.append("rows")
        append(self, rows)

    append = RunDirectory.append
    for module in ("files", "directory"):
        monkeypatch.setattr(f"nc_bench.runs.{module}.write_bytes", counted)
    monkeypatch.setattr(RunDirectory, "append", appended)
    return done


@pytest.mark.parametrize("last", [*range(11)])
def test_a_kill_before_any_write_leaves_what_can_be_read_and_resumed(
    last: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = None
    with monkeypatch.context() as patched:
        done = writes(patched, last)
        try:
            recording = recorder(tmp_path)
            recording.record(1)
            recording.record(2)
            recording.close()
        except Killed:
            pass
        else:
            assert last == 10, done
    if recording is not None:
        recording.run.release()
    if (tmp_path / "manifest.json").exists():
        assert epochs_in(tmp_path) == [1, 2][: done.count("rows")]
    with recorder(tmp_path, resume=True) as resumed:
        for epoch in range((resumed.last_epoch or 0) + 1, 3):
            resumed.record(epoch)
    assert epochs_in(tmp_path) == [1, 2] and load_run(tmp_path).manifest["status"] == "complete"


def test_other_processes_of_a_group_do_not_measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nc_bench.distributed import Processes

    group = Processes(rank=1, size=2, local_rank=1, local_size=2)
    monkeypatch.setattr("nc_bench.run_recorder.current_group", lambda: group)
    with recorder(tmp_path / "run") as recording:
        assert recording.record(1) == {} and not recording.is_writer
    assert recording.close() is None and not (tmp_path / "run").exists()
