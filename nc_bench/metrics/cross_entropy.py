"""Cross entropy of single samples, as exact near 0 and near log K as anywhere else."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

SERIES_BELOW = 1e-2
"""Where e^x - 1 - x is taken from its series: there the difference of both loses more digits."""


def losses(
    outputs: Float64[Tensor, "t n k"], labels: Int64[Tensor, "t n"]
) -> tuple[Float64[Tensor, "t n"], Float64[Tensor, "t n"], Float64[Tensor, "t n"]]:
    """Cross entropy softplus(log sum_{j != y} exp(z_j - z_y)) of every sample, its logarithm, and
    log((1/K) sum_j exp(z_j - mean z)) >= 0, what the loss is besides log K - (z_y - mean z).

    The outputs are overwritten. Written so, the loss keeps its relative accuracy however small it is: at z_y - z_j =
    800 it is 0, its logarithm -800. The last is of second order where the outputs are small. There it is computed from
    the centred outputs, because the difference of the loss and log K would be rounding; elsewhere it is that
    difference.
    """
    classes, index = outputs.shape[-1], labels[..., None]
    middle, own = outputs.mean(-1), outputs.gather(-1, index)[..., 0]
    outputs.scatter_(-1, index, -math.inf)
    largest_other = outputs.amax(-1)
    small = torch.maximum(own, largest_other) - middle < 1
    of_small = _log_mean_exp_of_small(outputs[small], index[small], own[small], middle[small])
    peak = torch.where(largest_other.isfinite(), largest_other, 0.0)
    exponent = (peak - own) + outputs.sub_(peak[..., None]).exp_().sum(-1).log_()
    loss = torch.logaddexp(exponent, torch.zeros_like(exponent))
    log_loss = torch.where(exponent < -30, exponent - exponent.exp() / 2, loss.log())
    log_mean_exp = loss - math.log(classes) + (own - middle)
    log_mean_exp[small] = torch.where(of_small.isnan(), log_mean_exp[small], of_small)
    return loss, log_loss, log_mean_exp


def _log_mean_exp_of_small(
    others: Float64[Tensor, "m k"], index: Int64[Tensor, "m 1"], own: Float64[Tensor, "m"], middle: Float64[Tensor, "m"]
) -> Float64[Tensor, "m"]:
    """From the centred outputs; NaN where they differ by 1 or more."""
    outputs = others.scatter(-1, index, own[:, None])
    centred = torch.log1p(_exp_beyond_linear(outputs - middle[:, None]).mean(-1))
    return torch.where(outputs.amax(-1) - outputs.amin(-1) < 1, centred, torch.nan)


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
