"""Recording at depth: every layer's row is what `collapse_metrics` says of features caught by a plain torch hook."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import subspace_angles
from small_runs import network, table, tiny_dataset
from torch import Tensor, nn

from nc_bench import FeatureTap, collapse_metrics
from nc_bench.config import Config, ConfigError, Record
from nc_bench.metrics import HEAD_NAMES, METRIC_NAMES
from nc_bench.metrics.depth import kernel_share
from nc_bench.metrics.hulls import hull_overlap
from nc_bench.models import Classifier
from nc_bench.models.layers import StackedLinear
from nc_bench.recording import Recorder, Split, recorded_stages, recorder
from nc_bench.training.ensemble import Ensemble

DATA = tiny_dataset()
FREE = {"features": None, "head": None}
FEATURE_NAMES = [name for name in METRIC_NAMES if name not in HEAD_NAMES]


def config(layers: Any = "all", **sections: Any) -> Config:
    model = {"name": "mlp", "widths": [8, 6, 4], "batch_norm": True, "final_activation": False}
    chosen = {"model": model, "dtype": "float64", "training": {"batch_size": 8}, "record": {"layers": layers}}
    return network(**(chosen | sections))


def trained(*configs: Config) -> Ensemble:
    ensemble = Ensemble(configs, DATA, torch.device("cpu"))
    for _ in ensemble.steps_of_epoch():
        pass
    return ensemble


def recorder_of(ensemble: Ensemble, **settings: Any) -> Recorder:
    stages = recorded_stages(ensemble.model, ensemble.configs[0].record, ensemble.inputs)
    return Recorder(ensemble.model, ensemble.configs, 3, stages=stages, **settings)


def hooked(model: Classifier, name: str, inputs: Tensor) -> Tensor:
    """The module's output for all inputs at once, in eval mode."""
    caught: list[Tensor] = []
    handle = model.get_submodule(name).register_forward_hook(lambda module, given, output: caught.append(output))
    model.eval()
    with torch.no_grad():
        model(inputs.expand(len(model.head.weight), *inputs.shape))
    handle.remove()
    return caught[-1]


def compare(measured: dict[str, float], expected: dict[str, float]) -> None:
    assert list(measured) == list(expected)
    for name, value in expected.items():
        assert measured[name] == pytest.approx(value, rel=1e-11, abs=1e-13), name


def test_every_layer_is_measured_on_its_own_features_and_the_test_split_by_its_training_means() -> None:
    ensemble = trained(config(seed=0), config(seed=1))
    measured = recorder_of(ensemble)
    train, test = ensemble.train_split(), ensemble.test_split()
    assert test is not None
    on_train = measured.record(train)
    on_test = measured.record(test, centres=on_train.centres)
    assert list(on_train.layers) == ["penultimate", "layer1", "layer2", "layer3"]
    for name in ("layer1", "layer2", "layer3"):
        features, seen = (hooked(ensemble.model, f"backbone.{name}", split.inputs) for split in (train, test))
        for trial in (0, 1):
            own = on_train.layers[name].metrics[trial]
            assert list(own) == FEATURE_NAMES
            compare(own, collapse_metrics(features[trial], train.labels[trial], classes=3))
            means = torch.stack([features[trial][train.labels[trial] == c].mean(0) for c in range(3)])
            nearest = torch.cdist(seen[trial], means).argmin(1)
            share = float((nearest == test.labels[trial]).double().mean())
            assert on_test.layers[name].metrics[trial]["ncc_accuracy"] == share


def test_the_penultimate_layer_is_measured_as_if_it_were_alone() -> None:
    ensemble = trained(config())
    train = ensemble.train_split()
    alone = Recorder(ensemble.model, ensemble.configs, 3).record(train)
    compare(recorder_of(ensemble).record(train).penultimate.metrics[0], alone.penultimate.metrics[0])


@settings(max_examples=8, deadline=None)
@given(
    rows=st.integers(1, 30),
    trials=st.integers(1, 2),
    layers=st.lists(st.sampled_from(["layer1", "layer2.activation", "layer3", "flatten"]), min_size=1, unique=True),
)
def test_features_computed_twice_give_the_same_numbers(rows: int, trials: int, layers: list[str]) -> None:
    ensemble = trained(*(config(layers, seed=seed) for seed in range(trials)))
    train = ensemble.train_split()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(recorder, "BATCH_ELEMENTS", rows * 8)
        kept, twice = recorder_of(ensemble).record(train), recorder_of(ensemble, budget=0).record(train)
    assert list(kept.layers) == list(twice.layers) == ["penultimate", *sorted(layers, key=depth)]
    for name, layer in kept.layers.items():
        assert layer.features is not None and twice.layers[name].features is None
        torch.testing.assert_close(layer.class_means, twice.layers[name].class_means, rtol=0, atol=1e-13)
        for one, two in zip(layer.metrics, twice.layers[name].metrics, strict=True):
            compare(two, one)


def depth(name: str) -> int:
    return ["flatten", "layer1", "layer2.activation", "layer3"].index(name)


def test_the_budget_counts_all_layers() -> None:
    ensemble = trained(config(["layer1"]))
    exact = 24 * (8 + 4) * 8
    for budget, kept in ((exact, True), (exact - 1, False)):
        recording = recorder_of(ensemble, budget=budget).record(ensemble.train_split())
        assert (recording.penultimate.features is not None) is (recording.layers["layer1"].features is not None) is kept


def test_all_leaves_out_a_stage_that_is_the_penultimate_layer() -> None:
    """Without a bound the last stage's output is the head's input; with one it is what the bound is applied to."""
    ensemble = trained(config(constraints=FREE))
    assert list(recorder_of(ensemble).stages) == ["layer1", "layer2"]
    both = recorder_of(trained(config(["layer3"], constraints=FREE)))
    recording = both.record(ensemble.train_split())
    shared = {name: recording.penultimate.metrics[0][name] for name in FEATURE_NAMES}
    compare(recording.layers["layer3"].metrics[0], shared)


def test_a_table_of_features_has_no_depth() -> None:
    ensemble = trained(table(record={"layers": "all"}))
    assert recorder_of(ensemble).stages == {}


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        (["layer9"], r"'layer9' is no module of the backbone; did you mean 'layer\d'"),
        (
            ["penultimat"],
            r"did you mean 'penultimate'\? \(known are penultimate, flatten, layer1, layer2, layer3, bound",
        ),
        (["head"], r"'head' is no module"),
    ],
)
def test_a_wrong_name_is_refused_with_a_suggestion(layers: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=rf"^record\.layers: .*{said}") as caught:
        recorder_of(trained(config(layers)))
    assert "\n" not in str(caught.value)


class Pictures(nn.Module):
    """A convolutional backbone of one network, without an axis of trials inside, whose nonlinearity works in place."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 3, 1)
        self.bend = nn.ReLU(inplace=True)
        self.block = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Tanh())
        self.unused = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh())
        self.pair = Pair()

    def forward(self, x: Tensor) -> Tensor:
        first, _ = self.pair(self.block(self.bend(self.stem(x))))
        result: Tensor = first.mean((-2, -1))
        return result


class Pair(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


class Lone(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = Pictures()

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.net(x[0])
        return result[None]


def pictures() -> tuple[Classifier, Split]:
    torch.manual_seed(0)
    head = StackedLinear(4, 3, [torch.Generator().manual_seed(1)])
    inputs = torch.randn(12, 2, 5, 6, dtype=torch.float64)
    return Classifier(Lone(), head).double(), Split(inputs=inputs, labels=torch.arange(12)[None] % 3)


@pytest.mark.parametrize("flatten", [False, True])
def test_feature_maps_are_averaged_over_space_or_flattened(flatten: bool) -> None:
    model, split = pictures()
    stages = recorded_stages(model, Record(layers=("stem", "block"), flatten=flatten), split.inputs)
    recording = Recorder(model, [config()], 3, stages=stages).record(split)
    # Before the nonlinearity, which works in place, has changed it.
    stem = model.backbone.net.stem(split.inputs).detach()
    for name, maps in (("stem", stem), ("block", hooked(model, "backbone.net.block", split.inputs))):
        features = maps.flatten(1) if flatten else maps.mean((2, 3))
        compare(recording.layers[name].metrics[0], collapse_metrics(features, split.labels[0], classes=3))


def test_all_stages_of_a_wrapped_network_are_those_made_of_several_layers_that_run() -> None:
    model, split = pictures()
    assert [stage.name for stage in recorded_stages(model, Record(layers="all"), split.inputs)] == ["block"]


@pytest.mark.parametrize(
    ("name", "said"), [("pair", "'pair' returns no tensor, but a tuple"), ("unused", "'unused' takes no part")]
)
def test_a_module_without_features_is_refused(name: str, said: str) -> None:
    model, split = pictures()
    with pytest.raises(ConfigError, match=f"^record.layers: {said}"):
        recorded_stages(model, Record(layers=(name,)), split.inputs)


def test_the_tap_gives_outputs_in_the_order_in_which_they_ran_and_removes_its_hooks() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).eval()
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    with FeatureTap(model, outputs={"1": torch.sum, "0": lambda output: output}) as tap:
        model(x)
    hidden = model[0](x)
    assert list(tap.outputs) == ["0", "1"] and not tap.outputs["0"].requires_grad
    torch.testing.assert_close(tap.outputs["0"], hidden)
    torch.testing.assert_close(tap.outputs["1"], hidden.tanh().sum())
    torch.testing.assert_close(tap.features, hidden.tanh())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    with pytest.raises(ValueError, match=r"^the model has no module '7'$"):
        FeatureTap(model, outputs={"7": torch.sum})


PLAIN = {"name": "mlp", "widths": [8, 6, 4], "final_activation": False}


def numpy_of(ensemble: Ensemble, layer: str, trial: int) -> tuple[Any, Any, Any]:
    """Class means and deviations of a layer's features, caught by a plain hook, and the weight that reads them."""
    features = hooked(ensemble.model, f"backbone.{layer}", ensemble.train_split().inputs)[trial].double().numpy()
    labels = ensemble.train_split().labels[trial].numpy()
    means = np.stack([features[labels == c].mean(0) for c in range(3)])
    following = {"layer1": "backbone.layer2.linear", "layer2": "backbone.layer3.linear", "layer3": "head"}[layer]
    return means, features - means[labels], ensemble.model.get_submodule(following).weight[trial].detach().numpy()


def test_depth_columns_are_those_of_numpy_at_every_layer_and_trial() -> None:
    ensemble = trained(*(config(model=PLAIN, seed=s, record={"layers": "all", "stable_ranks": True}) for s in (0, 1)))
    stages = recorded_stages(ensemble.model, ensemble.configs[0].record, ensemble.inputs)
    assert [(stage.name, stage.reader) for stage in stages] == [
        ("layer1", "backbone.layer2.linear"),
        ("layer2", "backbone.layer3.linear"),
        ("layer3", ""),
    ]
    recording = Recorder(ensemble.model, ensemble.configs, 3, stages=stages[:2]).record(ensemble.train_split())
    for trial in (0, 1):
        spreads = []
        for layer, name in (("layer1", "layer1"), ("layer2", "layer2"), ("layer3", "penultimate")):
            means, deviations, weight = numpy_of(ensemble, layer, trial)
            if name == "penultimate":
                means, deviations = (np.asarray(part) for part in bounded(ensemble, trial))
            centred = means - means.mean(0)
            spread = deviations.T @ deviations / len(deviations) @ np.linalg.pinv(centred.T @ centred / 3, rcond=1e-12)
            spreads.append(np.log(np.trace(spread)))
            angles = subspace_angles(centred[:2].T, weight.T)
            expected = {
                "next_weight_angle_mean": angles.mean(),
                "next_weight_angle_largest": angles.max(),
                "stable_rank_within": np.linalg.norm(deviations) ** 2 / np.linalg.norm(deviations, 2) ** 2,
                "stable_rank_next_weight": np.linalg.norm(weight) ** 2 / np.linalg.norm(weight, 2) ** 2,
            }
            found = recording.depth[name][trial].values
            for column, value in expected.items():
                assert found[column] == pytest.approx(value, rel=1e-9, abs=1e-9), (name, column)
        at_last = recording.depth["penultimate"][trial].values
        assert at_last["equi_separation_slope"] == pytest.approx(np.polyfit(range(3), spreads, 1)[0], rel=1e-9)
        expected_r = np.corrcoef(range(3), spreads)[0, 1]
        assert at_last["equi_separation_correlation"] == pytest.approx(expected_r, rel=1e-9)


def bounded(ensemble: Ensemble, trial: int) -> tuple[Any, Any]:
    with torch.no_grad():
        features = ensemble.model.backbone(ensemble.inputs.expand(2, *ensemble.inputs.shape))[trial].double().numpy()
    labels = ensemble.train_split().labels[trial].numpy()
    means = np.stack([features[labels == c].mean(0) for c in range(3)])
    return means, features - means[labels]


def test_without_further_layers_nothing_is_added_and_undefined_columns_say_why() -> None:
    ensemble = trained(config(record={"layers": ["penultimate"]}))
    assert recorder_of(ensemble).record(ensemble.train_split()).depth["penultimate"][0].values == {}
    two = trained(config(record={"layers": ["layer3"]}))
    depth = recorder_of(two).record(two.train_split()).depth
    reasons = depth["penultimate"][0].reasons | depth["layer3"][0].reasons
    assert reasons["equi_separation_slope"] == "a law of depth needs 3 recorded layers, not 2"
    assert reasons["next_weight_angle_mean"] == "no linear layer reads this layer's output as it is", (
        "the ball is first"
    )
    ranks = trained(config(record={"layers": ["penultimate"], "stable_ranks": True}))
    values = recorder_of(ranks).record(ranks.train_split()).depth["penultimate"][0].values
    assert list(values) == ["stable_rank_within", "stable_rank_next_weight"]
    unkept = recorder_of(ranks, budget=0).record(ranks.train_split()).depth["penultimate"][0]
    assert unkept.reasons == {"stable_rank_within": "the features do not fit in memory"}


def test_kernel_share_and_hull_overlap_come_on_request() -> None:
    chosen = {"layers": "all", "kernel_share": True, "hull_overlap": 5}
    ensemble = trained(*(config(model=PLAIN, seed=seed, record=chosen) for seed in (0, 1)))
    recorder, split = recorder_of(ensemble), ensemble.train_split()
    before, last = recorder.record(split), recorder.record(split, hulls=True)
    for trial in (0, 1):
        assert "hull_overlap" not in before.depth["layer1"][trial].values
        assert "kernel_share" not in last.depth["layer1"][trial].values
        for name, layer in last.layers.items():
            assert layer.features is not None  # classes come in turn: five of each are the first fifteen
            expected = hull_overlap(layer.features[trial, :15], split.labels[trial, :15])
            assert last.depth[name][trial].values["hull_overlap"] == expected
        features, weight = last.penultimate.features, ensemble.model.head.weight[trial].detach().double()
        assert features is not None
        share = last.depth["penultimate"][trial].values["kernel_share"]
        assert share == kernel_share(features[trial].double(), weight) and 0 < share < 1
    without = recorder_of(ensemble, budget=0).record(split, hulls=True).depth["penultimate"][0]
    assert {"kernel_share", "hull_overlap"} <= set(without.reasons)
