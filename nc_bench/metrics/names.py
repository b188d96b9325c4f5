"""The names of what is measured, in the order in which they are printed and stored."""

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
"""All of them."""

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
"""Defined only together with the last linear layer."""
