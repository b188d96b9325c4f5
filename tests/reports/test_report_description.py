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
    said = describe(make_run(name=loss, config={"objective": {"loss": loss}}))
    usual = describe(make_run())
    assert (said == usual) == (loss == "cross_entropy")
