"""Outputs in convex sets: balls around other centres, the ends p = 1 and p = infinity, and sets that are no balls.

Several samples a class, in unequal numbers, each with an output of its own, under projected gradient descent: nothing
in it knows that the outputs of a class should meet.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import torch
from jaxtyping import Float64
from torch import Tensor
from torch.nn.functional import cross_entropy

from nc_bench.claims.claim import GEOMETRY_TOLERANCE, OBJECTIVE_TOLERANCE, Bound, Claim, predicted_claim
from nc_bench.geometry.balls import project_ball
from nc_bench.theory import output_sets

COUNTS = (4, 2, 3, 1)
"""Samples of the classes."""

RADIUS, CENTRE = 2.0, -1.5
LOWER, UPPER = (-1.0, -2.0, 0.0, -0.5), (1.0, 0.5, 3.0, 2.0)
AXES = (1.0, 2.0, 0.5, 1.5)
HALF_LENGTH = 3.0
"""Of the cylinder: the mean entry of an output lies between -HALF_LENGTH and HALF_LENGTH."""

STARTS, STEPS, STEP = 8, 1000, 0.5

COROLLARY = "E & Wojtowytsch 2021, Cor. 3.2"

Rows = Float64[Tensor, "*rows k"]


@dataclass(frozen=True, kw_only=True)
class OutputSet:
    """A convex set {scale * u: u in a set with a known projection}, entry by entry."""

    project: Callable[[Tensor], Tensor]
    scale: tuple[float, ...] | None = None


def _ball(p: float) -> OutputSet:
    return OutputSet(project=partial(project_ball, radius=RADIUS, p=p))


SETS = {
    "l1": _ball(1.0),
    "linf": _ball(math.inf),
    "shifted": OutputSet(project=lambda z: CENTRE + project_ball(z - CENTRE, RADIUS)),
    "box": OutputSet(project=lambda z: z.clamp(z.new_tensor(LOWER), z.new_tensor(UPPER))),
    "ellipsoid": OutputSet(project=partial(project_ball, radius=RADIUS), scale=AXES),
    "cylinder": OutputSet(
        project=lambda z: project_ball(across(z), RADIUS) + z.mean(-1, True).clamp(-HALF_LENGTH, HALF_LENGTH)
    ),
}


def across(z: Rows) -> Rows:
    """What is left of outputs without their part along (1, ..., 1)."""
    return z - z.mean(-1, keepdim=True)


@cache
def minimisers(name: str, counts: tuple[int, ...]) -> tuple[Float64[Tensor, "t n k"], Tensor]:
    """Outputs in that set after projected gradient descent from every start, and the labels.

    It descends on the sum of log losses: samples share nothing but the set, so this has the minimisers of the risk,
    and steps that do not shrink with the loss.
    """
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    random = torch.Generator().manual_seed(0)
    start = 4 * RADIUS * torch.randn(STARTS, len(labels), len(counts), generator=random, dtype=torch.float64)
    scale = torch.tensor(SETS[name].scale or (1.0,) * len(counts), dtype=torch.float64)
    u = SETS[name].project(start)
    for _ in range(STEPS):
        u.requires_grad_()
        (slope,) = torch.autograd.grad(losses(scale * u, labels).log().sum(), u)
        u = SETS[name].project(u.detach() - STEP * slope)
    return scale * u, labels


def losses(z: Float64[Tensor, "t n k"], labels: Tensor) -> Float64[Tensor, "t n"]:
    """The cross entropy of every sample."""
    every = cross_entropy(z.flatten(0, 1), labels.repeat(len(z)), reduction="none")
    return every.view(z.shape[:2])


def claims() -> list[Claim]:
    """Balls at p = 1 and infinity and around another centre; a box, an ellipsoid and a cylinder."""
    return [*_ends(), *_shifted(), *_other_sets()]


def _ends() -> list[Claim]:
    about = partial(_in_ball, classes=len(COUNTS))
    two = partial(_in_ball, classes=2, p=1.0)
    return [
        about("risk_p1", "least risk in the l^1 ball of radius 2", "risk", partial(largest_risk, "l1"), p=1.0),
        about("alpha_p1", "output of the true class there, the smallest", "alpha", partial(_own, "l1"), p=1.0),
        about("risk_pinf", "least risk in the cube |z_j| <= 2", "risk", partial(largest_risk, "linf"), p=math.inf),
        about("beta_pinf", "output of another class there, the largest", "beta", partial(_other, "linf"), p=math.inf),
        two("risk_p1_two_classes", "least risk of two classes, p = 1", "risk", partial(largest_risk, "l1", (3, 2))),
        Claim(
            name="final_layer_segment_p1",
            statement="two classes, p = 1: a segment of minimisers; the range of the outputs of the true class",
            source="E & Wojtowytsch 2021, Remark A.1, at p = 1",
            predicted=lambda: RADIUS,
            obtained=_segment,
            tolerance=OBJECTIVE_TOLERANCE,
        ),
    ]


def _shifted() -> list[Claim]:
    about = partial(_in_ball, classes=len(COUNTS), centre=CENTRE)
    where = f"the ball of radius 2 around {CENTRE:g} (1, ..., 1)"
    return [
        about("risk_shifted", f"least risk in {where}", "risk", partial(largest_risk, "shifted")),
        about(
            "alpha_shifted", f"output of the true class, the smallest, in {where}", "alpha", partial(_own, "shifted")
        ),
        about("beta_shifted", f"output of another class, the largest, in {where}", "beta", partial(_other, "shifted")),
    ]


def _in_ball(
    name: str, statement: str, value: str, obtained: Callable[[], float], *, classes: int, **problem: float
) -> Claim:
    return predicted_claim(
        f"final_layer_{name}",
        f"{statement}; the worst of {STARTS} starts",
        setting="final_layer_ball",
        value=value,
        problem={"classes": classes, "radius": RADIUS, **problem},
        obtained=obtained,
        tolerance=OBJECTIVE_TOLERANCE if value == "risk" else GEOMETRY_TOLERANCE,
    )


def _other_sets() -> list[Claim]:
    return [
        _elsewhere(
            "box_risk", "least risk of outputs with a bound for every entry", _box_risk, partial(largest_risk, "box")
        ),
        *(
            _elsewhere(
                f"{name}_collapse",
                f"outputs of a class meet, up to multiples of (1, ..., 1), in {said}: the largest distance over all",
                lambda: 0.0,
                partial(_largest_distance, name),
                tolerance=GEOMETRY_TOLERANCE,
            )
            for name, said in (("box", "a box"), ("ellipsoid", "an ellipsoid"), ("cylinder", "a cylinder along it"))
        ),
        _elsewhere(
            "ellipsoid_plane",
            "minimisers in the ellipsoid sum (z_j/s_j)^2 <= R^2 have sum z_j/s_j^2 = 0: the largest of all",
            lambda: 0.0,
            lambda: float((minimisers("ellipsoid", COUNTS)[0] / torch.tensor(AXES) ** 2).sum(-1).abs().max()),
            tolerance=GEOMETRY_TOLERANCE,
        ),
        predicted_claim(
            "output_cylinder_risk",
            "least risk in the cylinder of radius 2 along (1, ..., 1): that of the ball",
            setting="final_layer_ball",
            value="risk",
            problem={"classes": len(COUNTS), "radius": RADIUS},
            obtained=partial(largest_risk, "cylinder"),
            tolerance=OBJECTIVE_TOLERANCE,
        ),
        _elsewhere(
            "cylinder_flat",
            "minimisers differ along (1, ..., 1): the range of mean outputs of a class, the smallest of all classes",
            lambda: HALF_LENGTH,
            _smallest_flat_range,
            bound="at_least",
        ),
    ]


def _elsewhere(
    name: str,
    statement: str,
    predicted: Callable[[], float],
    obtained: Callable[[], float],
    *,
    tolerance: float = OBJECTIVE_TOLERANCE,
    bound: Bound = "equal",
) -> Claim:
    return Claim(
        name=f"output_{name}",
        statement=statement,
        source=COROLLARY,
        predicted=predicted,
        obtained=obtained,
        tolerance=tolerance,
        relative=name == "box_risk",
        bound=bound,
    )


def largest_risk(name: str, counts: tuple[int, ...] = COUNTS) -> float:
    """The balanced risk of the worst start."""
    z, labels = minimisers(name, counts)
    share = 1 / (len(counts) * torch.bincount(labels)[labels].double())
    return float((losses(z, labels) * share).sum(-1).max())


def _box_risk() -> float:
    return output_sets.box_risk(LOWER, UPPER)


def _own(name: str) -> float:
    z, labels = minimisers(name, COUNTS)
    return float(z.gather(-1, labels.expand(len(z), -1)[..., None]).min())


def _other(name: str) -> float:
    z, labels = minimisers(name, COUNTS)
    own = torch.nn.functional.one_hot(labels).bool()
    return float(z.masked_fill(own, -math.inf).max())


def _segment() -> float:
    z, labels = minimisers("l1", (3, 2))
    own = z.gather(-1, labels.expand(len(z), -1)[..., None])
    return float(own.max() - own.min())


def _largest_distance(name: str) -> float:
    """Over samples of one class and over starts: any two minimisers are compared."""
    z, labels = minimisers(name, COUNTS)
    classes = [across(z[:, labels == c]).flatten(0, 1) for c in labels.unique()]
    return max(float((rows[:, None] - rows).norm(dim=-1).max()) for rows in classes)


def _smallest_flat_range() -> float:
    z, labels = minimisers("cylinder", COUNTS)
    means = [z[:, labels == c].mean(-1) for c in labels.unique()]
    return min(float(mean.max() - mean.min()) for mean in means)
