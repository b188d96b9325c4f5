"""All claims, in the order in which they are checked, and the figures that show them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from matplotlib.figure import Figure

from nc_bench.claims import (
    decay,
    figures,
    final_layer,
    frozen_head,
    imbalance,
    laws,
    nonnegative,
    penultimate,
    seli,
    three_neurons,
    two_layer,
)
from nc_bench.claims.claim import Claim
from nc_bench.claims.imbalance_figure import imbalance_figure

FIGURES: Mapping[str, Callable[[], Figure]] = {**figures.FIGURES, "imbalance.png": imbalance_figure}
"""What draws which file."""


def claims() -> list[Claim]:
    """The claims of every topic. Listing them solves nothing."""
    topics = (
        final_layer,
        penultimate,
        nonnegative,
        decay,
        frozen_head,
        imbalance,
        seli,
        two_layer,
        three_neurons,
        laws,
    )
    return [claim for topic in topics for claim in topic.claims()]
