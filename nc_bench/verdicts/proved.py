"""What is proved of a run: the minimiser of its training problem, where theory knows it, or why it does not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nc_bench.config import Config, FeatureBound, HeadBound, OutputBound
from nc_bench.theory import Prediction, predict

NEARLY_BALANCED = 1.1
"""Largest ratio of class sizes up to which a network is held against a prediction for equal classes: by symmetry
the risk changes with the square of the imbalance, a hundred times less than a network's tolerance."""


def known_minimizer(config: Config, counts: Sequence[int], width: int) -> Prediction | str:
    """The prediction for the minimiser of this configuration, or why there is none.

    counts: training samples of each class; width: that of the penultimate features. A Prediction that does not apply
    says so itself.
    """
    constraints, objective = config.constraints, config.objective
    decay = max(*config.coupled_decays, objective.feature_decay, *config.decoupled_decays)
    width = min(width, *config.model.linear_widths) if config.model.linear_widths else width
    if 0 in counts:
        return f"class {list(counts).index(0)} has no samples"
    if not config.model.has_head:
        return "features are measured alone, without a last layer"
    if not objective.is_stated:
        return "what the loop minimises is not stated"
    if not config.head.trainable:
        return _frozen(config, counts, width)
    if objective.mixup is not None:
        return "with mixup the minimiser is known for a head frozen in a simplex only"
    if constraints.features or constraints.head or constraints.outputs:
        return _bounded(config, counts, width, decay)
    if not objective.has_known_minimizer:
        return f"no minimiser is known for the {objective.loss} loss"
    if config.model.is_feature_table and objective.decay_of_head > 0 and objective.feature_decay > 0:
        return _decayed(config, counts, width)
    if config.model.linear_widths and decay:
        return _deep_linear(config, counts, width)
    if config.model.is_feature_table and decay:
        return "the objective does not decay both the head and the features"
    if decay:
        return "weight decay acts on every layer, and the minimiser over deep networks is not known in closed form"
    if not objective.is_cross_entropy or objective.label_smoothing:
        return "without bounds or decay the loss does not determine features and head"
    return "nothing bounds the norms, so the risk has no minimiser (section 2.1)"


def _bounded(config: Config, counts: Sequence[int], width: int, decay: float) -> Prediction | str:
    """The prediction where features, head or outputs are bounded."""
    ball, head, outputs = config.constraints.features, config.constraints.head, config.constraints.outputs
    if config.model.is_linear:
        return "the features are linear in the inputs, so they cannot be chosen freely"
    if outputs is not None:
        if decay or ball or head:
            return "the outputs are bounded and something else is too"
        return _bounded_outputs(config, counts, outputs, width)
    if ball is None or head is None:
        return "only one of features and head is bounded"
    if decay:
        return "norm bounds and decay act together"
    for bounded, bound in (("features", ball), ("head", head)):
        if not bound.has_known_minimizer:
            return f"no minimiser is known for {bounded} in the set {bound.set}"
    if ball.in_mean or head.in_mean or head.has_unit_rows:
        return _mean_square(config, counts, ball, head, width)
    if unfilled := _unfilled(config, ball):
        return unfilled
    return _ball(config, counts, ball, head, width)


def _ball(config: Config, counts: Sequence[int], ball: FeatureBound, head: HeadBound, width: int) -> Prediction | str:
    """The prediction where every feature and the spectral norm of the head are bounded."""
    objective, classes = config.objective, len(counts)
    weights = None if _balanced_enough(config, counts) else weights_in_loss(config, counts)
    if ball.p != 2:
        return _lp_ball(config, counts, ball, head, width)
    if not objective.has_known_minimizer:
        return f"under norm bounds no minimiser is known for the {objective.loss} loss"
    if objective.is_rescaled:
        return "the squared error is rescaled"
    return predict(
        "penultimate_ball",
        classes=classes,
        radius=ball.radius,
        head_norm=head.norm,
        nonnegative=config.model.has_nonnegative_features,
        bias=config.head.bias,
        loss=objective.loss,
        focal_gamma=objective.focal_gamma,
        label_smoothing=objective.label_smoothing,
        width=width,
        class_weights=weights,
    )


def _lp_ball(
    config: Config, counts: Sequence[int], ball: FeatureBound, head: HeadBound, width: int
) -> Prediction | str:
    """The prediction for features in an l^p ball, where the smallest risk is known and not only bounded."""
    if not config.objective.is_plain:
        return f"with features bounded in l^{ball.p:g} the minimiser is known for the plain cross entropy only"
    if config.model.has_nonnegative_features:
        return f"the features are bounded in l^{ball.p:g} and non-negative"
    if config.head.bias and not _balanced_enough(config, counts):
        return f"the features are bounded in l^{ball.p:g}, and with a bias the optimum depends on the class weights"
    prediction = predict(
        "feature_lp_ball", classes=len(counts), radius=ball.radius, p=ball.p, width=width, head_norm=head.norm
    )
    if prediction.applies and prediction.values["tight"] != "yes":
        return (
            f"the features are bounded in l^{ball.p:g} in {width} dimensions: the risk is at least "
            f"{prediction.values['risk_floor']:.6g}, and its minimum is not known"
        )
    return prediction


def _bounded_outputs(config: Config, counts: Sequence[int], ball: OutputBound, width: int) -> Prediction | str:
    """The prediction for outputs in an l^p ball."""
    if not config.objective.is_plain:
        return "for bounded outputs the minimiser is known for the plain cross entropy only"
    # The optimal outputs sum to zero, and W maps features in the positive orthant to them without a bias only if
    # those are linearly independent.
    positive = config.model.features_range is None or config.model.has_nonnegative_features
    if positive and not config.head.bias and width < len(counts):
        return f"width {width} is too small: the optimal outputs of non-negative features need {len(counts)}"
    return predict("final_layer_ball", classes=len(counts), radius=ball.radius, p=ball.p, width=width)


def _mean_square(
    config: Config, counts: Sequence[int], ball: FeatureBound, head: HeadBound, width: int
) -> Prediction | str:
    """The prediction where features or the rows of the head are bounded in the mean square, or the rows are units."""
    bound = "the rows of the head are unit vectors" if head.has_unit_rows else "a norm is bounded in the mean square"
    if not config.objective.is_plain:
        return f"{bound}, and then the minimiser is known for the plain cross entropy only"
    if config.model.has_nonnegative_features:
        return f"{bound}, and the features are non-negative"
    if ball.p != 2:
        return f"{bound}, and the features are bounded in l^{ball.p:g}"
    if not ball.in_mean and (unfilled := _unfilled(config, ball)):
        return unfilled
    nearly = not ball.in_mean and not config.model.takes_indices and _balanced_enough(config, counts)
    if len(set(counts)) > 1 and not nearly:
        return f"the class sizes differ ({min(counts)} to {max(counts)})"
    specification: dict[str, Any] = {
        "classes": len(counts),
        "width": width,
        "class_weights": None if nearly else config.objective.class_weights,
    }
    if head.has_unit_rows:
        if ball.in_mean:
            return "the head has unit rows, and the features are bounded in the mean square"
        # |w_k| = 1/t for every row, and features of norm R: as unit vectors, they have the temperature t/R.
        if ball.radius == 1 and not config.head.bias:
            return predict("normalized_softmax", temperature=1 / head.norm, **specification)
        return predict("mixed_bounds", radius=ball.radius, head_energy=head.norm**2, **specification)
    specification |= {"feature_energy": ball.radius**2} if ball.in_mean else {"radius": ball.radius}
    specification |= {"head_energy": head.norm**2} if head.in_mean else {"head_norm": head.norm}
    return predict("layer_peeled" if ball.in_mean and head.in_mean else "mixed_bounds", **specification)


def _decayed(config: Config, counts: Sequence[int], width: int) -> Prediction | str:
    """The prediction for a table of features whose head and features are both decayed."""
    objective, biased = config.objective, config.head.bias
    decayed_bias = biased and objective.decay_biases
    if objective.is_rescaled:
        return "the squared error is rescaled"
    if config.optimizer.max_gradient_norm is not None:
        return "gradients are clipped before the decay is added, so the run minimises something else"
    decays = {"head_decay": objective.decay_of_head, "feature_decay": objective.feature_decay}
    uneven = len(set(counts)) > 1
    signed = not config.model.has_nonnegative_features
    if objective.is_squared_error and signed and (uneven or decayed_bias):
        bias = objective.decay_of_head if decayed_bias else "free" if biased else None
        weights = objective.class_weights
        return predict(
            "weight_decay_mse", counts=tuple(counts), bias=bias, width=width, class_weights=weights, **decays
        )
    if uneven:
        return f"the class sizes differ ({min(counts)} to {max(counts)})"
    if decayed_bias:
        return "the bias is decayed too"
    return predict(
        "weight_decay",
        classes=len(counts),
        per_class=counts[0],
        nonnegative=not signed,
        label_smoothing=objective.label_smoothing,
        loss=objective.loss,
        focal_gamma=objective.focal_gamma,
        bias=biased,
        width=width,
        class_weights=objective.class_weights,
        **decays,
    )


def _frozen(config: Config, counts: Sequence[int], width: int) -> Prediction | str:
    """The prediction for decayed free features under a head frozen in a simplex."""
    objective, constraints = config.objective, config.constraints
    frozen = "the head is frozen"
    if config.head.init != "simplex":
        return f"{frozen}, and not at a simplex"
    if not (config.model.is_feature_table and objective.feature_decay > 0):
        return f"{frozen}, and the minimiser is known for a table of features with feature decay only"
    if constraints.features or constraints.outputs or constraints.head:
        return f"{frozen}, and norm bounds and decay act together"
    if config.model.has_nonnegative_features:
        return f"{frozen}, and the features are non-negative"
    if config.optimizer.max_gradient_norm is not None:
        return "gradients are clipped, so the run may not come to rest at the minimiser"
    if not (objective.is_plain or (objective.is_cross_entropy and objective.mixup is not None)):
        return f"{frozen}, and the minimiser is known for the cross entropy without label smoothing only"
    if len(set(counts)) > 1:
        return f"the class sizes differ ({min(counts)} to {max(counts)})"
    return predict(
        "frozen_simplex_head",
        classes=len(counts),
        per_class=counts[0],
        feature_decay=objective.feature_decay,
        mixup=objective.mixup,
        width=width,
        class_weights=objective.class_weights,
    )


def _deep_linear(config: Config, counts: Sequence[int], width: int) -> Prediction | str:
    """The prediction for linear layers on a table, every factor with the same coupled decay."""
    objective = config.objective
    if max(config.decoupled_decays) > 0 or config.coupled_decays[0] != config.coupled_decays[1]:
        return "not every factor has the same coupled weight decay"
    if objective.feature_decay > 0:
        return "the features are decayed besides the factors that they are a product of"
    if config.head.bias:
        return "the linear layers have no bias, but the head has"
    if objective.is_rescaled:
        return "the squared error is rescaled"
    if not (objective.is_plain or objective.is_squared_error):
        return "for linear layers on free vectors the minimiser is known for plain cross entropy and squared error only"
    if config.optimizer.max_gradient_norm is not None:
        return "gradients are clipped before the decay is added, so the run minimises something else"
    if len(set(counts)) > 1:
        return f"the class sizes differ ({min(counts)} to {max(counts)})"
    return predict(
        "deep_linear",
        classes=len(counts),
        layers=len(config.model.linear_widths) + 1,
        decay=objective.weight_decay,
        per_class=counts[0],
        loss=objective.loss,
        width=width,
        class_weights=objective.class_weights,
    )


def _unfilled(config: Config, ball: FeatureBound) -> str:
    """Why some features of the (non-negative part of the) ball or sphere are never reached, "" if all are."""
    if config.model.features_range is None:
        return f"features of {config.model.name} are not known to fill the {ball.set} of radius {ball.radius:g}"
    # The minimiser in the ball lies on its sphere, so it is the one on the sphere, which every direction fills.
    if ball.on_surface:
        return ""
    low, high = config.model.features_range
    if ball.radius <= high and (low == 0 or ball.radius <= -low):
        return ""
    return (
        f"every entry of the features lies between {low:.3g} and {high:.3g}, "
        f"so they do not fill the ball of radius {ball.radius:g}"
    )


def _balanced_enough(config: Config, counts: Sequence[int]) -> bool:
    weights = weights_in_loss(config, counts)
    if config.model.takes_indices:
        return len(set(weights)) == 1
    return max(weights) <= NEARLY_BALANCED * min(weights)


def weights_in_loss(config: Config, counts: Sequence[int]) -> list[float]:
    """What each class counts for in the mean loss, up to a factor."""
    weights = config.objective.class_weights or (1.0,) * len(counts)
    return [count * weight for count, weight in zip(counts, weights, strict=True)]
