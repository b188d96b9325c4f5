"""What was run, in one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import pytest

from nc_bench.config.objective import Objective
from nc_bench.reports.description import describe
from nc_bench.runs import Run


@pytest.mark.parametrize("loss", get_args(Objective.model_fields["loss"].annotation))
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
