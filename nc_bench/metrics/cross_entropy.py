"""Cross entropy of single samples, as exact near 0 and near log K as anywhere else."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

SERIES_BELOW = 1e-2
"""Where e^x - 1 - x is taken from its series: there the difference of both loses more digits."""


def cross_entropy(
    outputs: Float64[Tensor, "t n k"], labels: Int64[Tensor, "t n"]
) -> tuple[Float64[Tensor, "t n"], Float64[Tensor, "t n"]]:
    """Cross entropy softplus(log sum_{j != y} exp(z_j - z_y)) of every sample, and its logarithm.

    Written so, it keeps its relative accuracy however small it is: at z_y - z_j = 800 the loss is 0, its
    logarithm -800.
    """
    own = labels[..., None]
    margins = outputs - outputs.gather(-1, own)
    margins.scatter_(-1, own, -math.inf)
    exponent = torch.logsumexp(margins, -1)
    loss = torch.logaddexp(exponent, torch.zeros_like(exponent))
    small = exponent < -30
    return loss, torch.where(small, exponent - exponent.exp() / 2, loss.log())


def losses(
    outputs: Float64[Tensor, "t n k"], labels: Int64[Tensor, "t n"]
) -> tuple[Float64[Tensor, "t n"], Float64[Tensor, "t n"], Float64[Tensor, "t n"]]:
    """`cross_entropy`, its logarithm, and `log_mean_exp` of every sample."""
    loss, log_loss = cross_entropy(outputs, labels)
    return loss, log_loss, log_mean_exp(outputs, labels, loss)


def log_mean_exp(
    outputs: Float64[Tensor, "t n k"], labels: Int64[Tensor, "t n"], loss: Float64[Tensor, "t n"]
) -> Float64[Tensor, "t n"]:
    """log((1/K) sum_j exp(z_j - mean z)) >= 0 of every sample: what its loss is besides log K - (z_y - mean z).

    Of second order where the outputs are small. It is computed from the centred outputs there, because the difference
    of the loss and log K would be rounding; elsewhere it is that difference.
    """
    classes, middle = outputs.shape[-1], outputs.mean(-1)
    value = loss - math.log(classes) + (outputs.gather(-1, labels[..., None])[..., 0] - middle)
    small = outputs.amax(-1) - outputs.amin(-1) < 1
    if bool(small.any()):
        from_centred = torch.log1p(_exp_beyond_linear(outputs - middle[..., None]).mean(-1))
        value = torch.where(small, from_centred, value)
    return value


def equal_log_mean_exp(margin: Float64[Tensor, "t"], classes: int) -> Float64[Tensor, "t"]:
    """`log_mean_exp` of outputs with z_y - z_j = margin for all j, where the margin is small."""
    share = 1 / classes
    own, others = _exp_beyond_linear((1 - share) * margin), _exp_beyond_linear(-share * margin)
    return torch.log1p(share * own + (1 - share) * others)


def equal_risk_drop(
    smaller: Float64[Tensor, "t"], larger: Float64[Tensor, "t"], scale: Float64[Tensor, "t"], classes: int
) -> Float64[Tensor, "t"]:
    """By how much log(1 + (K-1) e^-m) falls from the smaller margin to the larger, both to be multiplied by `scale`.

    From the difference of the margins where that is small, so that it is exact however close the two are.
    """
    if classes == 1:
        return torch.zeros_like(smaller)
    most, rise = math.log(classes - 1), (larger - smaller) * scale
    first, second = most - smaller * scale, most - larger * scale
    zero = torch.zeros_like(first)
    apart = torch.logaddexp(zero, first) - torch.logaddexp(zero, second)
    return torch.where(rise.abs() < 1, torch.log1p(torch.expm1(rise) * torch.sigmoid(second)), apart)


def _exp_beyond_linear(x: Float64[Tensor, "*shape"]) -> Float64[Tensor, "*shape"]:
    """e^x - 1 - x"""
    series = x.square() / 2 * (1 + x / 3 * (1 + x / 4 * (1 + x / 5 * (1 + x / 6 * (1 + x / 7)))))
    return torch.where(x.abs() < SERIES_BELOW, series, torch.expm1(x) - x)
