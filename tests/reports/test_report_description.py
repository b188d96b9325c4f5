"""What was run, in one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from small_runs import network, table

from nc_bench import Run
from nc_bench.config.objective import CAPTIONS
from nc_bench.reports.description import describe


@pytest.mark.parametrize("loss", ["cross_entropy", *sorted(CAPTIONS.keys() - {"not_stated"})])
def test_a_caption_names_every_loss_but_the_usual(loss: str, make_run: Callable[..., Run]) -> None:
    gamma = {"focal_gamma": 2.0} if loss == "focal" else {}
    said = describe(make_run(name=loss, config={"objective": {"loss": loss, **gamma}}))
    usual = describe(make_run())
    assert (said == usual) == (loss == "cross_entropy")


def test_what_was_chosen_of_the_data_is_said(make_run: Callable[..., Run]) -> None:
    balance = {"name": "step", "ratio": 10, "minority_classes": 2}
    config = {"data": {"keep_classes": [4, 1, 3], "balance": balance, "label_noise": 0.1}}
    assert describe(make_run(config=config)).startswith(
        "digits (3 of its classes, 2 minority classes 10 times smaller, 10 % of the training labels are wrong); "
    )


def test_a_caption_says_where_the_weights_came_from(make_run: Callable[..., Run]) -> None:
    assert describe(make_run(config={"training": {"warm_start": "runs/before"}})).endswith(
        "seed 0, from the weights of runs/before"
    )


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"name": "mlp", "widths": [8, 4], "batch_norm": True}, "network 8-4, batch norm, relu features"),
        ({"name": "mlp", "widths": [8], "final_activation": False}, "network 8, linear features"),
        ({"name": "mlp", "widths": [8, 4], "activation": "identity"}, "linear network 8-4"),
        ({"name": "resnet18"}, "resnet18 with a 3x3 stem"),
        (
            {"name": "resnet50", "stem": "imagenet", "width_multiplier": 0.25},
            "resnet50 with the ImageNet stem, 0.25 times as wide",
        ),
        ({"name": "timm:convnext_tiny"}, "convnext_tiny of timm"),
    ],
)
def test_models(model: dict[str, Any], words: str) -> None:
    assert network(model=model).model.sentence() == words


def test_tables() -> None:
    assert table().model.sentence() == "unconstrained features of width 12"
    model = {"name": "unconstrained", "widths": [3], "nonnegative": True}
    assert table(model=model).model.sentence() == "unconstrained features of width 3, non-negative"
