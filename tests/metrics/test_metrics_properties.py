"""What must not change when the problem is turned, moved, scaled, renamed, reordered or repeated."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_problems import Problem, disagreements, problems, rotation

from nc_bench import collapse_metrics
from nc_bench.metrics import METRIC_NAMES, CollapseMetrics

seeds = st.integers(0, 2**32 - 1).map(np.random.default_rng)
some = settings(max_examples=15, deadline=None)
# Turning or moving features rounds them, by more than the scatter of a collapsed class far from the origin allows.
roundable = problems(smallest_scatter=1e-3, largest_offset=1.0)

RADIUS_NAMES = {"feature_radius", "risk_floor", "risk_gap", "simplex_efficiency", "efficiency_norm", "gap_norm"}
RADIUS_NAMES |= {"feature_norm", "feature_norm_std"}
SAMPLE_WEIGHTED = {"nc1_pinv", "nc1_quotient", "output_collapse", "risk", "accuracy", "ncc_accuracy", "nc4_mismatch"}
SAMPLE_WEIGHTED |= {"feature_norm", "feature_norm_std"}
HEAD_CENTRED = set(METRIC_NAMES) - {
    "nc2_equinorm_w",
    "nc2_equiangular_w",
    "nc3_duality",
    "nc3_alignment",
    "nc0_row_sum",
    "nc2_etf_w",
    "nc3_etf",
    "gnc3_similarity_std",
    "bias_offset",
}


def measured(problem: Problem) -> CollapseMetrics:
    return collapse_metrics(*problem.arguments())


@some
@given(roundable, seeds)
def test_rotations_of_the_feature_space_change_nothing(problem: Problem, random: np.random.Generator) -> None:
    turn = rotation(problem.features.shape[1], random)
    turned = problem.changed(features=problem.features @ turn, weight=problem.weight @ turn)
    assert disagreements(measured(turned), turned, measured(problem)) == {}


@some
@given(roundable, seeds)
def test_translations_with_the_bias_that_undoes_them_change_no_centred_metric(
    problem: Problem, random: np.random.Generator
) -> None:
    shift = 3 * random.standard_normal(problem.features.shape[1])
    bias = (0 if problem.bias is None else problem.bias) - problem.weight @ shift
    moved = problem.changed(features=problem.features + shift, bias=bias)
    names = set(METRIC_NAMES) - RADIUS_NAMES - {"centre_offset"}
    far, near = (moved, problem) if np.abs(moved.features).max() > np.abs(problem.features).max() else (problem, moved)
    assert disagreements(measured(near), far, measured(far), names) == {}


@some
@given(problems(), st.integers(-60, 60))
def test_what_features_gain_in_scale_and_the_weight_loses_changes_norms_only(problem: Problem, doublings: int) -> None:
    scale = 2.0**doublings
    scaled = problem.changed(features=problem.features * scale, weight=problem.weight / scale)
    before, after = measured(problem), measured(scaled)
    after["feature_radius"] /= scale
    after["feature_norm"] /= scale
    after["head_opnorm"] *= scale
    after["nc0_row_sum"] *= scale
    assert disagreements(after, problem, before) == {}


@some
@given(problems(), seeds)
def test_a_vector_added_to_all_rows_of_the_weight_and_a_number_to_the_bias_is_not_seen(
    problem: Problem, random: np.random.Generator
) -> None:
    common = 10 * random.standard_normal(problem.weight.shape[1])
    bias = (0 if problem.bias is None else problem.bias) + np.full(problem.classes, 100.0)
    shifted = problem.changed(weight=problem.weight + common, bias=bias)
    assert disagreements(measured(problem), shifted, measured(shifted), HEAD_CENTRED) == {}


@some
@given(problems(), seeds)
def test_classes_may_be_renamed(problem: Problem, random: np.random.Generator) -> None:
    new_name = random.permutation(problem.classes)
    renamed = problem.changed(
        labels=new_name[problem.labels],
        weight=problem.weight[np.argsort(new_name)],
        bias=None if problem.bias is None else problem.bias[np.argsort(new_name)],
    )
    assert disagreements(measured(renamed), problem, measured(problem)) == {}


@some
@given(problems(), seeds)
def test_samples_may_be_reordered(problem: Problem, random: np.random.Generator) -> None:
    order = random.permutation(len(problem.labels))
    reordered = problem.changed(features=problem.features[order], labels=problem.labels[order])
    assert disagreements(measured(reordered), problem, measured(problem)) == {}


@some
@given(problems(), st.integers(2, 4))
def test_all_samples_repeated_change_nothing(problem: Problem, times: int) -> None:
    repeated = problem.changed(features=np.tile(problem.features, (times, 1)), labels=np.tile(problem.labels, times))
    assert disagreements(measured(repeated), problem, measured(problem)) == {}


@some
@given(problems(), st.integers(2, 4))
def test_one_class_repeated_changes_only_what_weighs_samples(problem: Problem, times: int) -> None:
    copies = np.where(problem.labels == 0, times, 1)
    repeated = problem.changed(
        features=np.repeat(problem.features, copies, axis=0), labels=np.repeat(problem.labels, copies)
    )
    names = set(METRIC_NAMES) - SAMPLE_WEIGHTED
    assert disagreements(measured(repeated), problem, measured(problem), names) == {}
    assert np.isclose(measured(repeated)["risk"], np.average(losses(problem), weights=copies), rtol=1e-6)


def losses(problem: Problem) -> np.ndarray:
    logits = problem.features @ problem.weight.T + (0 if problem.bias is None else problem.bias)
    return np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(logits)), problem.labels]


@some
@given(problems())
def test_every_nan_has_a_reason_and_every_reason_a_nan(problem: Problem) -> None:
    for result in (measured(problem), collapse_metrics(problem.features, problem.labels)):
        assert set(result.reasons) == {name for name, value in result.items() if not np.isfinite(value)}
        assert all(np.isnan(result[name]) for name in result.reasons)
