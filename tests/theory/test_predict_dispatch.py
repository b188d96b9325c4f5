"""The one way in: names, nonsense, and the shape of what comes out."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from nc_bench.theory import Prediction, predict
from nc_bench.theory.dispatch import SETTINGS

Case = tuple[str, str, object]
"""A setting, one of its keywords, and a value for it."""

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
    "feature_lp_ball": {"classes": 3, "radius": 1.0, "p": 2.0, "width": 3},
    "mixed_bounds": {"classes": 3, "radius": 1.0, "head_energy": 1.0},
    "normalized_softmax": {"classes": 3, "temperature": 0.5},
    "gradient_flow": {"classes": 3, "per_class": 2, "time": 1.0, "start_margin": 0.1},
    "weight_decay_mse": {"counts": (3, 2, 1), "head_decay": 0.01, "feature_decay": 0.01},
    "deep_linear": {"classes": 3, "layers": 3, "decay": 0.001},
    "supervised_contrastive": {"classes": 3, "per_class": 2, "temperature": 0.5},
    "softmax_code": {"classes": 3, "width": 3},
}


def test_every_setting_has_an_example() -> None:
    assert set(EXAMPLES) == set(SETTINGS)


def test_every_setting_gives_floats_a_source_and_assumptions() -> None:
    for setting, example in EXAMPLES.items():
        prediction = predict(setting, **example)
        assert isinstance(prediction, Prediction), setting
        assert prediction.applies, setting
        assert prediction.reason == "", setting
        assert prediction.setting == setting
        assert prediction.source, setting
        assert prediction.assumptions, setting
        assert prediction.values, setting
        for name, value in prediction.values.items():
            entries = value if isinstance(value, tuple) else (value,)
            kind = str if name in ("shape", "tight") else float
            assert all(type(entry) is kind for entry in entries), (setting, name)


def number_of_classes(setting: str) -> int:
    return 2 if setting in ("two_layer_relu", "three_neurons") else 3


def assert_refused(cases: Iterable[Case], message: str) -> None:
    """All cases are refused in one line that holds the message; otherwise lists those that are not."""
    found = []
    for setting, keyword, value in cases:
        try:
            predict(setting, **{**EXAMPLES[setting], keyword: value})
            answer = "accepted"
        except ValueError as error:
            answer = str(error)
            if "\n" not in answer and message.format(keyword=keyword) in answer:
                continue
        except Exception as error:
            answer = repr(error)
        found.append(f"{setting}({keyword}={value!r}): {answer}")
    assert not found, "\n".join(found)


def test_every_setting_checks_its_width() -> None:
    for setting, example in EXAMPLES.items():
        assert predict(setting, **{**example, "width": 3}).applies, setting
    cases = [(setting, "width", width) for setting in SETTINGS for width in (0, -1, 2.5, True, "3")]
    assert_refused(cases, "width must be a whole number")


def test_every_setting_checks_class_weights() -> None:
    wrong: list[Case] = []
    not_finite: list[Case] = []
    for setting, example in EXAMPLES.items():
        classes = number_of_classes(setting)
        assert predict(setting, **{**example, "width": 3, "class_weights": [2.0] * classes}).applies, setting
        for weights in ([1.0] * (classes + 1), [0.0] * classes, [-1.0] * classes, ["1"] * classes, 1.0, "12"):
            wrong.append((setting, "class_weights", weights))
        for number in (float("nan"), float("inf")):
            not_finite.append((setting, "class_weights", [1.0, number, 1.0][:classes]))
    assert_refused(wrong, "class_weights")
    assert_refused(not_finite, "class_weights[1]")


def wrong_values(keyword: str) -> tuple[object, ...]:
    """Values that every setting refuses for this keyword."""
    match keyword:
        case "classes":
            return (1, 0, -2, 2.0, True, "3", None)
        case "per_class":
            return (0, 1.5, True, None)
        case "p":
            return (0.5, -1, float("nan"), "1", None, True)
        case "counts":
            return ((3,), (), (3, 0), (3, -1), (3, 1.5), (3, True), 3, "31", None)
        case _:
            return (-0.1, float("nan"), float("inf"), "1", None, True)


FURTHER_WRONG_VALUES: tuple[Case, ...] = (
    ("final_layer_ball", "radius", 0),
    ("final_layer_ball", "p", 0.5),
    ("final_layer_ball", "p", -1),
    ("final_layer_ball", "p", float("nan")),
    ("penultimate_ball", "radius", 0.0),
    ("penultimate_ball", "head_norm", 0),
    ("penultimate_ball", "bias", 1),
    ("penultimate_ball", "nonnegative", "yes"),
    ("weight_decay", "head_decay", 0),
    ("weight_decay", "label_smoothing", 1.1),
    ("weight_decay", "label_smoothing", -0.1),
    ("weight_decay", "loss", "hinge"),
    ("three_neurons", "p1", 0.3),
    ("penultimate_ball", "label_smoothing", 1.0),
    ("penultimate_ball", "loss", "hinge"),
    ("penultimate_ball", "loss", "focal"),
    ("penultimate_ball", "focal_gamma", 2.0),
    ("weight_decay", "focal_gamma", 2.0),
    ("normalized_softmax", "temperature", 0),
    ("supervised_contrastive", "temperature", 0.0),
    ("supervised_contrastive", "temperature", -1),
    ("supervised_contrastive", "per_class", 1),
    ("mixed_bounds", "feature_energy", 1.0),
    ("mixed_bounds", "head_norm", 1.0),
    ("frozen_simplex_head", "mixup", 1.1),
    ("frozen_simplex_head", "mixup", -0.1),
    ("frozen_simplex_head", "mixup", float("nan")),
    ("weight_decay_mse", "bias", "none"),
    ("weight_decay_mse", "bias", 0.0),
    ("weight_decay_mse", "counts", (3, 0)),
    ("deep_linear", "layers", 1),
    ("deep_linear", "decay", 0),
    ("deep_linear", "loss", "focal"),
    ("gradient_flow", "start_margin", 0),
)


def test_nonsense_is_one_line_that_names_the_keyword() -> None:
    cases = [
        (setting, keyword, value)
        for setting, example in EXAMPLES.items()
        for keyword in example
        for value in wrong_values(keyword)
    ]
    assert len(cases) > 150
    assert_refused([*cases, *FURTHER_WRONG_VALUES], "{keyword}")


def test_nonsense_is_found_even_where_the_theory_does_not_apply() -> None:
    with pytest.raises(ValueError, match="class_weights"):
        predict("penultimate_ball", classes=3, radius=1.0, width=1, class_weights=(1, -1, 1))
    with pytest.raises(ValueError, match="width"):
        predict("final_layer_ball", classes=3, radius=1.0, p=3.0, width=0)


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
        setattr(prediction, "applies", False)  # noqa: B010 - the type checker knows that it is read-only
    assert pickle.loads(pickle.dumps(prediction)) == prediction
    assert copy.deepcopy(prediction) == prediction
    assert repr(dict(prediction.values)) == repr(prediction.values)


def test_theory_never_loads_torch_or_scipy() -> None:
    program = "import sys, nc_bench.theory; sys.exit(bool({'torch', 'scipy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize("setting", [None, 3, [], {}])
def test_a_setting_that_is_no_text_is_unknown(setting: Any) -> None:
    with pytest.raises(ValueError, match="unknown setting"):
        predict(setting)


@pytest.mark.parametrize(
    ("specification", "message"),
    [
        ({"classes": 10**5000, "radius": 1.0}, "classes must be at most 2\\^53, .*, got a number of 16610 bits"),
        ({"classes": 3, "radius": 10**400}, "radius is beyond float64, got a number of 1329 bits"),
        ({"classes": -(10**5000), "radius": 1.0}, "classes must be a whole number, at least 2, got a number of"),
    ],
)
def test_numbers_beyond_float64_are_one_line(specification: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        predict("final_layer_ball", **specification)


@pytest.mark.parametrize(
    ("setting", "specification", "reason"),
    [
        ("penultimate_ball", {"classes": 10, "radius": 5.0, "width": 3}, "below K/2 = 5: the optimum is known"),
        ("penultimate_ball", {"classes": 10, "radius": 1.0, "width": 7}, "an upper bound only"),
        ("feature_lp_ball", {"classes": 2, "radius": 5.0, "p": 1.5, "width": 4}, "is false of 2 classes"),
        ("feature_lp_ball", {"classes": 5, "radius": 5.0, "p": 1.5, "width": 4}, "a conjecture only for 5 classes"),
        ("frozen_simplex_head", {"classes": 2, "per_class": 2, "feature_decay": 0.1, "mixup": 0.5}, "two classes"),
        ("softmax_code", {"classes": 10, "width": 4}, "known up to K = 2d only"),
        ("deep_linear", {"classes": 10, "layers": 5, "decay": 1e-3}, "something of lower rank can be better"),
    ],
)
def test_outside_its_domain_a_setting_says_why_in_one_line(
    setting: str, specification: dict[str, Any], reason: str
) -> None:
    prediction = predict(setting, **specification)
    assert not prediction.applies and reason in prediction.reason and "\n" not in prediction.reason


@pytest.mark.parametrize(
    ("setting", "specification", "message"),
    [
        ("normalized_softmax", {"classes": 5, "temperature": 0}, "temperature must be positive and finite, got 0"),
        ("supervised_contrastive", {"classes": 5, "per_class": 4, "temperature": -1.0}, "temperature must be positive"),
        ("seli", {"counts": (3, 0, 2)}, "counts[1] must be a whole number, at least 1, got 0"),
        (
            "frozen_simplex_head",
            {"classes": 5, "per_class": 2, "feature_decay": 0.1, "mixup": 1.1},
            "mixup must lie in [0, 1], got 1.1",
        ),
        (
            "penultimate_ball",
            {"classes": 2, "radius": 1.0, "class_weights": (1, 0)},
            "class_weights[1] must be positive",
        ),
    ],
)
def test_nonsense_is_refused_in_one_line(setting: str, specification: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as error:
        predict(setting, **specification)
    assert str(error.value).startswith(message) and "\n" not in str(error.value)
