"""Slips in the formulas for the lemmas of the paper, as in `claim_slips`."""

from __future__ import annotations

from claim_slips import slip

from nc_bench.theory import balls, convexity
from nc_bench.theory import output_sets as sets_theory

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
]
