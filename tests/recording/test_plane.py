"""The picture of the features: a perfect simplex is a regular polygon."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from nc_bench.geometry.simplex import simplex_vertices
from nc_bench.recording.feature_files import write_plane
from nc_bench.runs.files import read_arrays


def turned_simplex(classes: int, width: int, *, radius: float = 1.0) -> Tensor:
    return simplex_vertices(classes, width, radius=radius, generator=torch.Generator().manual_seed(1))


def polygon(classes: int, radius: float) -> Tensor:
    angles = 2 * math.pi / classes * torch.arange(classes, dtype=torch.float64)
    return radius * math.sqrt(2 / (classes - 1)) * torch.stack([angles.cos(), angles.sin()], 1)


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    with safe_open(path, "pt") as file:
        return load_file(path), file.metadata()


def test_written_points_and_vertices(tmp_path: Path) -> None:
    means, labels = turned_simplex(4, 6, radius=2.0) + 1, torch.arange(4)
    path = tmp_path / "features" / "plane-00007.safetensors"
    test = (means[2:].float(), labels[2:].clone())
    write_plane(path, epoch=7, train=(means, labels), test=test, means=means, predicted_radius=3.0)
    tensors, _ = read(path)
    torch.testing.assert_close(tensors["train"], polygon(4, 2.0).float(), rtol=0, atol=1e-6)
    torch.testing.assert_close(tensors["test"], polygon(4, 2.0)[2:].float(), rtol=0, atol=1e-6)
    torch.testing.assert_close(tensors["vertices"], polygon(4, 3.0).float(), rtol=0, atol=1e-6)
    assert torch.equal(tensors["train_labels"], labels) and torch.equal(tensors["test_labels"], labels[2:])
    assert read_arrays(path)[1] == {"epoch": "7", "predicted": "true"}


def test_without_a_prediction_or_a_test_split(tmp_path: Path) -> None:
    means, path = turned_simplex(4, 6, radius=2.0), tmp_path / "plane.safetensors"
    write_plane(path, epoch=1, train=(means, torch.arange(4)), test=None, means=means, predicted_radius=None)
    tensors, metadata = read(path)
    torch.testing.assert_close(tensors["vertices"], polygon(4, 2.0).float(), rtol=0, atol=1e-6)
    assert tensors["test"].shape == (0, 2) and tensors["test_labels"].shape == (0,)
    assert metadata["predicted"] == "false"


def test_two_classes_show_their_widest_direction_across(tmp_path: Path) -> None:
    means = torch.tensor([[2.0, 0, 0], [-2.0, 0, 0]], dtype=torch.float64)
    spread = torch.tensor([[0, 0.1, 1], [0, -0.1, -1]], dtype=torch.float64)
    features = torch.cat([means + offset for offset in spread])
    path = tmp_path / "plane.safetensors"
    labels = torch.tensor([0, 1, 0, 1])
    write_plane(path, epoch=1, train=(features, labels), test=None, means=means, predicted_radius=2.0)
    tensors, _ = read(path)
    torch.testing.assert_close(tensors["train"][:, 0].abs(), torch.full((4,), 2.0), rtol=0, atol=1e-6)
    torch.testing.assert_close(tensors["train"][:, 1].abs(), torch.full((4,), math.sqrt(1.01)), rtol=0, atol=1e-6)
    torch.testing.assert_close(tensors["vertices"].abs(), torch.tensor([[2.0, 0], [2.0, 0]]), rtol=0, atol=1e-6)
