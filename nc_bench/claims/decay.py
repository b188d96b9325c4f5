"""Weight decay on head and features instead of bounds, and bounds in the mean square (the layer-peeled model)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from nc_bench.claims.claim import GEOMETRY_TOLERANCE, OBJECTIVE_TOLERANCE, Claim, predicted_claim
from nc_bench.claims.problems import chosen_classes, unconstrained
from nc_bench.claims.solve import Solution, descend, largest_objective, minimise

SIZES: dict[str, Any] = {"classes": 4, "per_class": 5, "head_decay": 5e-3, "feature_decay": 4e-4}
PEELED: dict[str, Any] = {"classes": 4, "head_energy": 1.0, "feature_energy": 4.0}


@dataclass(frozen=True, kw_only=True)
class _Variant:
    name: str
    words: str
    label_smoothing: float = 0.0
    loss: str = "cross_entropy"
    bias: bool = False
    nonnegative: bool = False

    @property
    def specification(self) -> dict[str, Any]:
        """The keywords of this variant."""
        return {key: value for key, value in vars(self).items() if key not in ("name", "words")}


VARIANTS = (
    _Variant(name="plain", words="cross entropy"),
    _Variant(name="bias", words="cross entropy, free bias", bias=True),
    _Variant(name="smoothed", words="cross entropy, label smoothing 0.1", label_smoothing=0.1),
    _Variant(name="nonnegative", words="cross entropy, non-negative features", nonnegative=True),
    _Variant(name="mse", words="squared error", loss="mse"),
    _Variant(name="mse_bias", words="squared error, free bias", loss="mse", bias=True),
)


def claims() -> list[Claim]:
    """Least objectives and norms of the balanced problems."""
    return [claim for variant in VARIANTS for claim in _decayed(variant)] + [_too_strong(), *_layer_peeled()]


def _decayed(variant: _Variant) -> list[Claim]:
    about = partial(predicted_claim, setting="weight_decay", problem={**SIZES, **variant.specification})
    said = f"{variant.words}, weight decay 5e-3, feature decay 4e-4, 4 classes of 5"
    return [
        about(
            f"decay_objective_{variant.name}",
            f"least objective: {said}; best of 2 starts",
            value="objective",
            obtained=lambda: _solved(variant).objective,
            tolerance=OBJECTIVE_TOLERANCE,
        ),
        about(
            f"decay_head_norm_{variant.name}",
            f"largest norm of a row of W: {said}",
            value="head_row_norm",
            obtained=lambda: _solved(variant).weight.norm(dim=1).max().item(),
            tolerance=GEOMETRY_TOLERANCE,
        ),
        about(
            f"decay_feature_norm_{variant.name}",
            f"largest feature norm: {said}",
            value="feature_norm",
            obtained=lambda: _solved(variant).features.norm(dim=1).max().item(),
            tolerance=GEOMETRY_TOLERANCE,
        ),
    ]


def _too_strong() -> Claim:
    strong = {**SIZES, "head_decay": 0.1, "feature_decay": 0.2}
    return predicted_claim(
        "decay_feature_norm_too_strong",
        "K sqrt(n lw lh) > 1: the minimiser is zero; its largest feature norm",
        setting="weight_decay",
        value="feature_norm",
        problem=strong,
        obtained=lambda: _balanced(strong, _Variant(name="", words="")).features.norm(dim=1).max().item(),
        tolerance=GEOMETRY_TOLERANCE,
        relative=False,
    )


def _layer_peeled() -> list[Claim]:
    about = partial(predicted_claim, setting="layer_peeled", problem=PEELED)
    return [
        about(
            "layer_peeled_risk",
            "least risk, mean |w|^2 <= 1, mean |h|^2 <= 4, 4 classes of 3; worst of 3 starts",
            value="risk",
            obtained=lambda: largest_objective(_peeled),
            tolerance=OBJECTIVE_TOLERANCE,
        ),
        about(
            "layer_peeled_duality",
            "head and class means are the same simplex: largest nc3_duality",
            value="nc3_duality",
            obtained=lambda: max(solution.metrics["nc3_duality"] for solution in _peeled()),
            tolerance=GEOMETRY_TOLERANCE,
            relative=False,
        ),
    ]


@cache
def _solved(variant: _Variant) -> Solution:
    return _balanced(SIZES, variant)


def _balanced(sizes: dict[str, Any], variant: _Variant) -> Solution:
    objective = {
        "weight_decay": sizes["head_decay"],
        "feature_decay": sizes["feature_decay"],
        "loss": variant.loss,
        "label_smoothing": variant.label_smoothing,
    }
    config = unconstrained(6, bias=variant.bias, nonnegative=variant.nonnegative, objective=objective)
    return minimise(config, chosen_classes([sizes["per_class"]] * sizes["classes"]), starts=2)


@cache
def _peeled() -> list[Solution]:
    constraints = {
        "features": {"radius": PEELED["feature_energy"] ** 0.5, "set": "mean_square"},
        "head": {"radius": PEELED["head_energy"] ** 0.5, "set": "mean_square"},
    }
    trials = [unconstrained(6, seed=seed, constraints=constraints, feature_rate=10) for seed in range(3)]
    return descend(trials, chosen_classes([3] * PEELED["classes"]), steps=800)
