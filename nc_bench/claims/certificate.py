"""A bound on the loss of every sample by the norm of its output: no output passes it, and the best ones reach it."""

from __future__ import annotations

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from nc_bench.claims.claim import OBJECTIVE_TOLERANCE, Claim
from nc_bench.claims.free_tensors import lowest, unit_rows
from nc_bench.theory import certificate

CLASSES, NORMS = 10, (1.0, 5.0, 25.0)
BOUND = "E & Wojtowytsch 2021, Lemma 3.3: softmax does not see the mean of an output"
DRAWN = 100_000
"""Random outputs."""


def claims() -> list[Claim]:
    """Random outputs are never below the bound, and the least loss is the bound."""
    bounds = [
        Claim(
            name=f"certificate_random_outputs_{norm:g}",
            statement=f"no output z has a smaller loss than the bound for |z - mean(z)| = {norm:g}: the smallest of "
            "100,000 random ones, 3 classes",
            source=BOUND,
            predicted=partial(_bound, norm, 3),
            obtained=partial(_smallest_of_random, norm),
            tolerance=1e-13,
            bound="at_least",
        )
        for norm in NORMS
    ]
    reached = [
        Claim(
            name=f"certificate_is_reached_{norm:g}",
            statement=f"the bound is reached: least loss of outputs with |z - mean(z)| = {norm:g}, 10 classes",
            source=BOUND,
            predicted=partial(_bound, norm, CLASSES),
            obtained=partial(_least_loss, norm),
            tolerance=OBJECTIVE_TOLERANCE,
        )
        for norm in NORMS
    ]
    return [*bounds, *reached]


def _bound(norm: float, classes: int) -> float:
    return float(certificate.output_certificate(norm, classes))


def _loss_of_first(outputs: Float[Tensor, "n k"]) -> Float[Tensor, "n"]:
    """log(1 + sum over wrong classes of e^(z_j - z_0)), which loses no digit of a small loss."""
    return (outputs[:, 1:] - outputs[:, :1]).exp().sum(1).log1p()


def _smallest_of_random(norm: float) -> float:
    """In the plane of three entries, where random directions come within 1e-4 of the best one; their mean is random."""
    random = torch.Generator().manual_seed(0)
    drawn = torch.randn(DRAWN, 3, generator=random, dtype=torch.float64)
    mean = drawn.mean(1, keepdim=True)
    return float(_loss_of_first(norm * unit_rows(drawn - mean) + mean).min())


def _least_loss(norm: float) -> float:
    def loss(free: Tensor) -> Tensor:
        return _loss_of_first(norm * unit_rows(free - free.mean())).mean()

    return lowest(loss, [(1, CLASSES)]).objective
