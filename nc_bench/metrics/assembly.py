"""From the tables of the first pass and the sums of the second to the metrics by name (docs/metrics.md)."""

from __future__ import annotations

import torch
from torch import Tensor

from nc_bench.metrics import class_geometry as geometry
from nc_bench.metrics.class_pairs import equiangular, worst_deviation
from nc_bench.metrics.class_tables import ClassTables, HeadTables
from nc_bench.metrics.names import METRIC_NAMES
from nc_bench.metrics.risks import means_budget, risk_values
from nc_bench.metrics.sample_sums import SampleSums

Values = dict[str, Tensor]


def assemble(tables: ClassTables, sums: SampleSums) -> Values:
    """Values (t,) by name, in the order of METRIC_NAMES; those of undefined metrics say nothing."""
    values = mean_values(tables) | _feature_values(tables, sums) | means_budget(tables, sums)
    if tables.head is not None:
        values |= weight_values(tables, tables.head)
        values |= _output_values(tables, tables.head, sums)
        values |= risk_values(tables, tables.head, sums)
        for name in ("nc0_row_sum", "head_opnorm"):
            values[name] = values[name] * tables.head.unit
    for name in ("feature_radius", "feature_norm"):
        values[name] = values[name] * tables.unit
    return {name: values[name] for name in METRIC_NAMES if name in values}


def _feature_values(tables: ClassTables, sums: SampleSums) -> Values:
    """Metrics of the features around their class means; S_W, S_B, V_c, M, r_c as in docs/metrics.md.

    nc1_pinv = tr(S_W S_B^+) / K = (1/N) sum_j sum_i <h_i - mu_{y_i}, v_j>^2 / s_j^2 over the singular values s_j of M
    above the cutoff and their directions v_j; nc1_quotient = tr S_W / tr S_B; nc1_cdnv = mean over pairs of
    (V_c + V_c') / (2 |mu_c - mu_c'|^2); nc1_radius = max_i |h_i - mu_{y_i}| / mean_c r_c; ncc_accuracy the share of
    samples nearest to the centre of their class; feature_radius = min(max_i |h_i|, max_i |h_i - mu|).
    At exact collapse 0, 0, 0, 0, 1 and the radius of the simplex. nc1_cdnv_directional = mean over ordered pairs
    i != j of Var_i(<h, mu_i - mu_j>) / |mu_i - mu_j|^4, 0; feature_norm the mean of |h_i|, and feature_norm_std its
    standard deviation (divisor N) over it. nc1_quotient_worst = max_c V_c / (tr S_B); nc1_cdnv_worst is of the
    worst pair.
    """
    samples = tables.counts.sum(-1)
    total = sums.squared_deviation.sum(-1)
    variances = sums.squared_deviation / tables.counts
    between = tables.centred_means.square().sum((-2, -1))
    ordered_pairs = max(tables.classes * (tables.classes - 1), 1)
    number, mean_norm, squares = sums.norms.unbind(-1)
    along = torch.where(tables.spanned, sums.span_squares / tables.singular.square(), 0)
    return {
        "nc1_pinv": along.sum(-1) / samples,
        "nc1_quotient": (total / samples) / (between / tables.classes),
        "nc1_quotient_worst": variances.amax(-1) / (between / tables.classes),
        "nc1_cdnv": (variances * tables.pairs.inverse_squares).sum(-1) / ordered_pairs,
        "nc1_cdnv_worst": worst_deviation(tables.centred_means, variances, tables.pairs.table),
        "nc1_radius": sums.largest_deviation / geometry.row_norms(tables.centred_means).mean(-1),
        "ncc_accuracy": sums.nearest_correct / samples,
        "feature_radius": sums.feature_radius,
        "nc1_cdnv_directional": sums.directional / ordered_pairs,
        "feature_norm": mean_norm,
        "feature_norm_std": (squares / number).sqrt() / mean_norm,
    }


def mean_values(tables: ClassTables) -> Values:
    """NC2 of the class means, and centre_offset = |mu| / mean_c |mu_c|, 0 by E & Wojtowytsch (2021), Cor. 4.2 (3).

    gnc2_log_kernel = mean over pairs of -log |u_c - u_c'|, u_c the unit rows of M: -log(2K/(K-1))/2 for a simplex, the
    smallest value, where its standard deviation is 0. effective_rank_means: K-1 for a simplex. nc2_*_worst: the class
    or pair that is furthest off, 0.
    """
    offset = torch.linalg.vector_norm(tables.means.mean(-2), dim=-1)
    mean_distance = tables.pairs.distances[:, 1]
    pairs, common = tables.pairs, torch.zeros_like(tables.mean_of_means)
    return {
        "nc2_equinorm": geometry.equinorm(tables.centred_means),
        "nc2_equinorm_worst": geometry.largest_share(geometry.row_norms(tables.centred_means)),
        "nc2_equiangular": pairs.cosine_excess,
        "nc2_equiangular_worst": pairs.worst_cosine,
        "nc2_equidistant": geometry.coefficient_of_variation(pairs.distances),
        "nc2_equidistant_worst": torch.maximum(pairs.longest / mean_distance - 1, 1 - pairs.shortest / mean_distance),
        "nc2_etf": geometry.etf_error(tables.singular, common, tables.centred_means),
        "centre_offset": offset / geometry.row_norms(tables.means).mean(-1),
        "gnc2_log_kernel": pairs.closeness[:, 1],
        "gnc2_log_kernel_std": geometry.standard_deviation(pairs.closeness),
        "effective_rank_means": geometry.effective_rank(tables.singular),
    }


def weight_values(tables: ClassTables, head: HeadTables) -> Values:
    """NC2 of the weight W and of Wc = W minus its mean row; NC3 of both with M; what else the weight determines.

    nc3_etf: how far W M^T is from a multiple of I - 11^T/K; gnc3_similarity_std the standard deviation of
    cos(w_c, mu_c - mu) over classes; bias_offset = |W mu + b|; nc0_row_sum = |W^T 1|; head_opnorm the largest singular
    value of Wc, which like nc0_row_sum comes in the unit of the weight; isometry_defect 0 by Cor. 4.2 (4).
    """
    weight, centred_weight, rows = head.weight, head.centred_weight, tables.centred_means
    mean_row = weight.mean(-2, keepdim=True)
    misaligned = geometry.misalignments(head.directions, rows)
    offset = (tables.mean_of_means @ weight.mT)[:, 0] * head.scale[:, None] + head.bias
    duality, worst_row = geometry.duality(centred_weight, rows)
    centred_misaligned = geometry.misalignments(centred_weight, rows)
    return {
        "nc2_equinorm_w": geometry.equinorm(weight),
        "nc2_equinorm_w_centred": geometry.equinorm(centred_weight),
        "nc2_equinorm_w_centred_worst": geometry.largest_share(geometry.row_norms(centred_weight)),
        "nc2_equiangular_w": equiangular(head.directions)[0],
        "nc2_equiangular_w_centred": head.cosine_excess,
        "nc2_equiangular_w_centred_worst": head.worst_cosine,
        "nc3_duality": geometry.duality(weight, rows)[0],
        "nc3_duality_centred": duality,
        "nc3_duality_centred_worst": worst_row,
        "nc3_alignment": misaligned.mean(-1),
        "nc3_alignment_centred": centred_misaligned.mean(-1),
        "nc3_alignment_centred_worst": centred_misaligned.amax(-1),
        "nc0_row_sum": torch.linalg.vector_norm(weight.sum(-2), dim=-1),
        "isometry_defect": head.isometry_defect,
        "head_opnorm": geometry.spectral_norm(head.singular),
        "nc2_etf_w": geometry.etf_error(head.singular, mean_row, centred_weight),
        "nc2_etf_w_centred": geometry.etf_error(head.singular, torch.zeros_like(mean_row), centred_weight),
        "nc3_etf": head.etf_error,
        "nc3_etf_centred": head.etf_error_centred,
        "bias_offset": geometry.length(offset),
        "bias_offset_centred": geometry.length(offset - offset.mean(-1, keepdim=True)),
        "gnc3_similarity_std": geometry.standard_deviation(geometry.moments(misaligned)),
    }


def _output_values(tables: ClassTables, head: HeadTables, sums: SampleSums) -> Values:
    """Accuracy, NC4, `output_efficiency` and `output_collapse`; P z is z minus the mean of its entries, z_c the class
    mean of P h(x).

    output_collapse = (1/N) sum_i |P h(x_i) - z_{y_i}|^2 / ((1/K) sum_c |z_c - mean z|^2), 0 by Lemma 3.1, which says
    nothing of multiples of (1, .., 1); output_collapse_worst the largest mean of one class in place of that over all
    samples. nc4_mismatch: the share of samples where the largest output and the nearest class centre are of two
    classes.
    """
    samples = tables.counts.sum(-1)
    shift = sums.output_shift / tables.counts[..., None]
    scatter = sums.output_squares.sum(-1) - (tables.counts[..., None] * shift.square()).sum((-2, -1))
    of_classes = sums.output_squares / tables.counts - shift.square().sum(-1)
    between = head.mean_outputs(shift).squares / tables.classes
    return {
        "accuracy": sums.correct.sum(-1) / samples,
        "nc4_mismatch": sums.mismatched / samples,
        "output_efficiency": sums.output_efficiency,
        "output_collapse": (scatter / samples) / between,
        "output_collapse_worst": of_classes.amax(-1) / between,
    }
