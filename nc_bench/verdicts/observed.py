"""What is observed of trained networks where nothing is proved: which metrics vanish, and where no simplex is seen."""

from __future__ import annotations

from collections.abc import Sequence

from nc_bench.config import Config
from nc_bench.verdicts.proved import weights_in_loss

SOURCE = "Papyan, Han & Donoho 2020; E & Wojtowytsch 2021, section 1"

MILD_IMBALANCE = 2.0
"""Largest ratio of class sizes up to which a simplex is expected where none is proved: at 2 the angles of the
layer-peeled model (Fang et al. 2021; ten classes, five of each) are off by .04, less than a network's tolerance."""

CONCENTRATED = ("nc1_pinv", "nc1_quotient", "nc1_cdnv", "nc1_radius", "nc4_mismatch", "output_collapse")
"""What Papyan, Han & Donoho (2020) observed to vanish: spread within classes, and disagreement with the nearest one."""

SIMPLEX = (
    "nc2_equinorm",
    "nc2_equiangular",
    "nc2_equidistant",
    "nc2_etf",
    "nc3_duality_centred",
    "nc3_alignment_centred",
)
"""What they observed to vanish besides, on classes of equal size and with a trained head."""


def no_simplex(config: Config, counts: Sequence[int], width: int) -> str:
    """Why no simplex of class means and head rows has been observed in such runs, "" if it has."""
    weights = weights_in_loss(config, counts)
    if width < len(counts) - 1:
        return f"{width} dimensions do not hold a simplex of {len(counts)} classes"
    if not config.head.trainable and config.head.init != "simplex":
        return "the head is frozen, and not at a simplex"
    if max(weights) > MILD_IMBALANCE * min(weights):
        return "a simplex is observed for classes of about equal size and weight"
    return ""
