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
    """Metrics of the features around their class means; S_W, S_B, V_c, M, r_c as in docs/metrics.md.

    nc1_pinv = tr(S_W S_B^+) / K = (1/N) sum_j sum_i <h_i - mu_{y_i}, v_j>^2 / s_j^2 over the singular values s_j of M
    above the cutoff and their directions v_j; nc1_quotient = tr S_W / tr S_B; nc1_cdnv = mean over pairs of
    (V_c + V_c') / (2 |mu_c - mu_c'|^2); nc1_radius = max_i |h_i - mu_{y_i}| / mean_c r_c; ncc_accuracy the share of
    samples nearest to the centre of their class; feature_radius = min(max_i |h_i|, max_i |h_i - mu|).
    At exact collapse 0, 0, 0, 0, 1 and the radius of the simplex.
    """
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
    """NC2 of the class means, and centre_offset = |mu| / mean_c |mu_c|, 0 by E & Wojtowytsch (2021), Cor. 4.2 (3)."""
    offset = torch.linalg.vector_norm(tables.means.mean(-2), dim=-1)
    return {
        "nc2_equinorm": geometry.equinorm(tables.centred_means),
        "nc2_equiangular": geometry.equiangular(tables.centred_means, tables.gram),
        "nc2_equidistant": geometry.coefficient_of_variation(geometry.pairs(tables.distances)),
        "nc2_etf": geometry.etf_error(tables.gram),
        "centre_offset": offset / geometry.row_norms(tables.means).mean(-1),
    }


def weight_values(tables: ClassTables, head: HeadTables) -> Values:
    """NC2 of the weight W and of Wc = W minus its mean row; NC3 of both with M; what else the weight determines.

    nc0_row_sum = |W^T 1|; head_opnorm the largest singular value of Wc; isometry_defect 0 by Cor. 4.2 (4).
    """
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
    """Accuracy, NC4 and `output_collapse`, P z being z minus the mean of its entries and z_c the class mean of P h(x).

    output_collapse = (1/N) sum_i |P h(x_i) - z_{y_i}|^2 / ((1/K) sum_c |z_c - mean z|^2), 0 by Lemma 3.1, which says
    nothing of multiples of (1, .., 1). nc4_mismatch: the share of samples where the largest output and the nearest
    class centre are of two classes.
    """
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
    """Mean cross entropy, over samples and over classes, and the smallest balanced one of features and heads this long.

    With rho = feature_radius and op = head_opnorm: risk_floor = log(1 + (K-1) exp(-rho op sqrt(K/(K-1)))) (Cor. 4.2,
    symmetrised over classes); risk_gap = risk_balanced - risk_floor >= 0; simplex_efficiency =
    sqrt((K-1)/K) (log(K-1) - log(exp(risk_balanced) - 1)) / (rho op), 1 at exact collapse onto the simplex.
    """
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
