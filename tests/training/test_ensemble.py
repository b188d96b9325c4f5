"""Several trials trained together end where each ends alone; one step is what torch's own loop does."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from functools import partial
from typing import Any

import pytest
import torch
from small_runs import network, table, tiny_dataset
from torch.nn import functional as F

from nc_bench.config import Config, ConfigError
from nc_bench.data import Dataset
from nc_bench.rng import Stream, generator
from nc_bench.training.ensemble import Ensemble

CPU = torch.device("cpu")
DATA = tiny_dataset()
MODEL = {"name": "mlp", "widths": [8, 4], "batch_norm": True, "final_activation": False}


def small(**sections: Any) -> Config:
    return network(**({"model": MODEL, "dtype": "float64", "training": {"batch_size": 10}} | sections))


def ensemble_of(*configs: Config, data: Dataset = DATA) -> Ensemble:
    return Ensemble(configs, data, CPU)


def train(ensemble: Ensemble, epochs: int) -> Ensemble:
    for _ in range(epochs):
        for _ in ensemble.steps_of_epoch():
            pass
    return ensemble


def check_alone(together: Ensemble, *, trials: Iterable[int], epochs: int) -> None:
    for trial in trials:
        alone = train(ensemble_of(together.configs[trial]), epochs)
        assert torch.equal(together.labels[trial], alone.labels[0])
        single = alone.model.state_dict()
        for name, stacked in together.model.state_dict().items():
            torch.testing.assert_close(
                stacked[trial], single[name][0], rtol=0, atol=1e-10, msg=partial("{}: {}".format, name)
            )


def bounded(features: float, head: float, outputs: float) -> dict[str, Any]:
    return {"features": {"radius": features}, "head": {"radius": head}, "outputs": {"radius": outputs}}


def test_a_stacked_network_ends_where_it_ends_alone() -> None:
    numbers = [("original", 0.05, 0.9), ("random", 0.01, 0.5), ("random", 0.1, 0.1)]
    configs = [
        small(
            seed=seed,
            data={"name": "digits", "labels": labels},
            optimizer={"name": "sgd", "lr": lr, "momentum": momentum, "nesterov": True},
            objective={"weight_decay": 0.01 * seed, "feature_decay": 0.001 * seed},
            constraints=bounded(1.0 + seed, 1.0 / (1 + seed), 3.0 + seed),
        )
        for seed, (labels, lr, momentum) in enumerate(numbers)
    ]
    check_alone(train(ensemble_of(*configs), 4), trials=range(3), epochs=4)


def test_stacked_tables_end_where_they_end_alone() -> None:
    optimizers = [{"name": "adam", "lr": lr, "betas": [b, 0.99], "eps": 1e-6} for lr, b in ((0.1, 0.9), (0.01, 0.5))]
    configs = [
        table(seed=seed, optimizer=optimizer, constraints={"features": {"radius": 1.0 + seed, "p": 3.0}})
        for seed, optimizer in enumerate(optimizers)
    ]
    check_alone(train(ensemble_of(*configs), 15), trials=range(2), epochs=15)


def test_a_trial_that_diverges_leaves_its_neighbours_alone() -> None:
    rates = (0.05, 1e200, 0.02)
    configs = [small(seed=seed, optimizer={"name": "sgd", "lr": lr}) for seed, lr in enumerate(rates)]
    together = train(ensemble_of(*configs), 4)
    assert not together.model.head.weight[1].isfinite().all()
    check_alone(together, trials=[0, 2], epochs=4)


@pytest.mark.parametrize("p", [2.0, 3.0])
def test_a_broken_table_leaves_its_neighbours_alone(p: float) -> None:
    configs = [table(seed=seed, constraints={"features": {"radius": 5.0, "p": p}}) for seed in range(3)]
    together = ensemble_of(*configs)
    with torch.no_grad():
        together.model.backbone.features[1, 3, 2] = math.nan
    train(together, 4)
    assert together.model.head.weight[1].isnan().any()
    check_alone(together, trials=[0, 2], epochs=4)


def test_finite_says_which_trial_is_not() -> None:
    configs = [small(seed=seed, optimizer={"name": "sgd", "lr": lr}) for seed, lr in enumerate((0.05, 1e200))]
    ensemble = train(ensemble_of(*configs), 3)
    assert ensemble.finite() == [True, False]


def test_a_loss_that_was_not_finite_once_is_seen_at_the_end_of_the_epoch() -> None:
    ensemble = ensemble_of(small())
    steps = ensemble.steps_of_epoch()
    next(steps)
    ensemble.epoch_loss += math.inf
    list(steps)
    assert ensemble.finite() == [False]
    train(ensemble, 1)
    assert ensemble.finite() == [True]


def test_batches_are_the_permutation_of_the_epoch_in_order_with_the_last_one_smaller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ensemble = ensemble_of(small(seed=3))
    seen: list[torch.Tensor] = []
    taken = ensemble._step

    def step(*batch: torch.Tensor) -> None:
        seen.append(batch[0])
        taken(*batch)

    monkeypatch.setattr(ensemble, "_step", step)
    train(ensemble, 2)
    assert [batch.shape[1] for batch in seen] == [10, 10, 4, 10, 10, 4]
    for epoch in range(2):
        order = torch.randperm(24, generator=generator(3, Stream.DATA_ORDER, epoch))
        assert torch.equal(torch.cat(seen[3 * epoch : 3 * epoch + 3], 1)[0], order)


def test_training_is_torchs_own_loop() -> None:
    """Forward pass, both penalties, schedule and update, against autograd and SGD on a copy of the model."""
    config = small(
        head={"bias": True},
        constraints={"features": None, "head": None},
        objective={"weight_decay": 0.02, "feature_decay": 0.003},
        schedule={"name": "multi_step", "milestones": [0.5]},
        training={"batch_size": 10, "epochs": 4},
    )
    ours = ensemble_of(config)
    theirs = copy.deepcopy(ours.model)
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.05, momentum=0.9, weight_decay=0.02)
    train(ours, 4)
    theirs.train()
    for epoch in range(4):
        order = torch.randperm(24, generator=generator(0, Stream.DATA_ORDER, epoch))
        optimizer.param_groups[0]["lr"] = 0.05 if epoch < 2 else 0.005
        for batch in order.split(10):
            features = theirs.backbone(DATA.train_inputs[batch][None])[0]
            logits = features @ theirs.head.weight[0].T + theirs.head.bias[0]
            loss = F.cross_entropy(logits, DATA.train_labels[batch])
            loss = loss + 0.003 / 2 * 24 * features.square().sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    for mine, expected in zip(ours.model.state_dict().values(), theirs.state_dict().values(), strict=True):
        torch.testing.assert_close(mine, expected, rtol=0, atol=1e-11)


def test_a_table_steps_down_the_whole_objective_at_once() -> None:
    """A full batch in its own order, feature decay as a sum over the samples."""
    config = table(
        optimizer={"name": "sgd", "lr": 0.5, "backbone_lr_factor": 24.0},
        constraints={"features": None, "head": None},
        objective={"weight_decay": 0.02, "feature_decay": 0.003},
    )
    ours = ensemble_of(config)
    features, weight = (p.detach()[0].clone().requires_grad_() for p in ours.model.parameters())
    objective = F.cross_entropy(features @ weight.T, DATA.train_labels)
    objective = objective + 0.01 * weight.square().sum() + 0.0015 * features.square().sum()
    assert float(objective.detach()) == pytest.approx(
        float(F.cross_entropy((features @ weight.T).detach(), DATA.train_labels))
        + ours.penalties(features.detach()[None])[0],
        rel=1e-14,
    )
    by_features, by_weight = torch.autograd.grad(objective, (features, weight))
    train(ours, 1)
    assert ours.step_count == ours.steps_per_epoch == 1
    moved, turned = (p.detach()[0] for p in ours.model.parameters())
    torch.testing.assert_close(moved, features.detach() - 12 * by_features, rtol=0, atol=1e-13)
    torch.testing.assert_close(turned, weight.detach() - 0.5 * by_weight, rtol=0, atol=1e-13)


def test_penalties_per_trial() -> None:
    decays = ((0.1, 0.0), (0.3, 0.02))
    configs = [small(seed=s, objective={"weight_decay": w, "feature_decay": f}) for s, (w, f) in enumerate(decays)]
    ensemble = ensemble_of(*configs)
    features = torch.ones(2, 24, 4, dtype=torch.float64)
    expected = [
        w / 2 * sum(float(p[trial].detach().square().sum()) for p in ensemble.model.parameters()) + f / 2 * 96
        for trial, (w, f) in enumerate(decays)
    ]
    assert ensemble.penalties(features) == pytest.approx(expected, rel=1e-13)
    assert all(map(math.isnan, ensemble.penalties(None)))


def test_the_start_is_inside_the_sets() -> None:
    ensemble = ensemble_of(table(constraints={"features": {"radius": 0.1}, "head": {"radius": 0.2}}))
    features, weight = (p.detach()[0] for p in ensemble.model.parameters())
    assert float(features.norm(dim=1).max()) == pytest.approx(0.1, rel=1e-12)
    assert float(torch.linalg.matrix_norm(weight, 2)) == pytest.approx(0.2, rel=1e-12)


def test_random_labels_are_drawn_by_the_seed_and_keep_the_class_sizes() -> None:
    configs = [small(seed=s, data={"name": "digits", "labels": "random"}) for s in (0, 1)]
    ensemble = ensemble_of(*configs)
    for labels in ensemble.labels:
        assert torch.equal(labels.bincount(), DATA.train_labels.bincount())
    assert not torch.equal(ensemble.labels[0], ensemble.labels[1])
    assert not torch.equal(ensemble.labels[0], DATA.train_labels)
    split = ensemble.test_split()
    assert torch.equal(split.labels, DATA.test_labels.expand(2, -1))


def test_a_table_has_no_test_split() -> None:
    assert ensemble_of(table()).test_split() is None


def test_state_goes_on_bit_for_bit_from_the_middle_of_an_epoch() -> None:
    config = small(optimizer={"name": "adam", "lr": 0.01})
    whole, first = train(ensemble_of(config), 3), train(ensemble_of(config), 1)
    steps = first.steps_of_epoch()
    next(steps)
    second = ensemble_of(config.model_copy(update={"seed": 0}))
    second.load(copy.deepcopy(first.states()))
    assert second.step_count == 4
    train(second, 2)
    for mine, expected in zip(second.model.state_dict().values(), whole.model.state_dict().values(), strict=True):
        assert torch.equal(mine, expected)


def test_the_learning_rate_at_the_end_is_that_of_the_last_step() -> None:
    ensemble = ensemble_of(small(training={"batch_size": 10, "epochs": 2}))
    factors = [ensemble.learning_rate_factor()]
    for _ in range(2):
        for _ in ensemble.steps_of_epoch():
            factors.append(ensemble.learning_rate_factor())
    expected = [(1 + math.cos(math.pi * step / 6)) / 2 for step in (0, 1, 2, 3, 4, 5, 5)]
    assert factors == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("size", "batch_norm", "message"),
    [
        (25, True, r"^training\.batch_size: 25 is larger than the 24 training samples$"),
        (25, False, r"^training\.batch_size: 25 is larger than the 24 training samples$"),
        (23, True, r"^training\.batch_size: 23 leaves one of 24 samples in the last batch, .*batch norm"),
        (1, True, r"^training\.batch_size: 1 .*batch norm"),
    ],
)
def test_batches_that_cannot_be(size: int, batch_norm: bool, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ensemble_of(small(model=MODEL | {"batch_norm": batch_norm}, training={"batch_size": size}))


@pytest.mark.parametrize("size", [1, 23, 24, None])
def test_batches_that_can(size: int | None) -> None:
    ensemble = ensemble_of(small(model=MODEL | {"batch_norm": False}, training={"batch_size": size}))
    train(ensemble, 1)
    assert ensemble.step_count == ensemble.steps_per_epoch == -(-24 // (size or 24))


def test_class_sizes_are_those_of_the_labels_that_are_trained_on() -> None:
    noise = small(seed=1, data={"name": "digits", "label_noise": 0.25})
    ensemble = ensemble_of(small(), noise)
    assert ensemble.class_counts[0] == [8, 8, 8]
    assert int((ensemble.labels[1] != DATA.train_labels).sum()) == 6
    assert ensemble.class_counts[1] == torch.bincount(ensemble.labels[1]).tolist() != [8, 8, 8]
