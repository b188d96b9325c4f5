"""Whole classifiers: the structure that a configuration asks for, equal to torch's own, trial by trial."""

from __future__ import annotations

import itertools

import pytest
import torch
from small_runs import network, table
from torch import Tensor, nn

from nc_bench.config import Config, ConfigError
from nc_bench.models import Classifier, build_classifier
from nc_bench.models.backbones import FeatureTable
from nc_bench.models.layers import StackedBatchNorm, StackedLinear
from nc_bench.training.optimizers import decayed_parameters

FREE = {"features": None, "head": None}
TORCH_ACTIVATIONS = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "hard_tanh": nn.Hardtanh,
    "identity": nn.Identity,
}


def build(*configs: Config, input_shape: tuple[int, ...] = (2, 3), classes: int = 4, samples: int = 7) -> Classifier:
    return build_classifier(configs, input_shape=input_shape, samples=samples, classes=classes)


def inputs(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))


def torch_network(config: Config, sizes: int, classes: int) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Flatten()]
    widths = [sizes, *config.model.widths]
    for index, (before, after) in enumerate(itertools.pairwise(widths)):
        layers.append(nn.Linear(before, after))
        if index < len(widths) - 2 or config.model.final_activation:
            if config.model.batch_norm:
                layers.append(nn.BatchNorm1d(after))
            layers.append(TORCH_ACTIVATIONS[config.model.activation]())
    layers.append(nn.Linear(widths[-1], classes, bias=config.head.bias))
    return nn.Sequential(*layers).double()


def copy_trial(source: Classifier, target: nn.Sequential, trial: int) -> None:
    stacked = [m for m in source.modules() if isinstance(m, StackedLinear | StackedBatchNorm)]
    plain = [m for m in target if isinstance(m, nn.Linear | nn.BatchNorm1d)]
    with torch.no_grad():
        for ours, theirs in zip(stacked, plain, strict=True):
            theirs.weight.copy_(ours.weight[trial])
            if theirs.bias is not None:
                theirs.bias.copy_(ours.bias[trial])


@pytest.mark.parametrize("activation", TORCH_ACTIVATIONS)
@pytest.mark.parametrize(("batch_norm", "final_activation"), list(itertools.product((False, True), repeat=2)))
def test_a_network_of_one_trial_is_torchs_sequential(activation: str, batch_norm: bool, final_activation: bool) -> None:
    model = {
        "name": "mlp",
        "widths": [8, 5],
        "activation": activation,
        "batch_norm": batch_norm,
        "final_activation": final_activation,
    }
    config = network(model=model, head={"bias": True}, constraints=FREE)
    ours = build(config).double()
    theirs = torch_network(config, 6, 4)
    copy_trial(ours, theirs, 0)
    for mode in (True, True, False):
        ours.train(mode)
        theirs.train(mode)
        x = inputs(9, 2, 3)
        mine, expected = ours(x[None])[0], theirs(x)
        torch.testing.assert_close(mine, expected, rtol=0, atol=1e-12)
        for outputs, owner in ((mine, ours), (expected, theirs)):
            owner.zero_grad()
            nn.functional.cross_entropy(outputs, torch.arange(9) % 4).backward()
        for stacked, single in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(stacked.grad[0], single.grad, rtol=0, atol=1e-12)
    statistics = [b for name, b in theirs.named_buffers() if not name.endswith("tracked")]
    for mine, expected in zip(ours.buffers(), statistics, strict=True):
        torch.testing.assert_close(mine[0], expected, rtol=0, atol=1e-13)


def test_a_linear_network_is_one_affine_map() -> None:
    config = network(model={"name": "mlp", "widths": [8, 5], "activation": "identity"}, constraints=FREE)
    model = build(config).double()
    x, y = inputs(2, 9, 2, 3)
    middle = model(((x + y) / 2)[None])
    torch.testing.assert_close(middle, (model(x[None]) + model(y[None])) / 2, rtol=0, atol=1e-13)


def test_one_width_is_a_network_of_two_layers() -> None:
    """f(x) = activation(V x + c) and h(x) = W f(x) + b."""
    config = network(model={"name": "mlp", "widths": [8]}, head={"bias": True}, constraints=FREE)
    model = build(config).double()
    inner, inner_bias, outer, outer_bias = (parameter[0] for parameter in model.parameters())
    x = inputs(9, 6)
    expected = (x @ inner.T + inner_bias).relu() @ outer.T + outer_bias
    torch.testing.assert_close(model(x.view(1, 9, 2, 3))[0], expected, rtol=0, atol=1e-13)


def test_stacked_trials_are_what_each_is_alone() -> None:
    configs = [
        network(seed=seed, constraints={"features": {"radius": radius}, "outputs": {"radius": 2 * radius, "p": 3.0}})
        for seed, radius in ((0, 0.2), (1, 5.0), (7, 1.0))
    ]
    together = build(*configs).double()
    x = inputs(9, 2, 3)
    shared = x.expand(3, *x.shape)
    outputs = together(shared)
    outputs.square().sum().backward()
    for trial, config in enumerate(configs):
        alone = build(config).double()
        expected = alone(x[None])
        expected.square().sum().backward()
        torch.testing.assert_close(outputs[trial], expected[0], rtol=0, atol=1e-12)
        for stacked, single in zip(together.parameters(), alone.parameters(), strict=True):
            assert torch.equal(stacked[trial], single[0])
            torch.testing.assert_close(stacked.grad[trial], single.grad[0], rtol=0, atol=1e-12)


def test_the_output_is_the_head_on_the_backbone() -> None:
    model = build(network(constraints={"outputs": {"radius": 0.1}})).double().eval()
    x = inputs(1, 9, 2, 3)
    features = model.backbone(x)
    assert features.shape == (1, 9, 12)
    logits = features[0] @ model.head.weight[0].T
    scale = (0.1 / logits.norm(dim=-1, keepdim=True)).clamp(max=1)
    assert bool((scale < 1).any())
    torch.testing.assert_close(model(x)[0], logits * scale, rtol=0, atol=1e-13)
    assert torch.equal(model.outputs(features), model(x))


@pytest.mark.parametrize("p", [2.0, 3.0])
def test_bounded_features_and_outputs_stay_in_their_balls(p: float) -> None:
    constraints = {"features": {"radius": 0.7, "p": p}, "outputs": {"radius": 0.2, "p": p}}
    model = build(network(constraints=constraints))
    x = 1e6 * inputs(1, 50, 2, 3).float()
    for mode in (True, False):
        model.train(mode)
        features = model.backbone(x)
        outputs = model.outputs(features)
        for rows, radius in ((features, 0.7), (outputs, 0.2)):
            norms = rows.detach().double().abs().pow(p).sum(-1).pow(1 / p)
            assert float(norms.max()) == pytest.approx(radius, rel=1e-6)


def test_a_table_has_a_row_of_its_own_for_every_sample_of_every_trial() -> None:
    configs = [table(seed=0), table(seed=1)]
    model = build(*configs)
    assert isinstance(model.backbone, FeatureTable)
    assert model.backbone.features.shape == (2, 7, 12)
    index = torch.tensor([[3, 0, 3], [6, 5, 4]])
    features = model.backbone(index)
    for trial in range(2):
        assert torch.equal(features[trial], model.backbone.features[trial, index[trial]])
        assert torch.equal(model.backbone.features[trial], build(configs[trial]).backbone.features[0])
    features.sum().backward()
    assert model.backbone.features.grad[0, :, 0].tolist() == [1, 0, 0, 2, 0, 0, 0]


def test_a_tables_scale_is_the_standard_deviation_of_its_entries() -> None:
    model = {"name": "unconstrained", "widths": [50], "init_scale": 0.1}
    features = build(table(model=model), samples=400).backbone.features
    assert float(features.detach().std()) == pytest.approx(0.1, rel=0.03)


def test_deep_linear_logits_are_the_product_of_all_factors_trial_by_trial() -> None:
    shape = {"name": "deep_linear", "widths": [6, 3, 5], "init_scale": 0.5}
    configs = [table(seed=seed, model=shape, constraints={"features": None, "head": None}) for seed in (0, 1)]
    model, index = build(*configs), torch.tensor([[3, 0, 3], [6, 5, 4]])
    assert model.table is None and model.width == 5
    stages = dict(model.backbone.named_children())
    assert list(stages) == ["table", "layer1", "layer2"]
    for trial in range(2):
        product = stages["table"].features[trial, index[trial]]
        for weight in (stages["layer1"].linear.weight, stages["layer2"].linear.weight, model.head.weight):
            product = product @ weight[trial].T
        torch.testing.assert_close(model(index)[trial], product)
        assert torch.equal(stages["table"].features[trial], build(configs[trial]).backbone.table.features[0])
    weights, head = decayed_parameters(model, decay_biases=False)
    assert len(weights) == 3 and weights[0] is stages["table"].features and len(head) == 1


@pytest.mark.parametrize("bias", [True, False])
def test_a_simplex_head_starts_at_the_vertices(bias: bool) -> None:
    config = network(head={"bias": bias, "init": "simplex", "trainable": False})
    head = build(config, classes=5).head
    gram = head.weight[0].double() @ head.weight[0].double().T
    expected = torch.full((5, 5), -1 / 4, dtype=torch.float64).fill_diagonal_(1)
    torch.testing.assert_close(gram, expected, rtol=0, atol=1e-6)
    assert not head.weight.requires_grad
    if bias:
        assert torch.equal(head.bias, torch.zeros(1, 5))
        assert not head.bias.requires_grad


def test_a_simplex_head_is_turned_by_the_seed_and_may_be_trained() -> None:
    heads = [build(network(seed=seed, head={"init": "simplex"})).head for seed in (0, 1)]
    assert not torch.allclose(heads[0].weight, heads[1].weight, atol=0.1)
    assert heads[0].weight.requires_grad


def test_a_simplex_head_needs_room() -> None:
    config = network(model={"name": "mlp", "widths": [3]}, head={"init": "simplex"})
    assert build(config, classes=4).head.weight.shape == (1, 4, 3)
    with pytest.raises(ConfigError, match=r"^head\.init: a simplex of 5 classes .*widths to end in at least 4, got 3$"):
        build(config, classes=5)


def test_frozen_layers_keep_their_initial_weights() -> None:
    settings = {"name": "mlp", "widths": [6, 5, 4], "batch_norm": True, "frozen_layers": 2}
    config = network(model=settings)
    model = build(config)
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained and all("layer3" in name or name.startswith("head") for name in trained)
    assert "the first 2 of its layers frozen" in config.model.sentence()
    with pytest.raises(ValueError, match="frozen_layers: 4 given, but widths has 3 layers"):
        network(model={**settings, "frozen_layers": 4})
