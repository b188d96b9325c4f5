"""Unit vectors: normalised softmax, softmax codes of more classes than a simplex has, supervised contrastive loss."""

from __future__ import annotations

import math
from functools import cache, partial
from itertools import permutations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor
from torch.nn.functional import cross_entropy

from nc_bench.claims.claim import GEOMETRY_TOLERANCE, OBJECTIVE_TOLERANCE, Claim, predicted_claim
from nc_bench.claims.free_tensors import Minimum, lowest, unit_rows
from nc_bench.claims.solve import cosines

SOFTMAX = ((4, 5, 0.5), (3, 2, 0.2))
"""Classes, width and temperature of normalised softmax."""

CODES = {"simplex": (4, 3), "within_twice_the_width": (5, 3), "twice_the_width": (6, 3), "plane": (7, 2)}
"""Classes and width of softmax codes: one for each case of the formula, and the last K of one."""

CONTRASTIVE = {False: (4, 3, 3), True: (3, 2, 4)}
"""Classes, samples of each and width, for signed and for non-negative features."""
TEMPERATURE = 0.5


def claims() -> list[Claim]:
    """Least losses, cosines and widest margins of unit vectors."""
    return [*_normalized_softmax(), *_codes(), *_contrastive(False), *_contrastive(True)]


def _normalized_softmax() -> list[Claim]:
    risks = [
        predicted_claim(
            f"normalized_softmax_risk_{classes}_classes",
            f"least risk of {classes} classes, unit rows and unit features in {width} dimensions, temperature "
            f"{temperature:g}; best of 3 starts",
            setting="normalized_softmax",
            value="risk",
            problem={"classes": classes, "temperature": temperature, "width": width},
            obtained=partial(_softmax_risk, classes, width, temperature),
            tolerance=OBJECTIVE_TOLERANCE,
        )
        for classes, width, temperature in SOFTMAX
    ]
    classes, width, temperature = SOFTMAX[0]
    cosine = predicted_claim(
        "normalized_softmax_cosine",
        f"largest cosine between the features of {classes} classes there",
        setting="normalized_softmax",
        value="cosine",
        problem={"classes": classes, "temperature": temperature},
        obtained=lambda: cosines(_softmax(classes, width, temperature).tensors[0]).max().item(),
        tolerance=GEOMETRY_TOLERANCE,
    )
    return [*risks, cosine]


def _codes() -> list[Claim]:
    return [
        predicted_claim(
            f"softmax_code_{name}",
            f"widest margin of {classes} unit rows over unit features in {width} dimensions; best of 8 starts",
            setting="softmax_code",
            value="margin",
            problem={"classes": classes, "width": width},
            obtained=partial(_widest_margin, classes, width),
            tolerance=OBJECTIVE_TOLERANCE,
        )
        for name, (classes, width) in CODES.items()
    ]


def _contrastive(nonnegative: bool) -> list[Claim]:
    classes, per_class, _ = CONTRASTIVE[nonnegative]
    kind = "nonnegative" if nonnegative else "signed"
    problem = {"classes": classes, "per_class": per_class, "temperature": TEMPERATURE, "nonnegative": nonnegative}
    about = partial(predicted_claim, setting="supervised_contrastive", problem=problem)
    words = f"{classes} classes of {per_class}, {kind.replace('nonn', 'non-n')} unit features, temperature .5"
    return [
        about(
            f"supervised_contrastive_{kind}",
            f"least supervised contrastive loss: {words}; best of 4 starts",
            value="objective",
            obtained=lambda: _contrasted(nonnegative).objective,
            tolerance=OBJECTIVE_TOLERANCE,
        ),
        about(
            f"supervised_contrastive_{kind}_cosine",
            f"cosine between features of two classes there, the one farthest from its mean: {words}",
            value="cosine",
            obtained=lambda: _apart(_contrasted(nonnegative).tensors[0], per_class),
            tolerance=GEOMETRY_TOLERANCE,
            relative=False,
        ),
    ]


@cache
def _softmax(classes: int, width: int, temperature: float) -> Minimum:
    def objective(features: Tensor, rows: Tensor) -> Tensor:
        return cross_entropy(unit_rows(features) @ unit_rows(rows).mT / temperature, torch.arange(classes))

    return lowest(objective, [(classes, width)] * 2)


def _softmax_risk(classes: int, width: int, temperature: float) -> float:
    return _softmax(classes, width, temperature).objective


@cache
def _contrasted(nonnegative: bool) -> Minimum:
    """Mean over anchors i and their positives p of -log(e^(<h_i, h_p>/t) / sum_{a != i} e^(<h_i, h_a>/t))."""
    classes, per_class, width = CONTRASTIVE[nonnegative]
    labels = torch.arange(classes).repeat_interleave(per_class)
    self_pairs = torch.eye(len(labels), dtype=torch.bool)
    positives = (labels[:, None] == labels) & ~self_pairs

    def objective(free: Tensor) -> Tensor:
        features = unit_rows(free)
        similarity = (features @ features.mT / TEMPERATURE).masked_fill(self_pairs, -math.inf)
        return -similarity.log_softmax(1)[positives].mean()

    return lowest(objective, [(len(labels), width)], starts=4, nonnegative=(0,) if nonnegative else ())


def _apart(free: Tensor, per_class: int) -> float:
    """The cosine between features of different classes that is farthest from the mean of all these cosines."""
    labels = torch.arange(len(free)) // per_class
    features = unit_rows(free)
    between = (features @ features.mT)[labels[:, None] != labels]
    return float(between[(between - between.mean()).abs().argmax()])


@cache
def _widest_margin(classes: int, width: int) -> float:
    """max over unit w and |h| <= 1 of the least <w_k - w_j, h_k>, j != k: by duality the distance from a hull."""
    size = classes * width
    true, other = np.array(list(permutations(range(classes), 2))).T
    rows = np.arange(len(true))

    def split(x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return x[:size].reshape(classes, width), x[size:-1].reshape(classes, width)

    def leads(x: NDArray[np.float64]) -> NDArray[np.float64]:
        weight, features = split(x)
        return ((weight[true] - weight[other]) * features[true]).sum(1) - x[-1]

    def slopes(x: NDArray[np.float64]) -> NDArray[np.float64]:
        weight, features = split(x)
        slope = np.zeros((len(true), 2, classes, width))
        slope[rows, 0, true], slope[rows, 0, other] = features[true], -features[true]
        slope[rows, 1, true] = weight[true] - weight[other]
        return np.hstack([slope.reshape(len(true), -1), -np.ones((len(true), 1))])

    def solve(seed: int) -> float:
        start = np.random.default_rng(seed).standard_normal((classes, width))
        start /= np.linalg.norm(start, axis=1, keepdims=True)
        constraints = [
            {"type": "ineq", "fun": leads, "jac": slopes},
            {"type": "ineq", "fun": lambda x: 1 - (split(x)[1] ** 2).sum(1)},
            {"type": "eq", "fun": lambda x: 1 - (split(x)[0] ** 2).sum(1)},
        ]
        found = minimize(
            lambda x: -x[-1],
            np.concatenate([start.ravel(), start.ravel(), [-2.0]]),
            method="SLSQP",
            constraints=constraints,
            options={"maxiter": 1000, "ftol": 1e-15},
        )
        return float(found.x[-1]) if found.success else -math.inf

    return max(solve(seed) for seed in range(8))
