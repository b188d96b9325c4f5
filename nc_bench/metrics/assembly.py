"""From sums over samples to the named values of METRICS.md, and the conditions under which each is defined."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float64
from torch import Tensor

from nc_bench.metrics import class_geometry as geometry
from nc_bench.metrics.head import Head
from nc_bench.metrics.names import METRIC_NAMES
from nc_bench.metrics.sample_sums import SampleSums
from nc_bench.metrics.second_look import SecondLook
from nc_bench.metrics.undefined import Condition
from nc_bench.text import listed

PerTrial = Float64[Tensor, "t"]
Values = dict[str, Tensor]


def assemble(look: SecondLook, sums: SampleSums) -> tuple[Values, dict[str, Condition]]:
    """Values (t,) by name, in the order of METRIC_NAMES, and the conditions they need."""
    span = _Span(look)
    values = _collapse_values(look, sums, span) | mean_values(look) | _radius_values(look, sums)
    conditions = _feature_conditions(look, sums, span)
    if look.head is not None:
        values |= weight_values(look, look.head)
        values |= _output_values(look, sums)
        values |= _risk_values(look, sums, values["feature_radius"], values["head_opnorm"])
        conditions |= _head_conditions(look, look.head, sums, values["feature_radius"] <= span.cutoff)
    return {name: values[name] for name in METRIC_NAMES if name in values}, conditions


class _Span:
    """The span of the centred class means: which singular directions count, and how many there are."""

    def __init__(self, look: SecondLook) -> None:
        self.cutoff = geometry.rank_cutoff(look.means)
        self.dimensions = look.classes - 1
        self.counts = look.singular > self.cutoff[:, None]
        self.rank = self.counts.sum(-1)


def _collapse_values(look: SecondLook, sums: SampleSums, span: _Span) -> Values:
    samples = look.counts.sum(-1)
    total = sums.squared_deviation.sum(-1)
    variances = sums.squared_deviation / look.counts
    squared_distances = 2 * geometry.pairs(look.distances.square())
    first_second = variances[..., :, None] + variances[..., None, :]
    weighted = torch.where(span.counts, sums.span_squares / look.singular.square(), 0)
    return {
        "nc1_pinv": weighted.sum(-1) / samples,
        "nc1_quotient": (total / samples) / (look.rows.square().sum((-2, -1)) / look.classes),
        "nc1_cdnv": (geometry.pairs(first_second) / squared_distances).mean(-1),
        "nc1_radius": sums.largest_deviation / geometry.row_norms(look.rows).mean(-1),
        "ncc_accuracy": sums.nearest_correct / samples,
    }


def mean_values(look: SecondLook) -> Values:
    """What the class means alone determine."""
    offset = torch.linalg.vector_norm(look.means.mean(-2), dim=-1)
    return {
        "nc2_equinorm": geometry.equinorm(look.rows),
        "nc2_equiangular": geometry.equiangular(look.rows, look.gram),
        "nc2_equidistant": geometry.coefficient_of_variation(geometry.pairs(look.distances)),
        "nc2_etf": geometry.etf_error(look.gram),
        "centre_offset": offset / geometry.row_norms(look.means).mean(-1),
    }


def _radius_values(look: SecondLook, sums: SampleSums) -> Values:
    return {"feature_radius": torch.minimum(sums.largest_norm, sums.largest_centred_norm)}


def weight_values(look: SecondLook, head: Head) -> Values:
    """What the weight determines, alone and together with the class means."""
    weight, centred_weight = head.weight, geometry.centred(head.weight)
    centred_products = geometry.gram(centred_weight)
    return {
        "nc2_equinorm_w": geometry.equinorm(weight),
        "nc2_equinorm_w_centred": geometry.equinorm(centred_weight),
        "nc2_equiangular_w": geometry.equiangular(weight, geometry.gram(weight)),
        "nc2_equiangular_w_centred": geometry.equiangular(centred_weight, centred_products),
        "nc3_duality": geometry.duality(weight, look.rows),
        "nc3_duality_centred": geometry.duality(centred_weight, look.rows),
        "nc3_alignment": geometry.misalignment(weight, look.rows),
        "nc3_alignment_centred": geometry.misalignment(centred_weight, look.rows),
        "nc0_row_sum": torch.linalg.vector_norm(weight.sum(-2), dim=-1),
        "isometry_defect": geometry.isometry_defect(look.weight_on_span),
        "head_opnorm": geometry.spectral_norm(centred_products),
    }


def _output_values(look: SecondLook, sums: SampleSums) -> Values:
    """Accuracy, NC4 and `output_collapse`: the scatter of P h(x) around its class means over that of the means."""
    samples = look.counts.sum(-1)
    shift = sums.output_shift / look.counts[..., None]
    scatter = sums.output_squares.sum(-1) - (look.counts[..., None] * shift.square()).sum((-2, -1))
    means = _output_rows(look, sums)
    return {
        "accuracy": sums.correct / samples,
        "nc4_mismatch": sums.mismatched / samples,
        "output_collapse": (scatter / samples) / (means.square().sum((-2, -1)) / look.classes),
    }


def _output_rows(look: SecondLook, sums: SampleSums) -> Tensor:
    """z_c - (1/K) sum_c z_c of `output_collapse` (t, K, K)."""
    means = look.row_outputs + sums.output_shift / look.counts[..., None]
    return geometry.centred(means - means.mean(-1, keepdim=True))


def _risk_values(look: SecondLook, sums: SampleSums, radius: PerTrial, opnorm: PerTrial) -> Values:
    """Risks, the smallest balanced risk of these norms (Cor. 4.2 symmetrised), and what the gap says."""
    classes = look.classes
    others = max(classes - 1, 1)
    balanced = (sums.loss / look.counts).mean(-1)
    exponent = radius * opnorm * math.sqrt(classes / others)
    floor = torch.log1p((classes - 1) * torch.exp(-exponent))
    # log(expm1(r)) is the exponent of an equal-logit classifier with risk r; below 1e-13 it equals log r.
    log_expm1 = balanced + torch.log(-torch.expm1(-balanced))
    reached = torch.where(balanced < 1e-13, sums.log_risk_balanced, log_expm1)
    return {
        "risk": sums.loss.sum(-1) / look.counts.sum(-1),
        "risk_balanced": balanced,
        "risk_floor": floor,
        "risk_gap": balanced - floor,
        "simplex_efficiency": (math.log(others) - reached) / exponent,
    }


def _feature_conditions(look: SecondLook, sums: SampleSums, span: _Span) -> dict[str, Condition]:
    norms = geometry.row_norms(look.rows)
    close = look.distances <= span.cutoff[:, None, None]
    close.diagonal(dim1=-2, dim2=-1).fill_(False)
    directionless = norms <= span.cutoff[:, None]
    empty = look.counts == 0
    measurable = look.measurable & sums.largest_deviation.isfinite()
    one_class = torch.full_like(measurable, look.classes < 2)
    return {
        "finite": Condition(
            broken=~measurable,
            reason=lambda _: "the features hold NaN, infinity, or numbers too large or too small to square",
        ),
        "samples": Condition(broken=empty.any(-1), reason=lambda t: f"{_classes(empty[t])} without samples"),
        "one_class": Condition(broken=one_class, reason=lambda _: "there is only one class"),
        "between": Condition(broken=directionless.all(-1), reason=lambda _: "all class means coincide"),
        "radius": Condition(
            broken=directionless.any(-1),
            reason=lambda t: f"{_classes(directionless[t])} with its mean at the mean of the class means",
        ),
        "pairs": Condition(
            broken=close.any(-1).any(-1), reason=lambda t: f"{_classes(close[t].any(-1))} sharing a mean"
        ),
        "rank": Condition(
            broken=span.rank < span.dimensions,
            reason=lambda t: f"the class means span {int(span.rank[t])} dimensions, not {span.dimensions}",
        ),
        "origin": Condition(
            broken=(look.means == 0).all(-1).all(-1), reason=lambda _: "all class means are at the origin"
        ),
        "centres": Condition(
            broken=~look.centres_known,
            reason=lambda _: "a class centre is missing (no training samples) or not finite",
        ),
    }


def _head_conditions(look: SecondLook, head: Head, sums: SampleSums, radius_is_zero: Tensor) -> dict[str, Condition]:
    weight, centred_weight = head.weight, geometry.centred(head.weight)
    cutoff = geometry.rank_cutoff(weight)
    zero = geometry.row_norms(weight) <= geometry.SMALLEST
    equal = geometry.row_norms(centred_weight) <= cutoff[:, None]
    on_span = geometry.frobenius(look.weight_on_span)[:, 0, 0]
    outputs = geometry.row_norms(_output_rows(look, sums)).amax(-1)
    return {
        "head": Condition(
            broken=~look.head_usable,
            reason=lambda _: "the weight or bias holds NaN, infinity, or numbers too large or too small to square",
        ),
        "weight": Condition(broken=zero.all(-1), reason=lambda _: "the weight is zero"),
        "rows": Condition(broken=zero.any(-1), reason=lambda t: f"{_classes(zero[t])} with a zero weight row"),
        "centred_weight": Condition(broken=equal.all(-1), reason=lambda _: "all rows of the weight are equal"),
        "centred_rows": Condition(
            broken=equal.any(-1), reason=lambda t: f"{_classes(equal[t])} whose weight row is the mean row"
        ),
        "span": Condition(
            broken=on_span <= cutoff, reason=lambda _: "the weight is zero on the span of the class means"
        ),
        "outputs": Condition(
            broken=outputs <= _output_cutoff(look, weight, cutoff),
            reason=lambda _: "all classes have the same mean output",
        ),
        "budget": Condition(
            broken=radius_is_zero | equal.all(-1), reason=lambda _: "feature_radius times head_opnorm is zero"
        ),
    }


def _output_cutoff(look: SecondLook, weight: Tensor, weight_cutoff: PerTrial) -> PerTrial:
    """Length below which a difference of mean outputs is rounding, of the means, the weight or the outputs."""
    from_means = geometry.rank_cutoff(look.means) * look.longest_weight
    from_weight = weight_cutoff * geometry.row_norms(look.rows).amax(-1)
    return from_means + from_weight + geometry.rank_cutoff(look.row_outputs)


def _classes(flags: Tensor) -> str:
    """ "class 3", "classes 1 and 4", "classes 0, 1, 2 and 7 more" """
    numbers = flags.nonzero()[:, 0].tolist()
    if len(numbers) == 1:
        return f"class {numbers[0]}"
    if len(numbers) > 4:
        return f"classes {listed([*map(str, numbers[:3]), f'{len(numbers) - 3} more'])}"
    return f"classes {listed([*map(str, numbers)])}"
