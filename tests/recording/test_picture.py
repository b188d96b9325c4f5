"""The pictures of the features: coordinates in which a perfect simplex is one, and a regular polygon on the plane."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nc_bench.config import Record
from nc_bench.geometry.simplex import simplex_vertices
from nc_bench.recording.picture import sampled_rows, write_picture
from nc_bench.runs.files import read_arrays


def turned_simplex(classes: int, width: int, *, radius: float = 1.0) -> Tensor:
    return simplex_vertices(classes, width, radius=radius, generator=torch.Generator().manual_seed(1))


def polygon(classes: int, radius: float) -> np.ndarray[Any, Any]:
    angles = 2 * math.pi / classes * np.arange(classes)
    return radius * math.sqrt(2 / (classes - 1)) * np.stack([np.cos(angles), np.sin(angles)], 1)


def written(path: Path, **given: Any) -> dict[str, Any]:
    """What is read again of a picture, its samples as numbers."""
    write_picture(path, **{"epoch": 7, "test": None, "predicted_radius": None} | given)
    arrays, notes = read_arrays(path)
    for split in ("train", "test"):
        for suffix, scale in zip(("", "_polygon"), arrays["scale"], strict=True):
            arrays[f"{split}{suffix}"] = arrays[f"{split}{suffix}"] * scale
    return {**arrays, **notes}


def test_a_simplex_and_its_polygon(tmp_path: Path) -> None:
    means, labels, path = turned_simplex(4, 6, radius=2.0) + 1, torch.arange(4), tmp_path / "features" / "p.safetensors"
    test = (means[2:].float(), labels[2:].clone())
    weight = 3 * turned_simplex(4, 6) - 5
    read = written(path, train=(means, labels), test=test, means=means, weight=weight, predicted_radius=3.0)
    unit = math.sqrt(4 / 3) * (np.eye(4) - 1 / 4)
    for name, size in (("train", 2.0), ("means", 2.0), ("weight", 3.0), ("vertices", 3.0)):
        tolerance = 4e-5 if name == "train" else 1e-12
        np.testing.assert_allclose(read[name], size * unit, rtol=0, atol=tolerance)
        np.testing.assert_allclose(read[f"{name}_polygon"], polygon(4, size), rtol=0, atol=tolerance)
    np.testing.assert_allclose(read["test"], 2 * unit[2:], rtol=0, atol=4e-5)
    np.testing.assert_allclose(read["train_distance"], np.ones(4), rtol=0, atol=1e-6)
    assert read["test_rows"].tolist() == [0, 1] and read["test_labels"].tolist() == [2, 3]
    assert (read["epoch"], read["predicted"]) == ("7", "true")


@pytest.mark.parametrize(("classes", "width"), [(2, 5), (3, 2), (3, 7), (4, 2), (10, 64), (10, 4), (13, 20)])
def test_coordinates_keep_the_lengths_between_means(tmp_path: Path, classes: int, width: int) -> None:
    random = torch.Generator().manual_seed(classes)
    means = torch.randn(classes, width, dtype=torch.float64, generator=random)
    labels = torch.arange(classes).repeat(5)
    features = means[labels] + 0.1 * torch.randn(5 * classes, width, dtype=torch.float64, generator=random)
    read = written(tmp_path / "p.safetensors", train=(features, labels), means=means, weight=means)
    shown = min(classes, 10)
    assert read["means"].shape == read["weight"].shape == (shown, max(shown, 4))
    assert read["means_polygon"].shape == (classes, 2)
    found = torch.cdist(torch.from_numpy(read["means"]), torch.from_numpy(read["means"]))
    torch.testing.assert_close(found, torch.cdist(means[:shown], means[:shown]), rtol=0, atol=1e-12)
    lengths = np.linalg.norm(read["train"], axis=1)
    centre = means[:shown].mean(0)
    assert (lengths <= np.linalg.norm(features - centre, axis=1) * (1 + 1e-4) + 1e-3).all()
    if width == 2 or (classes < 4 and width < 4):
        np.testing.assert_allclose(lengths, np.linalg.norm(features - centre, axis=1), rtol=0, atol=1e-3)


def test_the_radius_is_measured_where_none_is_predicted(tmp_path: Path) -> None:
    means = turned_simplex(4, 6, radius=2.0)
    read = written(tmp_path / "p.safetensors", train=(means, torch.arange(4)), means=means, weight=means)
    np.testing.assert_allclose(read["vertices_polygon"], polygon(4, 2.0), rtol=0, atol=1e-12)
    assert read["test"].shape == (0, 4) and read["predicted"] == "false"


def test_two_classes_show_their_widest_direction_across(tmp_path: Path) -> None:
    means = torch.tensor([[2.0, 0, 0], [-2.0, 0, 0]], dtype=torch.float64)
    spread = torch.tensor([[0, 0.1, 1], [0, -0.1, -1]], dtype=torch.float64)
    features = torch.cat([means + offset for offset in spread])
    read = written(tmp_path / "p.safetensors", train=(features, torch.tensor([0, 1, 0, 1])), means=means, weight=means)
    np.testing.assert_allclose(abs(read["train_polygon"]), [[2.0, math.sqrt(1.01)]] * 4, rtol=0, atol=1e-4)
    np.testing.assert_allclose(abs(read["vertices_polygon"]), [[2.0, 0]] * 2, rtol=0, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(read["train"], axis=1), [math.sqrt(5.01)] * 4, rtol=0, atol=1e-3)


def test_features_that_coincide_are_a_point(tmp_path: Path) -> None:
    same = torch.ones(6, 5, dtype=torch.float64)
    for classes in (2, 3, 6):
        labels = torch.arange(6) % classes
        read = written(tmp_path / "p.safetensors", train=(same, labels), means=same[:classes], weight=same[:classes])
        for name in ("train", "train_polygon", "means", "weight", "vertices", "train_distance"):
            assert not read[name].any()


@pytest.mark.parametrize(("classes", "samples", "kept"), [(2, 500, 200), (10, 5000, 1000), (40, 5000, 980)])
def test_samples_are_the_first_of_each_class(classes: int, samples: int, kept: int) -> None:
    labels = torch.arange(samples).flip(0) % classes
    rows = sampled_rows(labels, classes)
    assert len(rows) == kept and rows.tolist() == sorted(set(rows.tolist()))
    counts = torch.bincount(labels[rows], minlength=classes)
    assert counts.max() <= 100 and (counts > 0).all()
    for label in (0, classes - 1):
        first = torch.nonzero(labels == label)[: counts[label], 0]
        assert torch.equal(rows[labels[rows] == label], first)


def test_samples_of_very_many_classes() -> None:
    rows = sampled_rows(torch.arange(3000), 3000)
    assert rows.tolist() == list(range(1000))


@pytest.mark.parametrize("every", ["epoch", "log", [0, 3, 50, 300]])
def test_pictured_epochs(every: Any) -> None:
    record = Record(every=every)
    for last in (0, 1, 2, 30, 300, 20_000):
        recorded = sorted(record.recorded_epochs(last))
        chosen = sorted(record.pictured_epochs(last))
        assert set(chosen) <= set(recorded) and {recorded[0], recorded[-1]} <= set(chosen)
        assert min(len(recorded), 20) <= len(chosen) <= 24
    assert not Record(every=every, picture=False).pictured_epochs(300)
