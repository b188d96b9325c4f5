"""Calls of the public functions that the input campaign draws: some of their arguments are junk."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from input_outcomes import RIGHT

from nc_bench import ClassMoments, FeatureTap, collapse_metrics, load_config, load_run, predict
from nc_bench.theory.dispatch import SETTINGS

JUNK: list[Callable[[], Any]] = [
    lambda: None,
    lambda: True,
    lambda: -1,
    lambda: 0,
    lambda: 3,
    lambda: 10**30,
    lambda: 10**400,
    lambda: 2.5,
    lambda: math.nan,
    lambda: math.inf,
    lambda: 1j,
    lambda: "text",
    lambda: "~nobody-of-this-name/x",
    lambda: "a\0b",
    lambda: b"\xff\xfe",
    lambda: {},
    lambda: {"a": 1},
    lambda: [],
    lambda: [1, "a", None],
    lambda: [[1.0], [2.0, 3.0]],
    object,
    lambda: np.float32(2.5),
    lambda: np.int64(3),
    lambda: np.array(3),
    lambda: np.array([], dtype=np.float64),
    lambda: np.zeros((6, 0)),
    lambda: np.array(["a", "b"]),
    lambda: np.array([object()]),
    lambda: np.zeros(3, dtype=[("a", int)]),
    lambda: np.ma.masked_array(np.eye(3), mask=np.eye(3, dtype=bool)),
    lambda: np.arange(6)[::-1],
    lambda: np.eye(6, 3),
    lambda: np.eye(6, 3).astype(">f4"),
    lambda: np.eye(6, 3, dtype=np.longdouble),
    lambda: torch.eye(6, 3).to_sparse(),
    lambda: torch.ones(6, 3, device="meta"),
    lambda: torch.ones(6, 3, dtype=torch.float16),
    lambda: torch.ones(6, 3, dtype=torch.complex64),
    lambda: torch.ones(6, dtype=torch.bool),
    lambda: torch.arange(6) % 3,
    lambda: torch.arange(6) * 10**9,
    lambda: torch.nn.Linear(3, 3),
    lambda: torch.nn.ReLU(),
    lambda: Path("/dev/null"),
    lambda: Path("/"),
]


def tapped(model: Any, layer: Any) -> None:
    with FeatureTap(model, layer):
        pass


def moments(classes: Any, width: Any, features: Any, labels: Any) -> None:
    ClassMoments(classes, width).update(features, labels)


GOOD: dict[str, tuple[Any, ...]] = {
    "classes": (2, 3, 10, 1000),
    "counts": ((3, 5), (2, 2, 4), (1, 10**6)),
    "per_class": (1, 100),
    "class_weights": (None, (1.0, 1.0)),
    "width": (None, 3, 2000),
    "loss": ("cross_entropy", "mse"),
    "label_smoothing": (0.0, 0.1),
    "bias": (False, True),
    "nonnegative": (False, True),
    "p": (2.0, 1.5, 4.0),
}
"""Values of keywords that have a meaning; all others take NUMBERS."""

NUMBERS = (1.0, 0.3, 1e-3, 5, 1e-12, 1e12)


def predicted(setting: str, values: dict[str, Any]) -> None:
    prediction = predict(setting, **values)
    assert prediction.applies == bool(prediction.values) and prediction.applies != bool(prediction.reason)
    for name, value in prediction.values.items():
        numbers = value if isinstance(value, tuple) else (value,)
        assert not any(isinstance(number, float) and math.isnan(number) for number in numbers), f"{name} is {value}"


@st.composite
def calls(draw: st.DrawFn) -> Callable[[], Any]:
    """One of the public functions with arguments some of which are junk."""

    def argument(*good: Any) -> Any:
        return draw(st.sampled_from(good)) if draw(st.integers(0, 7)) > 0 else draw(st.sampled_from(JUNK))()

    kind = draw(st.sampled_from(["metrics", "moments", "predict", "predict", "setting", "tap", "run", "config"]))
    features, labels = np.eye(6, 3), np.arange(6) % 3
    if kind == "metrics":
        head = (argument(features[:3], None), argument(np.ones(3), None))
        return partial(collapse_metrics, argument(features), argument(labels), *head, classes=argument(3, None))
    if kind == "moments":
        return partial(moments, argument(3), argument(3), argument(features), argument(labels))
    if kind == "predict":
        setting = draw(st.sampled_from(sorted(SETTINGS)))
        needed = inspect.signature(SETTINGS[setting]).parameters.values()
        given = {
            parameter.name: argument(*GOOD.get(parameter.name, NUMBERS))
            for parameter in needed
            if parameter.default is parameter.empty or draw(st.integers(0, 3)) == 0
        }
        return partial(predicted, setting, given)
    if kind == "setting":
        return partial(predict, argument("risk_floor"), classes=argument(3), radius=argument(1.0))
    if kind == "tap":
        return partial(tapped, argument(torch.nn.Linear(3, 3)), argument("", None))
    return partial(load_run if kind == "run" else load_config, argument("/nowhere"))


def check_call(call: Callable[[], Any]) -> str:
    call()
    return RIGHT
