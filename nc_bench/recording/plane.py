"""Features on the plane in which the predicted simplex appears as a regular polygon."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from jaxtyping import Float, Float64, Int64
from safetensors.torch import save
from torch import Tensor

from nc_bench.runs.files import write_bytes


def polygon_frame(means: Float64[Tensor, "k d"]) -> tuple[Float64[Tensor, "k d"], Float64[Tensor, "d 2"]]:
    """The simplex of unit radius nearest to these class means, and a plane in which its vertices form a K-gon.

    With M = U S V^T the centred means, the nearest simplex (orthogonal Procrustes) has vertices
    sqrt(K/(K-1)) U V^T. The plane is spanned by the images of cos(2 pi c/K) and sin(2 pi c/K), so vertex c lies
    at angle 2 pi c/K, at sqrt(2/(K-1)) of its radius. For two classes the second axis is 0 and free to be chosen.
    """
    classes = means.shape[0]
    centred = means - means.mean(0)
    left, _, basis = torch.linalg.svd(centred, full_matrices=False)
    keep = min(classes - 1, means.shape[1])
    isometry = left[:, :keep] @ basis[:keep]
    angles = 2 * math.pi / classes * torch.arange(classes, dtype=means.dtype, device=means.device)
    waves = torch.stack([angles.cos(), angles.sin()], 1)
    waves = waves / torch.linalg.vector_norm(waves, dim=0).clamp(min=1e-9)
    plane = isometry.T @ waves
    if classes == 2:
        plane[:, 1] = 0
    return math.sqrt(classes / max(classes - 1, 1)) * isometry, plane


def write_plane(
    path: Path,
    *,
    epoch: int,
    train: tuple[Float[Tensor, "n d"], Int64[Tensor, "n"]],
    test: tuple[Float[Tensor, "m d"], Int64[Tensor, "m"]] | None,
    means: Float64[Tensor, "k d"],
    predicted_radius: float | None,
) -> None:
    """Save both splits' features on the plane of `polygon_frame`, and the simplex's vertices, as safetensors.

    `means` are the training class means; `predicted_radius` is |y_c - mu| where theory gives one, else the vertices
    are drawn at the mean radius that was measured.
    """
    vertices, plane = polygon_frame(means)
    centre = means.mean(0)
    if means.shape[0] == 2 and means.shape[1] > 1:
        plane[:, 1] = _widest_direction_across(train[0], centre, plane[:, 0])
    radius = predicted_radius
    if radius is None:
        radius = float(torch.linalg.vector_norm(means - centre, dim=1).mean())
    points, labels = test if test is not None else (train[0][:0], train[1][:0])
    content = {
        "train": _on(plane, train[0], centre),
        "train_labels": train[1],
        "test": _on(plane, points, centre),
        "test_labels": labels,
        "vertices": (radius * vertices @ plane).float(),
    }
    metadata = {"epoch": str(epoch), "predicted": "false" if predicted_radius is None else "true"}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in content.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, save(tensors, metadata))


def _on(plane: Tensor, features: Tensor, centre: Tensor) -> Tensor:
    return ((features.double() - centre) @ plane).float()


def _widest_direction_across(features: Tensor, centre: Tensor, axis: Tensor) -> Tensor:
    across = features.double() - centre
    across = across - (across @ axis)[:, None] * axis
    return torch.linalg.eigh(across.T @ across).eigenvectors[:, -1]
