"""Slips in formulas whose claims are solved over free tensors, and the claim that has to fail for each."""

from __future__ import annotations

from claim_slips import slip

from nc_bench.theory import (
    certificate,
    collapsed,
    contrastive,
    deep_linear,
    gradient_flow,
    mixed_bounds,
    squared_error,
)
from nc_bench.theory import frozen_head as frozen_theory

QUICK_FREE_SLIPS = [
    # unit vectors: temperature, margins, number of positives, frame for simplex
    slip(mixed_bounds, "margin=stretch * stretch /", "margin=stretch /", "normalized_softmax_risk_4_classes"),
    slip(
        mixed_bounds,
        "stretch * stretch / temperature",
        "stretch**2 / temperature**2",
        "normalized_softmax_risk_3_classes",
    ),
    slip(collapsed, "0.0 if orthogonal else -1 / (", "0.0 if orthogonal else -1 / (1 + ", "normalized_softmax_cosine"),
    slip(contrastive, '"margin": classes / (classes - 1)', '"margin": (classes - 1) / classes', "softmax_code_simplex"),
    slip(contrastive, '"margin": 1.0', '"margin": classes / (classes - 1)', "softmax_code_twice_the_width"),
    slip(contrastive, "2 * math.sin(math.pi / classes) ** 2", "math.sin(math.pi / classes) ** 2", "softmax_code_plane"),
    slip(contrastive, "math.exp(-gap / temperature)", "math.exp(gap / temperature)", "supervised_contrastive_signed"),
    slip(contrastive, "per_class - 1 + others", "per_class + others", "supervised_contrastive_signed"),
    slip(contrastive, "gap = 1.0 if", "gap = 1.0 * 2 if", "supervised_contrastive_nonnegative"),
    slip(
        contrastive,
        '"cosine": 0.0 if nonnegative else -1 / (',
        '"cosine": 0.0 if nonnegative else 1 / (',
        "supervised_contrastive_signed_cosine",
    ),
    slip(
        contrastive,
        '"cosine": 0.0 if nonnegative else',
        '"cosine":',
        "supervised_contrastive_nonnegative_cosine",
    ),
    # the certificate: factor, exponent, sign
    slip(certificate, "(classes - 1) * np.exp(", "classes * np.exp(", "certificate_is_reached_1"),
    slip(certificate, "np.sqrt(classes / (classes - 1))", "(classes / (classes - 1))", "certificate_is_reached_5"),
    slip(certificate, "np.sqrt(classes / (classes - 1))", "np.sqrt(classes)", "certificate_is_reached_25"),
    slip(certificate, "np.exp(-margins)", "np.exp(margins)", "certificate_random_outputs_5"),
    slip(
        certificate,
        "np.sqrt(classes / (classes - 1))",
        "np.sqrt((classes - 1) / classes)",
        "certificate_random_outputs_1",
    ),
    # gradient flow: its clock, and the norms
    slip(gradient_flow, "2 * time /", "time /", "gradient_flow_margin_3_classes_of_1_late"),
    slip(gradient_flow, "time / math.sqrt(per_class)", "time / per_class", "gradient_flow_margin_4_classes_of_5_late"),
    slip(
        gradient_flow,
        "float(expi(margin)) + (classes - 1) *",
        "float(expi(margin)) + classes *",
        "gradient_flow_margin_10_classes_of_3_early",
    ),
    slip(
        gradient_flow,
        "float(expi(margin)) +",
        "math.exp(margin) +",
        "gradient_flow_margin_10_classes_of_3_late",
    ),
    slip(
        gradient_flow,
        "feature_norm = math.sqrt(margin / (stretch *",
        "feature_norm = math.sqrt(margin / (",
        "gradient_flow_feature_norm_4_classes_of_5_late",
    ),
    slip(
        gradient_flow,
        "head_row_norm = feature_norm * math.sqrt(per_class)",
        "head_row_norm = feature_norm * per_class",
        "gradient_flow_head_row_norm_4_classes_of_5_late",
    ),
    # mixup
    slip(frozen_theory, "classes * math.exp(log_p(", "2 * math.exp(log_p(", "frozen_head_mixup_a"),
    slip(frozen_theory, "math.exp(first) + math.exp(other)", "math.exp(first)", "frozen_head_mixup_b"),
    slip(frozen_theory, "+ decay * square / 2", "+ decay * square", "frozen_head_mixup_objective"),
    slip(frozen_theory, "- 2 * a * b / others", "+ 2 * a * b / others", "frozen_head_mixup_feature_norm"),
]
SLOW_FREE_SLIPS = [
    # depth: the price of a margin, the risks of both shapes
    slip(deep_linear, "layers * decay / 2, math.sqrt(", "layers * decay, math.sqrt(", "deep_linear_simplex_margin"),
    slip(
        deep_linear,
        "half * (classes - 1) * (root * margin) ** exponent",
        "half * (classes - 1) * (root * margin) ** 2",
        "deep_linear_simplex_4_classes_3_layers",
    ),
    slip(
        deep_linear,
        "half * (classes - 1) * (root",
        "half * classes * (root",
        "deep_linear_simplex_10_classes_2_layers",
    ),
    slip(
        deep_linear,
        "(classes / 2) * (2 * root * margin)",
        "(classes / 2) * (root * margin)",
        "deep_linear_pairs_6_classes_3_layers",
    ),
    slip(
        deep_linear,
        "math.log1p((classes - 2) * math.exp(-margin) + math.exp(-2 * margin))",
        "math.log1p((classes - 1) * math.exp(-margin) + math.exp(-2 * margin))",
        "deep_linear_pairs_8_classes_3_layers",
    ),
    slip(
        deep_linear,
        "(near + 2 * far) / (1 + near + far)",
        "(near + far) / (1 + near)**2",
        "deep_linear_pairs_margin",
    ),
    slip(deep_linear, "if other < objective:", "if other > objective:", "deep_linear_pairs_4_classes_4_layers"),
    slip(deep_linear, "decay / 2, math.sqrt(per_class)", "decay / 2, float(per_class)", "deep_linear_samples"),
    slip(
        deep_linear,
        "layers / 2 * decay * s ** (2 / layers),",
        "decay * s ** (2 / layers),",
        "deep_linear_squared_error",
    ),
    # squared error with decay: norms, the bias, dead classes
    slip(
        squared_error,
        "math.sqrt(feature_decay / head_decay) * (dir",
        "math.sqrt(head_decay / feature_decay) * (dir",
        "mse_decay_head_norm_largest_class_no_bias",
    ),
    slip(
        squared_error,
        "directions / singular, 0.0)",
        "directions, 0.0)",
        "mse_decay_feature_norm_largest_class_no_bias",
    ),
    slip(squared_error, "offset = sizes / samples", "offset = 0 * sizes", "mse_decay_risk_free_bias"),
    slip(squared_error, "* price)", "* price**2)", "mse_decay_dead_class_norm"),
    slip(squared_error, "+ price * kept.sum()", "+ 2 * price * kept.sum()", "mse_decay_dead_class_objective"),
    slip(squared_error, "(1 + bias_decay) / bias_decay", "bias_decay", "mse_decay_bias_cosine_between"),
    slip(
        squared_error,
        "np.maximum(singular - shrinkage, 0.0)",
        "np.abs(singular - shrinkage)",
        "mse_decay_bias_cosine_simplex",
    ),
]
