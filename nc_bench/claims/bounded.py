"""Bounded features and head as smooth images of free tensors: one problem for any loss, weights, width and sets."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid

from nc_bench.claims.free_tensors import in_ball, in_spectral_ball, lowest
from nc_bench.claims.solve import Solution


@dataclass(frozen=True, kw_only=True)
class Bounded:
    """|h|_p <= radius for every feature, one for each class, and |W|_op <= head_norm.

    With `features_in_mean` the mean of |h|^2 is at most radius^2, with `head_in_mean` that of |w_k|^2 at most
    head_norm^2. The loss is the focal one for a gamma, else the cross entropy with this smoothing, or "mse".
    """

    classes: int
    width: int
    radius: float
    head_norm: float = 1.0
    p: float = 2.0
    features_in_mean: bool = False
    head_in_mean: bool = False
    nonnegative: bool = False
    bias: bool = False
    mse: bool = False
    focal_gamma: float = 0.0
    label_smoothing: float = 0.0
    class_weights: tuple[float, ...] | None = None

    def features(self, free: Float[Tensor, "k d"]) -> Float[Tensor, "k d"]:
        """In their set."""
        if self.features_in_mean:
            return in_ball(free.flatten()[None], math.sqrt(self.classes) * self.radius).view(free.shape)
        return in_ball(free, self.radius, self.p)

    def weight(self, free: Float[Tensor, "k d"]) -> Float[Tensor, "k d"]:
        """In its set."""
        if self.head_in_mean:
            return in_ball(free.flatten()[None], math.sqrt(self.classes) * self.head_norm).view(free.shape)
        return in_spectral_ball(free, self.head_norm)

    def losses(self, logits: Float[Tensor, "k k"]) -> Float[Tensor, "k"]:
        """Of the sample of each class."""
        true = torch.eye(self.classes, dtype=torch.bool)
        if self.mse:
            return (logits - true.double()).square().sum(1) / 2
        odds = logits.masked_fill(true, -torch.inf).logsumexp(1) - logits.diagonal()
        plain = -logsigmoid(-odds)
        if self.focal_gamma:
            return (self.focal_gamma * logsigmoid(odds)).exp() * plain
        return plain + self.label_smoothing * (logits.diagonal() - logits.mean(1))


@cache
def solved(problem: Bounded, starts: int = 3) -> Solution:
    """The lowest minimum from random starts."""
    shape, labels = (problem.classes, problem.width), torch.arange(problem.classes)
    shares = torch.tensor(problem.class_weights or (1.0,) * problem.classes, dtype=torch.float64)
    shares = shares / shares.sum()

    def outputs(features: Tensor, weight: Tensor, *bias: Tensor) -> Tensor:
        logits = problem.features(features) @ problem.weight(weight).mT
        return logits + bias[0] if bias else logits

    shapes = [shape, shape, *[(problem.classes,)] * problem.bias]
    found = lowest(
        lambda *tensors: (shares * problem.losses(outputs(*tensors))).sum(),
        shapes,
        starts=starts,
        nonnegative=(0,) if problem.nonnegative else (),
    )
    features, weight, *bias = found.tensors
    return Solution(
        objective=found.objective,
        lowest=found.objective,
        features=problem.features(features),
        outputs=outputs(*found.tensors),
        labels=labels,
        weight=problem.weight(weight),
        bias=bias[0] if bias else None,
    )
