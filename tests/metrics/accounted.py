"""Metrics of which every NaN has a reason, and the names that are undefined together."""

from __future__ import annotations

import math

from metric_problems import Problem

from nc_bench import collapse_metrics
from nc_bench.metrics import HEAD_NAMES, METRIC_NAMES, CollapseMetrics

WEIGHT_ALONE = {
    "nc0_row_sum",
    "nc2_equinorm_w",
    "nc2_equinorm_w_centred",
    "nc2_equiangular_w",
    "nc2_equiangular_w_centred",
    "head_opnorm",
    "nc2_etf_w",
    "nc2_etf_w_centred",
    "nc2_equinorm_w_centred_worst",
    "nc2_equiangular_w_centred_worst",
}
FEATURES_ALONE = set(METRIC_NAMES) - HEAD_NAMES
DECISIONS = {"accuracy", "ncc_accuracy", "nc4_mismatch", "risk", "risk_balanced", "risk_floor", "risk_gap"}
DECISIONS |= {"margin", "risk_of_means", "jensen_gap", "bias_offset", "bias_offset_centred"}
DECISIONS |= {name for name in METRIC_NAMES if name.startswith("gap_")}
PRODUCTS = {"nc3_etf", "nc3_etf_centred"}
BUDGET = {f"efficiency_{part}" for part in ("within", "pairs", "alignment", "isometry")}
NORMS = {"feature_radius", "head_opnorm", "nc0_row_sum"}


def with_worst(*names: str) -> set[str]:
    """These metrics, and their maxima over classes or pairs where there are any."""
    return {*names} | {f"{name}_worst" for name in names if f"{name}_worst" in METRIC_NAMES}


def measured(trial: Problem) -> CollapseMetrics:
    metrics = collapse_metrics(*trial.arguments())
    assert_accounted(metrics)
    return metrics


def assert_accounted(metrics: CollapseMetrics) -> None:
    assert {name for name, value in metrics.items() if not math.isfinite(value)} == set(metrics.reasons)
    assert all(math.isnan(metrics[name]) for name in metrics.reasons)
    assert all(reason and "\n" not in reason for reason in metrics.reasons.values())


def defined(metrics: CollapseMetrics) -> set[str]:
    return set(metrics) - set(metrics.reasons)
