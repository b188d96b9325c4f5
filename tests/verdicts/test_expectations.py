"""Which prediction speaks about which run, and why none does where none does."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from expected_runs import DIGITS, EQUAL, FREE, ORTHOGONAL_RISK, SIMPLEX_RISK, mlp, proved, refused
from small_runs import network, table

from nc_bench.config import Config
from nc_bench.config.model import ACTIVATION_RANGE
from nc_bench.models.layers import ACTIVATIONS
from nc_bench.theory import predict

NONNEGATIVE = {"nonnegative": True}


@pytest.mark.parametrize("counts", [DIGITS, EQUAL, (1000, *EQUAL[1:])])
@pytest.mark.parametrize("config", [network(), table()])
def test_bounded_features_and_head(config: Config, counts: tuple[int, ...]) -> None:
    values = proved(config, counts).values
    assert values["risk"] == pytest.approx(SIMPLEX_RISK, rel=1e-14)
    assert values["feature_radius"] == pytest.approx(5.0) and values["head_opnorm"] == pytest.approx(1.0)
    assert values["centre_offset"] == values["nc2_equiangular"] == values["nc1_pinv"] == 0
    assert values["simplex_efficiency"] == pytest.approx(1.0, rel=1e-14)


def test_radii_are_the_configurations() -> None:
    values = proved(network(constraints={"features": {"radius": 3.0}, "head": {"radius": 0.5}}), (7,) * 4).values
    assert values["risk"] == pytest.approx(math.log1p(3 * math.exp(-1.5 * math.sqrt(4 / 3))), rel=1e-14)


@pytest.mark.parametrize("bias", [False, True])
def test_bounded_features_that_end_in_relu(bias: bool) -> None:
    values = proved(network(model=mlp(), head={"bias": bias})).values
    assert values["risk"] == pytest.approx(ORTHOGONAL_RISK, rel=1e-14)
    assert values["centre_offset"] == pytest.approx(1 / math.sqrt(10))


def test_a_bounded_table_of_non_negative_features() -> None:
    config = table(model={"name": "unconstrained", "widths": [12], "nonnegative": True})
    assert proved(config, EQUAL).values["risk"] == pytest.approx(ORTHOGONAL_RISK, rel=1e-14)
    unequal = predict("penultimate_ball", classes=10, radius=5.0, nonnegative=True, class_weights=DIGITS, width=12)
    assert proved(config, DIGITS).values["risk"] == unequal.values["objective"]


def test_class_sizes_enter_a_table_exactly_and_a_network_where_they_differ_much() -> None:
    """With a bias or non-negative features the least risk depends on them."""
    uneven = (1000, *DIGITS[1:])
    for config, options in ((network(head={"bias": True}), {"bias": True}), (network(model=mlp()), NONNEGATIVE)):
        assert proved(config, DIGITS).values["risk"] == proved(config, EQUAL).values["risk"]
        unequal = predict("penultimate_ball", classes=10, radius=5.0, class_weights=uneven, **options)
        values = proved(config, uneven).values
        assert values["risk"] == unequal.values["objective"] != proved(config, EQUAL).values["risk"]
        assert "objective" not in values and ("nc2_etf" in values) == (not config.head.bias)
    biased = table(head={"bias": True})
    assert proved(biased, EQUAL).values["risk"] == pytest.approx(SIMPLEX_RISK, rel=1e-14)
    assert 0 < 1 - proved(biased, DIGITS).values["risk"] / SIMPLEX_RISK < 1e-2


def test_weights_of_classes_make_the_objective_the_judged_number() -> None:
    """The recorded objective is the weighted mean loss, and the risk the plain one."""
    weighted = table(objective={"class_weights": [10.0, 1.0, 1.0, 1.0]}, head={"bias": True})
    values = proved(weighted, (5, 5, 5, 10)).values
    unequal = predict("penultimate_ball", classes=4, radius=5.0, bias=True, class_weights=(50, 5, 5, 10))
    assert values["objective"] == unequal.values["objective"]
    assert "risk" not in values


@pytest.mark.parametrize(
    ("width", "model", "reason"),
    [(4, {"final_activation": False}, "4"), (9, {"final_activation": True}, "9")],
)
def test_features_too_narrow_for_the_simplex(width: int, model: dict[str, Any], reason: str) -> None:
    assert reason in refused(network(model=mlp(widths=[16, width], **model)))
    assert proved(network(model=mlp(widths=[16, width + 1], **model)))


def test_features_of_eight_dimensions_hold_two_simplices_of_five() -> None:
    values = proved(network(model=mlp(widths=[16, 8], final_activation=False))).values
    expected = predict("penultimate_ball", classes=10, radius=5.0, width=8).values
    assert values["risk"] == expected["risk"] > SIMPLEX_RISK
    assert values["simplex_efficiency"] < 1 and values["nc2_equiangular"] == expected["nc2_equiangular"]
    assert "nc2_etf" not in values and "objective" not in values


@pytest.mark.parametrize("activation", ["tanh", "hard_tanh", "sigmoid", "gelu"])
def test_activations_that_do_not_reach_the_whole_ball(activation: str) -> None:
    reason = refused(network(model=mlp(activation=activation)))
    assert reason.startswith("every entry of the features lies between ")
    assert reason.endswith("do not fill the ball of radius 5")
    assert proved(network(model=mlp(activation=activation, final_activation=False))).values["centre_offset"] == 0


@pytest.mark.parametrize(("activation", "centred"), [("tanh", True), ("hard_tanh", True), ("sigmoid", False)])
def test_in_a_small_ball_saturation_is_not_felt(activation: str, centred: bool) -> None:
    config = network(model=mlp(activation=activation), constraints={"features": {"radius": 1.0}})
    assert (proved(config).values["centre_offset"] == 0) is centred
    assert refused(network(model=mlp(activation=activation), constraints={"features": {"radius": 1.01}}))


def test_leaky_relu_reaches_everything() -> None:
    assert proved(network(model=mlp(activation="leaky_relu"))).values["risk"] == pytest.approx(SIMPLEX_RISK)


def test_the_ranges_of_the_activations() -> None:
    x = torch.linspace(-50, 50, 1_000_001, dtype=torch.float64)
    assert ACTIVATION_RANGE.keys() == ACTIVATIONS.keys()
    for name, (low, high) in ACTIVATION_RANGE.items():
        y = ACTIVATIONS[name]()(x)
        # Of an unbounded activation the values go on with the slope of 1/100 or more.
        assert float(y.min()) == pytest.approx(low, abs=1e-5) if math.isfinite(low) else float(y.min()) < -0.4
        assert float(y.max()) == pytest.approx(high, abs=1e-5) if math.isfinite(high) else float(y.max()) > 40


@pytest.mark.parametrize("config", [network, table])
def test_bounded_outputs(config: Any) -> None:
    ends = {1.0: math.log1p(9 * math.exp(-2)), math.inf: math.log1p(9 * math.exp(-4))}
    for p, expected in {2.0: 0.738657592, 3.0: 0.586694377, **ends}.items():
        values = proved(config(constraints={**FREE, "outputs": {"radius": 2.0, "p": p}})).values
        assert values["risk"] == pytest.approx(expected, rel=1e-8)
        assert values["output_collapse"] == 0
        assert not any(name.startswith(("nc1", "nc2", "nc3")) for name in values)


def test_outputs_of_a_narrow_network_do_not_reach_their_simplex() -> None:
    outputs = {**FREE, "outputs": {"radius": 2.0}}
    signed = {"activation": "tanh"}
    assert "8" in refused(network(model=mlp(widths=[8], **signed), constraints=outputs))
    assert proved(network(model=mlp(widths=[9], **signed), constraints=outputs))


def test_non_negative_features_need_a_dimension_more_or_a_bias_for_the_optimal_outputs() -> None:
    """With K - 1 of them some combination of the K features vanishes, which of the outputs is their sum alone: the
    features would sum to zero."""
    outputs = {**FREE, "outputs": {"radius": 2.0}}
    assert "non-negative features need 10" in refused(network(model=mlp(widths=[9]), constraints=outputs))
    assert proved(network(model=mlp(widths=[10]), constraints=outputs))
    assert proved(network(model=mlp(widths=[9]), constraints=outputs, head={"bias": True}))


def test_decayed_tables_of_equal_class_sizes() -> None:
    objective = {"weight_decay": 5e-3, "feature_decay": 1e-4, "decay_biases": False}
    for bias in (False, True):
        config = table(head={"bias": bias}, constraints=FREE, objective=objective)
        values = proved(config, EQUAL).values
        share = 9 * math.sqrt(10 * 5e-7)
        margin = math.log(9 * (1 - share) / share)
        assert values["risk"] == pytest.approx(-math.log(1 - share), rel=1e-12)
        assert values["head_opnorm"] == pytest.approx(math.sqrt(margin * math.sqrt(10 * 1e-4 / 5e-3)), rel=1e-12)
        assert refused(config, DIGITS) == "the class sizes differ (135 to 143)"


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (network(head={"trainable": False}), "the head is frozen"),
        (network(constraints={"outputs": {"radius": 2.0}}), "the outputs are bounded and something else is too"),
        (
            network(constraints={"features": {"radius": 5.0, "p": 3.0}}, model=mlp(final_activation=False)),
            "the features are bounded in l^3 in 12 dimensions: the risk is at least ",
        ),
        (
            network(constraints={"features": {"radius": 5.0, "p": 1.5}}, model=mlp(final_activation=False)),
            "p = 1.5: below 2 the smallest risk is a conjecture only for 10 classes",
        ),
        (
            network(constraints={"features": {"radius": 5.0, "p": 3.0}}, model=mlp()),
            "the features are bounded in l^3 and non-negative",
        ),
        (network(objective={"weight_decay": 0.1}), "norm bounds and decay act together"),
        (network(objective={"feature_decay": 0.1}), "norm bounds and decay act together"),
        (
            network(optimizer={"name": "adamw", "lr": 0.1, "decoupled_decay": 0.1}),
            "norm bounds and decay act together",
        ),
        (network(constraints={"head": None}), "only one of features and head is bounded"),
        (network(constraints={"features": None}), "only one of features and head is bounded"),
        (network(constraints=FREE), "nothing bounds the norms, so the risk has no minimiser"),
        (
            table(constraints=FREE, objective={"loss": "exponential", "weight_decay": 0.1, "feature_decay": 0.1}),
            "no minimiser is known for the exponential loss",
        ),
        (
            network(objective={"loss": "exponential"}),
            "under norm bounds no minimiser is known for the exponential loss",
        ),
        (table(constraints=FREE, objective={"loss": "mse"}), "without bounds or decay the loss does not determine"),
        (network(constraints=FREE, objective={"label_smoothing": 0.1}), "without bounds or decay the loss does not"),
        (network(constraints=FREE, objective={"weight_decay": 0.1}), "weight decay acts on every layer"),
        (
            network(constraints=FREE, optimizer={"name": "sgd", "lr": 0.1, "decoupled_decay": 0.1}),
            "weight decay acts on every layer",
        ),
        (
            table(constraints=FREE, objective={"weight_decay": 0.1}),
            "the objective does not decay both the head and the features",
        ),
        (
            table(constraints=FREE, head={"bias": True}, objective={"weight_decay": 0.1, "feature_decay": 0.1}),
            "the bias is decayed too",
        ),
    ],
)
def test_why_nothing_is_predicted(config: Config, reason: str) -> None:
    assert refused(config, EQUAL).startswith(reason)


@pytest.mark.parametrize("config", [network(), table(), network(constraints={**FREE, "outputs": {"radius": 2.0}})])
def test_an_empty_class_has_no_prediction(config: Config) -> None:
    assert refused(config, (10, 10, 0, 10)) == "class 2 has no samples"


def test_class_weights_count_like_class_sizes() -> None:
    weighted = {"class_weights": [10.0, 1.0, 1.0, 1.0]}
    bounded = table(objective=weighted)
    assert proved(bounded, (5,) * 4).values["risk"] == proved(table(), (5,) * 4).values["risk"]
    assert "risk" not in proved(table(objective=weighted, head={"bias": True}), (5,) * 4).values
    assert proved(table(objective=weighted, head={"bias": True}), (1, 10, 10, 10)).values["risk"] > 0
    decayed = {"weight_decay": 0.1, "feature_decay": 0.1, **weighted}
    assert "weights" in refused(table(constraints=FREE, objective=decayed), (5,) * 4)


def test_decayed_tables_of_other_losses() -> None:
    decays = {"weight_decay": 5e-3, "feature_decay": 1e-4}
    share = math.sqrt(10 * 5e-7)
    squared = proved(table(constraints=FREE, objective={"loss": "mse", **decays}), EQUAL).values
    assert squared["margin"] == pytest.approx(1 - 10 * share, rel=1e-12)
    smoothed = proved(table(constraints=FREE, objective={"label_smoothing": 0.1, **decays}), EQUAL).values
    wrong = 0.09 + 9 * share
    assert smoothed["margin"] == pytest.approx(math.log(9 * (1 - wrong) / wrong), rel=1e-12)
