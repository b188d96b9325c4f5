"""measure_model: the metrics of anybody's model and loader, the model left as it was, and every bad batch named."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from nc_bench import collapse_metrics, measure_model
from nc_bench.errors import UserError
from nc_bench.metrics import CollapseMetrics


def network(outputs: int = 3) -> nn.Sequential:
    torch.manual_seed(0)
    inner = [nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(inplace=True), nn.Dropout()]
    model = nn.Sequential(*inner, nn.Linear(5, outputs))
    model(torch.randn(20, 4))  # batch norm gets statistics of its own
    return model


X = torch.randn(50, 4, generator=torch.Generator().manual_seed(1))
Y = torch.arange(50) % 3


def batches(*parts: Any, size: int = 8) -> list[Any]:
    return [tuple(part[start : start + size] for part in parts) for start in range(0, len(X), size)]


def expected(model: nn.Module, **keywords: Any) -> CollapseMetrics:
    was = model.training
    model.eval()
    with torch.no_grad():
        features = model[:-1](X)
    model.train(was)
    return collapse_metrics(features, Y, model[-1].weight, model[-1].bias, **keywords)


def check(found: CollapseMetrics, wanted: CollapseMetrics) -> None:
    assert list(found) == list(wanted) and found.reasons == wanted.reasons
    np.testing.assert_allclose(list(found.values()), list(wanted.values()), rtol=2e-6, atol=1e-7)


LOADERS: dict[str, Any] = {
    "pairs": batches(X, Y),
    "lists": [list(batch) for batch in batches(X, Y)],
    "a DataLoader": DataLoader(TensorDataset(X, Y), 16),
    "a shuffled one": DataLoader(TensorDataset(X, Y), 7, shuffle=True),
    "mappings": [{"input": x, "label": y} for x, y in batches(X, Y)],
    "inputs as keywords": [({"input": x}, y) for x, y in batches(X, Y)],
    "inputs in a tuple": [((x,), y) for x, y in batches(X, Y)],
    "NumPy": batches(X.numpy(), Y.numpy()),
    "float64 arrays": batches(X.double().numpy(), Y.numpy().astype(np.uint8)),
    "pandas": batches(pd.DataFrame(X.numpy()), pd.Series(Y.numpy())),
    "an empty batch": [*batches(X, Y), (X[:0], Y[:0])],
}


@pytest.mark.parametrize("kind", LOADERS)
@pytest.mark.parametrize("budget", [2**31, 0])
def test_the_metrics_of_a_model_are_those_of_its_features(kind: str, budget: int) -> None:
    model = network()
    check(measure_model(model, LOADERS[kind], budget=budget), expected(model))


def test_classes_names_and_a_function_that_unpacks() -> None:
    model, names = network(), ["a", "b", "c"]
    triples = batches(torch.arange(50), X, Y)
    found = measure_model(model, triples, classes=3, class_names=names, unpack=lambda batch: batch[1:])
    check(found, expected(model))
    assert found.per_class["name"].tolist() == names


def test_a_generator_is_read_once() -> None:
    model = network()
    check(measure_model(model, iter(batches(X, Y))), expected(model))
    with pytest.raises(UserError, match=r"^the features exceed the budget, and the loader can be read only once: give"):
        measure_model(model, iter(batches(X, Y)), budget=100)


class Augmented(Dataset[Any]):
    """Samples that a global generator moves, or one that nobody else knows."""

    def __init__(self, own: torch.Generator | None) -> None:
        self.own = own

    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return X[index] + 0.1 * torch.randn(4, generator=self.own), Y[index]


def test_random_augmentation_is_the_same_in_both_passes_or_is_refused() -> None:
    model = network()
    torch.manual_seed(3)
    found = [measure_model(model, DataLoader(Augmented(None), 8), budget=budget) for budget in (0, 2**31)]
    check(*found)
    own = DataLoader(Augmented(torch.Generator().manual_seed(0)), 8)
    with pytest.raises(UserError, match=r"other samples when it is read a second time \(other features\): switch"):
        measure_model(model, own, budget=0)
    measure_model(model, own)


class Shrinking:
    """Another list of batches in every reading."""

    def __init__(self, *readings: list[Any]) -> None:
        self.readings = list(readings)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.readings.pop(0))


@pytest.mark.parametrize(
    ("second", "why"),
    [
        (batches(X, Y)[:-1], "50 samples, then 48"),
        (batches(X, (Y + 1) % 3), "other numbers of samples in the classes"),
        (batches(X.flip(0), Y), "other features"),
    ],
)
def test_other_samples_in_the_second_reading_are_refused(second: list[Any], why: str) -> None:
    with pytest.raises(UserError, match=rf"^the loader gives other samples when it is read a second time \({why}\)"):
        measure_model(network(), Shrinking(batches(X, Y), second), budget=0)


class Raises(nn.Module):
    counted: Tensor

    def __init__(self, error: BaseException | None = None) -> None:
        super().__init__()
        self.inner, self.head, self.error, self.calls = network(5)[:-1], nn.Linear(5, 3), error, 0
        self.register_buffer("counted", torch.zeros(()))
        self.inner[1].eval()
        self.inner[0].requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        self.counted += 1
        self.calls += 1
        torch.rand(1), np.random.rand()  # noqa: NPY002
        if self.error is not None and self.calls > 3:
            raise self.error
        logits: Tensor = self.head(self.inner(x))
        return logits


@pytest.mark.parametrize("error", [None, ValueError("own"), KeyboardInterrupt()])
def test_everything_is_as_it_was_on_any_exit(error: BaseException | None) -> None:
    model = Raises(error)
    model(X).sum().backward()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    gradients = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    modes = [module.training for module in model.modules()]
    own = torch.Generator().manual_seed(5)
    loader = DataLoader(TensorDataset(X, Y), 8, shuffle=True, generator=own)
    torch.manual_seed(1), np.random.seed(1)  # noqa: NPY002

    # That of Python is kept too, but what checks annotations in these tests draws from it.
    def drawn() -> tuple[Any, ...]:
        here = torch.get_rng_state().tolist(), own.get_state().tolist()
        return (*here, np.random.get_state()[1].tolist())  # noqa: NPY002

    before = drawn()
    with torch.autocast("cpu"):
        if error is None:
            measure_model(model, loader, budget=0)
        else:
            with pytest.raises(type(error)) as caught:
                measure_model(model, loader)
            assert caught.value is error
            assert isinstance(error, KeyboardInterrupt) or "in batch 2 of measure_model" in error.__notes__
        assert torch.is_autocast_enabled("cpu") and torch.is_grad_enabled()
    assert drawn() == before
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in state.items())
    assert [module.training for module in model.modules()] == modes
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert not model.inner[0].weight.requires_grad
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        assert (parameter.grad is None and gradient is None) or torch.equal(parameter.grad, gradient)


def broken(*changes: tuple[int, Any, Any]) -> list[Any]:
    made = batches(X, Y)
    for index, x, y in changes:
        made[index] = (made[index][0] if x is None else x, made[index][1] if y is None else y)
    return made


ONE_NAN = X[8:16].clone()
ONE_NAN[3, 1] = torch.nan
BAD: dict[str, tuple[Any, str]] = {
    "no labels": ([x for x, _ in batches(X, Y)], "batch 1: no labels in a Tensor: yield pairs"),
    "one part": (DataLoader(TensorDataset(X), 8), "batch 1: no labels in a list of one part: yield pairs"),
    "three parts": (batches(X, X, Y), "batch 1: 3 parts, of which the labels are not known: yield pairs"),
    "no key": ([{"x": X}], "batch 1: no labels among 'x': yield pairs"),
    "float labels": (batches(X, Y.float()), "batch 1: labels must be an integer (N,) array, got (8,) torch.float32"),
    "one-hot": (broken((1, None, torch.eye(3)[Y[:8]])), "batch 2: labels must be an integer (N,) array, got (8, 3)"),
    "out of range": (broken((2, None, Y[:8] + 1)), "batch 3: labels must lie in 0..2, got values from 1 to 3"),
    "lengths": (broken((1, None, Y[:7])), "batch 2: 8 features but 7 labels"),
    "not a number": (broken((1, ONE_NAN, None)), "batch 2: the features hold NaN or infinity"),
    "not a number at first": (broken((0, ONE_NAN, None)), "batch 1: the model's output holds NaN or infinity"),
    "words": ([(X, ["cat"] * 50)], "batch 1: labels must be an array of numbers"),
    "nothing": ([], "the loader has no samples to measure"),
    "no loader": (3, "loader must be an iterable of batches, got int"),
    "a pair of arrays": ((X, Y), "loader is one pair (inputs, labels): give a list of such pairs, [(inputs, labels)]"),
    "a Dataset": (TensorDataset(X, Y), "loader is a Dataset of single samples: give DataLoader(dataset"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_loaders_are_one_line_with_the_batch(case: str) -> None:
    loader, message = BAD[case]
    with pytest.raises(UserError) as caught:
        measure_model(network(), loader)
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"classes": 4}, "batch 1: classes is 4, but the head '4' has 3 outputs"),
        ({"class_names": ["a"]}, "batch 1: class_names holds 1 names for 3 classes"),
        ({"layer": "5"}, "the model has no layer '5'; its last linear layers: 0, 4"),
        ({"layer": "0"}, "batch 1: layer '0' has 5 outputs, which the model has not: give classes="),
        ({"layer": "2"}, "batch 1: layer '2' is no linear layer: give classes= to measure its input"),
        ({"device": "gpu"}, "device must be cpu, cuda or cuda:N, got 'gpu'"),
        ({"unpack": lambda batch: batch[0]}, "batch 1: unpack must return (inputs, labels), got Tensor"),
        ({"classes": 0}, "classes must be positive, got 0"),
        ({"budget": "2GB"}, "budget must be a whole number of bytes, at least 0, got '2GB'"),
        ({"processes": 2}, "processes must be nc_bench.distributed.current_group(), got int"),
    ],
)
def test_bad_arguments_are_one_line(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        measure_model(network(), batches(X, Y), **keywords)
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


def test_an_error_in_the_users_own_function_says_in_which_batch() -> None:
    with pytest.raises(IndexError) as caught:
        measure_model(network(), batches(X, Y), unpack=lambda batch: batch[2])
    assert caught.value.__notes__ == ["in batch 1 of measure_model"]


def test_the_features_of_another_layer_are_measured_without_its_weight() -> None:
    model = network().eval()
    for layer, features in (("0", X), ("2", model[:2](X)), (model[2], model[:2](X))):
        check(measure_model(model, batches(X, Y), classes=3, layer=layer), collapse_metrics(features.detach(), Y))


def test_one_logit_is_measured_as_two_classes() -> None:
    model, labels = network(1).eval(), Y % 2
    features = model[:-1](X).detach()
    found = measure_model(model, batches(X, labels))
    z = model(X)[:, 0].detach()
    assert found["risk"] == pytest.approx(float(nn.functional.binary_cross_entropy_with_logits(z, labels.float())))
    assert found["accuracy"] == pytest.approx(float(((z > 0) == labels).double().mean()))
    head: Any = model[-1]
    assert found["head_opnorm"] == pytest.approx(float(head.weight.detach().norm()) / 2**0.5)
    weight = torch.cat([-head.weight, head.weight]) / 2
    check(found, collapse_metrics(features, labels, weight, torch.cat([-head.bias, head.bias]) / 2))


class Words(nn.Module):
    """A classifier of texts: token numbers to the mean of their vectors."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words, self.head = nn.Embedding(20, 5), nn.Linear(5, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        logits: Tensor = self.head(self.words(tokens).mean(1))
        return logits


@pytest.mark.parametrize("kind", [torch.int64, torch.int32, "NumPy", "mapping"])
def test_inputs_that_are_whole_numbers_reach_the_model_as_they_are(kind: Any) -> None:
    model = Words()
    tokens = torch.randint(0, 20, (50, 7), generator=torch.Generator().manual_seed(0))
    given: Any = tokens.numpy() if kind == "NumPy" else tokens if kind == "mapping" else tokens.to(kind)
    loader: Any = batches(given, Y)
    if kind == "mapping":
        loader = [{"tokens": x, "labels": y} for x, y in loader]
    found = measure_model(model, loader)
    check(found, collapse_metrics(model.words(tokens).mean(1).detach(), Y, model.head.weight, model.head.bias))
    bad = batches(given, Y + 1)
    with pytest.raises(UserError, match=r"^batch 1: labels must lie in 0\.\.2, got values from 1 to 3"):
        measure_model(model, bad)
    far = [(torch.full((4, 7), 20), Y[:4])]
    with pytest.raises(IndexError) as caught:  # the model's own error, and where
        measure_model(model, far)
    assert caught.value.__notes__ == ["in batch 1 of measure_model"]


class PerToken(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.head = nn.Linear(4, 5), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.inner(x))
        return logits


def test_tokens_are_measured_with_labels_of_their_own() -> None:
    model, x, y = PerToken(), X[:48].view(8, 6, 4), Y[:48].view(8, 6).clone()
    y[:, 4:] = -100
    found = measure_model(model, [(x[:5], y[:5]), (x[5:], y[5:])])
    kept = y.flatten() >= 0
    features = model.inner(X[:48])[kept].detach()
    check(found, collapse_metrics(features, y.flatten()[kept], model.head.weight, model.head.bias))
    with pytest.raises(
        UserError, match=r"^batch 1: layer 'head' is given features \(8, 6, 5\), a vector for each of 6"
    ):
        measure_model(model, [(x, y[:, 0])])


@pytest.mark.filterwarnings("ignore")  # of FSDP on a CPU
def test_models_in_wrappers_of_several_processes() -> None:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
    from torch.distributed.fsdp.wrap import ModuleWrapPolicy

    dist: Any = torch.distributed
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        policy, sharded = ModuleWrapPolicy({nn.Linear}), network()
        mesh = init_device_mesh("cpu", (1,))
        fully_shard(sharded[-1], mesh=mesh)
        fully_shard(sharded, mesh=mesh)
        wrapped = (
            nn.parallel.DistributedDataParallel(network()),
            nn.DataParallel(network()),
            FullyShardedDataParallel(network(), device_id=torch.device("cpu"), auto_wrap_policy=policy),
            sharded,
        )
        for model in wrapped:
            check(measure_model(model, LOADERS["pairs"]), expected(network()))
            check(measure_model(model, LOADERS["pairs"], layer="4"), expected(network()))
    finally:
        dist.destroy_process_group()
