"""Optimizers against torch.optim: equal to rounding, whatever the trial stands next to."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from optimizer_steps import assert_resumed_bit_for_bit, classifier, gradients, set_gradients
from small_runs import network, table
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from nc_bench.config import AdamW, Config, MultiStepSchedule, Sgd
from nc_bench.models import Classifier, build_classifier
from nc_bench.training.optimizers import build_optimizer, decayed_parameters, learning_rate_factor

STEPS = 80
SCHEDULE = MultiStepSchedule(name="multi_step", milestones=(0.25, 0.5), factor=0.3)
KINDS: dict[str, dict[str, Any]] = {
    "plain": {"optimizer": {"name": "sgd", "lr": 0.1}},
    "momentum": {"optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9}},
    "nesterov": {"optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.8, "nesterov": True}},
    "coupled": {"optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9}, "objective": {"weight_decay": 0.03}},
    "nesterov_coupled": {
        "optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9, "nesterov": True},
        "objective": {"weight_decay": 0.03, "decay_biases": False},
    },
    "decoupled": {"optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9, "decoupled_decay": 0.2}},
    "head_coupled": {
        "optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9},
        "objective": {"weight_decay": 0.03, "head_decay": 0.3, "decay_biases": False},
    },
    "head_decoupled": {
        "optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9, "decoupled_decay": 0.2, "decoupled_head_decay": 0.0}
    },
    "adam": {"optimizer": {"name": "adam", "lr": 0.01}},
    "adam_coupled": {
        "optimizer": {"name": "adam", "lr": 0.01, "betas": [0.8, 0.95], "eps": 1e-3, "backbone_lr_factor": 3.0},
        "objective": {"weight_decay": 0.1},
    },
    "adam_head_coupled": {"optimizer": {"name": "adam", "lr": 0.01}, "objective": {"head_decay": 0.1}},
    "adamw": {"optimizer": {"name": "adamw", "lr": 0.01, "decoupled_decay": 0.2, "backbone_lr_factor": 0.5}},
    "adamw_head": {
        "optimizer": {"name": "adamw", "lr": 0.01, "decoupled_decay": 0.0, "decoupled_head_decay": 0.3},
        "objective": {"decay_biases": False},
    },
}


def configured(kind: str, *, seed: int = 0, bias: bool = True) -> Config:
    constraints = {"features": None, "head": None}
    model = {"name": "mlp", "widths": [6, 4], "batch_norm": True}
    return network(seed=seed, model=model, head={"bias": bias}, constraints=constraints, **KINDS[kind])


def decays_of(config: Config, *, head: bool) -> tuple[float, float]:
    """Coupled and decoupled decay of a group, by the fields."""
    objective, optimizer = config.objective, config.optimizer
    of_head = (objective.head_decay, getattr(optimizer, "decoupled_head_decay", None))
    common = (objective.weight_decay, getattr(optimizer, "decoupled_decay", 0.0))
    first, second = (own if head and own is not None else rest for own, rest in zip(of_head, common, strict=True))
    return first, second


def torch_step(model: Classifier, config: Config) -> Callable[[list[Tensor]], None]:
    """One step of torch's own optimizer over the same parameters, as the configuration describes it."""
    optimizer, objective = config.optimizer, config.objective
    groups, shrunk = [], {}
    for name, parameter in model.named_parameters():
        decays = objective.decay_biases or (parameter.ndim == 3 and name.endswith("weight"))
        rate = optimizer.lr * (optimizer.backbone_lr_factor if name.startswith("backbone") else 1.0)
        coupled, decoupled = decays_of(config, head=name.startswith("head")) if decays else (0.0, 0.0)
        decay = decoupled if isinstance(optimizer, AdamW) else coupled
        groups.append({"params": [parameter], "lr": rate, "weight_decay": decay})
        if isinstance(optimizer, Sgd):
            shrunk[parameter] = decoupled
    reference: torch.optim.Optimizer
    if isinstance(optimizer, Sgd):
        reference = torch.optim.SGD(groups, momentum=optimizer.momentum, nesterov=optimizer.nesterov)
    else:
        kind = torch.optim.AdamW if isinstance(optimizer, AdamW) else torch.optim.Adam
        reference = kind(groups, betas=optimizer.betas, eps=optimizer.eps)
    scheduler = LambdaLR(reference, lambda step: learning_rate_factor(SCHEDULE, step, STEPS))

    def step(values: list[Tensor]) -> None:
        set_gradients(model, values)
        with torch.no_grad():
            for parameter, decoupled in shrunk.items():
                group = next(g for g in reference.param_groups if g["params"][0] is parameter)
                parameter.mul_(1 - group["lr"] * decoupled)
        reference.step()
        scheduler.step()

    return step


@pytest.mark.parametrize("kind", KINDS)
def test_many_steps_equal_torch(kind: str) -> None:
    config = configured(kind)
    ours, theirs = classifier(config), classifier(config)
    optimizer, reference = build_optimizer(ours, [config]), torch_step(theirs, config)
    for step in range(STEPS):
        values = gradients(ours, step)
        set_gradients(ours, values)
        optimizer.step(learning_rate_factor(SCHEDULE, step, STEPS))
        reference(values)
        for (name, mine), expected in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(mine, expected, rtol=1e-12, atol=1e-12, msg=partial("{}: {}".format, name))


@pytest.mark.parametrize("kind", KINDS)
def test_first_steps_in_float32_equal_torch(kind: str) -> None:
    config = configured(kind)
    ours, theirs = classifier(config, dtype=torch.float32), classifier(config, dtype=torch.float32)
    optimizer, reference = build_optimizer(ours, [config]), torch_step(theirs, config)
    with torch.no_grad():
        # From zero a parameter is the update itself: nothing of its relative error hides behind a large parameter.
        for parameter in [*ours.parameters(), *theirs.parameters()]:
            parameter.zero_()
    for step in range(3):
        values = gradients(ours, step)
        set_gradients(ours, values)
        optimizer.step(1.0)
        reference(values)
        for mine, expected in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(mine, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_trials_with_numbers_of_their_own_move_as_each_does_alone(kind: str) -> None:
    first = configured(kind)
    numbers: dict[str, Any] = {"lr": first.optimizer.lr / 7, "backbone_lr_factor": 2.5}
    if isinstance(first.optimizer, Sgd):
        numbers["momentum"] = first.optimizer.momentum / 2
    else:
        numbers |= {"betas": (0.5, 0.7), "eps": 1e-2}
    if isinstance(first.optimizer, Sgd | AdamW):
        numbers["decoupled_decay"] = 3 * first.optimizer.decoupled_decay
    second = first.model_copy(
        update={
            "seed": 1,
            "optimizer": first.optimizer.model_copy(update=numbers),
            "objective": first.objective.model_copy(update={"weight_decay": first.objective.weight_decay / 5}),
        }
    )
    configs = [first, second]
    together = classifier(*configs)
    alone = [classifier(config) for config in configs]
    optimizer = build_optimizer(together, configs)
    optimizers = [build_optimizer(model, [config]) for model, config in zip(alone, configs, strict=True)]
    for step in range(20):
        values = gradients(together, step)
        set_gradients(together, values)
        optimizer.step(0.9**step)
        for trial, (model, own) in enumerate(zip(alone, optimizers, strict=True)):
            set_gradients(model, [value[trial : trial + 1] for value in values])
            own.step(0.9**step)
    for trial, model in enumerate(alone):
        for stacked, single in zip(together.parameters(), model.parameters(), strict=True):
            torch.testing.assert_close(stacked[trial], single[0], rtol=0, atol=1e-13)


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded_optimizers_go_on_bit_for_bit(kind: str) -> None:
    assert_resumed_bit_for_bit(configured(kind))


def test_a_step_drops_the_gradients_and_wants_one_for_every_parameter() -> None:
    config = configured("coupled")
    model = classifier(config)
    optimizer = build_optimizer(model, [config])
    set_gradients(model, gradients(model, 0))
    optimizer.step(1.0)
    assert all(parameter.grad is None for parameter in model.parameters())
    with pytest.raises(AssertionError, match="took no part in the loss"):
        optimizer.step(1.0)


def decayed_names(model: Classifier, *, decay_biases: bool) -> set[str]:
    backbone, head = decayed_parameters(model, decay_biases)
    assert {id(p) for p in head} == {id(p) for p in head} & {id(p) for p in model.head.parameters()}
    chosen = {id(parameter) for parameter in [*backbone, *head]}
    return {name for name, parameter in model.named_parameters() if id(parameter) in chosen}


def test_which_parameters_decay() -> None:
    model = classifier(configured("plain"))
    every = {name for name, _ in model.named_parameters()}
    assert decayed_names(model, decay_biases=True) == every
    assert decayed_names(model, decay_biases=False) == {
        "backbone.layer1.linear.weight",
        "backbone.layer2.linear.weight",
        "head.weight",
    }
    assert {"backbone.layer1.norm.weight", "backbone.layer1.norm.bias", "head.bias"} <= every


def test_a_frozen_head_neither_decays_nor_moves() -> None:
    config = network(head={"trainable": False}, optimizer={"name": "sgd", "lr": 1.0, "decoupled_decay": 0.5})
    model = build_classifier([config], input_shape=(5,), samples=7, classes=3)
    assert "head.weight" not in decayed_names(model, decay_biases=True)
    before = model.head.weight.detach().clone()
    optimizer = build_optimizer(model, [config])
    set_gradients(model, gradients(model, 0))
    optimizer.step(1.0)
    assert torch.equal(model.head.weight, before)


def test_a_table_of_features_never_decays_as_a_weight() -> None:
    config = table(head={"bias": True}, constraints={"features": None, "head": None}, objective={"weight_decay": 0.1})
    model = build_classifier([config], input_shape=(5,), samples=7, classes=3)
    assert decayed_names(model, decay_biases=True) == {"head.weight", "head.bias"}
    assert decayed_names(model, decay_biases=False) == {"head.weight"}
