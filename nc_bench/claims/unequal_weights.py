"""Unequal class weights in the ball with a free bias, or with non-negative features: there the weights matter."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from torch.nn.functional import cross_entropy

from nc_bench.claims.bounded import Bounded, solved
from nc_bench.claims.claim import GEOMETRY_TOLERANCE, OBJECTIVE_TOLERANCE, Claim, predicted_claim
from nc_bench.claims.solve import cosines


@dataclass(frozen=True, kw_only=True)
class _Case:
    name: str
    words: str
    problem: Bounded

    @property
    def specification(self) -> dict[str, object]:
        """What the theory is asked: everything but what the solver alone needs."""
        names = ("classes", "radius", "bias", "nonnegative", "class_weights", "width")
        return {name: getattr(self.problem, name) for name in names}


FOUR = (100.0, 10.0, 1.0, 1.0)
CASES = (
    _Case(
        name="bias",
        words="signed features, a free bias, weights 100:10:1:1",
        problem=Bounded(classes=4, width=4, radius=2.0, bias=True, class_weights=FOUR),
    ),
    _Case(
        name="nonnegative",
        words="non-negative features, no bias, weights 100:10:1:1",
        problem=Bounded(classes=4, width=6, radius=2.0, nonnegative=True, class_weights=FOUR),
    ),
    _Case(
        name="nonnegative_bias",
        words="non-negative features, a free bias, weights 100:10:1:1",
        problem=Bounded(classes=4, width=6, radius=2.0, nonnegative=True, bias=True, class_weights=FOUR),
    ),
    _Case(
        name="two_sizes",
        words="signed features, a free bias, three classes of weight 20 and three of 1",
        problem=Bounded(classes=6, width=6, radius=3.0, bias=True, class_weights=(20.0,) * 3 + (1.0,) * 3),
    ),
)


def claims() -> list[Claim]:
    """Weighted risks, the risks of the most and the least weighted class, and the angles of non-negative features."""
    return [claim for case in CASES for claim in _risks(case)] + [
        predicted_claim(
            "unequal_weights_orthogonal",
            f"largest cosine between features: {CASES[1].words}",
            setting="penultimate_ball",
            value="cosine",
            problem=CASES[1].specification,
            obtained=lambda: cosines(solved(CASES[1].problem).features).max().item(),
            tolerance=GEOMETRY_TOLERANCE,
            relative=False,
        )
    ]


def _risks(case: _Case) -> list[Claim]:
    about = partial(predicted_claim, setting="penultimate_ball", problem=case.specification)
    last = case.problem.classes - 1
    return [
        about(
            f"unequal_weights_{case.name}",
            f"least weighted risk: {case.words}; best of 3 starts",
            value="objective",
            obtained=lambda: solved(case.problem).objective,
            tolerance=OBJECTIVE_TOLERANCE,
        ),
        *(
            about(
                f"unequal_weights_{case.name}_{which}",
                f"risk of the {which} class there: {case.words}",
                value="class_risks",
                entry=entry,
                obtained=partial(_class_risk, case.problem, entry),
                tolerance=GEOMETRY_TOLERANCE,
            )
            for which, entry in (("first", 0), ("last", last))
        ),
    ]


def _class_risk(problem: Bounded, entry: int) -> float:
    found = solved(problem)
    return cross_entropy(found.outputs, found.labels, reduction="none")[entry].item()
