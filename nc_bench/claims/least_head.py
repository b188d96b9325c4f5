"""Features from which a linear map W reaches a simplex of outputs: their centre, the least norm of W (Lemma 4.1).

Only feasible pairs are looked at: W y_i = z_i, |y_i| <= R. The rest of W, which no y_i sees, is zero.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from jaxtyping import Float64
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from nc_bench.claims.claim import GEOMETRY_TOLERANCE, Claim, predicted_claim
from nc_bench.geometry.balls import radial_ball
from nc_bench.theory import least_head

CLASSES, WIDTH = 4, 7
RADIUS, OUTPUT_RADIUS, HEAD_NORM = 2.0, 3.0, 2.5
"""Bound of the features, norm of the outputs, and a norm of the head above the least, 1.5."""

DRAWS, STARTS = 100, 3
ASCENT = 60


def claims() -> list[Claim]:
    """The norm of every feasible map and the least of them; the centre of features below and above width K."""
    return [
        Claim(
            name="least_head_norm_random",
            statement=f"norm of W with W y_i = z_i, |z_i| = 3, |y_i| <= 2: the smallest of {DRAWS} random y",
            source="E & Wojtowytsch 2021, Lemma 4.1 (2)",
            predicted=_least_norm,
            obtained=lambda: min(float(norms(y).amax()) for y in random_features()),
            tolerance=0.0,
            bound="at_least",
        ),
        Claim(
            name="least_head_norm",
            statement=f"the same, minimised over y; the worst of {STARTS} starts",
            source="E & Wojtowytsch 2021, Lemma 4.1 (3)",
            predicted=_least_norm,
            obtained=lambda: max(float(norms(shortest(seed)).amax()) for seed in range(STARTS)),
            tolerance=GEOMETRY_TOLERANCE,
        ),
        predicted_claim(
            "least_head_distance",
            f"the largest distance of two of these y, of {STARTS} starts",
            setting="penultimate_ball",
            value="pair_distance",
            problem={"classes": CLASSES, "radius": RADIUS},
            obtained=lambda: max(float(torch.pdist(shortest(seed)).max()) for seed in range(STARTS)),
            tolerance=GEOMETRY_TOLERANCE,
        ),
        Claim(
            name="least_head_centre_flat",
            statement=f"width K-1: the centre of every feasible y is 0; the largest of {DRAWS} random W",
            source="E & Wojtowytsch 2021, Lemma 4.1 (1)",
            predicted=lambda: 0.0,
            obtained=lambda: max(largest_centre(seed, CLASSES - 1) for seed in range(DRAWS)),
            tolerance=1e-12,
            relative=False,
        ),
        Claim(
            name="least_head_centre_wide",
            statement=f"width {WIDTH}, |W| = 2.5: the farthest centre of y from 0, sought over W and y",
            source="the kernel of W; E & Wojtowytsch 2021, Lemma 4.1 (1), says 0",
            predicted=lambda: least_head.largest_centre(OUTPUT_RADIUS, RADIUS, HEAD_NORM),
            obtained=lambda: max(largest_centre(seed, WIDTH) for seed in range(10 * STARTS)),
            tolerance=GEOMETRY_TOLERANCE,
        ),
    ]


def simplex() -> Float64[Tensor, "k k"]:
    """Outputs z_i of the norm OUTPUT_RADIUS, the projected basis vectors, as rows."""
    centred = torch.eye(CLASSES, dtype=torch.float64) - 1 / CLASSES
    return OUTPUT_RADIUS * centred / centred[0].norm()


def norms(y: Float64[Tensor, "k d"]) -> Float64[Tensor, "k"]:
    """The singular values of the W with W y_i = z_i that is zero across the span of the y_i."""
    return torch.linalg.svdvals(torch.linalg.pinv(y) @ simplex())


def random_features() -> list[Float64[Tensor, "k d"]]:
    """Random y_i in the ball, most of them on its surface, linearly independent: so a W exists."""
    random = torch.Generator().manual_seed(0)
    drawn = 2 * RADIUS * torch.randn(DRAWS, CLASSES, WIDTH, generator=random, dtype=torch.float64) / WIDTH**0.5
    return list(radial_ball(drawn, RADIUS))


@cache
def shortest(seed: int) -> Float64[Tensor, "k d"]:
    """Features y whose W is shortest, by L-BFGS over W from a random start.

    A W with columns that sum to zero reaches the z_i from y_i = pinv(W) z_i and not from shorter ones. By how much W
    can be shortened until the longest y_i has the norm R is the product of its norm and that length. Both maxima are
    replaced by sums of powers, smooth where several singular values or lengths are largest, as at the optimum.
    """
    random = torch.Generator().manual_seed(seed)
    start = torch.randn(CLASSES, WIDTH, generator=random, dtype=torch.float64)

    def evaluate(x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        free = torch.from_numpy(x).view(CLASSES, WIDTH).requires_grad_()
        weight = free - free.mean(0)
        lengths = (simplex() @ torch.linalg.pinv(weight).mT).norm(dim=1)
        squares = weight @ weight.mT
        value = squares.square().sum().log() + lengths.pow(4).sum().log()
        (slope,) = torch.autograd.grad(value, free)
        return value.item(), slope.flatten().numpy()

    options = {"maxiter": 2000, "ftol": 0.0, "gtol": 1e-12}
    found = minimize(evaluate, start.flatten().numpy(), jac=True, method="L-BFGS-B", options=options)
    weight = torch.from_numpy(found.x).view(CLASSES, WIDTH)
    y = simplex() @ torch.linalg.pinv(weight - weight.mean(0)).mT
    return RADIUS * y / y.norm(dim=1).max()


def largest_centre(seed: int, width: int) -> float:
    """|mean of the y_i| for one W of the norm HEAD_NORM, the y_i as far to one side of its kernel as the ball allows.

    The singular values of W on the outputs' span are random between the least norm and HEAD_NORM; for every third
    seed all are HEAD_NORM.
    """
    random = torch.Generator().manual_seed(seed)
    rank = CLASSES - 1
    right = torch.linalg.qr(torch.randn(width, width, generator=random, dtype=torch.float64)).Q
    left = torch.linalg.svd(simplex()).U[:, :rank]
    turned = left @ torch.linalg.qr(torch.randn(rank, rank, generator=random, dtype=torch.float64)).Q
    lowest = OUTPUT_RADIUS / RADIUS
    singular = lowest + (HEAD_NORM - lowest) * torch.rand(rank, generator=random, dtype=torch.float64)
    singular[0 if seed % 3 else slice(None)] = HEAD_NORM
    seen = simplex() @ turned / singular @ right[:, :rank].mT
    room = (RADIUS**2 - seen.square().sum(1)).clamp(min=0).sqrt()
    # Unseen parts of random directions, then turned towards their own mean until it grows no longer.
    unseen = torch.randn(CLASSES, width - rank, generator=random, dtype=torch.float64)
    for _ in range(ASCENT):
        unseen = room[:, None] * torch.nn.functional.normalize(unseen, dim=1)
        unseen = unseen + unseen.mean(0)
    y = seen + room[:, None] * torch.nn.functional.normalize(unseen, dim=1) @ right[:, rank:].mT
    return float(y.mean(0).norm())


def _least_norm() -> float:
    return least_head.least_head_norm(OUTPUT_RADIUS, RADIUS)
