"""When a metric is undefined, and the reason that is given instead of a number."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from nc_bench.metrics import class_geometry as geometry
from nc_bench.metrics.class_tables import ClassTables, HeadTables
from nc_bench.metrics.risks import risk_of_means
from nc_bench.metrics.sample_sums import SampleSums
from nc_bench.text import listed

_FEATURES = ("finite", "samples")
_MEANS = (*_FEATURES, "one_class")
_ROWS = (*_MEANS, "radius")
_HEAD = ("head",)
_CENTRED_HEAD = (*_HEAD, "one_class", "centred_rows")
_RISK_FLOOR = (*_FEATURES, *_HEAD)
_BUDGET = (*_MEANS, *_HEAD, "between", "centred_weight")

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
    "nc4_mismatch": (*_FEATURES, *_HEAD, "centres", "decidable"),
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
    "simplex_efficiency": (*_RISK_FLOOR, "one_class", "budget", "resolved"),
    "accuracy": ("finite", *_HEAD, "decidable"),
    "ncc_accuracy": (*_FEATURES, "centres"),
    "nc2_etf_w": (*_HEAD, "one_class", "weight"),
    "nc2_etf_w_centred": (*_HEAD, "one_class", "centred_weight"),
    "nc3_etf": (*_MEANS, *_HEAD, "between", "weight", "products"),
    "nc3_etf_centred": (*_MEANS, *_HEAD, "between", "centred_weight", "span"),
    "bias_offset": (*_FEATURES, *_HEAD),
    "bias_offset_centred": (*_FEATURES, *_HEAD),
    "nc1_cdnv_directional": (*_MEANS, "pairs"),
    "gnc2_log_kernel": (*_ROWS, "directions"),
    "gnc2_log_kernel_std": (*_ROWS, "directions"),
    "gnc3_similarity_std": (*_ROWS, *_HEAD, "rows"),
    "effective_rank_means": (*_MEANS, "between"),
    "feature_norm": ("finite",),
    "feature_norm_std": ("finite", "norm"),
    "risk_of_means": (*_RISK_FLOOR, "linear"),
    "jensen_gap": (*_RISK_FLOOR, "linear"),
    "output_efficiency": ("finite", *_HEAD, "one_class", "unequal"),
    "efficiency_within": (*_BUDGET, "linear", "resolved", "separated"),
    "efficiency_pairs": (*_BUDGET, "linear", "resolved", "separated"),
    "efficiency_alignment": _BUDGET,
    "efficiency_isometry": _BUDGET,
    "efficiency_simplex": (*_MEANS, "between"),
    "efficiency_norm": (*_MEANS, "between"),
    "gap_within": (*_RISK_FLOOR, "linear"),
    "gap_pairs": (*_RISK_FLOOR, "linear"),
    "gap_alignment": _RISK_FLOOR,
    "gap_isometry": _RISK_FLOOR,
    "gap_simplex": _RISK_FLOOR,
    "gap_norm": _RISK_FLOOR,
    "margin": (*_RISK_FLOOR, "one_class"),
    "nc1_quotient_worst": (*_MEANS, "between"),
    "nc1_cdnv_worst": (*_MEANS, "pairs"),
    "nc2_equinorm_worst": (*_MEANS, "between"),
    "nc2_equinorm_w_centred_worst": (*_HEAD, "one_class", "centred_weight"),
    "nc2_equiangular_worst": _ROWS,
    "nc2_equiangular_w_centred_worst": _CENTRED_HEAD,
    "nc2_equidistant_worst": (*_MEANS, "between"),
    "nc3_duality_centred_worst": (*_MEANS, *_HEAD, "between", "centred_weight"),
    "nc3_alignment_centred_worst": (*_ROWS, *_CENTRED_HEAD),
    "output_collapse_worst": (*_MEANS, *_HEAD, "outputs"),
}
"""Conditions under which a metric is defined; "samples" stands for every class being present."""

SMALLEST_SCALE = 1e-290
"""A feature times a weight, in their units, below which their part in outputs that have a bias is lost."""


@dataclass(frozen=True, kw_only=True)
class Condition:
    """`broken` (t,) says where the condition fails; `reason(trial)` says it in words."""

    broken: Tensor
    reason: Callable[[int], str]


def conditions(tables: ClassTables, sums: SampleSums) -> dict[str, Condition]:
    """All conditions by name; those of the head only if there is one."""
    found = _feature_conditions(tables, sums)
    return found if tables.head is None else found | _head_conditions(tables, tables.head, sums)


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


def _feature_conditions(tables: ClassTables, sums: SampleSums) -> dict[str, Condition]:
    norms = geometry.row_norms(tables.centred_means)
    rank, directions = tables.spanned.sum(-1), tables.classes - 1
    coinciding, one_direction = tables.pairs.coinciding, tables.pairs.one_direction
    directionless = norms <= tables.cutoff[:, None]
    empty = tables.counts == 0
    measurable = tables.measurable
    one_class = torch.full_like(measurable, tables.classes < 2)
    return {
        "finite": Condition(
            broken=~measurable,
            reason=lambda _: (
                "the features hold NaN or infinity, their sum is infinite, or all class means are below "
                "1e-70 of the largest feature"
            ),
        ),
        "samples": Condition(broken=empty.any(-1), reason=lambda t: f"{_classes(empty[t])} without samples"),
        "one_class": Condition(broken=one_class, reason=lambda _: "there is only one class"),
        "between": Condition(broken=directionless.all(-1), reason=lambda _: "all class means coincide"),
        "radius": Condition(
            broken=directionless.any(-1),
            reason=lambda t: f"{_classes(directionless[t])} with its mean at the mean of the class means",
        ),
        "pairs": Condition(broken=coinciding.any(-1), reason=lambda t: f"{_classes(coinciding[t])} sharing a mean"),
        "rank": Condition(
            broken=rank < directions,
            reason=lambda t: f"the class means span {int(rank[t])} dimensions, not {directions}",
        ),
        "directions": Condition(
            broken=one_direction.any(-1),
            reason=lambda t: f"{_classes(one_direction[t])} with their means in one direction",
        ),
        "norm": Condition(broken=sums.norms[:, 1] == 0, reason=lambda _: "all features are zero"),
        "origin": Condition(
            broken=(tables.means == 0).all(-1).all(-1), reason=lambda _: "all class means are at the origin"
        ),
        "centres": Condition(
            broken=~tables.centres_known,
            reason=lambda _: "a class centre is missing (no training samples), not finite, or beyond 1e70 features",
        ),
    }


def _head_conditions(tables: ClassTables, head: HeadTables, sums: SampleSums) -> dict[str, Condition]:
    weight, centred_weight = head.weight, head.centred_weight
    cutoff = geometry.rank_cutoff(weight)
    zero = (head.directions == 0).all(-1)
    equal = geometry.row_norms(centred_weight) <= cutoff[:, None]
    common = math.sqrt(tables.classes) * torch.linalg.vector_norm(head.with_means, dim=-1)
    products = torch.hypot(head.on_means, common)
    longest_mean = geometry.row_norms(tables.centred_means).amax(-1)
    products_cutoff = cutoff * longest_mean + tables.cutoff * geometry.row_norms(weight).amax(-1)
    bounded = head.logits.output_map is not None
    beyond = ~sums.loss.isfinite().all(-1) if bounded else torch.zeros_like(head.usable)
    outputs = head.mean_outputs(sums.output_shift / tables.counts[..., None]).longest
    return {
        "head": Condition(
            broken=~head.usable,
            reason=lambda _: "the weight or bias holds NaN or infinity",
        ),
        "weight": Condition(broken=zero.all(-1), reason=lambda _: "the weight is zero"),
        "rows": Condition(broken=zero.any(-1), reason=lambda t: f"{_classes(zero[t])} with a zero weight row"),
        "centred_weight": Condition(broken=equal.all(-1), reason=lambda _: "all rows of the weight are equal"),
        "centred_rows": Condition(
            broken=equal.any(-1), reason=lambda t: f"{_classes(equal[t])} whose weight row is the mean row"
        ),
        "span": Condition(
            broken=head.on_span <= cutoff, reason=lambda _: "the weight is zero on the span of the class means"
        ),
        "products": Condition(
            broken=products <= products_cutoff, reason=lambda _: "the weight is zero on the class means"
        ),
        "linear": Condition(
            broken=torch.full_like(head.usable, bounded),
            reason=lambda _: "the outputs are bounded, so they are not linear in the features",
        ),
        "separated": Condition(
            broken=risk_of_means(tables, head).scaled_margin() <= 0,
            reason=lambda _: "risk_of_means is log K or more: the class means are not separated on average",
        ),
        "outputs": Condition(
            broken=outputs <= head.output_cutoff(tables),
            reason=lambda _: "all classes have the same mean output",
        ),
        "unequal": Condition(
            broken=sums.output_efficiency.isneginf() | (equal.all(-1) & head.without_bias),
            reason=lambda _: "the entries of every output are equal",
        ),
        "budget": Condition(
            broken=(sums.feature_radius <= tables.cutoff) | equal.all(-1),
            reason=lambda _: "feature_radius times head_opnorm is zero",
        ),
        "resolved": Condition(
            broken=~head.without_bias & (head.scale < SMALLEST_SCALE),
            reason=lambda _: "the features times the weight are too small next to the bias",
        ),
        "decidable": Condition(
            broken=beyond, reason=lambda _: "outputs beyond the range of float64 enter the map that bounds them"
        ),
    }


def _classes(flags: Tensor) -> str:
    """ "class 3", "classes 1 and 4", "classes 0, 1, 2 and 7 more" """
    numbers = flags.nonzero()[:, 0].tolist()
    if len(numbers) == 1:
        return f"class {numbers[0]}"
    if len(numbers) > 4:
        return f"classes {listed([*map(str, numbers[:3]), f'{len(numbers) - 3} more'])}"
    return f"classes {listed([*map(str, numbers)])}"
