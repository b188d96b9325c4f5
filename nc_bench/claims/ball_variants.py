"""Bounded features and head beyond the plain case: other losses, widths, weights and sets; squared error with decay."""

from __future__ import annotations

from functools import partial
from typing import Any

from nc_bench.claims.claim import OBJECTIVE_TOLERANCE, Claim, predicted_claim
from nc_bench.claims.problems import chosen_classes, unconstrained
from nc_bench.claims.solve import descend, minimise
from nc_bench.config import Config

SEEDS = (0, 1, 2)
WEIGHTS = (4.0, 2.0, 1.0, 1.0)
DECAYS = {"head_decay": 2e-2, "feature_decay": 5e-3}
UNEVEN, EVEN = (4, 2, 1), (2, 2, 2)
MSE: dict[str, Any] = {"loss": "mse", "weight_decay": DECAYS["head_decay"], "feature_decay": DECAYS["feature_decay"]}


def claims() -> list[Claim]:
    """Least objectives: of losses, narrow widths and unequal weights in the ball, of other sets, and under decay."""
    return [*_in_the_ball(), *_in_other_sets(), *_decayed()]


def _in_the_ball() -> list[Claim]:
    about = partial(predicted_claim, setting="penultimate_ball", value="objective", tolerance=OBJECTIVE_TOLERANCE)
    focal = {"loss": "focal", "focal_gamma": 2.0}
    trials: list[tuple[str, str, dict[str, Any], Config]] = [
        (
            "penultimate_narrow_simplices",
            "least risk of 6 classes in 4 dimensions: two triangles",
            {"classes": 6, "radius": 3.0, "width": 4},
            _bounded(4, 3.0),
        ),
        (
            "penultimate_narrow_polygon",
            "least risk of 5 classes in the plane: a pentagon",
            {"classes": 5, "radius": 2.0, "width": 2},
            _bounded(2, 2.0),
        ),
        (
            "penultimate_focal",
            "least focal loss of 4 classes",
            {"classes": 4, "radius": 2.0, **focal},
            _bounded(4, 2.0, objective=focal),
        ),
        (
            "penultimate_smoothed",
            "least smoothed cross entropy of 4 classes, the bounds reached",
            {"classes": 4, "radius": 2.0, "label_smoothing": 0.1},
            _bounded(4, 2.0, objective={"label_smoothing": 0.1}),
        ),
        (
            "penultimate_smoothed_inside",
            "the same where the bounds are not reached",
            {"classes": 4, "radius": 5.0, "label_smoothing": 0.1},
            _bounded(4, 5.0, objective={"label_smoothing": 0.1}),
        ),
        (
            "penultimate_mse",
            "least squared error of 4 classes",
            {"classes": 4, "radius": 0.6, "loss": "mse"},
            _bounded(4, 0.6, objective={"loss": "mse"}),
        ),
        (
            "penultimate_mse_bias",
            "least squared error of 4 classes with a free bias",
            {"classes": 4, "radius": 0.6, "loss": "mse", "bias": True},
            _bounded(4, 0.6, objective={"loss": "mse"}, bias=True, learning_rate=0.01),
        ),
        (
            "penultimate_unequal_bias",
            "least weighted risk for weights 4:2:1:1 with a free bias",
            {"classes": 4, "radius": 2.0, "bias": True, "class_weights": WEIGHTS},
            _bounded(5, 2.0, bias=True, objective={"class_weights": WEIGHTS}),
        ),
        (
            "penultimate_unequal_nonnegative",
            "least weighted risk for weights 4:2:1:1, non-negative features",
            {"classes": 4, "radius": 2.0, "nonnegative": True, "class_weights": WEIGHTS},
            _bounded(11, 2.0, nonnegative=True, objective={"class_weights": WEIGHTS}),
        ),
    ]
    return [
        about(name, f"{said}; best of 3 starts", problem=problem, obtained=_lowest(config, problem["classes"]))
        for name, said, problem, config in trials
    ]


def _in_other_sets() -> list[Claim]:
    about = partial(predicted_claim, value="risk", tolerance=OBJECTIVE_TOLERANCE)
    mean = "mean_square"
    return [
        about(
            "mixed_bounds_head",
            "least risk of 4 classes, |h| <= 2 and a mean |w|^2 <= .64; best of 3 starts",
            setting="mixed_bounds",
            problem={"classes": 4, "radius": 2.0, "head_energy": 0.64},
            obtained=_lowest(_bounded(4, 2.0, head_bound={"radius": 0.8, "set": mean}), 4),
        ),
        about(
            "mixed_bounds_features",
            "least risk of 4 classes, a mean |h|^2 <= 4 and |W| <= .8; best of 3 starts",
            setting="mixed_bounds",
            problem={"classes": 4, "feature_energy": 4.0, "head_norm": 0.8},
            obtained=_lowest(_bounded(4, 2.0, head_bound={"radius": 0.8}, set=mean), 4),
        ),
        about(
            "feature_lp_ball_cube",
            "least risk of 4 classes in the cube |h_j| <= 1.5 of 3 dimensions; best of 3 starts",
            setting="feature_lp_ball",
            problem={"classes": 4, "radius": 1.5, "p": float("inf"), "width": 3},
            obtained=_lowest(_bounded(3, 1.5, p=float("inf")), 4),
        ),
    ]


def _decayed() -> list[Claim]:
    about = partial(predicted_claim, value="objective", tolerance=OBJECTIVE_TOLERANCE)
    problem = {**DECAYS, "classes": 3, "per_class": 2, "loss": "focal", "focal_gamma": 2.0}
    focal = {**MSE, "loss": "focal", "focal_gamma": 2.0}
    # Decay of the bias above q/(1-q) = .044: between simplex and orthogonal frame.
    decayed_bias = {"loss": "mse", "weight_decay": 0.1, "feature_decay": 1e-3, "decay_biases": True}
    return [
        about(
            "decay_objective_focal",
            "least focal loss with decay, 3 classes of 2 samples; best of 3 starts",
            setting="weight_decay",
            problem=problem,
            obtained=_minimum(unconstrained(4, objective=focal), EVEN),
        ),
        about(
            "mse_decay_counts",
            "least squared error with decay, class sizes 4:2:1; best of 3 starts",
            setting="weight_decay_mse",
            problem={**DECAYS, "counts": UNEVEN},
            obtained=_minimum(unconstrained(4, objective=MSE), UNEVEN),
        ),
        about(
            "mse_decay_free_bias",
            "the same with a free bias; best of 3 starts",
            setting="weight_decay_mse",
            problem={**DECAYS, "counts": UNEVEN, "bias": "free"},
            obtained=_minimum(unconstrained(4, objective=MSE, bias=True), UNEVEN),
        ),
        about(
            "mse_decay_decayed_bias",
            "class sizes 2:2:2, the bias decayed like the head; best of 3 starts",
            setting="weight_decay_mse",
            problem={"counts": EVEN, "head_decay": 0.1, "feature_decay": 1e-3, "bias": 0.1},
            obtained=_minimum(unconstrained(4, objective=decayed_bias, bias=True), EVEN),
        ),
    ]


def _lowest(config: Config, classes: int) -> partial[float]:
    return partial(_best_descent, config, classes)


def _best_descent(config: Config, classes: int) -> float:
    trials = [config.model_copy(update={"seed": seed}) for seed in SEEDS]
    return min(solution.objective for solution in descend(trials, chosen_classes([1] * classes), steps=1000))


def _minimum(config: Config, counts: tuple[int, ...]) -> partial[float]:
    return partial(_best_minimum, config, counts)


def _best_minimum(config: Config, counts: tuple[int, ...]) -> float:
    return minimise(config, chosen_classes(counts), starts=len(SEEDS)).objective


def _bounded(width: int, radius: float, *, head_bound: dict[str, Any] | None = None, **rest: Any) -> Config:
    features: dict[str, Any] = {"radius": radius, **{key: rest.pop(key) for key in ("p", "set") if key in rest}}
    constraints = {"features": features, "head": head_bound or {"radius": 1.0}}
    return unconstrained(width, constraints=constraints, feature_rate=4, **rest)
