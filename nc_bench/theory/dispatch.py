"""The one way in: a setting by its name, a problem by its keywords."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable

from nc_bench.text import did_you_mean
from nc_bench.theory.balls import final_layer_ball, risk_floor
from nc_bench.theory.contrastive import softmax_code, supervised_contrastive
from nc_bench.theory.deep_linear import deep_linear
from nc_bench.theory.frozen_head import frozen_simplex_head
from nc_bench.theory.gradient_flow import gradient_flow
from nc_bench.theory.imbalance import minority_collapse, relu_imbalanced
from nc_bench.theory.layer_peeled import layer_peeled
from nc_bench.theory.mixed_bounds import feature_lp_ball, mixed_bounds, normalized_softmax
from nc_bench.theory.penultimate import penultimate_ball
from nc_bench.theory.prediction import Prediction
from nc_bench.theory.seli import seli
from nc_bench.theory.squared_error import weight_decay_mse
from nc_bench.theory.two_layer import three_neurons, two_layer_relu
from nc_bench.theory.weight_decay import weight_decay

SETTINGS: dict[str, Callable[..., Prediction]] = {
    "final_layer_ball": final_layer_ball,
    "penultimate_ball": penultimate_ball,
    "risk_floor": risk_floor,
    "weight_decay": weight_decay,
    "layer_peeled": layer_peeled,
    "frozen_simplex_head": frozen_simplex_head,
    "minority_collapse": minority_collapse,
    "relu_imbalanced": relu_imbalanced,
    "seli": seli,
    "two_layer_relu": two_layer_relu,
    "three_neurons": three_neurons,
    "feature_lp_ball": feature_lp_ball,
    "mixed_bounds": mixed_bounds,
    "normalized_softmax": normalized_softmax,
    "gradient_flow": gradient_flow,
    "weight_decay_mse": weight_decay_mse,
    "deep_linear": deep_linear,
    "supervised_contrastive": supervised_contrastive,
    "softmax_code": softmax_code,
}
"""Every setting that theory covers, by name."""


def predict(setting: str, /, **specification: object) -> Prediction:
    """What theory says about a problem, from its specification alone.

    ``setting`` is one of `SETTINGS`; the function of that name documents its keywords, formula and source.
    Every setting also takes ``width`` (of the feature layer) and ``class_weights`` (one positive number per
    class, only ratios count), both checked against what the theorem supposes when given. All values are
    float64.

    Raises ValueError for an unknown setting, an unknown or missing keyword, and for a specification without
    meaning (a negative radius, one class). A specification that has a meaning but lies outside the theorem
    gives a Prediction with ``applies`` False and the reason.
    """
    if not isinstance(setting, str) or setting not in SETTINGS:
        raise ValueError(_unknown("setting", setting, SETTINGS))
    parameters = inspect.signature(SETTINGS[setting]).parameters
    for name in specification:
        if name not in parameters:
            raise ValueError(_unknown(f"keyword of {setting}", name, parameters))
    missing = [
        name
        for name, parameter in parameters.items()
        if parameter.default is parameter.empty and name not in specification
    ]
    if missing:
        raise ValueError(f"{setting} also needs {', '.join(missing)}")
    return SETTINGS[setting](**specification)


def _unknown(kind: str, given: object, known: Iterable[str]) -> str:
    names = list(known)
    hint = did_you_mean(given, names)
    return f"unknown {kind} {given!r}; {f'{hint} ' if hint else ''}There are {', '.join(names)}"
