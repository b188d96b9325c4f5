"""What each class of the configuration says about itself, which the rest of the code asks for instead of its name."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter

import nc_bench
from nc_bench.config import (
    Balance,
    Config,
    Data,
    ExponentialBalance,
    ExternalModel,
    Mlp,
    Model,
    Objective,
    Optimizer,
    ResNet,
    Schedule,
    Unconstrained,
    flatten,
    shared_settings,
)
from nc_bench.config.base import Section
from nc_bench.config.model import ACTIVATION_RANGE

EVERYTHING, NONNEGATIVE = (-math.inf, math.inf), (0.0, math.inf)


def classes_in(union: Any) -> Iterator[type[Section]]:
    """The sections of a union, without their tags."""
    for part in get_args(union):
        yield part if isinstance(part, type) else get_args(part)[0]


def names_in(union: Any) -> Iterator[str]:
    """The names that choose them."""
    for kind in classes_in(union):
        yield from get_args(kind.model_fields["name"].annotation)


def made(union: Any, **settings: Any) -> Any:
    """The section of a union that its name chooses."""
    return TypeAdapter(union).validate_python(settings)


@pytest.mark.parametrize(
    ("section", "stacked", "table", "images", "linear", "features_range", "nonnegative", "batch_statistics"),
    [
        (Mlp(name="mlp", widths=(8, 4)), True, False, False, False, NONNEGATIVE, True, False),
        (Mlp(name="mlp", widths=(8, 4), batch_norm=True), True, False, False, False, NONNEGATIVE, True, True),
        (Mlp(name="mlp", widths=(4,), activation="tanh"), True, False, False, False, (-1.0, 1.0), False, False),
        (Mlp(name="mlp", widths=(4,), activation="sigmoid"), True, False, False, False, (0.0, 1.0), True, False),
        (Mlp(name="mlp", widths=(8, 4), activation="identity"), True, False, False, True, EVERYTHING, False, False),
        (Mlp(name="mlp", widths=(8, 4), final_activation=False), True, False, False, False, EVERYTHING, False, False),
        (Mlp(name="mlp", widths=(4,), final_activation=False), True, False, False, True, EVERYTHING, False, False),
        (Unconstrained(name="unconstrained", widths=(4,)), True, True, False, False, EVERYTHING, False, False),
        (
            Unconstrained(name="unconstrained", widths=(4,), nonnegative=True),
            True,
            True,
            False,
            False,
            NONNEGATIVE,
            True,
            False,
        ),
        (ResNet(name="resnet18"), False, False, True, False, NONNEGATIVE, True, True),
        (ResNet(name="resnet34"), False, False, True, False, NONNEGATIVE, True, True),
        (ResNet(name="resnet50"), False, False, True, False, NONNEGATIVE, True, True),
        (ExternalModel(name="timm:resnet18"), False, False, True, None, None, False, None),
        (ExternalModel(name="torchvision:vgg11"), False, False, True, None, None, False, None),
    ],
)
def test_models(
    section: Any,
    stacked: bool,
    table: bool,
    images: bool,
    linear: bool | None,
    features_range: tuple[float, float] | None,
    nonnegative: bool,
    batch_statistics: bool | None,
) -> None:
    assert (section.not_stacked == "") is stacked
    assert section.is_feature_table is table
    assert section.takes_images is images
    assert section.is_linear is linear
    assert section.features_range == features_range
    assert section.has_nonnegative_features is nonnegative
    assert section.uses_batch_statistics is batch_statistics


def test_every_activation_has_a_range() -> None:
    for activation, (low, high) in ACTIVATION_RANGE.items():
        network = Mlp.model_validate({"name": "mlp", "widths": [4], "activation": activation})
        assert network.features_range == (low, high)
    assert Mlp.model_json_schema()["properties"]["activation"]["enum"] == list(ACTIVATION_RANGE)


@pytest.mark.parametrize(
    ("name", "factor", "channels", "width"),
    [
        ("resnet18", 1.0, (64, 128, 256, 512), 512),
        ("resnet34", 0.25, (16, 32, 64, 128), 128),
        ("resnet50", 1.0, (64, 128, 256, 512), 2048),
        ("resnet50", 0.001, (1, 1, 1, 1), 4),
    ],
)
def test_widths_of_residual_networks(name: Any, factor: float, channels: tuple[int, ...], width: int) -> None:
    network = ResNet(name=name, width_multiplier=factor)
    assert (network.channels, network.features_width) == (channels, width)
    assert network.has_bottlenecks is (name == "resnet50")


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


CLOUDS = {"classes": 3, "dimension": 4, "samples_per_class": 5}


@pytest.mark.parametrize(
    ("settings", "noise", "kept", "chosen", "augments", "words"),
    [
        ({"name": "digits"}, False, None, (None, None), False, []),
        (
            {"name": "digits", "keep_classes": [1, 0], "samples_per_class": 7},
            False,
            (1, 0),
            (7, None),
            False,
            ["2 of its classes"],
        ),
        (
            {"name": "cifar10", "augment": {"flip": True, "crop_padding": 4}, "test_samples_per_class": 3},
            False,
            None,
            (None, 3),
            True,
            ["flipped", "cropped at random"],
        ),
        ({"name": "image_folder"}, False, None, (None, None), False, []),
        (
            {"name": "gaussian_mixture", "separation": 2, **CLOUDS},
            False,
            None,
            (None, None),
            False,
            ["3 classes in 4 dimensions"],
        ),
        ({"name": "noise", **CLOUDS}, True, None, (None, None), False, ["3 classes in 4 dimensions"]),
    ],
    ids=lambda value: value.get("name", "") if isinstance(value, dict) else "",
)
def test_data(
    settings: dict[str, Any],
    noise: bool,
    kept: tuple[int, ...] | None,
    chosen: tuple[int | None, int | None],
    augments: bool,
    words: list[str],
) -> None:
    data = made(Data, **settings)
    assert data.inputs_are_noise is noise and data.has_random_labels is noise
    assert made(Data, **settings, labels="uniform").has_random_labels
    assert data.kept_classes == kept
    assert data.chosen_per_class == chosen
    assert data.augments is augments
    assert data.sentences() == words


def test_folders_of_test_images() -> None:
    folders = [made(Data, name=name).test_folder for name in ("image_folder", "imagenet")]
    assert folders == ["test", "val"]


@pytest.mark.parametrize(
    ("settings", "sizes", "problem"),
    [
        ({"name": "full"}, (9, 6, 8), ""),
        ({"name": "step", "ratio": 2, "minority_classes": 1}, (6, 6, 3), ""),
        ({"name": "exponential", "ratio": 4}, (6, 3, 2), ""),
        ({"name": "counts", "counts": [5, 4, 3]}, (5, 4, 3), ""),
        (
            {"name": "step", "ratio": 2, "minority_classes": 3},
            None,
            "minority_classes: 3 of 3 classes leave no majority",
        ),
        ({"name": "counts", "counts": [5, 4]}, None, "counts: 2 given, but the data has 3 classes"),
    ],
)
def test_class_sizes(settings: dict[str, Any], sizes: tuple[int, ...] | None, problem: str) -> None:
    balance = made(Balance, **settings)
    assert balance.problem(3) == problem
    if sizes is not None:
        assert balance.sizes((9, 6, 8)) == sizes
    assert (balance.sentence() == "") is (settings["name"] == "full")


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
    objective = {"class_weights", "feature_decay", "focal_gamma", "head_decay", "label_smoothing"}
    objective |= {"mse_target", "mse_true_weight", "weight_decay"}
    numbers = {
        "seed",
        *(f"data.{key}" for key in ("label_noise", "labels")),
        *(f"constraints.{key}.radius" for key in ("features", "head", "outputs")),
        *(f"objective.{key}" for key in objective),
        *(f"optimizer.{key}" for key in FIRST_ORDER | DECOUPLED | {"momentum"}),
    }
    assert flatten(config).keys() - shared_settings(config).keys() == numbers
    assert shared_settings(config).keys() < flatten(config).keys()


def test_exponential_sizes_are_rounded() -> None:
    assert ExponentialBalance(name="exponential", ratio=3).sizes((10, 10, 10, 10)) == (10, 7, 5, 3)


PACKAGE = Path(nc_bench.__file__).parent
CLASSES = {kind.__name__ for union in (Data, Model, Optimizer, Schedule, Balance) for kind in classes_in(union)}
CHOICES = {name for union in (Data, Optimizer, Schedule, Balance) for name in names_in(union)} | {
    *Objective.model_json_schema()["properties"]["loss"]["enum"],
    *ACTIVATION_RANGE,
    "mlp",
    "unconstrained",
    "resnet50",
}
MAY_ASK = {
    "claims/laws.py": "a law of SGD",
    "data/load.py": "images are held or read by what the settings of stored images say",
    "theory/penultimate.py": "its loss is a keyword of predict: theory knows no configuration",
    "training/optimizers/build.py": "builds each optimizer",
}
"""Where code may ask which class a section is: where things are built from their settings."""


def questions(source: str) -> Iterator[int]:
    """Lines that ask for the class of a section, or compare a choice with a name."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Name(id="isinstance"), args=[_, kinds]):
                if {part.id for part in ast.walk(kinds) if isinstance(part, ast.Name)} & CLASSES:
                    yield node.lineno
            case ast.MatchClass(cls=ast.Name(id=kind)) if kind in CLASSES:
                yield node.lineno
            case ast.Compare(left=ast.Attribute(attr="name" | "loss" | "activation"), comparators=[other]):
                if {part.value for part in ast.walk(other) if isinstance(part, ast.Constant)} & CHOICES:
                    yield node.lineno


def test_code_asks_for_facts_and_not_for_classes_or_names() -> None:
    assert list(questions("isinstance(x, Sgd | Muon)")) == [1]
    assert list(questions("match x:\n  case Mlp(): pass")) == [2]
    assert list(questions("objective.loss != 'mse'")) == list(questions("d.name in ('digits', 'x')")) == [1]
    assert list(questions("isinstance(x, Tensor) and error.name != 'timm'")) == []
    found = {
        str(path.relative_to(PACKAGE)): lines
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.parent.name != "config" and (lines := list(questions(path.read_text())))
    }
    assert found.keys() == MAY_ASK.keys(), found
