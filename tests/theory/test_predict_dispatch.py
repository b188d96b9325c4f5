"""The one way in: names, nonsense, and the shape of what comes out."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import subprocess
import sys

import numpy as np
import pytest

from nc_bench.theory import Prediction, predict
from nc_bench.theory.dispatch import SETTINGS

EXAMPLES: dict[str, dict[str, object]] = {
    "final_layer_ball": {"classes": 3, "radius": 1.0},
    "penultimate_ball": {"classes": 3, "radius": 1.0},
    "risk_floor": {"classes": 3, "feature_radius": 1.0, "head_opnorm": 1.0},
    "weight_decay": {"classes": 3, "per_class": 2, "head_decay": 0.01, "feature_decay": 0.01},
    "layer_peeled": {"classes": 3, "head_energy": 1.0, "feature_energy": 1.0},
    "frozen_simplex_head": {"classes": 3, "per_class": 2, "feature_decay": 0.01},
    "minority_collapse": {"counts": (3, 1, 1), "head_decay": 0.01, "feature_decay": 0.01},
    "relu_imbalanced": {"counts": (3, 2, 1), "head_decay": 0.01, "feature_decay": 0.01},
    "seli": {"counts": (3, 2, 1)},
    "two_layer_relu": {},
    "three_neurons": {"p1": 0.2, "p2": 0.4, "p3": 0.4},
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_setting_gives_floats_a_source_and_assumptions(setting: str) -> None:
    prediction = predict(setting, **EXAMPLES[setting])
    assert isinstance(prediction, Prediction)
    assert prediction.applies
    assert prediction.reason == ""
    assert prediction.setting == setting
    assert prediction.source
    assert prediction.assumptions
    assert prediction.values
    for value in prediction.values.values():
        entries = value if isinstance(value, tuple) else (value,)
        assert all(type(entry) is float for entry in entries)


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_setting_checks_width_and_weights(setting: str) -> None:
    classes = 2 if setting in ("two_layer_relu", "three_neurons") else 3
    weights = [2.0] * classes
    width = 3
    assert predict(setting, **EXAMPLES[setting], width=width, class_weights=weights).applies
    for width in (0, -1, 2.5, True, "3"):
        with pytest.raises(ValueError, match="width must be a whole number"):
            predict(setting, **EXAMPLES[setting], width=width)
    for wrong in ([1.0] * (classes + 1), [0.0] * classes, [-1.0] * classes, ["1"] * classes, 1.0, "12"):
        with pytest.raises(ValueError, match="class_weights"):
            predict(setting, **EXAMPLES[setting], class_weights=wrong)
    for bad in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match=r"class_weights\[1\]"):
            predict(setting, **EXAMPLES[setting], class_weights=[1.0, bad, 1.0][:classes])


@pytest.mark.parametrize(
    ("setting", "changes"),
    [
        (setting, {name: value})
        for setting, example in EXAMPLES.items()
        for name in example
        for value in (
            (1, 0, -2, 2.0, True, "3", None)
            if name == "classes"
            else (0, 1.5, True, None)
            if name == "per_class"
            else ((3,), (), (3, 0), (3, -1), (3, 1.5), (3, True), 3, "31", None)
            if name == "counts"
            else (-0.1, float("nan"), float("inf"), "1", None, True)
        )
    ]
    + [
        ("final_layer_ball", {"radius": 0}),
        ("final_layer_ball", {"p": 0.5}),
        ("final_layer_ball", {"p": -1}),
        ("final_layer_ball", {"p": float("nan")}),
        ("penultimate_ball", {"radius": 0.0}),
        ("penultimate_ball", {"head_norm": 0}),
        ("penultimate_ball", {"bias": 1}),
        ("penultimate_ball", {"nonnegative": "yes"}),
        ("weight_decay", {"head_decay": 0}),
        ("weight_decay", {"label_smoothing": 1.1}),
        ("weight_decay", {"label_smoothing": -0.1}),
        ("weight_decay", {"loss": "hinge"}),
        ("three_neurons", {"p1": 0.3}),
    ],
)
def test_nonsense_is_one_line_that_names_the_keyword(setting: str, changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))) as caught:
        predict(setting, **{**EXAMPLES[setting], **changes})
    assert "\n" not in str(caught.value)


def test_nonsense_is_found_even_where_the_theory_does_not_apply() -> None:
    with pytest.raises(ValueError, match="class_weights"):
        predict("penultimate_ball", classes=3, radius=1.0, width=1, class_weights=(1, -1, 1))
    with pytest.raises(ValueError, match="width"):
        predict("final_layer_ball", classes=3, radius=1.0, p=float("inf"), width=0)


def test_unknown_names_get_a_suggestion_and_the_list() -> None:
    with pytest.raises(ValueError, match="did you mean 'penultimate_ball'") as caught:
        predict("penultimate_bal", classes=3, radius=1.0)
    assert all(setting in str(caught.value) for setting in SETTINGS)
    with pytest.raises(ValueError, match=r"did you mean 'radius'.*head_norm"):
        predict("penultimate_ball", classes=3, radios=1.0)
    with pytest.raises(ValueError, match="penultimate_ball also needs classes, radius"):
        predict("penultimate_ball")


def test_numpy_numbers_are_numbers() -> None:
    plain = predict("penultimate_ball", classes=3, radius=1.5, width=4)
    assert predict("penultimate_ball", classes=np.int64(3), radius=np.float32(1.5), width=np.int32(4)) == plain
    assert predict("seli", counts=np.array([3, 2, 1])) == predict("seli", counts=(3, 2, 1))


def test_a_prediction_cannot_be_changed_but_copied_and_pickled() -> None:
    prediction = predict("penultimate_ball", classes=3, radius=1.0)
    with pytest.raises(TypeError):
        prediction.values["risk"] = 0.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        prediction.applies = False
    assert pickle.loads(pickle.dumps(prediction)) == prediction
    assert copy.deepcopy(prediction) == prediction
    assert repr(dict(prediction.values)) == repr(prediction.values)


def test_theory_never_loads_torch_or_scipy() -> None:
    program = "import sys, nc_bench.theory; sys.exit(bool({'torch', 'scipy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
