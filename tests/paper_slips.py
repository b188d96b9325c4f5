"""Slips in the formulas for the lemmas of the paper, as in `claim_slips`."""

from __future__ import annotations

from claim_slips import slip

from nc_bench.theory import balls, convexity, hulls, least_head, mean_field
from nc_bench.theory import output_sets as sets_theory
from nc_bench.theory import two_layer as two_layer_theory

QUICK_PAPER_SLIPS = [
    # Hessian of the loss, cost of scatter: sign, factor, exponent
    slip(convexity, "np.diag(p) - np.outer", "np.diag(p) + np.outer", "loss_second_derivative"),
    slip(convexity, "np.diag(p) - np.outer(p, p)", "np.diag(p) - np.outer(p, p) / 2", "loss_second_derivative"),
    slip(convexity, "math.log(len(p)) + math", "math", "loss_curvature_product"),
    slip(convexity, "math.fsum(np.log(p))", "2 * math.fsum(np.log(p))", "loss_curvature_product"),
    slip(convexity, ".min())", ".max())", "loss_second_eigenvalue"),
    slip(convexity, "@ covariance) / 2", "@ covariance)", "class_means_scatter"),
    # outputs in a ball around another centre, at the ends p = 1 and infinity, in a box
    slip(balls, '"alpha": centre + alpha', '"alpha": alpha - centre', "final_layer_alpha_shifted"),
    slip(balls, '"beta": centre + beta', '"beta": beta', "final_layer_beta_shifted"),
    slip(balls, "return radius, -radius", "return radius, 0.0", "final_layer_risk_pinf"),
    slip(balls, "return radius, -radius", "return radius, radius", "final_layer_beta_pinf"),
    slip(balls, "return radius, 0.0", "return radius, -radius", "final_layer_risk_p1"),
    slip(balls, "return radius, 0.0", "return 2 * radius, radius", "final_layer_alpha_p1"),
    slip(balls, "return radius, 0.0", "return radius / 2, 0.0", "final_layer_risk_p1_two_classes"),
    slip(sets_theory, "math.exp(other - own)", "math.exp(other + own)", "output_box_risk"),
    slip(sets_theory, "/ len(losses)", "/ (len(losses) - 1)", "output_box_risk"),
    # heads that reach a simplex from bounded features
    slip(least_head, "output_radius / radius", "radius / output_radius", "least_head_norm"),
    slip(least_head, "output_radius / radius", "output_radius * radius", "least_head_norm_random"),
    slip(least_head, "radius**2 - (", "radius**2 + (", "least_head_centre_wide"),
    slip(least_head, "/ head_norm) ** 2", "/ head_norm)", "least_head_centre_wide"),
    # hulls of random classes
    slip(hulls, "math.comb(points - 1, k)", "math.comb(points, k)", "hull_overlap_random_8_in_2"),
    slip(hulls, "range(width + 1)", "range(width)", "hull_overlap_random_7_in_3"),
    slip(hulls, "2 ** (points - 1)", "2**points", "hull_overlap_random_9_in_1"),
]
SLOW_PAPER_SLIPS = [
    # particles, leaky neurons, growth in time
    slip(mean_field, "float(checks.whole(", "1 / float(checks.whole(", "mean_field_doubled"),
    slip(
        mean_field,
        'float(checks.whole("width", width, 1))',
        'float(checks.whole("width", width, 1)) ** 0.5',
        "mean_field_unscaled_time",
    ),
    slip(mean_field, "** -0.5", "** -1", "mean_field_one_curve"),
    slip(mean_field, "** -0.5", "** 0.5", "mean_field_one_curve"),
    slip(mean_field, "q - math.log(q) -", "q + math.log(q) -", "two_layer_growth_cross_entropy"),
    slip(mean_field, "q - math.log(q) -", "q -", "two_layer_growth_exponential"),
    slip(two_layer_theory, "(1 + slope) ** 2", "(1 + slope)", "two_layer_leaky_ratio_largest"),
    slip(two_layer_theory, "(1 - slope) ** 2", "(1 + slope) ** 2", "two_layer_leaky_ratio_smallest"),
    slip(
        two_layer_theory, "math.sqrt(along + across) / 2", "math.sqrt(along + across / 2) / 2", "two_layer_leaky_margin"
    ),
]
