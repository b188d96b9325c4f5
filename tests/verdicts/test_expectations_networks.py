"""What is expected of residual networks, of a library's and of linear ones, and of what is not known."""

from __future__ import annotations

import math
from typing import Any

import pytest
from expected_runs import (
    DIGITS,
    EQUAL,
    FREE,
    ORTHOGONAL_RISK,
    mlp,
    no_simplex,
    proved,
    refused,
)
from small_runs import network, table

from nc_bench.config import Config


def resnet(**sections: Any) -> Config:
    return network(model={"name": "resnet18"}, **sections)


def library(**sections: Any) -> Config:
    return network(model={"name": "torchvision:resnet18"}, **sections)


def test_a_bounded_residual_network_has_non_negative_features() -> None:
    values = proved(resnet()).values
    assert values["risk"] == pytest.approx(ORTHOGONAL_RISK, rel=1e-14)
    assert values["centre_offset"] == pytest.approx(1 / math.sqrt(10))


def test_of_a_librarys_features_nothing_is_assumed() -> None:
    reason = "features of torchvision:resnet18 are not known to fill the ball of radius 5"
    assert refused(library()) == reason


@pytest.mark.parametrize("make", [resnet, library])
def test_bounded_outputs_of_any_network(make: Any) -> None:
    bounds = {"features": None, "head": None, "outputs": {"radius": 2.0, "p": 3.0}}
    assert proved(make(constraints=bounds)).values == proved(network(constraints=bounds)).values


@pytest.mark.parametrize("make", [resnet, library])
def test_decay_of_any_network(make: Any) -> None:
    assert "weight decay acts on every layer" in refused(make(constraints=FREE, objective={"weight_decay": 5e-4}))


@pytest.mark.parametrize("constraints", [{}, {**FREE, "outputs": {"radius": 2.0}}])
@pytest.mark.parametrize(
    ("model", "linear"),
    [
        (mlp(activation="identity"), True),
        (mlp(widths=[12], final_activation=False), True),
        (mlp(widths=[12]), False),
        (mlp(final_activation=False), False),
    ],
)
def test_a_linear_network_does_not_choose_its_features_freely(
    model: dict[str, Any], linear: bool, constraints: dict[str, Any]
) -> None:
    config = network(model=model, constraints=constraints)
    if linear:
        assert refused(config) == "the features are linear in the inputs, so they cannot be chosen freely"
    else:
        assert proved(config)


def test_in_the_mean_square_weights_do_not_make_up_for_class_sizes() -> None:
    """Every feature of a large class counts in the mean of squares, whatever its class weighs in the loss."""
    sets = {"features": {"radius": 2.0, "set": "mean_square"}, "head": {"radius": 1.5, "set": "mean_square"}}
    weighted = {"class_weights": [10.0, 1.0, 1.0, 1.0]}
    assert "differ" in refused(table(constraints=sets, objective=weighted), (1, 10, 10, 10))
    assert "weights" in refused(table(constraints=sets, objective=weighted), (10,) * 4)


def test_clipping_comes_before_decay_and_changes_what_is_minimised() -> None:
    objective = {"weight_decay": 5e-3, "feature_decay": 1e-4}
    clipped = {"name": "sgd", "lr": 1.0, "clip_norm": 1.0}
    assert "clipped" in refused(table(constraints=FREE, objective=objective, optimizer=clipped), EQUAL)
    assert proved(table(optimizer=clipped), EQUAL)


def test_a_simplex_is_expected_only_where_one_has_been_observed() -> None:
    decayed: dict[str, Any] = {"constraints": FREE, "objective": {"weight_decay": 0.1}}
    assert no_simplex(network(**decayed)) == no_simplex(network(**decayed), DIGITS) == ""
    assert no_simplex(network(**decayed), (20, *EQUAL[1:])) == ""
    assert "equal size" in no_simplex(network(**decayed), (21, *EQUAL[1:]))
    weighted = {"weight_decay": 0.1, "class_weights": [3.0] + [1.0] * 9}
    assert "equal size" in no_simplex(network(constraints=FREE, objective=weighted))
    assert "8 dimensions" in no_simplex(network(model=mlp(widths=[8]), **decayed))
    assert "frozen" in no_simplex(network(constraints=FREE, head={"trainable": False}))
    assert no_simplex(network(constraints=FREE, head={"trainable": False, "init": "simplex"})) == ""


def test_the_decays_of_backbone_and_head() -> None:
    config = network(constraints=FREE, objective={"weight_decay": 0.1, "head_decay": 0.2})
    assert (config.coupled_decays, config.decoupled_decays) == ((0.1, 0.2), (0.0, 0.0))
    config = network(optimizer={"name": "adamw", "lr": 0.1, "decoupled_decay": 0.1})
    assert (config.coupled_decays, config.decoupled_decays) == ((0.0, 0.0), (0.1, 0.1))
    assert network(optimizer={"name": "lbfgs"}, constraints=FREE, training={"batch_size": None}).decoupled_decays == (
        0.0,
        0.0,
    )
