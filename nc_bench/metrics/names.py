"""The names of the metrics, in the order in which they are printed and stored; docs/metrics.md defines each."""

from __future__ import annotations

METRIC_NAMES = (
    "nc1_pinv",
    "nc1_quotient",
    "nc1_cdnv",
    "nc1_radius",
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
    "nc4_mismatch",
    "nc0_row_sum",
    "centre_offset",
    "output_collapse",
    "isometry_defect",
    "risk",
    "risk_balanced",
    "feature_radius",
    "head_opnorm",
    "risk_floor",
    "risk_gap",
    "simplex_efficiency",
    "accuracy",
    "ncc_accuracy",
)
"""Every metric of the features and the last linear layer."""

HEAD_NAMES = frozenset(
    {
        "nc2_equinorm_w",
        "nc2_equinorm_w_centred",
        "nc2_equiangular_w",
        "nc2_equiangular_w_centred",
        "nc3_duality",
        "nc3_duality_centred",
        "nc3_alignment",
        "nc3_alignment_centred",
        "nc4_mismatch",
        "nc0_row_sum",
        "output_collapse",
        "isometry_defect",
        "risk",
        "risk_balanced",
        "head_opnorm",
        "risk_floor",
        "risk_gap",
        "simplex_efficiency",
        "accuracy",
    }
)
"""Those that need the weight: without it they are not measured."""
