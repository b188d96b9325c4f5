"""Which prediction speaks about a run beyond the plain bounded ones: other losses, decays, bounds and models."""

from __future__ import annotations

import math
from typing import Any

import pytest
from expected_runs import (
    DIGITS,
    EQUAL,
    FREE,
    ORTHOGONAL_RISK,
    SIMPLEX_RISK,
    mlp,
    proved,
    refused,
    width,
)
from small_runs import network, table

from nc_bench.config import Config
from nc_bench.theory import predict
from nc_bench.verdicts.expectations import expectations

FOCAL = {"loss": "focal", "focal_gamma": 2.0}


@pytest.mark.parametrize("activation", [None, "relu", "tanh", "gelu", "sigmoid"])
def test_normalized_features_reach_the_minimiser_in_the_ball(activation: str | None) -> None:
    sphere = {"features": {"radius": 5.0, "set": "sphere"}}
    model = mlp(final_activation=False) if activation is None else mlp(activation=activation)
    orthogonal = activation in ("relu", "sigmoid")
    values = proved(network(model=model, constraints=sphere)).values
    assert values["risk"] == pytest.approx(ORTHOGONAL_RISK if orthogonal else SIMPLEX_RISK, rel=1e-14)
    assert proved(table(constraints=sphere)).values["risk"] == pytest.approx(SIMPLEX_RISK, rel=1e-14)
    mixed = {**sphere, "head": {"radius": 1.0, "set": "mean_square"}}
    values = proved(table(constraints=mixed), EQUAL).values
    assert values["risk"] == pytest.approx(math.log1p(9 * math.exp(-10 / 9 * 5)), rel=1e-12)
    assert refused(network(constraints={**sphere, "head": None})).startswith("only one of features and head is bounded")


@pytest.mark.parametrize("objective", [{}, FOCAL, {"weight_decay": 0.1}, {"head_decay": 0.1}])
def test_a_head_with_a_decay_of_its_own_in_a_network(objective: dict[str, Any]) -> None:
    reason = {
        "weight_decay": "weight decay acts on every layer",
        "head_decay": "weight decay acts on every layer",
        "loss": "without bounds or decay the loss does not determine features and head",
    }
    expected = next((said for key, said in reason.items() if key in objective), "nothing bounds the norms")
    assert refused(network(constraints=FREE, objective=objective), EQUAL).startswith(expected)
    optimizer = {"name": "sgd", "lr": 0.1, "decoupled_head_decay": 0.1}
    assert "decay act together" in refused(network(optimizer=optimizer), EQUAL)
    assert refused(network(objective={"head_decay": 0.1}), EQUAL).startswith("norm bounds and decay act together")


def test_the_heads_own_decay_is_the_one_of_the_prediction() -> None:
    decays = {"feature_decay": 1e-4, "decay_biases": False}
    common = proved(table(constraints=FREE, objective={"weight_decay": 5e-3, **decays}), EQUAL)
    assert proved(table(constraints=FREE, objective={"head_decay": 5e-3, **decays}), EQUAL) == common
    undecayed = {"weight_decay": 0.0, "head_decay": 0.0, **decays}
    assert "does not decay both" in refused(table(constraints=FREE, objective=undecayed), EQUAL)


@pytest.mark.parametrize(
    ("objective", "reason"),
    [
        ({"loss": "exponential"}, "no minimiser is known for the exponential loss"),
        ({"loss": "mse", "mse_true_weight": 2.0}, "the squared error is rescaled"),
        ({"loss": "mse", "mse_target": 2.0}, "the squared error is rescaled"),
    ],
)
def test_decayed_tables_of_losses_without_a_prediction(objective: dict[str, Any], reason: str) -> None:
    decays = {"weight_decay": 5e-3, "feature_decay": 1e-4}
    assert refused(table(constraints=FREE, objective={**objective, **decays}), EQUAL) == reason


def test_bounds_in_the_mean_square() -> None:
    sets = {"features": {"radius": 2.0, "set": "mean_square"}, "head": {"radius": 1.5, "set": "mean_square"}}
    values = proved(table(constraints=sets), EQUAL).values
    assert values["risk"] == pytest.approx(math.log1p(9 * math.exp(-10 / 9 * 3)), rel=1e-12)
    assert refused(table(constraints=sets), DIGITS) == "the class sizes differ (135 to 143)"
    mixed = {**sets, "head": {"radius": 1.5}}
    values = proved(table(constraints=mixed), EQUAL).values
    assert values["risk"] == pytest.approx(math.log1p(9 * math.exp(-1.5 * math.sqrt(10 * 4 / 9))), rel=1e-12)
    assert refused(table(constraints=mixed), DIGITS) == "the class sizes differ (135 to 143)"
    smoothed = {"label_smoothing": 0.1}
    assert "plain cross entropy" in refused(table(constraints=mixed, objective=smoothed), EQUAL)
    nonnegative = {"name": "unconstrained", "widths": [12], "nonnegative": True}
    assert "non-negative" in refused(table(constraints=sets, model=nonnegative), EQUAL)


@pytest.mark.parametrize("bounded", ["features", "head"])
def test_a_set_that_theory_does_not_know_has_no_prediction(bounded: str) -> None:
    """As a set has none that was added to the configuration and to nothing else."""
    config = network()
    unknown = getattr(config.constraints, bounded).model_copy(update={"set": "cube"})
    constraints = config.constraints.model_copy(update={bounded: unknown})
    reason = refused(config.model_copy(update={"constraints": constraints}))
    assert reason == f"no minimiser is known for {bounded} in the set cube"


@pytest.mark.parametrize("objective", [{"loss": "mse"}, {"label_smoothing": 0.1}, FOCAL])
def test_other_losses_in_the_ball_are_held_against_the_objective(objective: dict[str, Any]) -> None:
    signed = {"model": mlp(final_activation=False)}
    expected = predict("penultimate_ball", classes=10, radius=5.0, width=12, **objective).values
    for config in (network(objective=objective, **signed), table(objective=objective)):
        values = proved(config, DIGITS).values
        assert values["objective"] == expected["objective"]
        # In a ball of radius 5 squared error and smoothing are at their minimum before the bound is reached.
        assert ("risk" in values) == ("feature_radius" in values) == (objective is FOCAL)
    small = network(objective=objective, constraints={"features": {"radius": 0.5}}, **signed)
    shrink = math.sqrt(9 / 10) if objective == {"loss": "mse"} else 1.0  # an orthogonal frame, around its mean
    assert proved(small, DIGITS).values["feature_radius"] == pytest.approx(0.5 * shrink)
    assert "plain cross entropy" in refused(
        network(objective=objective, constraints={**FREE, "outputs": {"radius": 2.0}}), EQUAL
    )
    biased = {"head": {"bias": True}}
    uneven = (1000, *EQUAL[1:])
    assert "bias" in refused(network(objective=objective, **biased, **signed), uneven)
    assert ("non-negative" in refused(network(objective=objective, model=mlp(), **biased), EQUAL)) or objective is FOCAL
    if objective is FOCAL:
        assert "bias" in refused(network(objective=objective, **biased, **signed), EQUAL)


def test_features_in_an_lp_ball_are_judged_where_sign_vectors_are_a_simplex() -> None:
    cube = {"features": {"radius": 2.0, "p": math.inf}}
    four = (5, 5, 5, 9)
    config = network(model=mlp(widths=[16, 3], final_activation=False), constraints=cube)
    values = proved(config, four).values
    assert values["risk"] == pytest.approx(math.log1p(3 * math.exp(-2 * math.sqrt(3) * math.sqrt(4 / 3))), rel=1e-12)
    assert values["feature_radius"] == pytest.approx(2 * math.sqrt(3)) and values["nc2_etf"] == 0
    biased = network(model=mlp(widths=[16, 3], final_activation=False), constraints=cube, head={"bias": True})
    assert "class weights" in refused(biased, four)
    assert proved(biased, (5,) * 4).values == values
    smoothed = network(model=mlp(widths=[16, 3], final_activation=False), constraints=cube, objective=FOCAL)
    assert "plain cross entropy" in refused(smoothed, four)


def test_decayed_tables_of_focal_loss_and_of_squared_error_with_any_sizes() -> None:
    decays = {"weight_decay": 5e-3, "feature_decay": 1e-4}
    expected = {"head_decay": 5e-3, "feature_decay": 1e-4}
    focal = proved(table(constraints=FREE, objective={**FOCAL, **decays}), EQUAL).values
    problem = {"classes": 10, "per_class": 10, "loss": "focal", "focal_gamma": 2.0}
    assert focal["objective"] == predict("weight_decay", **problem, **expected).values["objective"]
    sizes = (30, 20, *EQUAL[2:])
    for head, free, bias in (({}, True, None), ({"bias": True}, False, "free"), ({"bias": True}, True, 5e-3)):
        objective = {"loss": "mse", "decay_biases": free, **decays}
        config = table(constraints=FREE, objective=objective, head=head)
        if isinstance(bias, float):
            assert "decayed bias" in refused(config, sizes)
        counts = EQUAL if isinstance(bias, float) else sizes
        values = proved(config, counts).values
        prediction = predict("weight_decay_mse", counts=counts, bias=bias, **expected)
        assert values["objective"] == prediction.values["objective"]
        assert "risk" not in values


UNIT = {"features": {"radius": 1.0, "set": "sphere"}, "head": {"set": "unit_rows", "temperature": 0.2}}


def test_unit_rows_and_unit_features_are_normalized_softmax() -> None:
    risk = math.log1p(9 * math.exp(-10 / 9 / 0.2))
    expected = predict("normalized_softmax", classes=10, temperature=0.2, width=12).values
    values = proved(table(constraints=UNIT), EQUAL).values
    assert values["risk"] == expected["risk"] == pytest.approx(risk, rel=1e-12)
    assert values["head_opnorm"] == pytest.approx(math.sqrt(10 / 9) / 0.2, rel=1e-12)
    longer = {**UNIT, "features": {"radius": 3.0, "set": "ball"}}
    values = proved(table(constraints=longer), EQUAL).values
    assert values["risk"] == pytest.approx(math.log1p(9 * math.exp(-30 / 9 / 0.2)), rel=1e-12)
    assert values["feature_radius"] == pytest.approx(3.0)
    network_values = proved(network(model=mlp(final_activation=False), constraints=UNIT)).values
    assert network_values["risk"] == pytest.approx(risk, rel=1e-12)
    assert "non-negative" in refused(network(model=mlp(), constraints=UNIT))
    in_mean = {**UNIT, "features": {"radius": 1.0, "set": "mean_square"}}
    assert "unit rows, and the features are bounded in the mean square" in refused(table(constraints=in_mean), EQUAL)
    narrow = refused_narrow(table(model={"name": "unconstrained", "widths": [8]}, constraints=UNIT))
    assert "width 8" in narrow


def refused_narrow(config: Config) -> str:
    (risk, *_) = expectations(config, EQUAL, width(config))
    return risk.not_applicable


def test_a_frozen_simplex_with_decayed_free_features_is_judged_with_and_without_mixup() -> None:
    frozen = {"bias": False, "init": "simplex", "trainable": False}
    for mixup in (None, 0.7):
        config = table(head=frozen, constraints=FREE, objective={"feature_decay": 1e-3, "mixup": mixup})
        expected = predict("frozen_simplex_head", classes=10, per_class=10, feature_decay=1e-3, mixup=mixup).values
        values = proved(config, EQUAL).values
        name = "risk" if mixup is None else "objective"
        assert values[name] == expected[name] and ("risk" in values) is (mixup is None)
    reasons: dict[str, dict[str, Any]] = {
        "feature decay only": {"objective": {}},
        "not at a simplex": {"head": {"bias": False, "trainable": False}},
        "without label smoothing": {"objective": {"feature_decay": 1e-3, "label_smoothing": 0.1}},
        "act together": {"constraints": {"features": {"radius": 1.0}, "head": None}},
    }
    base: dict[str, Any] = {"head": frozen, "constraints": FREE, "objective": {"feature_decay": 1e-3}}
    for reason, change in reasons.items():
        assert reason in refused_narrow(table(**{**base, **change})), reason
    assert "the class sizes differ" in expectations(table(**base), DIGITS, 12)[0].not_applicable
    learned = table(constraints=FREE, objective={"mixup": 0.7, "feature_decay": 1e-3, "weight_decay": 1e-3})
    assert "with mixup the minimiser is known for a head frozen" in refused_narrow(learned)


def test_linear_layers_on_a_table_with_one_decay() -> None:
    deep = {"name": "deep_linear", "widths": [8, 8]}
    base: dict[str, Any] = {"model": deep, "constraints": FREE, "objective": {"weight_decay": 1e-3}}
    counts = (1,) * 4
    expected = predict("deep_linear", classes=4, layers=3, decay=1e-3).values
    (judged,) = expectations(table(**base), counts, 8)
    assert judged.values["risk"] == expected["risk"] and judged.proved
    squared = {**base, "objective": {"weight_decay": 1e-3, "loss": "mse"}}
    (judged,) = expectations(table(**squared), counts, 8)
    assert (
        judged.values["objective"]
        == predict("deep_linear", classes=4, layers=3, decay=1e-3, loss="mse").values["objective"]
    )
    reasons: dict[str, dict[str, Any]] = {
        "the same coupled weight decay": {"objective": {"weight_decay": 1e-3, "head_decay": 1e-4}},
        "the features are decayed besides": {"objective": {"weight_decay": 1e-3, "feature_decay": 1e-4}},
        "the head has": {"head": {"bias": True}},
        "plain cross entropy and squared error": {"objective": {"weight_decay": 1e-3, "label_smoothing": 0.1}},
        "width 1": {"model": {"name": "deep_linear", "widths": [8, 1, 8]}},
    }
    for reason, change in reasons.items():
        assert reason in expectations(table(**{**base, **change}), counts, 8)[0].not_applicable, reason
    assert "something of lower rank" in expectations(table(**base), (1,) * 14, 20)[0].not_applicable
    bounded = table(model={"name": "deep_linear", "widths": [8, 2, 8]}, constraints={"features": {"radius": 5.0}})
    (judged,) = expectations(bounded, counts, 8)
    polygon = predict("penultimate_ball", classes=4, radius=5.0, width=2).values["risk"]
    assert judged.values["risk"] == pytest.approx(polygon, rel=1e-12), "the narrowest factor counts"
