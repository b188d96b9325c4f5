"""When a metric is undefined, and the reason the reader is given instead of a number."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

_FEATURES = ("finite", "samples")
_MEANS = (*_FEATURES, "one_class")
_ROWS = (*_MEANS, "radius")
_HEAD = ("head",)
_CENTRED_HEAD = (*_HEAD, "one_class", "centred_rows")
_RISK_FLOOR = (*_FEATURES, *_HEAD)

NEEDS: Mapping[str, tuple[str, ...]] = {
    "nc1_pinv": (*_MEANS, "between"),
    "nc1_quotient": (*_MEANS, "between"),
    "nc1_cdnv": (*_MEANS, "pairs"),
    "nc1_radius": (*_MEANS, "between"),
    "nc2_equinorm": (*_MEANS, "between"),
    "nc2_equinorm_w": (*_HEAD, "one_class", "weight"),
    "nc2_equinorm_w_centred": (*_HEAD, "one_class", "centred_weight"),
    "nc2_equiangular": _ROWS,
    "nc2_equiangular_w": (*_HEAD, "one_class", "rows"),
    "nc2_equiangular_w_centred": _CENTRED_HEAD,
    "nc2_equidistant": (*_MEANS, "between"),
    "nc2_etf": (*_MEANS, "between"),
    "nc3_duality": (*_MEANS, *_HEAD, "between", "weight"),
    "nc3_duality_centred": (*_MEANS, *_HEAD, "between", "centred_weight"),
    "nc3_alignment": (*_ROWS, *_HEAD, "rows"),
    "nc3_alignment_centred": (*_ROWS, *_CENTRED_HEAD),
    "nc4_mismatch": (*_FEATURES, *_HEAD, "centres"),
    "nc0_row_sum": _HEAD,
    "centre_offset": (*_FEATURES, "origin"),
    "output_collapse": (*_MEANS, *_HEAD, "outputs"),
    "isometry_defect": (*_MEANS, *_HEAD, "rank", "centred_weight", "span"),
    "risk": ("finite", *_HEAD),
    "risk_balanced": (*_FEATURES, *_HEAD),
    "feature_radius": _FEATURES,
    "head_opnorm": _HEAD,
    "risk_floor": _RISK_FLOOR,
    "risk_gap": _RISK_FLOOR,
    "simplex_efficiency": (*_RISK_FLOOR, "one_class", "budget"),
    "accuracy": ("finite", *_HEAD),
    "ncc_accuracy": (*_FEATURES, "centres"),
}
"""Conditions under which a metric is defined; "samples" stands for every class being present."""


@dataclass(frozen=True, kw_only=True)
class Condition:
    """`broken` (t,) says where the condition fails; `reason(trial)` says it in words."""

    broken: Tensor
    reason: Callable[[int], str]


def mask_undefined(
    values: Mapping[str, Tensor], conditions: Mapping[str, Condition]
) -> tuple[Tensor, list[dict[str, str]]]:
    """Values (t, m) in float64 on the CPU with NaN where undefined, and the reasons per trial by name.

    A value that is not finite although its conditions hold has left the range of float64: NaN, and said so.
    """
    names, keys = list(values), list(conditions)
    table = torch.stack([*values.values(), *(conditions[key].broken.to(torch.float64) for key in keys)], -1).cpu()
    measured, broken = table[:, : len(names)], table[:, len(names) :].bool()
    reasons: list[dict[str, str]] = [{} for _ in range(len(table))]
    for trial in (broken.any(-1) | ~measured.isfinite().all(-1)).nonzero()[:, 0].tolist():
        fails = {key for key, flag in zip(keys, broken[trial].tolist(), strict=True) if flag}
        for column, name in enumerate(names):
            first = next((key for key in NEEDS[name] if key in fails), None)
            if first is not None:
                reasons[trial][name] = conditions[first].reason(trial)
            elif not math.isfinite(measured[trial, column]):
                reasons[trial][name] = "the value is beyond the range of float64"
            else:
                continue
            measured[trial, column] = torch.nan
    return measured, reasons
