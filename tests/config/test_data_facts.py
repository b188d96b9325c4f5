"""What data sets and their class sizes say about themselves, which code asks for instead of their names."""

from __future__ import annotations

from typing import Any

import pytest
from config_files import made

from nc_bench.config import Balance, Data, ExponentialBalance

CLOUDS = {"classes": 3, "dimension": 4, "samples_per_class": 5}


@pytest.mark.parametrize(
    ("settings", "noise", "kept", "chosen", "augments", "words"),
    [
        ({"name": "digits"}, False, None, (None, None), False, []),
        (
            {"name": "digits", "keep_classes": [1, 0], "samples_per_class": 7},
            False,
            (1, 0),
            (7, None),
            False,
            ["2 of its classes"],
        ),
        (
            {"name": "cifar10", "augment": {"flip": True, "crop_padding": 4}, "test_samples_per_class": 3},
            False,
            None,
            (None, 3),
            True,
            ["flipped", "cropped at random"],
        ),
        ({"name": "image_folder"}, False, None, (None, None), False, []),
        (
            {"name": "gaussian_mixture", "separation": 2, **CLOUDS},
            False,
            None,
            (None, None),
            False,
            ["3 classes in 4 dimensions"],
        ),
        ({"name": "noise", **CLOUDS}, True, None, (None, None), False, ["3 classes in 4 dimensions"]),
    ],
    ids=lambda value: value.get("name", "") if isinstance(value, dict) else "",
)
def test_data(
    settings: dict[str, Any],
    noise: bool,
    kept: tuple[int, ...] | None,
    chosen: tuple[int | None, int | None],
    augments: bool,
    words: list[str],
) -> None:
    data = made(Data, **settings)
    assert data.inputs_are_noise is noise and data.has_random_labels is noise
    assert made(Data, **settings, labels="uniform").has_random_labels
    assert data.kept_classes == kept
    assert data.chosen_per_class == chosen
    assert data.augments is augments
    assert data.sentences() == words


def test_folders_of_test_images() -> None:
    folders = [made(Data, name=name).test_folder for name in ("image_folder", "imagenet")]
    assert folders == ["test", "val"]


@pytest.mark.parametrize(
    ("settings", "sizes", "problem"),
    [
        ({"name": "full"}, (9, 6, 8), ""),
        ({"name": "step", "ratio": 2, "minority_classes": 1}, (6, 6, 3), ""),
        ({"name": "exponential", "ratio": 4}, (6, 3, 2), ""),
        ({"name": "counts", "counts": [5, 4, 3]}, (5, 4, 3), ""),
        (
            {"name": "step", "ratio": 2, "minority_classes": 3},
            None,
            "minority_classes: 3 of 3 classes leave no majority",
        ),
        ({"name": "counts", "counts": [5, 4]}, None, "counts: 2 given, but the data has 3 classes"),
    ],
)
def test_class_sizes(settings: dict[str, Any], sizes: tuple[int, ...] | None, problem: str) -> None:
    balance = made(Balance, **settings)
    assert balance.problem(3) == problem
    if sizes is not None:
        assert balance.sizes((9, 6, 8)) == sizes
    assert (balance.sentence() == "") is (settings["name"] == "full")


def test_exponential_sizes_are_rounded() -> None:
    assert ExponentialBalance(name="exponential", ratio=3).sizes((10, 10, 10, 10)) == (10, 7, 5, 3)
