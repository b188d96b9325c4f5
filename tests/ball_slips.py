"""Slips in formulas of bounded features and head beyond the plain case, and the claim that has to fail for each."""

from __future__ import annotations

from claim_slips import slip

from nc_bench.theory import ball_losses, collapsed, mixed_bounds, narrow, unequal_ball, unequal_frame
from nc_bench.theory import penultimate as ball_theory

QUICK_BALL_SLIPS = [
    # too few dimensions: number and sizes of the simplices, leads inside and outside of one, angles
    slip(narrow, "(classes - size) * math.exp(", "(size - 1) * math.exp(", "narrow_risk_three_pairs"),
    slip(narrow, "risks.append(size * math", "risks.append(math", "narrow_risk_sizes_4_and_3"),
    slip(narrow, "math.sqrt((size - 1) / size))", "math.sqrt(size / (size - 1)))", "narrow_risk_four_triangles"),
    slip(narrow, "(size - 1) * math.exp(-budget", "(size - 1) * math.exp(budget", "narrow_risk_sizes_3_2_2"),
    slip(narrow, "math.sin(math.pi * j / classes) ** 2", "math.sin(math.pi * j / classes) ** 4", "narrow_risk_square"),
    slip(narrow, "step * 2 * math.sin", "step * math.sin", "narrow_risk_heptagon"),
    slip(narrow, "[-1 / (size - 1)] *", "[1 / (size - 1)] *", "narrow_angles_sizes_4_and_3"),
    slip(narrow, "math.cos(2 * math.pi * j", "math.cos(math.pi * j", "narrow_angles_heptagon"),
    slip(
        collapsed,
        "risk + math.log(-math.expm1(-risk))",
        "risk - math.log(-math.expm1(-risk))",
        "narrow_efficiency_sizes_4_and_3",
    ),
    slip(collapsed, "(math.log(classes - 1) - odds)", "(math.log(classes) - odds)", "narrow_efficiency_heptagon"),
    # unequal weights
    slip(ball_theory, "problem.weights, radius * head_norm)", "problem.weights, radius / 2)", "unequal_weights_bias"),
    slip(unequal_ball, "float(point.risks[group])", "float(point.risks[group - 1])", "unequal_weights_bias_first"),
    slip(unequal_ball, "float(point.risks[group])", "float(point.risks.mean())", "unequal_weights_bias_last"),
    slip(unequal_ball, "/ math.fsum(weights))", "/ max(weights))", "unequal_weights_two_sizes"),
    slip(unequal_frame, "self.radius / (root", "2 * self.radius / (root", "unequal_weights_nonnegative"),
    slip(unequal_frame, "(np.diag(logits) + budget)", "np.diag(logits)", "unequal_weights_nonnegative_bias"),
    slip(unequal_frame, "float(risks[group])", "float(risks[group - 1])", "unequal_weights_nonnegative_last"),
    slip(collapsed, "0.0 if orthogonal else -1 / (classes - 1),", "-1 / (classes - 1),", "unequal_weights_orthogonal"),
    # losses
    slip(collapsed, "(wrong / (1 + wrong)) ** gamma", "wrong**gamma", "ball_focal_ten_classes_objective"),
    slip(collapsed, "** gamma * math", "* gamma * math", "ball_focal_weights_objective"),
    slip(ball_theory, "margin = radius * head_norm *", "margin = 2 * radius * head_norm *", "ball_focal_weights_risk"),
    slip(ball_losses, "* reached * (classes - 1) / classes", "* reached", "ball_smoothed_objective_below"),
    slip(ball_losses, "min(free, margin)", "margin", "ball_smoothed_margin_above"),
    slip(ball_losses, "min(free, margin)", "max(free, margin)", "ball_smoothed_objective_above"),
    slip(
        ball_losses,
        "math.log1p(classes * (1 - smoothing) / smoothing)",
        "math.log((1 - smoothing) / smoothing)",
        "ball_smoothed_margin_above",
    ),
    slip(ball_losses, "goal - budget, 0.0", "goal - budget**2, 0.0", "ball_squared_error_objective_no_bias"),
    slip(ball_losses, "goal = shrink if bias else 1.0", "goal = 1.0", "ball_squared_error_objective_bias"),
    slip(ball_losses, "orthogonal=not bias", "orthogonal=bias", "ball_squared_error_cosine_no_bias"),
    slip(ball_losses, "orthogonal=not bias", "orthogonal=True", "ball_squared_error_cosine_bias"),
    # l^p balls and mixed bounds
    slip(mixed_bounds, "radius * width ** (0.5 - 1 / p)", "radius * width ** (0.5 / p)", "feature_lp_ball_two_classes"),
    slip(mixed_bounds, "width ** (0.5 - 1 / p)", "width ** (0.5 - 1 / (p + 1))", "feature_lp_ball_reach"),
    slip(mixed_bounds, "width ** (0.5 - 1 / p)", "width ** (1 / p - 0.5)", "feature_lp_ball_missed_square"),
    slip(mixed_bounds, "margin = reach * head_norm", "margin = reach**2", "feature_lp_ball_eight_classes"),
    slip(mixed_bounds, "feature_norm = math.sqrt(checks", "feature_norm = (checks", "mixed_bounds_features_risk"),
    slip(mixed_bounds, "head_energy)) * stretch", "head_energy))", "mixed_bounds_head_opnorm"),
    slip(mixed_bounds, "head_opnorm * stretch,", "head_opnorm,", "mixed_bounds_head_risk"),
]
