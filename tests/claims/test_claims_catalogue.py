"""The list of claims: named once, said in words, sourced, and listing them solves nothing."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from nc_bench.claims import catalogue, figures, solve, three_neurons, two_layer
from nc_bench.theory.dispatch import SETTINGS

TOPICS_BY_SETTING = {
    "final_layer_ball": "final_layer_",
    "penultimate_ball": "penultimate_",
    "risk_floor": "risk_floor_",
    "weight_decay": "decay_",
    "layer_peeled": "layer_peeled_",
    "frozen_simplex_head": "frozen_head_",
    "minority_collapse": "minority_collapse_",
    "relu_imbalanced": "nonnegative_decay_",
    "seli": "seli_",
    "two_layer_relu": "two_layer_",
    "three_neurons": "three_neurons_",
    "feature_lp_ball": "feature_lp_ball_",
    "mixed_bounds": "mixed_bounds_",
    "weight_decay_mse": "mse_decay_",
    "normalized_softmax": "normalized_softmax_",
    "gradient_flow": "gradient_flow_",
    "deep_linear": "deep_linear_",
    "supervised_contrastive": "supervised_contrastive_",
    "softmax_code": "softmax_code_",
}


def test_every_claim_has_a_name_of_its_own_words_and_a_source() -> None:
    claims = catalogue.claims()
    assert [name for name, times in Counter(claim.name for claim in claims).items() if times > 1] == []
    for claim in claims:
        assert re.fullmatch(r"[a-z][a-z0-9_.]*", claim.name)
        assert len(claim.statement) > 15 and len(claim.source) > 15
        assert "\n" not in claim.statement + claim.source
        assert 0 <= claim.tolerance <= 0.03


def test_every_setting_of_the_theory_and_every_law_is_claimed() -> None:
    names = [claim.name for claim in catalogue.claims()]
    assert TOPICS_BY_SETTING.keys() == SETTINGS.keys()
    for start in (*TOPICS_BY_SETTING.values(), "law_row_sum_", "law_stationarity_", "law_risk_", "certificate_"):
        assert any(name.startswith(start) for name in names), start


def test_a_tolerance_of_nothing_is_for_bounds_counts_and_exact_zeros_only() -> None:
    equal = [claim.name for claim in catalogue.claims() if claim.tolerance == 0 and claim.bound == "equal"]
    assert equal == ["nonnegative_decay_live_classes", "three_neurons_inner_weights"]


def test_listing_solves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("listing the claims must not solve them")

    for module, name in ((solve, "Ensemble"), (two_layer, "trained"), (three_neurons, "descent")):
        monkeypatch.setattr(module, name, never)
    assert catalogue.claims()


def test_each_figure_has_its_file() -> None:
    assert sorted(figures.FIGURES) == ["imbalance.png", "three_neurons.png", "two_layer.png"]


def test_the_results_that_are_kept_are_those_of_these_claims() -> None:
    folder = Path(__file__).parents[2] / "results" / "verify"
    rows = json.loads((folder / "verify.json").read_text())
    assert [(row["name"], row["tolerance"]) for row in rows] == [
        (claim.name, claim.tolerance) for claim in catalogue.claims()
    ]
    assert all(row["holds"] for row in rows)
    table = (folder / "verify.md").read_text().splitlines()
    for line, claim in zip(table[4:], catalogue.claims(), strict=True):
        said = claim.statement.replace("|", r"\|")
        assert line.startswith(f"| `{claim.name}` | {said} | "), claim.name
    assert {path.name for path in folder.glob("*.png")} == set(figures.FIGURES)
