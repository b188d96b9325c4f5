"""Signum, Muon, L-BFGS and clipping: equal to torch.optim or their definition, alone and stacked; resumable."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from optimizer_steps import assert_resumed_bit_for_bit, classifier, gradients, set_gradients
from small_runs import network, table, tiny_dataset
from torch import Tensor, nn

from nc_bench import load_run
from nc_bench.config import Config, ConfigError
from nc_bench.models import Classifier
from nc_bench.training import run_training
from nc_bench.training.ensemble import Ensemble
from nc_bench.training.grouping import check_stackable, groups
from nc_bench.training.optimizers import build_optimizer
from nc_bench.training.optimizers.muon import orthogonalised

CPU = torch.device("cpu")
FREE = {"features": None, "head": None}
SIGNUM = {"name": "signum", "lr": 0.01, "momentum": 0.8, "backbone_lr_factor": 3.0}
MUON = {"name": "muon", "lr": 0.02, "adamw_lr": 0.003, "decoupled_decay": 0.3, "decoupled_head_decay": 0.1}
CLIPPED = {"name": "sgd", "lr": 0.1, "momentum": 0.9, "clip_norm": 0.7}
LBFGS = {"name": "lbfgs"}


def configured(optimizer: dict[str, Any], *, seed: int = 0, **sections: Any) -> Config:
    model = {"name": "mlp", "widths": [6, 4], "batch_norm": True}
    return network(seed=seed, model=model, head={"bias": True}, constraints=FREE, optimizer=optimizer, **sections)


TOLERANCES = {torch.float64: {"rtol": 1e-12, "atol": 1e-12}, torch.float32: {"rtol": 1e-6, "atol": 1e-7}}


def assert_equal(ours: Classifier, theirs: list[Tensor], dtype: torch.dtype) -> None:
    for mine, expected in zip(ours.parameters(), theirs, strict=True):
        torch.testing.assert_close(mine, expected, **TOLERANCES[dtype])


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize(("coupled", "decoupled"), [(0.0, 0.0), (0.3, 0.0), (0.0, 0.3)])
def test_signum_is_algorithm_2_of_bernstein_et_al(dtype: torch.dtype, coupled: float, decoupled: float) -> None:
    config = configured({**SIGNUM, "decoupled_decay": decoupled}, objective={"weight_decay": coupled})
    model = classifier(config, dtype=dtype)
    optimizer, names = build_optimizer(model, [config]), [name for name, _ in model.named_parameters()]
    w = [p.detach().double().numpy().copy() for p in model.parameters()]
    m = [np.zeros_like(x) for x in w]
    for step in range(8):
        values = gradients(model, step)
        set_gradients(model, values)
        optimizer.step(0.9**step)
        for i, value in enumerate(values):
            rate = 0.01 * (3 if names[i].startswith("backbone") else 1) * 0.9**step
            m[i] = 0.8 * m[i] + 0.2 * (value.double().numpy() + coupled * w[i])
            w[i] = w[i] - rate * (np.sign(m[i]) + decoupled * w[i])
    assert_equal(model, [torch.from_numpy(x).to(dtype) for x in w], dtype)


def test_a_sign_of_nan_is_no_step_of_zero() -> None:
    configs = [configured(SIGNUM, seed=seed) for seed in range(2)]
    model = classifier(*configs)
    values = gradients(model, 0)
    for value in values:
        value[0] = math.nan
    set_gradients(model, values)
    build_optimizer(model, configs).step(1.0)
    assert all(bool(p[0].isnan().all()) and bool(p[1].isfinite().all()) for p in model.parameters())


def torch_muon(model: Classifier, config: Config) -> list[torch.optim.Optimizer]:
    """torch.optim.Muon on the two hidden weights, AdamW on the rest."""
    hidden = {name for name, p in model.named_parameters() if name.startswith("backbone") and p.ndim == 3}
    assert len(hidden) == 2
    flat = [nn.Parameter(p.detach()[0]) for name, p in model.named_parameters() if name in hidden]
    muon = torch.optim.Muon(flat, lr=0.02, weight_decay=0.3, momentum=0.95, nesterov=config.optimizer.nesterov)
    rest = [(name, p) for name, p in model.named_parameters() if name not in hidden]
    groups = [{"params": [p], "weight_decay": 0.1 if name.startswith("head") else 0.3} for name, p in rest]
    return [muon, torch.optim.AdamW(groups, lr=0.003)]


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("nesterov", [True, False])
def test_muon_is_torchs(dtype: torch.dtype, nesterov: bool) -> None:
    config = configured({**MUON, "nesterov": nesterov})
    ours, theirs = classifier(config, dtype=dtype), classifier(config, dtype=dtype)
    optimizer = build_optimizer(ours, [config])
    muon, adamw = torch_muon(theirs, config)
    flat = muon.param_groups[0]["params"]
    hidden = [p for name, p in theirs.named_parameters() if name.startswith("backbone") and p.ndim == 3]
    for step in range(10):
        values = gradients(ours, step)
        set_gradients(ours, values)
        optimizer.step(1.0)
        set_gradients(theirs, values)
        for single, stacked in zip(flat, hidden, strict=True):
            single.grad = stacked.grad[0]
        muon.step()
        adamw.step()
        with torch.no_grad():
            for single, stacked in zip(flat, hidden, strict=True):
                stacked[0] = single
        assert_equal(ours, list(theirs.parameters()), dtype)


def test_a_run_says_what_muon_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nc_bench.training.run.load_dataset", lambda *args, **kwargs: tiny_dataset())
    config = configured(MUON, training={"epochs": 1, "batch_size": 12})
    assert run_training(config, tmp_path) == "complete"
    assert load_run(tmp_path).manifest["muon_moves"] == [f"backbone.layer{n}.linear.weight" for n in (1, 2)]


def test_newton_schulz_is_about_the_polar_factor() -> None:
    matrices = torch.randn(3, 20, 12, generator=torch.Generator().manual_seed(0))
    for given in (matrices, matrices.mT):
        found = orthogonalised(given).float()
        left, _, right = torch.linalg.svd(given, full_matrices=False)
        kept = (left.mT @ found @ right.mT).diagonal(dim1=1, dim2=2)
        assert float(kept.min()) > 0.5 and float(kept.max()) < 1.5
    assert bool((orthogonalised(torch.zeros(1, 3, 4)) == 0).all())


def test_clipping_is_torchs() -> None:
    """Before coupled decay is added, and not at all where the gradient is short."""
    config = configured(CLIPPED, objective={"weight_decay": 0.03})
    ours, theirs = classifier(config), classifier(config)
    optimizer = build_optimizer(ours, [config])
    reference = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9, weight_decay=0.03)
    for step in range(10):
        values = gradients(ours, step, size=0.003 * 4.0**step)
        set_gradients(ours, values)
        optimizer.step(1.0)
        set_gradients(theirs, values)
        norm = nn.utils.clip_grad_norm_(theirs.parameters(), 0.7)
        assert (float(norm) < 0.7) is (step < 3)
        reference.step()
        assert_equal(ours, list(theirs.parameters()), torch.float64)


@pytest.mark.parametrize("optimizer", [SIGNUM, MUON, CLIPPED], ids=lambda o: o["name"])
def test_stacked_trials_move_as_alone_and_a_diverged_one_changes_no_other(optimizer: dict[str, Any]) -> None:
    others = {"lr": 0.005, "momentum": 0.6, "clip_norm": None, "backbone_lr_factor": 0.5}
    configs = [configured(optimizer), configured({**optimizer, **others}, seed=1), configured(optimizer, seed=2)]
    together, alone = classifier(*configs), [classifier(config) for config in configs]
    stacked = build_optimizer(together, configs)
    singles = [build_optimizer(model, [config]) for model, config in zip(alone, configs, strict=True)]
    for step in range(6):
        values = gradients(together, step)
        if step == 3:
            for value in values:
                value[2].view(-1)[0] = math.nan
        set_gradients(together, values)
        stacked.step(0.9**step)
        for trial, (model, own) in enumerate(zip(alone, singles, strict=True)):
            set_gradients(model, [value[trial : trial + 1] for value in values])
            own.step(0.9**step)
    for trial, model in enumerate(alone[:2]):
        for joint, single in zip(together.parameters(), model.parameters(), strict=True):
            torch.testing.assert_close(joint[trial], single[0], rtol=0, atol=1e-13)
    assert any(bool(parameter[2].isnan().any()) for parameter in together.parameters())


@pytest.mark.parametrize("optimizer", [SIGNUM, MUON, CLIPPED], ids=lambda o: o["name"])
def test_saved_and_loaded_they_go_on_bit_for_bit(optimizer: dict[str, Any]) -> None:
    assert_resumed_bit_for_bit(configured(optimizer))


def full_batch(*, dtype: str = "float64", **sections: Any) -> Config:
    training = {"epochs": 12, "batch_size": None, "checkpoint_seconds": 0}
    model = {"name": "mlp", "widths": [8, 4], "activation": "tanh"}
    common = {"model": model, "constraints": FREE, "optimizer": LBFGS, "training": training, "head": {"bias": True}}
    objective = {"weight_decay": 0.01, "head_decay": 0.02, "feature_decay": 1e-3}
    return network(dtype=dtype, schedule={"name": "constant"}, **{**common, "objective": objective, **sections})


def steps_of(ensemble: Ensemble, number: int) -> None:
    for _ in range(number):
        list(ensemble.steps_of_epoch())


@pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-9), ("float32", 1e-3)])
def test_lbfgs_is_torchs_on_the_whole_objective(dtype: str, rtol: float) -> None:
    config = full_batch(dtype=dtype)
    ours, theirs = (Ensemble([config], tiny_dataset(), CPU) for _ in range(2))
    parameters = list(theirs.model.parameters())
    exact = {"tolerance_grad": 0.0, "tolerance_change": 0.0, "line_search_fn": "strong_wolfe"}
    reference = torch.optim.LBFGS(parameters, max_iter=1, max_eval=26, history_size=10, **exact)

    def closure() -> Tensor:
        reference.zero_grad()
        features = theirs.model.backbone(theirs.inputs[None])
        logits = theirs.model.head(features)[0]
        head = sum(p.square().sum() for p in theirs.model.head.parameters())
        rest = sum(p.square().sum() for p in theirs.model.backbone.parameters())
        loss = nn.functional.cross_entropy(logits, theirs.labels[0])
        loss = loss + 0.01 / 2 * rest + 0.02 / 2 * head + 1e-3 / 2 * features.square().sum()
        loss.backward()
        return loss

    for _ in range(6):
        steps_of(ours, 1)
        reference.step(closure)
        for mine, expected in zip(ours.model.parameters(), parameters, strict=True):
            torch.testing.assert_close(mine, expected, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_lbfgs_resumes_bit_for_bit(dtype: str) -> None:
    config = full_batch(dtype=dtype, optimizer={"name": "lbfgs", "history": 3})
    whole, first = (Ensemble([config], tiny_dataset(), CPU) for _ in range(2))
    steps_of(whole, 12)
    for done in range(4):
        steps_of(first, 3)
        file = io.BytesIO()
        torch.save(first.states(), file)
        file.seek(0)
        first = Ensemble([config], tiny_dataset(), CPU)
        first.load(torch.load(file, weights_only=True))
        assert first.step_count == 3 * (done + 1)
    assert all(map(torch.equal, whole.model.parameters(), first.model.parameters()))


def test_lbfgs_counts_a_step_once_in_batch_norm() -> None:
    model = {"name": "mlp", "widths": [8, 4], "batch_norm": True}
    ensemble = Ensemble([full_batch(model=model, optimizer={"name": "lbfgs", "lr": 1e-12})], tiny_dataset(), CPU)
    norm = ensemble.model.backbone.layer1.norm
    inputs = ensemble.model.backbone.layer1.linear(ensemble.inputs[None])
    steps_of(ensemble, 1)
    torch.testing.assert_close(norm.running_mean, 0.1 * inputs.detach().mean(1), rtol=1e-6, atol=1e-9)


def test_lbfgs_finds_a_stationary_point() -> None:
    ensemble = Ensemble([full_batch(training={"epochs": 80, "batch_size": None})], tiny_dataset(), CPU)
    steps_of(ensemble, 1)
    assert ensemble.gradient_norms()[0] > 0.01
    steps_of(ensemble, 79)
    assert ensemble.gradient_norms()[0] < 1e-5


def test_lbfgs_trains_alone() -> None:
    configs = [full_batch(), full_batch(seed=1)]
    assert groups(configs) == [[0], [1]]
    with pytest.raises(ConfigError, match=r"^optimizer\.name: lbfgs cannot be stacked"):
        check_stackable(configs)


@pytest.mark.parametrize("optimizer", [SIGNUM, {**CLIPPED, "momentum": 0.0}], ids=["signum", "clipped"])
def test_a_table_takes_them_too(optimizer: dict[str, Any]) -> None:
    ensemble = Ensemble([table(optimizer=optimizer)], tiny_dataset(), CPU)
    before = [parameter.detach().clone() for parameter in ensemble.model.parameters()]
    steps_of(ensemble, 2)
    assert not any(map(torch.equal, before, ensemble.model.parameters()))


@pytest.mark.parametrize(
    ("optimizer", "kinds"),
    [
        ({"name": "sgd", "lr": 0.1}, set()),
        ({"name": "sgd", "lr": 0.1, "momentum": 0.9}, {"momentum_buffer"}),
        ({"name": "adam", "lr": 0.1}, {"exp_avg", "exp_avg_sq"}),
        (SIGNUM, {"momentum_buffer"}),
    ],
)
def test_state_is_kept_by_the_names_of_the_parameters(optimizer: dict[str, Any], kinds: set[str]) -> None:
    model = classifier(configured(optimizer))
    state = build_optimizer(model, [configured(optimizer)]).state_dict()["state"]
    assert set(state) == kinds
    for tensors in state.values():
        assert {name: tensor.shape for name, tensor in tensors.items()} == {
            name: parameter.shape for name, parameter in model.named_parameters()
        }


def test_muon_keeps_momentum_of_hidden_matrices_and_moments_of_the_rest() -> None:
    model = classifier(configured(MUON))
    state = build_optimizer(model, [configured(MUON)]).state_dict()["state"]
    assert all(name.startswith("backbone.") and name.endswith("linear.weight") for name in state["momentum_buffer"])
    assert state["exp_avg"].keys() == state["exp_avg_sq"].keys()
    assert state["momentum_buffer"].keys() | state["exp_avg"].keys() == dict(model.named_parameters()).keys()
    assert not state["momentum_buffer"].keys() & state["exp_avg"].keys()


def test_the_state_of_another_optimizer_is_refused() -> None:
    sgd, adam = ({"name": "sgd", "lr": 0.1, "momentum": 0.9}, {"name": "adam", "lr": 0.1})
    ours, theirs = (build_optimizer(classifier(configured(o)), [configured(o)]) for o in (sgd, adam))
    with pytest.raises(AssertionError, match="momentum_buffer"):
        ours.load_state_dict(theirs.state_dict())
