"""The recorder: what it writes down is what `collapse_metrics` says of features computed by hand."""

from __future__ import annotations

import math
from collections.abc import Set
from operator import attrgetter
from typing import Any

import pytest
import torch
from small_runs import network, table, tiny_dataset
from torch import Tensor, nn

from nc_bench import collapse_metrics
from nc_bench.config import Config
from nc_bench.models import Classifier
from nc_bench.recording import Recorder, Split, recorder
from nc_bench.recording.model_state import eval_mode
from nc_bench.training.ensemble import Ensemble

DATA = tiny_dataset()
MODEL = {"name": "mlp", "widths": [8, 4], "batch_norm": True, "final_activation": False}


def trained(*configs: Config, epochs: int = 2) -> Ensemble:
    ensemble = Ensemble(configs, DATA, torch.device("cpu"))
    for _ in range(epochs):
        for _ in ensemble.steps_of_epoch():
            pass
    return ensemble


def small(**sections: Any) -> Config:
    sections = {"model": MODEL, "dtype": "float64", "training": {"batch_size": 8}} | sections
    return network(**sections)


def splits(ensemble: Ensemble) -> tuple[Split, Split]:
    test = ensemble.test_split()
    assert test is not None
    return ensemble.train_split(), test


def by_hand(model: Classifier, inputs: Tensor) -> Tensor:
    """Features (n, d) of the only trial, layer by layer in eval mode."""
    h = inputs[None].flatten(2)
    layers = model.backbone
    assert isinstance(layers, nn.Sequential)
    with torch.no_grad():
        for layer in layers:
            h = layer.eval()(h)
    return h[0]


def compare(measured: dict[str, float], expected: dict[str, float], *, but: Set[str] = frozenset()) -> None:
    assert list(measured) == list(expected)
    for name in expected.keys() - but:
        assert measured[name] == pytest.approx(expected[name], rel=1e-12, abs=1e-13, nan_ok=True), name


@pytest.mark.parametrize("bias", [True, False])
def test_rows_are_the_metrics_of_the_features(bias: bool) -> None:
    ensemble = trained(small(head={"bias": bias}))
    model = ensemble.model
    weight = model.head.weight[0].detach()
    offset = model.head.bias[0].detach() if bias else None
    for split in splits(ensemble):
        (measured,) = Recorder(model, ensemble.configs, 3).record(split).penultimate.metrics
        features = by_hand(model, split.inputs)
        compare(measured, collapse_metrics(features, split.labels[0], weight, offset))


def test_float32_features_are_measured_in_float64() -> None:
    ensemble = trained(small(dtype="float32"))
    train, _ = splits(ensemble)
    recording = Recorder(ensemble.model, ensemble.configs, 3).record(train)
    assert (
        recording.penultimate.features.dtype == torch.float32
        and recording.penultimate.class_means.dtype == torch.float64
    )
    head = ensemble.model.head.weight[0].detach().double()
    expected = collapse_metrics(by_hand(ensemble.model, train.inputs).double(), train.labels[0], head)
    for name, value in expected.items():
        assert recording.penultimate.metrics[0][name] == pytest.approx(value, rel=2e-6, abs=1e-7), name


def test_the_test_split_is_judged_by_the_training_centres() -> None:
    ensemble = trained(small(), epochs=1)
    train, test = splits(ensemble)
    recorder = Recorder(ensemble.model, ensemble.configs, 3)
    centres = recorder.record(train).centres
    (measured,) = recorder.record(test, centres=centres).penultimate.metrics
    features, trained_on = (by_hand(ensemble.model, split.inputs) for split in (test, train))
    means = torch.stack([trained_on[train.labels[0] == c].mean(0) for c in range(3)])
    torch.testing.assert_close(centres["penultimate"][0], means, rtol=0, atol=1e-12)
    nearest = torch.cdist(features, means).argmin(1)
    predicted = (features @ ensemble.model.head.weight[0].detach().T).argmax(1)
    labels = test.labels[0]
    assert measured["ncc_accuracy"] == float((nearest == labels).double().mean())
    assert measured["nc4_mismatch"] == float((nearest != predicted).double().mean())
    own = collapse_metrics(features, labels, ensemble.model.head.weight[0].detach())
    compare(measured, own, but={"ncc_accuracy", "nc4_mismatch"})


def test_centres_make_a_difference() -> None:
    """Else the test before this one would show nothing."""
    ensemble = trained(small())
    _, test = splits(ensemble)
    recorder = Recorder(ensemble.model, ensemble.configs, 3)
    swapped = {"penultimate": recorder.record(test).penultimate.class_means[:, [1, 2, 0]]}
    own, other = (recorder.record(test, centres=c).penultimate.metrics[0]["ncc_accuracy"] for c in (None, swapped))
    assert own > 0.8 and other < 0.2


@pytest.mark.parametrize("outputs", [None, {"radius": 1.0, "p": 3.0}])
def test_features_computed_twice_give_the_same_numbers(
    outputs: dict[str, float] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = [small(seed=seed, constraints={"outputs": outputs}) for seed in (0, 1)]
    ensemble = trained(*configs)
    # Three samples in a batch: the 5 inputs are wider than the 4 features.
    monkeypatch.setattr(recorder, "BATCH_ELEMENTS", 3 * 5)
    kept, recomputed = Recorder(ensemble.model, configs, 3), Recorder(ensemble.model, configs, 3, budget=0)
    train, test = splits(ensemble)
    for split, centres in ((train, None), (test, kept.record(train).centres)):
        once, twice = kept.record(split, centres), recomputed.record(split, centres)
        assert once.penultimate.features is not None and twice.penultimate.features is None
        torch.testing.assert_close(once.penultimate.class_means, twice.penultimate.class_means, rtol=0, atol=1e-13)
        assert once.residuals == twice.residuals
        for one, two in zip(once.penultimate.metrics, twice.penultimate.metrics, strict=True):
            compare(two, one)


def test_the_last_feature_that_fits_the_budget_is_kept() -> None:
    ensemble = trained(small())
    train, _ = splits(ensemble)
    exact = 24 * 4 * 8
    assert Recorder(ensemble.model, ensemble.configs, 3, budget=exact).record(train).penultimate.features is not None
    assert Recorder(ensemble.model, ensemble.configs, 3, budget=exact - 1).record(train).penultimate.features is None


def test_stacked_trials_are_measured_as_each_alone() -> None:
    configs = [small(seed=s, constraints={"features": {"radius": 1.0 + s}, "head": {"radius": 2.0}}) for s in (0, 1, 2)]
    together = trained(*configs)
    recording = Recorder(together.model, configs, 3).record(together.train_split())
    for trial, config in enumerate(configs):
        alone = trained(config)
        single = Recorder(alone.model, [config], 3).record(alone.train_split())
        compare(recording.penultimate.metrics[trial], single.penultimate.metrics[0], but={"nc4_mismatch"})
        torch.testing.assert_close(
            recording.penultimate.features[trial], single.penultimate.features[0], rtol=0, atol=1e-10
        )
        assert recording.residuals["head_residual"][trial] == pytest.approx(single.residuals["head_residual"][0])


@pytest.mark.parametrize("name", ["cuda.matmul", "cudnn.conv", "mkldnn.matmul", "mkldnn.conv"])
def test_measuring_restores_what_it_changes(name: str) -> None:
    model = trained(small()).model
    model.train()
    part = attrgetter(name)(torch.backends)
    before, part.fp32_precision = part.fp32_precision, "tf32"
    try:
        with pytest.raises(RuntimeError, match="stop"), torch.autocast("cpu"), eval_mode(model):
            assert not model.training and not model.backbone.layer1.norm.training
            assert not torch.is_autocast_enabled("cpu") and part.fp32_precision == "ieee"
            raise RuntimeError("stop")
        assert model.training and model.backbone.layer1.norm.training
        assert part.fp32_precision == "tf32"
    finally:
        part.fp32_precision = before


def test_recording_changes_nothing_in_the_model() -> None:
    ensemble = trained(small())
    before = {name: value.clone() for name, value in ensemble.model.state_dict().items()}
    for mode in (True, False):
        ensemble.model.train(mode)
        Recorder(ensemble.model, ensemble.configs, 3).record(ensemble.train_split())
        assert ensemble.model.training is mode
    assert all(torch.equal(before[name], value) for name, value in ensemble.model.state_dict().items())
    assert all(not m._forward_pre_hooks for m in ensemble.model.modules())


def test_residuals_are_the_largest_excess_over_each_bound() -> None:
    constraints = {"features": {"radius": 2.0}, "head": {"radius": 1.0}, "outputs": None}
    ensemble = trained(table(constraints=constraints), epochs=1)
    with torch.no_grad():
        ensemble.model.head.weight.mul_(3.0 / torch.linalg.matrix_norm(ensemble.model.head.weight[0], 2))
        ensemble.model.backbone.features[0, 5] *= 2.5 / ensemble.model.backbone.features[0, 5].norm()
    recording = Recorder(ensemble.model, ensemble.configs, 3).record(ensemble.train_split())
    assert set(recording.residuals) == {"feature_residual", "head_residual"}
    assert recording.residuals["feature_residual"] == [pytest.approx(0.25, rel=1e-12)]
    assert recording.residuals["head_residual"] == [pytest.approx(2.0, rel=1e-12)]


def test_there_is_a_residual_for_every_bound_and_no_other() -> None:
    for constraints, names in (
        ({"features": None, "head": None}, set()),
        ({"head": None, "outputs": {"radius": 1.0}}, {"feature_residual", "output_residual"}),
    ):
        ensemble = trained(small(constraints=constraints))
        recording = Recorder(ensemble.model, ensemble.configs, 3).record(ensemble.train_split())
        assert set(recording.residuals) == names
        assert all(0 <= value[0] < 1e-14 for value in recording.residuals.values())


@pytest.mark.parametrize("factor", [0.75, 1.5])
def test_residuals_on_a_sphere_count_to_both_sides(factor: float) -> None:
    sphere = {"features": {"radius": 2.0, "set": "sphere"}, "head": None}
    ensemble = trained(table(constraints=sphere), epochs=1)
    recorder = Recorder(ensemble.model, ensemble.configs, 3)
    assert recorder.record(ensemble.train_split()).residuals["feature_residual"][0] < 1e-14
    with torch.no_grad():
        ensemble.model.backbone.features[0, 5] *= factor
    residual = recorder.record(ensemble.train_split()).residuals["feature_residual"]
    assert residual == [pytest.approx(abs(factor - 1), rel=1e-12)]


@pytest.mark.parametrize("budget", [0, 2**20])
def test_a_trial_is_measured_in_the_same_batches_alone_and_stacked(
    budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    monkeypatch.setattr(recorder, "BATCH_ELEMENTS", 7 * 5)
    forward = Classifier.forward

    def counted(model: Classifier, inputs: Tensor) -> Tensor:
        sizes.append(inputs.shape[1])
        return forward(model, inputs)

    monkeypatch.setattr(Classifier, "forward", counted)
    configs = [small(seed=seed) for seed in (0, 1, 2)]
    stacked = trained(*configs, epochs=1)
    sizes.clear()
    together = Recorder(stacked.model, configs, 3, budget=budget).record(stacked.train_split())
    in_stack = list(sizes)
    alone = trained(configs[1], epochs=1)
    sizes.clear()
    single = Recorder(alone.model, configs[1:2], 3, budget=budget).record(alone.train_split())
    assert sizes == in_stack and len(sizes) > 1
    assert single.penultimate.metrics[0] == pytest.approx(together.penultimate.metrics[1], rel=0, abs=0, nan_ok=True)


@pytest.mark.parametrize("budget", [0, 2**20])
def test_residuals_of_mean_squares(budget: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "BATCH_ELEMENTS", 5 * 12)
    sets = {"features": {"radius": 2.0, "set": "mean_square"}, "head": {"radius": 1.0, "set": "mean_square"}}
    ensemble = trained(table(constraints=sets), epochs=1)
    with torch.no_grad():
        for parameter, size in ((ensemble.model.backbone.features, 2.5), (ensemble.model.head.weight, 4.0)):
            parameter.mul_(size / parameter.square().sum(-1).mean().sqrt())
    recording = Recorder(ensemble.model, ensemble.configs, 3, budget=budget).record(ensemble.train_split())
    assert recording.residuals["feature_residual"] == [pytest.approx(0.25, rel=1e-12)]
    assert recording.residuals["head_residual"] == [pytest.approx(3.0, rel=1e-12)]


def test_bounded_outputs_enter_the_risk() -> None:
    ensemble = trained(small(constraints={"features": None, "head": None, "outputs": {"radius": 0.5, "p": 3.0}}))
    train = ensemble.train_split()
    (measured,) = Recorder(ensemble.model, ensemble.configs, 3).record(train).penultimate.metrics
    logits = by_hand(ensemble.model, train.inputs) @ ensemble.model.head.weight[0].detach().T
    norms = torch.linalg.vector_norm(logits, 3, dim=1, keepdim=True)
    assert bool((norms > 0.5).any())
    bounded = logits * (0.5 / norms).clamp(max=1)
    expected = torch.nn.functional.cross_entropy(bounded, train.labels[0])
    assert measured["risk"] == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize("broken", ["backbone.layer1.linear.weight", "head.weight"])
def test_a_trial_that_is_not_finite_is_reported_and_hurts_no_neighbour(broken: str) -> None:
    configs = [small(seed=seed) for seed in (0, 1)]
    ensemble = trained(*configs)
    recorder = Recorder(ensemble.model, configs, 3)
    before = recorder.record(ensemble.train_split())
    with torch.no_grad():
        ensemble.model.get_parameter(broken)[0] = math.nan
    after = recorder.record(ensemble.train_split())
    assert math.isnan(after.penultimate.metrics[0]["risk"]) and after.penultimate.metrics[0].reasons["risk"]
    compare(after.penultimate.metrics[1], before.penultimate.metrics[1])
    for name, values in before.residuals.items():
        assert after.residuals[name][1] == values[1]
    residual = {"backbone.layer1.linear.weight": "feature_residual", "head.weight": "head_residual"}[broken]
    assert math.isnan(after.residuals[residual][0])
