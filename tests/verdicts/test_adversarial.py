"""States that are no neural collapse but pass a mean, a share or an undefined value: each has to be caught.

Every case is a collapsed state of features and head with one thing spoilt, in a run that is at rest: the claims that
are named must not hold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from spoilt_states import (
    CAUGHT,
    GEOMETRY,
    State,
    collapsed,
    decayed,
    decided_by_bias,
    half_random,
    head,
    merged,
    not_a_number,
    one_class,
    one_sample,
    random_features,
    random_means,
    samples_half_way,
    scaled_row,
    spike,
    split_in_two,
    swapped_rows,
    turned_row,
    verdicts,
    vertices,
    with_means,
    wrong_labels,
)

from nc_bench.reports.sentence import beside_chance

BIG = {"classes": 100, "each": 20, "width": 128}
NC1_UNDEFINED = ("nc1_cdnv", "nc1_cdnv_worst")

CASES: dict[str, tuple[Callable[[], State], tuple[str, ...]]] = {
    "accuracy .96": (lambda: wrong_labels(0.04), ("accuracy", "risk", "margin", "nc1_radius")),
    "noise in a small ball": (lambda: random_features(0.1), ("risk", "margin", *GEOMETRY)),
    "noise in a tiny ball": (lambda: random_features(1e-3), ("risk", "margin", *GEOMETRY)),
    "noise in a large ball": (lambda: random_features(20.0), ("risk", "margin", *GEOMETRY)),
    "efficiency .8 at R = .5": (lambda: half_random(0.45, 0.5), ("risk", "margin", "simplex_efficiency")),
    "two merged classes": (lambda: merged(collapsed(), 1.0), (*NC1_UNDEFINED, "isometry_defect", "accuracy")),
    "two merged classes under decay": (lambda: merged(decayed(), 1.0), (*NC1_UNDEFINED, "simplex_efficiency")),
    "one merged pair of 100": (
        lambda: merged(decayed(**BIG), 1.0),
        (*NC1_UNDEFINED, "nc2_equidistant_worst", "nc2_equiangular_worst", "nc2_equinorm_worst"),
    ),
    "three merged classes of 100": (
        lambda: merged(decayed(**BIG), 1.0, number=3),
        (*NC1_UNDEFINED, "nc2_equidistant_worst", "nc2_equiangular_worst"),
    ),
    "two half-merged classes": (
        lambda: merged(decayed(), 0.5),
        ("nc2_equidistant_worst", "nc2_equiangular_worst", "simplex_efficiency"),
    ),
    "two half-merged classes of 100": (
        lambda: merged(decayed(**BIG), 0.5),
        ("nc2_equidistant_worst", "nc2_equiangular_worst"),
    ),
    "2 % of samples half-way to the origin": (
        lambda: samples_half_way(decayed(each=500, radius=12.0), 0.02),
        ("simplex_efficiency", "efficiency_within", "nc1_radius"),
    ),
    "one sample half-way to the origin": (
        lambda: one_sample(decayed(each=100), lambda sample: sample / 2),
        ("nc1_radius",),
    ),
    "one sample of 1,000 on the wrong side": (
        lambda: one_sample(collapsed(each=100), lambda sample: -sample),
        ("accuracy", "nc1_radius"),
    ),
    "one sample of 5,000 between two classes": (
        lambda: one_sample(decayed(each=500), lambda sample: 5.0 * vertices(10, 32)[1]),
        ("accuracy", "nc1_radius"),
    ),
    "one wide class of 100": (
        lambda: one_class(decayed(**BIG), lambda own: own + np.resize([2.0, -2.0], (20, 1)) * np.eye(128)[-1]),
        ("nc1_quotient_worst", "nc1_radius"),
    ),
    "one short class mean of 100": (
        lambda: one_class(decayed(**BIG), lambda own: 0.7 * own),
        ("nc2_equinorm_worst",),
    ),
    "one class of 100 at the origin": (
        lambda: one_class(decayed(**BIG), lambda own: 0.0 * own),
        ("nc2_equinorm_worst", "nc2_equidistant_worst"),
    ),
    "one short head row of 100": (
        lambda: head(decayed(**BIG), lambda w: scaled_row(w, 0.6)),
        ("nc3_duality_centred_worst",),
    ),
    "one turned head row of 100": (
        lambda: head(decayed(**BIG), turned_row),
        ("nc3_alignment_centred_worst", "nc3_duality_centred_worst"),
    ),
    "two swapped head rows of 100": (
        lambda: head(decayed(**BIG), swapped_rows),
        ("accuracy", "nc4_mismatch", "nc3_alignment_centred_worst", "nc3_duality_centred_worst"),
    ),
    "all head rows at the next class": (
        lambda: head(collapsed(), lambda w: np.roll(w, 1, axis=0)),
        ("accuracy", "risk", "nc3_duality_centred", "nc3_alignment_centred", "nc4_mismatch"),
    ),
    "a head with one long direction": (
        lambda: head(decayed(), spike),
        ("simplex_efficiency", "efficiency_isometry", "nc3_duality_centred"),
    ),
    "a head that looks elsewhere": (
        lambda: head(decayed(), lambda w: np.roll(w, 16, axis=1)),
        ("simplex_efficiency", "efficiency_alignment", "output_collapse", "nc3_duality_centred"),
    ),
    "a head of zeros": (
        lambda: head(decayed(), np.zeros_like),
        ("simplex_efficiency", "nc3_duality_centred", "nc3_alignment_centred", "output_collapse", "nc4_mismatch"),
    ),
    "features of zeros": (
        lambda: replace(decayed(), features=np.zeros((500, 32))),
        ("nc1_quotient", "nc2_equiangular", "nc2_etf", "simplex_efficiency", "nc3_duality_centred"),
    ),
    "one outlier at three times the radius": (
        lambda: one_sample(decayed(), lambda sample: 3 * sample),
        ("simplex_efficiency", "efficiency_norm", "nc1_radius"),
    ),
    "half of the ball": (
        lambda: replace(collapsed(), features=collapsed().features / 2),
        ("feature_radius", "risk", "margin"),
    ),
    "half of the head": (lambda: head(collapsed(), lambda w: w / 2), ("head_opnorm", "risk", "margin")),
    "a tenth of the margin missing at R = 12": (
        lambda: replace(collapsed(radius=12.0, spread=0.0), features=0.9 * collapsed(radius=12.0, spread=0.0).features),
        ("margin", "feature_radius"),
    ),
    "a simplex around another point": (
        lambda: replace(collapsed(), features=collapsed().features + 2.0 * np.eye(32)[-1]),
        ("centre_offset",),
    ),
    "classes of two points": (
        lambda: split_in_two(decayed()),
        ("nc1_quotient", "nc1_cdnv", "nc1_radius", "efficiency_norm"),
    ),
    "means on a line": (
        lambda: with_means(decayed(), lambda means: np.linspace(-5, 5, 10)[:, None] * np.eye(32)[:1]),
        ("nc2_equinorm", "nc2_equiangular", "nc2_etf", "efficiency_simplex", "simplex_efficiency"),
    ),
    "random directions in 1,024 dimensions": (
        lambda: random_means(1024),
        ("nc2_equiangular", "nc2_equiangular_worst", "nc2_etf", "efficiency_simplex"),
    ),
    "a bias that decides": (decided_by_bias, ("accuracy", "risk", "margin", "nc4_mismatch")),
    "a squashed triangle": (
        lambda: with_means(decayed(classes=3), lambda means: means * np.array([1, 0.5, *[1.0] * 30])),
        ("nc2_equiangular_worst", "nc2_equidistant_worst", "nc2_equinorm_worst"),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_no_collapse_is_caught(case: str) -> None:
    state, names = CASES[case]
    found = verdicts(state())
    assert {name: found[name] for name in names if found[name] not in CAUGHT} == {}
    assert found["risk_gap"] in ("holds", "not applicable"), "what was made up breaks no law"


@pytest.mark.parametrize("state", [collapsed, decayed])
@pytest.mark.parametrize("size", [{}, BIG, {"classes": 3}, {"each": 7}, {"radius": 1.0}])
def test_collapse_itself_holds(state: Callable[..., State], size: dict[str, Any]) -> None:
    found = verdicts(state(**size))
    assert {name: said for name, said in found.items() if said not in ("holds", "not applicable")} == {}
    assert sum(said == "holds" for said in found.values()) >= 25


@pytest.mark.parametrize("state", [collapsed, decayed])
def test_two_classes_are_no_evidence_of_a_simplex(state: Callable[..., State]) -> None:
    ideal = state(classes=2)
    for means in (ideal, replace(ideal, features=ideal.features * [[2.0 if y else 0.1] for y in ideal.labels])):
        found = verdicts(means)
        vacuous = {name for name in found if name.startswith("nc2_")} | {"efficiency_simplex", "efficiency_isometry"}
        assert {found[name] for name in vacuous & set(found)} == {"not applicable"}
    assert verdicts(ideal)["nc1_quotient"] == verdicts(ideal)["nc3_duality_centred"] == "holds"


def test_features_that_are_no_numbers_are_not_judged() -> None:
    found = verdicts(not_a_number(decayed()))
    assert "holds" not in {found[name] for name in found if name != "risk_gap"}


@pytest.mark.parametrize(
    ("right", "samples", "chance", "said"),
    [
        (8, 8, 0.1, ""),
        (8, 8, 0.5, ""),
        (5, 8, 0.5, "which 8 samples do not tell from chance, 0.5"),
        (1, 8, 0.1, "which 8 samples do not tell from chance, 0.1"),
        (3, 3, 0.5, "which 3 samples do not tell from chance, 0.5"),
        (0, 20, 0.1, "which 20 samples do not tell from chance, 0.1"),
        (0, 400, 0.1, ""),
        (40, 397, 0.1, "which is chance"),
        (70, 397, 0.1, ""),
        (1010, 10_000, 0.1, "which is chance"),
    ],
)
def test_few_samples_are_not_called_chance(right: int, samples: int, chance: float, said: str) -> None:
    assert beside_chance(right, samples, chance) == said
