"""What is observed of trained networks where nothing is proved: which metrics vanish, and where no simplex is seen."""

from __future__ import annotations

from collections.abc import Sequence

from nc_bench.config import Config
from nc_bench.verdicts.proved import weights_in_loss

SOURCE = "Papyan, Han & Donoho 2020; E & Wojtowytsch 2021, section 1"

MILD_IMBALANCE = 2.0
"""Largest ratio of class sizes up to which a simplex is expected where none is proved: at 2 the angles of the
layer-peeled model (Fang et al. 2021; ten classes, five of each) are off by .04, less than a network's tolerance."""

CONCENTRATED = {
    "nc1_pinv": 0.0,
    "nc1_quotient": 0.0,
    "nc1_quotient_worst": 0.0,
    "nc1_cdnv": 0.0,
    "nc1_cdnv_worst": 0.0,
    "nc1_radius": 0.0,
    "nc4_mismatch": 0.0,
    "accuracy": 1.0,
    "output_collapse": 0.0,
    "output_collapse_worst": 0.0,
    "efficiency_within": 1.0,
}
"""What Papyan, Han & Donoho (2020) observed to vanish: errors, spread within classes, and disagreement with the nearest
one; and what of the norm budget goes with it."""

SIMPLEX = {
    "simplex_efficiency": 1.0,
    "efficiency_pairs": 1.0,
    "efficiency_alignment": 1.0,
    "efficiency_isometry": 1.0,
    "efficiency_simplex": 1.0,
    "efficiency_norm": 1.0,
    "nc2_equinorm": 0.0,
    "nc2_equinorm_worst": 0.0,
    "nc2_equiangular": 0.0,
    "nc2_equiangular_worst": 0.0,
    "nc2_equidistant": 0.0,
    "nc2_equidistant_worst": 0.0,
    "nc2_etf": 0.0,
    "nc3_duality_centred": 0.0,
    "nc3_duality_centred_worst": 0.0,
    "nc3_alignment_centred": 0.0,
    "nc3_alignment_centred_worst": 0.0,
}
"""What they observed besides, on classes of equal size and with a trained head, and what it makes of the budget."""


def observed_values(config: Config, values: dict[str, float]) -> dict[str, float]:
    """Those that are defined for this run: bounded outputs are not linear in the features, and have no norm budget."""
    bounded = config.constraints.outputs is not None
    return {name: value for name, value in values.items() if not (bounded and "efficiency" in name)}


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
