"""The lowest minimum over free tensors, for problems that no configuration states. It knows no prediction.

A bounded tensor is a smooth image of a free one, t -> 2t/(1 + t^2) in its norm or its singular values: it reaches all
of the bounded set, and the bound itself inside the domain, at t = 1. So there is nothing to project, and L-BFGS
converges to the last digits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

LBFGS = {"maxiter": 20_000, "maxfun": 40_000, "ftol": 0.0, "gtol": 1e-11, "maxcor": 30}
"""Until no digit is left to gain."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Minimum:
    """The smallest objective that was found, and the free tensors there."""

    objective: float
    tensors: tuple[Tensor, ...]


def lowest(
    objective: Callable[..., Tensor],
    shapes: Sequence[tuple[int, ...]],
    *,
    starts: int = 3,
    size: float = 1.0,
    nonnegative: Sequence[int] = (),
) -> Minimum:
    """The lowest of the minima that L-BFGS-B finds from Gaussian starts of this size, of generators seeded 0, 1, ...

    objective: from tensors of these shapes, in float64, to a positive number. Its logarithm is minimised, so that the
    tolerance is relative. nonnegative: which of the tensors are bounded by 0 from below; they start positive.
    """
    return min(
        (_minimum(objective, shapes, _start(shapes, size, nonnegative, seed), nonnegative) for seed in range(starts)),
        key=lambda found: found.objective,
    )


def in_ball(free: Float[Tensor, "n d"], radius: float, p: float = 2.0) -> Float[Tensor, "n d"]:
    """Rows with |x|_p <= radius; p = infinity: entry by entry."""
    size = free.abs() if p == np.inf else free.norm(p, dim=1, keepdim=True)
    return 2 * radius * free / (1 + size**2)


def in_spectral_ball(free: Float[Tensor, "k d"], radius: float) -> Float[Tensor, "k d"]:
    """A matrix with |W|_op <= radius."""
    return 2 * radius * torch.linalg.solve(torch.eye(len(free), dtype=free.dtype) + free @ free.mT, free)


def unit_rows(free: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Rows of norm 1."""
    return torch.nn.functional.normalize(free)


def _start(shapes: Sequence[tuple[int, ...]], size: float, nonnegative: Sequence[int], seed: int) -> list[Tensor]:
    random = torch.Generator().manual_seed(seed)
    drawn = [size * torch.randn(shape, generator=random, dtype=torch.float64) for shape in shapes]
    return [tensor.abs() if index in nonnegative else tensor for index, tensor in enumerate(drawn)]


def _minimum(
    objective: Callable[..., Tensor],
    shapes: Sequence[tuple[int, ...]],
    start: Sequence[Tensor],
    nonnegative: Sequence[int],
) -> Minimum:
    sizes = [tensor.numel() for tensor in start]

    def tensors(x: NDArray[np.float64]) -> list[Tensor]:
        parts = torch.from_numpy(x).split(sizes)
        return [part.view(shape).clone().requires_grad_() for part, shape in zip(parts, shapes, strict=True)]

    def evaluate(x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        here = tensors(x)
        value = objective(*here).log()
        return value.item(), torch.cat([slope.flatten() for slope in torch.autograd.grad(value, here)]).numpy()

    bounds = [(0.0 if index in nonnegative else None, None) for index, count in enumerate(sizes) for _ in range(count)]
    flat = torch.cat([tensor.flatten() for tensor in start]).numpy()
    found = tensors(minimize(evaluate, flat, jac=True, method="L-BFGS-B", bounds=bounds, options=LBFGS).x)
    with torch.no_grad():
        return Minimum(objective=objective(*found).item(), tensors=tuple(tensor.detach() for tensor in found))
