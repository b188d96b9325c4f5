"""A loop that sees every batch once gets the metrics of all samples, however they come and are kept."""

from __future__ import annotations

import gc
import pickle
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_problems import Problem, problems, small_problem
from numpy.typing import NDArray
from sample_shares import Group

from nc_bench import CollapseAccumulator, collapse_metrics
from nc_bench.metrics import CollapseMetrics

TOLERANCE = {np.float64: 1e-12, np.float32: 1e-6}


def close(found: CollapseMetrics, expected: CollapseMetrics, tolerance: float) -> None:
    assert list(found) == list(expected) and found.reasons == expected.reasons
    assert found.left_out == expected.left_out and list(found.per_class) == list(expected.per_class)
    for name, value in expected.items():
        # The difference of two risks is as exact as they are.
        rounding = tolerance * (1 + expected["risk"]) if name.startswith(("jensen", "gap", "risk_gap")) else 1e-13
        assert found[name] == pytest.approx(value, rel=tolerance, abs=rounding, nan_ok=True), name


def filled(problem: Problem, cuts: list[int], **keywords: Any) -> CollapseAccumulator:
    """One update for what lies between two cuts; twice the same cut is an empty batch."""
    accumulator = CollapseAccumulator(problem.classes, **keywords)
    for start, stop in zip([0, *cuts], [*cuts, len(problem.labels)], strict=True):
        accumulator.update(problem.features[start:stop], problem.labels[start:stop])
    return accumulator


@settings(max_examples=100)
@given(st.integers(0, 99), st.data())
def test_any_batches_and_any_budget_hold_the_same_samples(seed: int, data: st.DataObject) -> None:
    problem = small_problem(seed)
    cuts = sorted(data.draw(st.lists(st.integers(0, 20), max_size=5)))
    budget = data.draw(st.integers(0, problem.features.nbytes))
    accumulator = filled(problem, cuts, budget=budget)
    assert accumulator.spilled == (budget < problem.features.nbytes)
    if data.draw(st.booleans()):  # in the middle of a loop: what was there stays
        accumulator.state_dict()
        accumulator.update(problem.features[:2], problem.labels[:2])
        problem = problem.changed(
            features=np.concatenate([problem.features, problem.features[:2]]),
            labels=np.concatenate([problem.labels, problem.labels[:2]]),
        )
    state = accumulator.state_dict()
    assert torch.equal(state["features"], torch.as_tensor(problem.features))
    assert torch.equal(state["labels"], torch.as_tensor(problem.labels))


@settings(max_examples=10)
@given(problems(), st.data())
def test_any_batches_and_any_budget_give_the_same_bits(problem: Problem, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(problem.labels)), max_size=5)))
    accumulator = filled(problem, cuts, budget=data.draw(st.integers(0, problem.features.nbytes)))
    expected = collapse_metrics(*problem.arguments())
    assert repr(accumulator.compute(problem.weight, problem.bias)) == repr(expected)


@settings(max_examples=15)
@given(st.integers(0, 99), st.sampled_from([np.float64, np.float32]), st.data())
def test_any_tree_of_merges_gives_the_same_values(seed: int, dtype: type, data: st.DataObject) -> None:
    problem = small_problem(seed)
    problem = problem.changed(features=problem.features.astype(dtype))
    cuts = sorted(data.draw(st.lists(st.integers(0, 20), max_size=4)))
    trees = []
    for start, stop in zip([0, *cuts], [*cuts, 20], strict=True):
        trees.append(CollapseAccumulator(4, budget=data.draw(st.sampled_from([0, 100, 10**6]))))
        if stop > start:
            trees[-1].update(problem.features[start:stop], problem.labels[start:stop])
    while len(trees) > 1:
        other = trees.pop(data.draw(st.integers(0, len(trees) - 1)))
        before = other.samples
        trees[data.draw(st.integers(0, len(trees) - 1))].merge(other)
        assert other.samples == before
    expected = collapse_metrics(*problem.arguments())
    close(trees[0].compute(problem.weight, problem.bias), expected, TOLERANCE[dtype])


@pytest.mark.parametrize("budget", [0, 10**9])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_a_pickle_a_copy_and_a_state_hold_the_samples(budget: int, dtype: torch.dtype, tmp_path: Path) -> None:
    problem = small_problem()
    features = torch.as_tensor(problem.features).to(dtype)
    accumulator = CollapseAccumulator(4, budget=budget, folder=tmp_path)
    accumulator.update(features[:7], problem.labels[:7])
    accumulator.update(features[7:], problem.labels[7:])
    assert accumulator.spilled == (budget == 0)
    torch.save(accumulator.state_dict(), tmp_path / "state.pt")
    loaded = CollapseAccumulator(4, budget=0)
    loaded.update(torch.ones(1, 2), [0])
    loaded.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    expected = collapse_metrics(features, problem.labels, problem.weight, problem.bias)
    for same in (accumulator, pickle.loads(pickle.dumps(accumulator)), deepcopy(accumulator), loaded):
        assert same.compute(problem.weight, problem.bias) == expected and same.samples == 20
        same.update(features[:1], problem.labels[:1])
        assert same.samples == 21
        same.merge(same)
        assert same.samples == 42


def test_an_accumulator_without_samples_goes_everywhere_too() -> None:
    problem, empty = small_problem(), CollapseAccumulator(4)
    state = empty.state_dict()
    for same in (empty, pickle.loads(pickle.dumps(empty)), deepcopy(empty)):
        with pytest.raises(ValueError, match="no samples to measure; update comes before compute"):
            same.compute()
        same.load_state_dict(state)
        same.update(problem.features[:0], problem.labels[:0])
        with pytest.raises(ValueError, match="no samples to measure"):
            same.compute()
        same.merge(CollapseAccumulator(4))
        same.merge(filled(problem, []))
        assert same.compute() == collapse_metrics(problem.features, problem.labels)


def open_files(folder: Path) -> list[str]:
    """Files of this process in the folder, with a name or without one."""
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    mapped = Path("/proc/self/maps").read_text().splitlines()
    return [str(path) for path in folder.iterdir()] + [
        place for place in [*(str(link.readlink()) for link in links), *mapped] if str(folder) in place
    ]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="the system does not list open files")
def test_the_file_goes_with_the_samples(tmp_path: Path) -> None:
    problem = small_problem()

    def spilled() -> CollapseAccumulator:
        accumulator = filled(problem, [3, 9], budget=0, folder=tmp_path)
        accumulator.compute()
        assert len(open_files(tmp_path)) == 1
        return accumulator

    accumulator = spilled()
    state = accumulator.state_dict()
    accumulator.reset()
    assert accumulator.samples == 0 and not accumulator.spilled
    # A state outlives its accumulator.
    assert torch.equal(state["features"], torch.as_tensor(problem.features))
    del state
    assert open_files(tmp_path) == []
    accumulator = spilled()
    del accumulator
    gc.collect()
    assert open_files(tmp_path) == []


def test_a_full_disk_loses_nothing_that_was_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    problem = small_problem()
    accumulator = filled(problem, [3, 9], budget=0, folder=tmp_path)
    with monkeypatch.context() as patch:

        def write_half(file: Any, features: torch.Tensor) -> None:
            file.write(b"half")
            raise OSError(28, "No space left on device")

        patch.setattr("nc_bench.metrics.feature_store._write_all", write_half)
        with pytest.raises(OSError, match="No space left"):
            accumulator.update(problem.features, problem.labels)
    assert accumulator.compute() == collapse_metrics(problem.features, problem.labels)
    accumulator.update(problem.features, problem.labels)
    assert accumulator.samples == 40


def test_batches_are_copied_and_without_a_graph() -> None:
    problem, accumulator = small_problem(), CollapseAccumulator(4)
    features = torch.tensor(problem.features, requires_grad=True)
    batch, labels = features * 1, torch.as_tensor(problem.labels).clone()
    accumulator.update(batch, labels)
    with torch.no_grad():
        batch.zero_()
    labels.zero_()
    assert accumulator.compute() == collapse_metrics(problem.features, problem.labels)
    assert not accumulator.state_dict()["features"].requires_grad


def test_shares_of_several_processes_and_none_of_some() -> None:
    problem = small_problem()
    accumulators = [filled(problem, [5]), CollapseAccumulator(4), CollapseAccumulator(4, budget=0)]
    accumulators[2].update(problem.features[:3], [0, 0, 1])
    features, labels = np.concatenate([problem.features, problem.features[:3]]), [*problem.labels, 0, 0, 1]
    for choice in ({}, {"minimum_samples": 6}):
        expected = collapse_metrics(features, labels, problem.weight, problem.bias, **choice)
        for found in together(accumulators, weight=problem.weight, bias=problem.bias, **choice):
            close(found, expected, 1e-12)
    accumulators[1].update(problem.features.astype(np.float32), problem.labels)
    with pytest.raises(ValueError, match=r"differ in width or dtype: \(6, torch.float32\) and \(6, torch.float64\)"):
        together(accumulators)
    with pytest.raises(ValueError, match="there are no samples to measure"):
        together([CollapseAccumulator(2), CollapseAccumulator(2)])


def together(accumulators: list[CollapseAccumulator], **arguments: Any) -> list[CollapseMetrics]:
    """What every one of them computes where each is that of a process."""
    group = Group(len(accumulators))

    def one(rank: int) -> CollapseMetrics:
        return accumulators[rank].compute(gather=lambda tensors: group.gather(rank, tensors), **arguments)

    with ThreadPoolExecutor(len(accumulators)) as pool:
        return list(pool.map(one, range(len(accumulators))))


def test_the_choices_of_collapse_metrics() -> None:
    problem = small_problem()
    labels: NDArray[np.int64] = problem.labels.copy()
    labels[:4] = 3  # class 0, 1 and 2 have 4 samples left, class 3 has 8
    accumulator = CollapseAccumulator(6)
    accumulator.update(problem.features, labels)
    for choice in ({"absent": "skip"}, {"minimum_samples": 5, "absent": "skip"}, {"class_names": "abcdef"}):
        expected = collapse_metrics(problem.features, labels, classes=6, **choice)
        found = accumulator.compute(**choice)
        assert repr(found) == repr(expected) and found.left_out == expected.left_out
        assert found.per_class["class"].tolist() == expected.per_class["class"].tolist()
        assert ("name" in found.per_class) == ("class_names" in choice)


def test_a_feature_that_is_no_number_is_named_in_the_reasons() -> None:
    problem = small_problem()
    problem.features[3, 2] = np.nan
    found, expected = filled(problem, [5]).compute(), collapse_metrics(problem.features, problem.labels)
    assert found.reasons == expected.reasons and "NaN" in found.reasons["nc1_pinv"]


FEATURES, LABELS = np.ones((2, 3)), np.array([0, 1])


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ((FEATURES, LABELS[:1]), "2 features but 1 labels"),
        ((FEATURES, LABELS + 1), "labels must lie in 0..1, got values from 1 to 2"),
        ((FEATURES, LABELS - 1), "labels must lie in 0..1, got values from -1 to 0"),
        ((FEATURES, LABELS.astype(float)), "give class numbers as int64"),
        ((FEATURES, None), "labels must be an array of numbers, got NoneType"),
        ((FEATURES[0], LABELS), "features must be a floating (N, d) array"),
        ((FEATURES.astype(int), LABELS), "features must be a floating (N, d) array"),
        ((FEATURES[:, :2], LABELS), "features have width 2, those before 3"),
        ((FEATURES.astype(np.float32), LABELS), "features are torch.float32, those before torch.float64"),
    ],
)
def test_a_batch_that_is_refused_leaves_all_as_it_was(batch: tuple[Any, Any], message: str) -> None:
    accumulator = CollapseAccumulator(2)
    accumulator.update(FEATURES, LABELS)
    with pytest.raises(ValueError) as caught:
        accumulator.update(*batch)
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert accumulator.compute().per_class["count"].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"classes": 0}, "classes must be positive, got 0"),
        ({"classes": 2.0}, "classes must be a whole number, got 2.0"),
        ({"budget": -1}, "budget must be a whole number of bytes, at least 0, got -1"),
        ({"folder": "no/such/folder"}, "folder: there is no directory no/such/folder"),
        ({"folder": 3}, "folder: should be a path, not int"),
    ],
)
def test_an_accumulator_that_cannot_be(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CollapseAccumulator(**{"classes": 2, **keywords})


def test_what_cannot_be_merged_or_loaded_is_one_line() -> None:
    accumulator, others = CollapseAccumulator(2), [CollapseAccumulator(3), CollapseAccumulator(2)]
    accumulator.update(FEATURES, LABELS)
    others[0].update(FEATURES, LABELS)
    others[1].update(FEATURES[:, :2], LABELS)
    for other, message in zip(
        [*others, {}],
        [
            "there are 3 classes, and 2 of this accumulator",
            "features have width 2, those of this accumulator 3",
            "only another CollapseAccumulator can be merged, got dict",
        ],
        strict=True,
    ):
        with pytest.raises(ValueError, match=message):
            accumulator.merge(other)
    for state, message in (
        ({}, "the state must hold classes, features and labels"),
        (others[0].state_dict(), "there are 3 classes, and 2 of this accumulator"),
        ({**accumulator.state_dict(), "labels": [0, 5]}, "labels must lie in 0..1"),
        ({**accumulator.state_dict(), "labels": [0]}, "2 features but 1 labels"),
    ):
        with pytest.raises(ValueError, match=message):
            accumulator.load_state_dict(state)
    assert accumulator.samples == 2
    with pytest.raises(ValueError, match="classes is 2, but weight has 3 rows"):
        accumulator.compute(np.ones((3, 3)))
