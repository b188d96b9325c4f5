"""What random directions score: the column without which no NC2 or NC3 value can be read."""

from __future__ import annotations

import math

import torch

from nc_bench.metrics.assembly import mean_values, weight_values
from nc_bench.metrics.class_tables import ClassTables
from nc_bench.metrics.head import Head

NULL_NAMES = (
    "nc2_equinorm",
    "nc2_equinorm_w",
    "nc2_equinorm_w_centred",
    "nc2_equiangular",
    "nc2_equiangular_w",
    "nc2_equiangular_w_centred",
    "nc2_equidistant",
    "nc2_etf",
    "nc3_duality",
    "nc3_duality_centred",
    "nc3_alignment",
    "nc3_alignment_centred",
    "centre_offset",
    "isometry_defect",
)
"""Metrics that say nothing unless they are below the value of random class means and weights."""

ROWS, SEED = 2000, 0


def null_baseline(classes: int, width: int) -> dict[str, float]:
    """Mean of each metric in NULL_NAMES over independent Gaussian class means and head rows (K, d).

    Monte Carlo with a fixed seed: 2,000 class means in all and at least 2 draws, because the more classes a draw
    has the less it varies: about 2 % of the value for nc2_equinorm, less for most others. NaN where undefined
    (one class; isometry_defect where d < K-1). For many dimensions: nc2_equinorm 1/sqrt(2 d), nc2_equiangular
    sqrt(2/(pi d)), nc3_duality sqrt(2), nc3_alignment 1, centre_offset 1/sqrt(K) (METRICS.md).
    """
    if classes < 2:
        return dict.fromkeys(NULL_NAMES, math.nan)
    draws = max(2, ROWS // classes)
    random = torch.Generator().manual_seed(SEED)
    means, weight = torch.randn(2, draws, classes, width, generator=random, dtype=torch.float64)
    tables = ClassTables(means, means.new_ones(draws, classes), Head(weight=weight))
    assert tables.head is not None
    values = mean_values(tables) | weight_values(tables, tables.head)
    if width < classes - 1:
        values["isometry_defect"] = means.new_full((draws,), math.nan)
    return {name: float(values[name].mean()) for name in NULL_NAMES}
