"""From the tables of the first pass and the sums of the second to the metrics by name (docs/metrics.md)."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float64
from torch import Tensor

from nc_bench.metrics import class_geometry as geometry
from nc_bench.metrics.class_tables import ClassTables, HeadTables
from nc_bench.metrics.names import METRIC_NAMES
from nc_bench.metrics.sample_sums import SampleSums

PerTrial = Float64[Tensor, "t"]
Values = dict[str, Tensor]


def assemble(tables: ClassTables, sums: SampleSums) -> Values:
    """Values (t,) by name, in the order of METRIC_NAMES; those of undefined metrics say nothing."""
    values = mean_values(tables) | _feature_values(tables, sums)
    if tables.head is not None:
        values |= weight_values(tables, tables.head)
        values |= _output_values(tables, tables.head, sums)
        values |= _risk_values(tables, sums, values["head_opnorm"])
    return {name: values[name] for name in METRIC_NAMES if name in values}


def _feature_values(tables: ClassTables, sums: SampleSums) -> Values:
    """What takes the features themselves, but no head."""
    samples = tables.counts.sum(-1)
    total = sums.squared_deviation.sum(-1)
    variances = sums.squared_deviation / tables.counts
    squared_distances = 2 * geometry.pairs(tables.distances.square())
    first_second = variances[..., :, None] + variances[..., None, :]
    along = torch.where(tables.spanned, sums.span_squares / tables.singular.square(), 0)
    return {
        "nc1_pinv": along.sum(-1) / samples,
        "nc1_quotient": (total / samples) / (tables.centred_means.square().sum((-2, -1)) / tables.classes),
        "nc1_cdnv": (geometry.pairs(first_second) / squared_distances).mean(-1),
        "nc1_radius": sums.largest_deviation / geometry.row_norms(tables.centred_means).mean(-1),
        "ncc_accuracy": sums.nearest_correct / samples,
        "feature_radius": sums.feature_radius,
    }


def mean_values(tables: ClassTables) -> Values:
    """What the class means alone determine."""
    offset = torch.linalg.vector_norm(tables.means.mean(-2), dim=-1)
    return {
        "nc2_equinorm": geometry.equinorm(tables.centred_means),
        "nc2_equiangular": geometry.equiangular(tables.centred_means, tables.gram),
        "nc2_equidistant": geometry.coefficient_of_variation(geometry.pairs(tables.distances)),
        "nc2_etf": geometry.etf_error(tables.gram),
        "centre_offset": offset / geometry.row_norms(tables.means).mean(-1),
    }


def weight_values(tables: ClassTables, head: HeadTables) -> Values:
    """What the weight determines, alone and together with the class means."""
    weight, centred_weight = head.weight, geometry.centred(head.weight)
    centred_products = geometry.gram(centred_weight)
    return {
        "nc2_equinorm_w": geometry.equinorm(weight),
        "nc2_equinorm_w_centred": geometry.equinorm(centred_weight),
        "nc2_equiangular_w": geometry.equiangular(weight, geometry.gram(weight)),
        "nc2_equiangular_w_centred": geometry.equiangular(centred_weight, centred_products),
        "nc3_duality": geometry.duality(weight, tables.centred_means),
        "nc3_duality_centred": geometry.duality(centred_weight, tables.centred_means),
        "nc3_alignment": geometry.misalignment(weight, tables.centred_means),
        "nc3_alignment_centred": geometry.misalignment(centred_weight, tables.centred_means),
        "nc0_row_sum": torch.linalg.vector_norm(weight.sum(-2), dim=-1),
        "isometry_defect": geometry.isometry_defect(head.weight_on_span),
        "head_opnorm": geometry.spectral_norm(centred_products),
    }


def _output_values(tables: ClassTables, head: HeadTables, sums: SampleSums) -> Values:
    """Accuracy, NC4 and `output_collapse`: the scatter of P h(x) around its class means over that of the means."""
    samples = tables.counts.sum(-1)
    shift = sums.output_shift / tables.counts[..., None]
    scatter = sums.output_squares.sum(-1) - (tables.counts[..., None] * shift.square()).sum((-2, -1))
    means = head.centred_outputs(shift)
    return {
        "accuracy": sums.correct / samples,
        "nc4_mismatch": sums.mismatched / samples,
        "output_collapse": (scatter / samples) / (means.square().sum((-2, -1)) / tables.classes),
    }


def _risk_values(tables: ClassTables, sums: SampleSums, opnorm: PerTrial) -> Values:
    """Risks, the smallest balanced risk of these norms (Cor. 4.2 symmetrised), and what the gap says."""
    classes = tables.classes
    others = max(classes - 1, 1)
    balanced = (sums.loss / tables.counts).mean(-1)
    exponent = sums.feature_radius * opnorm * math.sqrt(classes / others)
    floor = torch.log1p((classes - 1) * torch.exp(-exponent))
    # log(expm1(r)) is the exponent of an equal-logit classifier with risk r; below 1e-13 it equals log r.
    log_expm1 = balanced + torch.log(-torch.expm1(-balanced))
    reached = torch.where(balanced < 1e-13, sums.log_risk_balanced, log_expm1)
    return {
        "risk": sums.loss.sum(-1) / tables.counts.sum(-1),
        "risk_balanced": balanced,
        "risk_floor": floor,
        "risk_gap": balanced - floor,
        "simplex_efficiency": (math.log(others) - reached) / exponent,
    }
