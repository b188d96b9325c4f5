"""What optimizers, objectives and schedules say about themselves, which code asks for instead of their names."""

from __future__ import annotations

from typing import Any

import pytest
from config_files import made

from nc_bench.config import Config, Objective, Optimizer, Schedule, flatten, shared_settings

SGD, ADAM = {"name": "sgd", "lr": 0.5}, {"name": "adam", "lr": 0.5}
ADAMW = {"name": "adamw", "lr": 0.5, "decoupled_decay": 0.25}
SIGNUM, MUON = {"name": "signum", "lr": 0.5}, {"name": "muon", "lr": 0.5, "adamw_lr": 0.125}
LBFGS = {"name": "lbfgs"}
FIRST_ORDER = {"lr", "backbone_lr_factor", "clip_norm"}
DECOUPLED, ADAPTIVE = {"decoupled_decay", "decoupled_head_decay"}, {"betas", "eps"}


@pytest.mark.parametrize(
    ("settings", "stacked", "full_batch", "projection", "only_decoupled", "matrices", "rests", "per_trial"),
    [
        (SGD, True, False, True, False, False, True, FIRST_ORDER | DECOUPLED | {"momentum"}),
        (ADAM, True, False, True, False, False, True, FIRST_ORDER | ADAPTIVE),
        (ADAMW, True, False, True, True, False, False, FIRST_ORDER | ADAPTIVE | DECOUPLED),
        (SIGNUM, True, False, True, False, False, False, FIRST_ORDER | DECOUPLED | {"momentum"}),
        (
            MUON,
            True,
            False,
            True,
            True,
            True,
            False,
            FIRST_ORDER | ADAPTIVE | DECOUPLED | {"adamw_lr", "momentum"},
        ),
        (LBFGS, False, True, False, False, False, True, {"lr"}),
    ],
    ids=lambda value: value.get("name", "") if isinstance(value, dict) else "",
)
def test_optimizers(
    settings: dict[str, Any],
    stacked: bool,
    full_batch: bool,
    projection: bool,
    only_decoupled: bool,
    matrices: bool,
    rests: bool,
    per_trial: set[str],
) -> None:
    optimizer = made(Optimizer, **settings)
    assert (optimizer.not_stacked == "") is stacked
    assert optimizer.full_batch_only is full_batch
    assert optimizer.allows_projection is projection
    assert optimizer.decays_only_decoupled is only_decoupled
    assert optimizer.for_hidden_matrices is matrices
    assert optimizer.rests_at_zero_gradient is rests
    assert optimizer.per_trial == per_trial <= set(type(optimizer).model_fields)


@pytest.mark.parametrize(
    ("settings", "decays", "acting", "words"),
    [
        (SGD, (0.0, 0.0), 0.5, []),
        (SGD | {"decoupled_decay": 0.5, "momentum": 0.75}, (0.5, 0.5), 0.625, ["decoupled decay 0.5"]),
        (
            SGD | {"decoupled_decay": 0.5, "decoupled_head_decay": 0.25},
            (0.5, 0.25),
            0.75,
            ["decoupled decay 0.5", "decoupled decay of the head 0.25"],
        ),
        (ADAM, (0.0, 0.0), 0.5, []),
        (ADAMW, (0.25, 0.25), 0.5, ["decoupled decay 0.25"]),
        (SIGNUM | {"decoupled_head_decay": 0.0}, (0.0, 0.0), 0.5, ["decoupled decay of the head 0"]),
        (LBFGS, (0.0, 0.0), 0.5, []),
    ],
)
def test_decays(settings: dict[str, Any], decays: tuple[float, float], acting: float, words: list[str]) -> None:
    optimizer = made(Optimizer, **settings)
    assert optimizer.decoupled_decays == decays
    assert optimizer.acting_head_decay(0.5) == acting
    assert optimizer.decay_sentences() == words


def test_learning_rates() -> None:
    sgd = made(Optimizer, **SGD, backbone_lr_factor=4.0)
    muon = made(Optimizer, **MUON, backbone_lr_factor=4.0)
    lbfgs = made(Optimizer, **LBFGS)
    places = [(False, False), (True, False), (True, True)]
    rates = [
        [kind.learning_rate(in_backbone=inside, is_hidden_matrix=matrix) for inside, matrix in places]
        for kind in (sgd, muon, lbfgs)
    ]
    assert rates == [[0.5, 2.0, 2.0], [0.125, 0.5, 2.0], [1.0, 1.0, 1.0]]


def test_clipping() -> None:
    assert [made(Optimizer, **settings, clip_norm=2).max_gradient_norm for settings in (SGD, MUON)] == [2.0, 2.0]
    assert [made(Optimizer, **settings).max_gradient_norm for settings in (SGD, LBFGS)] == [None, None]


@pytest.mark.parametrize(
    ("settings", "cross_entropy", "two_classes", "minimizer", "words"),
    [
        ({}, True, False, True, []),
        ({"label_smoothing": 0.5}, True, False, True, ["label smoothing 0.5"]),
        ({"loss": "focal", "focal_gamma": 0}, False, False, True, ["focal loss", "gamma 0"]),
        ({"loss": "mse", "mse_target": 2}, False, False, True, ["squared error", "true class weighted 1, target 2"]),
        ({"loss": "exponential", "head_decay": 0}, False, True, False, ["exponential loss", "decay of the head 0"]),
    ],
)
def test_objectives(
    settings: dict[str, Any], cross_entropy: bool, two_classes: bool, minimizer: bool, words: list[str]
) -> None:
    objective = Objective.model_validate(settings)
    assert objective.is_cross_entropy is cross_entropy
    assert objective.is_for_two_classes is two_classes
    assert objective.has_known_minimizer is minimizer
    assert objective.is_rescaled is ("mse_target" in settings)
    assert objective.sentences() == words
    assert objective.problems() == []


def test_schedules() -> None:
    constant, steps, cosine = (
        made(Schedule, **settings)
        for settings in (
            {"name": "constant"},
            {"name": "multi_step", "milestones": [0.5, 0.75], "factor": 0.5},
            {"name": "cosine"},
        )
    )
    assert [constant.after_warmup(step, 0, 4) for step in range(4)] == [1, 1, 1, 1]
    assert [steps.after_warmup(step, 0, 4) for step in range(4)] == [1, 1, 0.5, 0.25]
    assert [cosine.after_warmup(step, 2, 6) for step in (0, 2, 4)] == pytest.approx([1, 1, 0.5])


def test_stacked_trials_agree_in_all_but_numbers() -> None:
    config = Config.model_validate(
        {
            "data": {"name": "digits"},
            "model": {"name": "mlp", "widths": [4]},
            "optimizer": SGD,
            "constraints": {"features": {"radius": 1}, "head": {"radius": 1}, "outputs": {"radius": 1}},
            "training": {"epochs": 1, "batch_size": None},
        }
    )
    objective = {"class_weights", "feature_decay", "focal_gamma", "head_decay", "label_smoothing", "mixup"}
    objective |= {"mse_target", "mse_true_weight", "weight_decay"}
    numbers = {
        "seed",
        *(f"data.{key}" for key in ("label_noise", "labels")),
        *(f"constraints.{key}.radius" for key in ("features", "head", "outputs")),
        "constraints.head.temperature",
        *(f"objective.{key}" for key in objective),
        *(f"optimizer.{key}" for key in FIRST_ORDER | DECOUPLED | {"momentum"}),
    }
    assert flatten(config).keys() - shared_settings(config).keys() == numbers
    assert shared_settings(config).keys() < flatten(config).keys()
