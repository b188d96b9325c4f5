"""How far the last layer is from a stationary point of cross entropy with weight decay."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float64
from torch import Tensor


def stationarity_residual(
    features: Tensor,
    labels: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    decay: float,
    label_smoothing: float = 0.0,
) -> Float64[Tensor, "..."]:
    """|l W - (1/N) (Y - P)^T H| / |l W| in Frobenius norms, float64, for any number of leading axes.

    features H (..., N, d), labels (..., N) in 0..K-1, weight W (..., K, d) and bias (..., K) of a last linear layer
    that nothing follows but the softmax; P (N, K) are its probabilities and Y the one-hot labels, mixed with 1/K by
    `label_smoothing`. Give the features that training sees: with batch norm, those of training mode.

    0 where the gradient of mean cross entropy + l/2 |W|^2 with respect to W vanishes; 1 where the loss does not
    pull at W at all. `decay` l is the coupled weight decay (SGD, Adam); under SGD with momentum beta and decoupled
    decay l it is (1 - beta) l; nothing follows for AdamW. NaN where W is zero, or something is not finite.

    Raises ValueError for shapes that do not fit, labels out of range, a decay that is not positive, or a label
    smoothing outside [0, 1).
    """
    classes = weight.shape[-2]
    _check(features, labels, weight, bias)
    if not 0 < decay < math.inf:
        raise ValueError(f"decay must be positive and finite, got {decay!r}")
    if not 0 <= label_smoothing < 1:
        raise ValueError(f"label_smoothing must lie in [0, 1), got {label_smoothing!r}")
    features, weight = features.double(), weight.double()
    logits = features @ weight.mT
    if bias is not None:
        logits = logits + bias.double()[..., None, :]
    others = logits.softmax(-1).scatter(-1, labels[..., None], 0.0)
    # 1 - P of the true class as the sum of the others: at deep collapse the difference would be rounding.
    errors = (-others).scatter(-1, labels[..., None], others.sum(-1, keepdim=True))
    if label_smoothing > 0:
        errors = errors + label_smoothing / classes
        errors.scatter_add_(-1, labels[..., None], torch.full_like(errors[..., :1], -label_smoothing))
    pull = errors.mT @ features / features.shape[-2]
    shrinkage = decay * weight
    size = torch.linalg.matrix_norm(shrinkage)
    residual = torch.linalg.matrix_norm(shrinkage - pull) / size
    return torch.where(size > 0, residual, torch.nan)


def _check(features: Tensor, labels: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    *leading, samples, width = features.shape
    classes = weight.shape[-2]
    if samples == 0:
        raise ValueError("there are no samples to measure")
    expected = {"labels": (*leading, samples), "weight": (*leading, classes, width), "bias": (*leading, classes)}
    for name, tensor in (("labels", labels), ("weight", weight), ("bias", bias)):
        if tensor is not None and tuple(tensor.shape) != expected[name]:
            raise ValueError(f"{name} must be of shape {expected[name]} here, got {tuple(tensor.shape)}")
    if not ((labels >= 0) & (labels < classes)).all():
        raise ValueError(f"labels must lie in 0..{classes - 1}, got {int(labels.min())} to {int(labels.max())}")
