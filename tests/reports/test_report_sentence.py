from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from made_runs import CLAIMED, LAST, prediction

from nc_bench import Run
from nc_bench.reports import sentence

MakeRun = Callable[..., Run]
APPEARED = "the simplex appeared"
UNCONSTRAINED = {
    "model": {"name": "unconstrained", "widths": [16], "init_scale": 1.0, "nonnegative": False},
    "training": {"batch_size": None},
}
NO_BOUNDS = {"constraints": {"features": None, "head": None}, "objective": {"weight_decay": 0.005}}


def judged(values: Mapping[str, float], **verdicts: str) -> list[dict[str, Any]]:
    """All claims on these final values, some with another verdict than the numbers say."""
    rows = [prediction(name, {**LAST, **values}[name]) for name in CLAIMED]
    return [row | {"verdict": verdicts.get(row["name"], row["verdict"])} for row in rows]


def test_the_simplex_appeared(make_run: MakeRun) -> None:
    assert sentence(make_run()) == (
        "After 300 epochs the training risk is 0.0467, 3.2 % above 0.0452, the smallest that any classifier within "
        "these norms can reach (E & Wojtowytsch 2021, Cor. 4.2); the class means form a regular simplex to within "
        "0.004 (random directions: 0.098), the classes have collapsed to points (nc1_quotient 0.0001), and 99.4 % of "
        "the norm budget is turned into separation: the simplex appeared. The test accuracy is 0.977."
    )


def test_no_collapse(make_run: MakeRun) -> None:
    values = {"nc2_equiangular": 0.29, "nc1_quotient": 0.4, "nc2_equinorm": 0.2, "simplex_efficiency": 0.25}
    said = sentence(make_run(last=values))
    assert (
        "miss the angles of a regular simplex by 0.29 in cosine (random directions: 0.098), beyond the tolerance of"
        in said
    )
    assert "the classes have not collapsed to points within the tolerance of 0.05 (nc1_quotient 0.4)" in said
    assert "25 % of the norm budget" in said
    assert "the simplex did not appear (4 of 4 claims on the simplex fail)" in said
    assert APPEARED not in said


def test_points_without_a_simplex_are_no_simplex(make_run: MakeRun) -> None:
    said = sentence(make_run(last={"nc2_equiangular": 0.29}))
    assert "the simplex did not appear (1 of 4 claims on the simplex fail)" in said


def test_a_missed_tolerance_far_below_random_directions_is_near(make_run: MakeRun) -> None:
    claims = [row | ({"verdict": "fails", "tolerance": 1e-4} if "nc2" in row["name"] else {}) for row in judged({})]
    said = sentence(make_run(predictions=claims))
    assert "by 0.004 in cosine (random directions: 0.098), beyond the tolerance of 0.0001" in said
    assert "the class means are near a simplex, but not to within the tolerances (2 of 4 claims" in said


def test_a_simplex_of_spread_classes_is_half_of_it(make_run: MakeRun) -> None:
    said = sentence(make_run(last={"nc1_quotient": 0.4}))
    assert "the simplex appeared only in part (1 of 4 claims on the simplex fail)" in said


@pytest.mark.parametrize(
    ("rest", "why"),
    [
        ("still moving", "the run still moves"),
        ("not known", "it is not known whether the run still moves"),
        ("at rest", "the run has come to rest elsewhere"),
    ],
)
def test_a_run_that_has_not_come_there_refutes_nothing(make_run: MakeRun, rest: str, why: str) -> None:
    values = {"nc1_quotient": 0.2, "nc2_equiangular": 0.06}
    claims = judged(values, nc1_quotient="not reached", nc2_equiangular="not reached")
    said = sentence(make_run(last=values, predictions=[row | {"rest": rest} for row in claims]))
    assert f"(2 of 4 claims on it are not met yet, and {why})" in said
    assert "by 0.06 in cosine (random directions: 0.098) so far" in said
    assert "the classes are not points yet (nc1_quotient 0.2)" in said
    assert said.count("neither confirmed nor refuted") == 1 and APPEARED not in said


def test_a_simplex_at_too_high_a_risk_is_told_as_such(make_run: MakeRun) -> None:
    said = sentence(make_run(last={"risk": 0.06}))
    assert f"{APPEARED}, but 1 of 2 other predictions does not hold (risk)" in said


def test_random_labels(make_run: MakeRun) -> None:
    said = sentence(make_run(config={"data": {"labels": "random"}}, test={"accuracy": 0.098}))
    assert f"{APPEARED} although the training labels are random." in said
    assert said.endswith("The training labels are random, and the test accuracy is 0.098, which is chance.")


def test_random_labels_that_were_not_fitted(make_run: MakeRun) -> None:
    values = {"nc2_equiangular": 0.2, "nc1_quotient": 3.0, "nc2_equinorm": 0.3}
    said = sentence(make_run(config={"data": {"labels": "random"}}, last=values, test={"accuracy": 0.3}))
    assert "although" not in said
    assert said.endswith("the test accuracy is 0.3, where chance is 0.1.")


def test_labels_of_which_some_are_wrong(make_run: MakeRun) -> None:
    said = sentence(make_run(config={"data": {"label_noise": 0.25}}, test={"accuracy": 0.9}))
    assert f"{APPEARED} although 25 % of the training labels are wrong." in said
    assert said.endswith("25 % of the training labels are wrong, and the test accuracy is 0.9, where chance is 0.1.")


def test_true_labels_at_chance_are_called_chance(make_run: MakeRun) -> None:
    assert sentence(make_run(test={"accuracy": 0.11})).endswith("The test accuracy is 0.11, which is chance.")


def test_a_diverged_run(make_run: MakeRun) -> None:
    said = sentence(make_run(manifest={"status": "diverged", "epochs_done": 200}))
    assert said.startswith("The run diverged after epoch 200 of 300: its loss was no longer finite. After 300 epochs")
    assert APPEARED not in said and "collapsed" not in said


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("interrupted", "The run was interrupted after 120 of 300 epochs; --resume continues it."),
        ("failed", "The run failed after 120 of 300 epochs."),
        ("running", "The run has not ended: 120 of 300 epochs are done."),
    ],
)
def test_a_run_that_is_not_over_draws_no_conclusion(make_run: MakeRun, status: str, said: str) -> None:
    text = sentence(make_run(manifest={"status": status, "epochs_done": 120}))
    assert text.startswith(said) and "3.2 % above 0.0452" in text
    assert APPEARED not in text and "have collapsed" not in text and "form a regular simplex" not in text


def test_nothing_recorded(make_run: MakeRun) -> None:
    run = make_run(recorded=False, predictions=[], manifest={"status": "failed", "epochs_done": 0})
    assert sentence(run) == "The run failed after 0 of 300 epochs. Nothing was measured."


def test_without_a_prediction_the_floor_is_the_measure(make_run: MakeRun) -> None:
    nothing = {"predicted": math.nan, "deviation": math.nan, "tolerance": math.nan, "verdict": "not applicable"}
    claims = [row | (nothing if row["name"] == "risk" else {}) for row in judged({})]
    values = {"risk": 0.2, "risk_balanced": 0.21, "risk_floor": 0.1}
    said = sentence(make_run(config=NO_BOUNDS, last=values, predictions=claims))
    assert "the class-averaged training risk is 0.21, 2.1 times 0.1, the floor for any features and last layer" in said
    assert "smallest that any classifier" not in said and "Cor. 4.2" not in said
    assert APPEARED in said


def test_a_prediction_under_decay_is_no_minimum_of_the_risk(make_run: MakeRun) -> None:
    decayed = UNCONSTRAINED | {
        "constraints": {"features": None, "head": None},
        "objective": {"weight_decay": 0.005, "feature_decay": 1e-5},
    }
    said = sentence(make_run(config=decayed, last={"risk": 0.04}))
    assert "the training risk is 0.04, 12 % below 0.0452, its predicted value (E & Wojtowytsch" in said


def test_nonnegative_features(make_run: MakeRun) -> None:
    said = sentence(make_run(config={"model": {"final_activation": True}}))
    assert "any classifier with non-negative features within these norms" in said
    assert "the class means, seen from their centre, form a regular simplex" in said


def test_an_unconstrained_model_is_told_by_its_distance(make_run: MakeRun) -> None:
    exact = CLAIMED["risk"][0] + 3e-15
    values = {"risk": exact, "simplex_efficiency": 1 - 2e-9}
    said = sentence(make_run(config=UNCONSTRAINED, last=values, tested=False))
    assert "the training risk is 0.04523, equal up to rounding to the smallest that any classifier" in said
    assert "all but 2e-09 of the norm budget" in said
    assert said.endswith("the simplex appeared.")


def test_no_applicable_prediction_no_conclusion(make_run: MakeRun) -> None:
    claims = [row | {"verdict": "not applicable", "predicted": math.nan} for row in judged({})]
    said = sentence(make_run(predictions=claims))
    assert "miss the angles of a regular simplex by 0.004 in cosine" in said
    assert "the variance within classes is 0.0001 times that between them (nc1_quotient)" in said
    assert APPEARED not in said and "hold" not in said


def test_claims_on_the_outputs_alone_are_counted(make_run: MakeRun) -> None:
    bounded = {"constraints": {"features": None, "head": None, "outputs": {"radius": 2.0, "p": 2.0}}}
    claims = [prediction("risk", 0.0467), prediction("simplex_efficiency", 0.5)]
    assert ": 1 of 2 predictions hold." in sentence(make_run(config=bounded, predictions=claims))


def test_two_class_means_are_no_evidence(make_run: MakeRun) -> None:
    assert "class means" not in sentence(make_run(manifest={"classes": 2})).split(":")[0]


def test_a_broken_law_is_a_warning(make_run: MakeRun) -> None:
    said = sentence(make_run(last={"risk_gap": -0.01}))
    assert said.endswith(
        "WARNING: risk_gap breaks a law that no network can break, so do not trust these measurements."
    )


def test_undefined_metrics_are_left_out(make_run: MakeRun) -> None:
    gone = {"nc1_quotient": math.nan, "nc2_equiangular": math.nan, "simplex_efficiency": math.nan}
    said = sentence(make_run(last=gone, predictions=[]))
    assert "nan" not in said and said.startswith(
        "After 300 epochs the training risk is 0.0467, 3.2 % above 0.0452, the floor"
    )


def test_before_training(make_run: MakeRun) -> None:
    run = make_run(manifest={"status": "running", "epochs_done": 0})
    assert "Before training the training risk is" in sentence(replace(run, rows=run.rows.assign(epoch=0)))


@pytest.mark.parametrize("predicted", [8.3e-55, 0.0004])
def test_far_above_is_said_in_words(make_run: MakeRun, predicted: float) -> None:
    claims = [prediction("risk", 0.05, predicted=predicted)]
    said = sentence(make_run(name=f"{predicted}", last={"risk": 0.05}, predictions=claims))
    assert f"the training risk is 0.05, far above {predicted:.3g}, the smallest" in said


def test_a_hundredfold_is_a_number_still(make_run: MakeRun) -> None:
    claims = [prediction("risk", 0.05, predicted=0.0006)]
    assert "0.05, 83 times 0.0006, the smallest" in sentence(make_run(last={"risk": 0.05}, predictions=claims))


def test_classes_far_wider_than_apart_are_said_in_words(make_run: MakeRun) -> None:
    said = sentence(make_run(last={"nc1_quotient": 2.8e5}, predictions=[]))
    assert "the variance within classes is far above that between them (nc1_quotient)" in said


OPEN = {"nc1_quotient": 0.6, "nc2_equiangular": 0.09}


def open_run(make_run: MakeRun, last: dict[str, float], manifest: dict[str, Any], verdict: str = "not reached") -> str:
    claims = judged(OPEN, nc1_quotient=verdict, nc2_equiangular=verdict)
    return sentence(make_run(last=OPEN | last, predictions=claims, manifest=manifest))


def test_a_run_of_one_epoch_is_too_short(make_run: MakeRun) -> None:
    said = open_run(make_run, {}, {"epochs": 1, "epochs_done": 1})
    assert "the run is too short to say anything: it has 1 epoch." in said and "refuted" not in said


def test_a_run_at_chance_is_too_short(make_run: MakeRun) -> None:
    said = open_run(make_run, {"accuracy": 0.107}, {})
    assert "too short to say anything: 10.7 % of the training samples are classified right, no more than by" in said


def test_chance_is_that_of_the_most_frequent_class(make_run: MakeRun) -> None:
    most = {"class_counts": [950, *[50] * 9]}
    assert "too short" in open_run(make_run, {"accuracy": 0.68}, most)


@pytest.mark.parametrize(
    ("last", "manifest", "verdict"),
    [
        ({"accuracy": 0.15}, {}, "not reached"),
        ({"accuracy": 0.1}, {}, "fails"),
        ({"accuracy": 0.1}, {"epochs": 0, "epochs_done": 0}, "not reached"),
        ({"accuracy": math.nan}, {}, "not reached"),
    ],
)
def test_what_has_learnt_or_failed_or_was_not_trained_is_not_too_short(
    make_run: MakeRun, last: dict[str, float], manifest: dict[str, Any], verdict: str
) -> None:
    assert "too short" not in open_run(make_run, last, manifest, verdict)


def test_a_short_run_that_got_there_got_there(make_run: MakeRun) -> None:
    assert "the simplex appeared." in sentence(make_run(manifest={"epochs": 1, "epochs_done": 1}))


@pytest.mark.parametrize(("dtype", "near"), [("float32", "up to rounding"), ("float64", "to within 5e-09")])
def test_what_is_rounding_depends_on_the_precision(make_run: MakeRun, dtype: str, near: str) -> None:
    claims = [prediction("risk", 0.045232488355 + 5e-9)]
    said = sentence(make_run(config={"dtype": dtype}, last={"risk": 0.045232488355 + 5e-9}, predictions=claims))
    assert f"the training risk is 0.04523, equal {near} to the smallest" in said
