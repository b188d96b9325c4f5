"""What the sections of models say about themselves, which the rest of the code asks for instead of their names."""

from __future__ import annotations

import math
from typing import Any

import pytest

from nc_bench.config import DeepLinear, ExternalModel, Mlp, ResNet, Unconstrained
from nc_bench.config.model import ACTIVATION_RANGE

EVERYTHING, NONNEGATIVE = (-math.inf, math.inf), (0.0, math.inf)


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
        (DeepLinear(name="deep_linear", widths=(8, 4)), True, False, False, False, EVERYTHING, False, False),
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


def test_models_of_free_samples_take_their_numbers_as_inputs_and_linear_layers_say_their_widths() -> None:
    free = [Unconstrained(name="unconstrained", widths=(4,)), DeepLinear(name="deep_linear", widths=(8, 3, 4))]
    assert [model.takes_indices for model in (*free, Mlp(name="mlp", widths=(4,)))] == [True, True, False]
    assert [model.linear_widths for model in (*free, Mlp(name="mlp", widths=(4,)))] == [(), (8, 3, 4), ()]
