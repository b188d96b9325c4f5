"""What random directions score: the value that an NC2 or NC3 metric has to be below before it says anything."""

from __future__ import annotations

import math

import torch

from nc_bench.metrics.assembly import mean_values, weight_values
from nc_bench.metrics.class_geometry import evenness
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
    "nc2_etf_w",
    "nc2_etf_w_centred",
    "nc3_etf",
    "nc3_etf_centred",
    "gnc2_log_kernel",
    "gnc2_log_kernel_std",
    "gnc3_similarity_std",
    "nc2_equinorm_worst",
    "nc2_equinorm_w_centred_worst",
    "nc2_equiangular_worst",
    "nc2_equiangular_w_centred_worst",
    "nc2_equidistant_worst",
    "nc3_duality_centred_worst",
    "nc3_alignment_centred_worst",
    "efficiency_isometry",
    "efficiency_simplex",
)
"""Metrics that say nothing unless they are below the value of random class means and weights."""

ROWS, SEED = 2000, 0

MOST_CLASSES = 2000
"""Beyond so many classes no null is drawn: a draw takes seconds and tables of all pairs, and angles of random
directions are as good as those of a simplex anyway.
"""


def null_baseline(classes: int, width: int) -> dict[str, float]:
    """E[metric] over independent standard Gaussian class means (K, d) and weights (K, d), for each of NULL_NAMES.

    Monte Carlo in float64 with a fixed seed, so that the same K and d always give the same numbers: max(2, 2000 // K)
    draws, because the more classes a draw has the less it varies. The standard error is about 2 % of the value for
    nc2_equinorm and less for most others. As d grows: nc2_equinorm and nc2_equidistant 1/sqrt(2 d), nc2_equiangular
    sqrt(2/(pi d)), nc3_duality sqrt(2), nc3_alignment 1, centre_offset 1/sqrt(K). NaN where undefined: all for one
    class and for more than 2000 (`why_no_null` says it in words), isometry_defect for d < K-1.
    """
    if classes < 2 or classes > MOST_CLASSES:
        return dict.fromkeys(NULL_NAMES, math.nan)
    draws = max(2, ROWS // classes)
    random = torch.Generator().manual_seed(SEED)
    means, weight = torch.randn(2, draws, classes, width, generator=random, dtype=torch.float64)
    tables = ClassTables(means, means.new_ones(draws, classes), Head(weight=weight))
    assert tables.head is not None
    values = mean_values(tables) | weight_values(tables, tables.head)
    singular = tables.head.singular
    values["efficiency_simplex"] = evenness(tables.singular, classes - 1)
    values["efficiency_isometry"] = (singular * tables.singular).sum(-1) / (singular[:, 0] * tables.singular.sum(-1))
    return {name: float(values[name].mean()) for name in NULL_NAMES}


def why_no_null(classes: int) -> str | None:
    """Why there is no null baseline for so many classes; None where there is one."""
    if classes > MOST_CLASSES:
        return f"there are {classes} classes, and random class means are drawn for up to {MOST_CLASSES}"
    return "there is only one class" if classes < 2 else None
