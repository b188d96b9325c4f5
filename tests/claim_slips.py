"""Slips in the formulas of the theory, a sign, a factor or an exponent, and the claim that has to fail for each."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

from nc_bench.theory import (
    ball_losses,
    balls,
    certificate,
    collapsed,
    contrastive,
    convexity,
    deep_linear,
    dispatch,
    gradient_flow,
    hulls,
    layer_peeled,
    least_head,
    mean_field,
    mixed_bounds,
    narrow,
    squared_error,
    unequal_ball,
    unequal_frame,
    weight_decay,
)
from nc_bench.theory import frozen_head as frozen_theory
from nc_bench.theory import imbalance as imbalance_theory
from nc_bench.theory import output_sets as sets_theory
from nc_bench.theory import penultimate as ball_theory
from nc_bench.theory import seli as seli_theory
from nc_bench.theory import two_layer as two_layer_theory

THEORY_MODULES = (
    ball_theory,
    balls,
    collapsed,
    dispatch,
    frozen_theory,
    imbalance_theory,
    layer_peeled,
    seli_theory,
    two_layer_theory,
    weight_decay,
    ball_losses,
    mixed_bounds,
    narrow,
    squared_error,
    unequal_ball,
    unequal_frame,
    certificate,
    contrastive,
    deep_linear,
    gradient_flow,
    convexity,
    sets_theory,
    least_head,
    mean_field,
    hulls,
)


@dataclass(frozen=True)
class Mutation:
    """A slip in the source of a module of the theory, and the claim that has to fail for it."""

    module: ModuleType
    right: str
    wrong: str
    claim: str

    def __str__(self) -> str:
        return f"{self.claim}: {self.wrong}"


def slip(module: ModuleType, right: str, wrong: str, claim: str) -> Mutation:
    return Mutation(module, right, wrong, claim)


QUICK_SLIPS = [
    # final layer: sign, exponents
    slip(balls, ", -radius * math.exp(", ", radius * math.exp(", "final_layer_beta"),
    slip(balls, "return radius * math.exp(-share / p)", "return radius * math.exp(-share * p)", "final_layer_alpha"),
    slip(balls, "math.log(classes - 1) / (p - 1)", "math.log(classes - 1) / p", "final_layer_risk_p1.5"),
    slip(balls, "risk_at(classes, alpha - beta)", "risk_at(classes, alpha + beta)", "final_layer_risk_class_weights"),
    # penultimate layer: factor, exponent, norm
    slip(ball_theory, "nonnegative else math.sqrt(", "nonnegative else (", "penultimate_risk_balanced"),
    slip(ball_theory, "head_norm * (1.0 if", "head_norm * (1.01 if", "nonnegative_risk_bias"),
    slip(ball_theory, "radius * head_norm * (1.0", "radius * (1.0", "learning_head_risk_in_a_ball"),
    slip(ball_theory, "margin = radius", "margin = 1.0001 * radius", "penultimate_risk_large_radius"),
    slip(ball_theory, "margin=margin, feature_norm=", "margin=margin, feature_norm=2 * ", "penultimate_distance"),
    slip(balls, "head_opnorm * math.sqrt(classes / (", "head_opnorm * (1 / classes / (", "risk_floor_every_iterate"),
    slip(balls, "cap = math.sqrt(min", "cap = (min", "simplex_efficiency_narrow"),
    # what all collapsed optima share
    slip(
        collapsed,
        "log1p((classes - 1) * math.exp(-margin))",
        "log1p(classes * math.exp(-margin))",
        "final_layer_risk_p2",
    ),
    slip(
        collapsed,
        "log1p((classes - 1) * math.exp(-margin))",
        "log1p((classes - 1) * math.exp(-2 * margin))",
        "layer_peeled_risk",
    ),
    slip(collapsed, "0.0 if orthogonal else -1 / (", "0.0 if orthogonal else 1 / (", "penultimate_cosine"),
    slip(collapsed, "radius * math.sqrt(2.0) / shrink", "radius * math.sqrt(2.0)", "penultimate_distance"),
    slip(collapsed, "1 / math.sqrt(classes) if", "1 / classes if", "nonnegative_centre_offset"),
    slip(
        collapsed,
        "math.log1p(-wrong) - math.log(wrong)",
        "math.log1p(-wrong) - 2 * math.log(wrong)",
        "decay_objective_plain",
    ),
    # weight decay
    slip(weight_decay, "return math.sqrt(self.per_class) *", "return self.per_class *", "decay_objective_bias"),
    slip(weight_decay, "label_smoothing * others /", "label_smoothing /", "decay_objective_smoothed"),
    slip(weight_decay, "math.sqrt(self.classes / (", "(self.classes / (", "decay_objective_nonnegative"),
    slip(weight_decay, "shrunk - shrunk**2 / 2", "shrunk + shrunk**2 / 2", "decay_objective_mse"),
    slip(weight_decay, "shrunk - shrunk**2 / 2", "shrunk - shrunk**3 / 2", "decay_objective_mse_bias"),
    slip(weight_decay, "margin * share * balance)", "margin * share / balance)", "decay_head_norm_plain"),
    slip(weight_decay, "margin * share / balance)", "margin / balance)", "decay_feature_norm_mse_bias"),
    slip(weight_decay, '"feature_norm": 0.0', '"feature_norm": 1e-3', "decay_feature_norm_too_strong"),
    # layer-peeled model, frozen head
    slip(layer_peeled, "margin=growth * head", "margin=head", "layer_peeled_risk"),
    slip(layer_peeled, "feature_norm = math.sqrt(checks", "feature_norm = (checks", "layer_peeled_risk"),
    slip(frozen_theory, "- decay * norm", "- 2 * decay * norm", "frozen_head_feature_norm"),
    slip(frozen_theory, "+ decay * feature_norm**2 / 2", "- decay * feature_norm**2 / 2", "frozen_head_objective"),
    # ReLU features, class sizes
    slip(imbalance_theory, "sum(sizes) * shrink *", "sum(sizes) *", "nonnegative_decay_objective"),
    slip(imbalance_theory, "price / math.sqrt(n)) for", "price * math.sqrt(n)) for", "nonnegative_decay_live_classes"),
    slip(
        imbalance_theory, "math.fsum(risks) / classes", "math.fsum(risks) / samples", "nonnegative_decay_risk_balanced"
    ),
    # SELI
    slip(seli_theory, "np.eye(classes) - 1", "np.eye(classes) + 1", "seli_head_minor_cosine"),
    slip(seli_theory, "per_sample = right / root", "per_sample = right * root", "seli_feature_norm_ratio"),
    slip(seli_theory, "(left * singular) @", "(left * singular**2) @", "seli_head_norm_ratio"),
    # three neurons
    slip(two_layer_theory, "- math.log(2.0)", "+ math.log(2.0)", "three_neurons_gap_flow_off_line"),
    slip(
        two_layer_theory,
        "math.log(p3) - math.log(p1)",
        "math.log(p1) - math.log(p3)",
        "three_neurons_gap_descent_off_line_rare_left",
    ),
    slip(
        two_layer_theory,
        '"exp_2a2_minus_a3": 2 * p2 / (3 * p3)',
        '"exp_2a2_minus_a3": 2 * p2 / p3',
        "three_neurons_exp_2a2_minus_a3_flow_on_line",
    ),
]
SLOW_SLIPS = [
    # other losses, widths, weights and sets of bounded features, other decays
    slip(narrow, "math.sqrt(size / (size - 1)))", "math.sqrt(size / (size + 1)))", "penultimate_narrow_simplices"),
    slip(narrow, "math.sqrt(2 / classes)", "math.sqrt(1 / classes)", "penultimate_narrow_polygon"),
    slip(collapsed, "** gamma * math", "** (gamma + 1) * math", "penultimate_focal"),
    slip(ball_losses, "smoothing * reached * (classes - 1)", "smoothing * reached * classes", "penultimate_smoothed"),
    slip(ball_losses, "* (1 - smoothing) / smoothing", "/ smoothing", "penultimate_smoothed_inside"),
    slip(ball_losses, "** 2 / 2", "** 2", "penultimate_mse"),
    slip(ball_losses, "goal = shrink if bias", "goal = shrink**2 if bias", "penultimate_mse_bias"),
    slip(
        unequal_ball,
        "lengths = _lengths(groups, bias, budget)",
        "lengths = _lengths(groups, bias, 1.01 * budget)",
        "penultimate_unequal_bias",
    ),
    slip(
        unequal_frame,
        "np.eye(count) * budget / self.groups.sizes",
        "np.eye(count) * budget",
        "penultimate_unequal_nonnegative",
    ),
    slip(mixed_bounds, '"head_energy", head_energy)) * stretch', '"head_energy", head_energy))', "mixed_bounds_head"),
    slip(
        mixed_bounds,
        'math.sqrt(checks.positive("feature_energy"',
        '(checks.positive("feature_energy"',
        "mixed_bounds_features",
    ),
    slip(mixed_bounds, "width ** (0.5 - 1 / p)", "width ** (0.5 + 1 / p - 0.1)", "feature_lp_ball_cube"),
    slip(weight_decay, "share**gamma * (share + gamma", "share**gamma * (share - gamma", "decay_objective_focal"),
    slip(
        squared_error, "(singular - kept) ** 2 / (2 * samples)", "(singular - kept) ** 2 / samples", "mse_decay_counts"
    ),
    slip(squared_error, "rows - sizes / sizes.sum()", "rows - 1 / len(sizes)", "mse_decay_free_bias"),
    slip(squared_error, "(1 + bias_decay) / bias_decay", "1 / bias_decay", "mse_decay_decayed_bias"),
    slip(
        imbalance_theory,
        "math.sqrt(feature_decay)) ** 2",
        "math.sqrt(feature_decay)) ** 1",
        "minority_collapse_threshold",
    ),
    slip(imbalance_theory, "return (sum(sizes) *", "return (2 * sum(sizes) *", "minority_collapse_threshold"),
    slip(collapsed, "0.0 if orthogonal else -1 / (", "0.0 if orthogonal else 1 / (", "imbalance_ball_cosine"),
    slip(collapsed, "0.0 if orthogonal else -1 / (", "0.0 if orthogonal else -1 / (1 + ", "imbalance_peeled_cosine_1"),
    slip(two_layer_theory, "(2 * along + across) /", "2 * (along + across) /", "two_layer_ratio"),
    slip(two_layer_theory, "(2 * along + across) /", "(2.02 * along + across) /", "two_layer_ratio_limit_largest"),
    slip(two_layer_theory, '"ratio_minimum": 1.5', '"ratio_minimum": 1.6', "two_layer_ratio_minimum"),
    slip(two_layer_theory, '"ratio_minimum": 1.5', '"ratio_minimum": 1.6', "two_layer_output_collapse"),
    slip(two_layer_theory, '"max_margin": 0.5', '"max_margin": 0.5**0.5', "two_layer_margin"),
]
