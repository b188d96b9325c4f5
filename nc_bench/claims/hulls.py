"""Convex hulls of classes before the last layers, and what shallow networks make of those that meet (section 5.2)."""

from __future__ import annotations

from functools import cache
from itertools import product

import torch
from jaxtyping import Float64
from torch import Tensor

from nc_bench.claims.claim import Claim, predicted_value
from nc_bench.claims.three_neurons import CASES, descent, problem
from nc_bench.claims.two_layer import points
from nc_bench.metrics.hulls import hull_overlap
from nc_bench.theory import hulls

POINTS = ((8, 2), (7, 3), (9, 1))
"""Numbers of random points and of dimensions whose labellings are all looked at."""

SOURCE = "E & Wojtowytsch 2021, end of section 5.2"

OUTER, MIDDLE = 1, 0


def claims() -> list[Claim]:
    """Hulls of random classes, of the paper's two examples, and that three neurons do not collapse where hulls meet."""
    return [
        *(_random(number, width) for number, width in POINTS),
        Claim(
            name="hull_overlap_intervals",
            statement="the classes in [-2, -1] and [1, 2] do not meet",
            source="E & Wojtowytsch 2021, Lemma 5.6",
            predicted=lambda: 0.0,
            obtained=lambda: hull_overlap(points()[:, None], (points() > 0).long()),
            tolerance=1e-12,
            relative=False,
        ),
        Claim(
            name="hull_overlap_three_neurons",
            statement="the classes {-1, 1} and {0} of the three neurons meet",
            source=SOURCE,
            predicted=lambda: 1.0,
            obtained=lambda: hull_overlap(middle_and_ends(), torch.tensor([OUTER, MIDDLE, OUTER])),
            tolerance=1e-12,
        ),
        Claim(
            name="hull_overlap_not_collapsed",
            statement="there three neurons do not collapse off the line p3 = 2 p1: the smallest |h(1) - h(-1)| of all "
            "starts and cases after descent",
            source=f"{SOURCE}, and Lemma 5.8",
            predicted=lambda: min(
                abs(predicted_value("three_neurons", "gap", problem(case))) for case in CASES if case.startswith("off")
            ),
            obtained=lambda: min(
                float(descent()[case].gap[-1].abs().min()) for case in CASES if case.startswith("off")
            ),
            tolerance=1e-8,
            bound="at_least",
        ),
        Claim(
            name="hull_overlap_collapsed_before",
            statement="a layer before them that takes x to |x| parts the hulls",
            source=SOURCE,
            predicted=lambda: 0.0,
            obtained=lambda: hull_overlap(middle_and_ends().abs(), torch.tensor([OUTER, MIDDLE, OUTER])),
            tolerance=1e-12,
            relative=False,
        ),
    ]


def _random(number: int, width: int) -> Claim:
    return Claim(
        name=f"hull_overlap_random_{number}_in_{width}",
        statement=f"of all labellings of {number} random points in {width} dimensions, the share whose classes meet",
        source="Cover 1965, Theorem 1",
        predicted=lambda: 1 - hulls.separable_share(number, width),
        obtained=lambda: share_that_meets(number, width),
        tolerance=1e-12,
    )


def middle_and_ends() -> Float64[Tensor, "3 1"]:
    """-1, 0 and 1, as the neurons see them."""
    return torch.tensor([[-1.0], [0.0], [1.0]], dtype=torch.float64)


@cache
def share_that_meets(number: int, width: int) -> float:
    """Every labelling and its opposite are the same two classes; where all labels are one, nothing meets."""
    random = torch.Generator().manual_seed(0)
    drawn = torch.randn(number, width, generator=random, dtype=torch.float64)
    labellings = [torch.tensor((0, *rest)) for rest in product((0, 1), repeat=number - 1) if any(rest)]
    return sum(hull_overlap(drawn, labels) for labels in labellings) / (len(labellings) + 1)
