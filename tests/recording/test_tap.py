"""The tap on models of all kinds: what it catches is what the last linear layer was given."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nc_bench import FeatureTap
from nc_bench.models.layers import StackedLinear


class Scrambled(nn.Module):
    """The layer that runs last is registered first, inside another module."""

    def __init__(self) -> None:
        super().__init__()
        self.top = nn.ModuleDict({"head": nn.Linear(4, 3)})
        self.bottom = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Sequential(nn.Linear(5, 4)))
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.top["head"](self.bottom(x).relu())
        return logits

    def penultimate(self, x: Tensor) -> Tensor:
        features: Tensor = self.bottom(x).relu()
        return features


class Unrolled(nn.Module):
    """One linear layer used three times; whether it runs is up to the caller."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.Linear(4, 4)
        self.unused = nn.Linear(4, 4)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(3):
            x = torch.tanh(self.cell(x))
        return x


class ByKeyword(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4, 3)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(input=2 * x)
        return logits


def hooks(model: nn.Module) -> int:
    return sum(len(module._forward_pre_hooks) + len(module._forward_hooks) for module in model.modules())


def inputs(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(2))


def test_the_layer_that_runs_last_is_tapped_wherever_it_is_registered() -> None:
    model, x = Scrambled(), inputs(7, 6)
    with FeatureTap(model) as tap:
        logits = model(x)
    assert tap.tapped is model.top["head"]
    assert torch.equal(tap.features, model.penultimate(x))
    torch.testing.assert_close(tap.features @ model.top["head"].weight.T + model.top["head"].bias, logits)


def test_the_latest_forward_pass_counts() -> None:
    model = Scrambled()
    with FeatureTap(model) as tap:
        for seed in range(3):
            x = torch.full((seed + 1, 6), float(seed))
            model(x)
            assert torch.equal(tap.features, model.penultimate(x))
    assert len(tap.features) == 3


def test_of_a_layer_used_several_times_the_last_input_is_caught() -> None:
    model, x = Unrolled(), inputs(5, 4)
    with FeatureTap(model, "cell") as tap:
        model(x)
    assert torch.equal(tap.features, model.cell(model.cell(x).tanh()).tanh())


@pytest.mark.parametrize("layer", ["bottom.2.0", "bottom.0", "top.head"])
def test_a_named_layer(layer: str) -> None:
    model, x = Scrambled(), inputs(7, 6)
    expected = {"bottom.0": x, "bottom.2.0": model.bottom[0](x).tanh(), "top.head": model.penultimate(x)}[layer]
    for asked in (layer, model.get_submodule(layer)):
        with FeatureTap(model, asked) as tap:
            model(x)
        assert tap.tapped is model.get_submodule(layer)
        assert torch.equal(tap.features, expected)


def test_a_layer_that_is_not_linear_may_be_named() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3)).eval()
    x = inputs(4, 1, 8, 8)
    with FeatureTap(model, "1") as tap:
        model(x)
    assert torch.equal(tap.features, model[0](x))


def test_an_input_given_by_keyword_is_caught() -> None:
    model, x = ByKeyword(), inputs(5, 4)
    with FeatureTap(model) as tap:
        model(x)
    assert torch.equal(tap.features, 2 * x)


def test_stacked_linear_layers_are_linear_layers() -> None:
    head = StackedLinear(4, 3, [torch.Generator().manual_seed(s) for s in range(2)])
    model, x = nn.Sequential(nn.ReLU(), head).eval(), inputs(2, 5, 4)
    with FeatureTap(model) as tap:
        model(x)
    assert torch.equal(tap.features, x.relu())


def test_features_carry_no_gradient_and_leave_the_models_alone() -> None:
    model, x = Scrambled().double(), inputs(7, 6).double()
    F.cross_entropy(model(x), torch.zeros(7, dtype=torch.int64)).backward()
    expected = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    with FeatureTap(model) as tap:
        F.cross_entropy(model(x), torch.zeros(7, dtype=torch.int64)).backward()
    assert not tap.features.requires_grad
    assert tap.features.dtype == torch.float64
    assert all(torch.equal(p.grad, e) for p, e in zip(model.parameters(), expected, strict=True))


def test_hooks_are_there_inside_the_block_only() -> None:
    model = Scrambled()
    with FeatureTap(model) as tap:
        assert hooks(model) > 0
        model(inputs(7, 6))
    assert hooks(model) == 0
    model(inputs(2, 6))
    assert len(tap.features) == 7


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_hooks_are_removed_by_an_exception_and_the_exception_goes_on(error: type[BaseException]) -> None:
    model = Scrambled()
    with pytest.raises(error, match="stop"), FeatureTap(model):
        model(inputs(7, 6))
        raise error("stop")
    assert hooks(model) == 0


def test_a_failing_forward_pass_leaves_no_hook() -> None:
    model = Scrambled()
    with pytest.raises(RuntimeError, match="mat1 and mat2"), FeatureTap(model):
        model(inputs(7, 3))
    assert hooks(model) == 0


def test_other_hooks_stay() -> None:
    model = Scrambled()
    mine = model.top["head"].register_forward_pre_hook(lambda module, arguments: None)
    with FeatureTap(model):
        pass
    assert hooks(model) == 1
    mine.remove()


def test_taps_do_not_disturb_each_other() -> None:
    model, x = Scrambled(), inputs(7, 6)
    with FeatureTap(model) as outer:
        with FeatureTap(model, "bottom.0") as inner:
            model(x)
        model(2 * x)
    assert torch.equal(inner.features, x)
    assert torch.equal(outer.features, model.penultimate(2 * x))


def test_no_forward_pass() -> None:
    with (
        FeatureTap(Scrambled()) as tap,
        pytest.raises(
            RuntimeError, match=r"^no features: no forward pass of the tapped model has gone through a linear layer$"
        ),
    ):
        _ = tap.features


def test_a_layer_that_never_runs() -> None:
    model = Unrolled()
    with FeatureTap(model, "unused") as tap:
        model(inputs(5, 4))
    with pytest.raises(RuntimeError, match="gone through the layer"):
        _ = tap.tapped


def test_wrong_layers_are_refused() -> None:
    model = Scrambled()
    with pytest.raises(ValueError, match=r"no layer 'fc'; its last linear layers: top.head, bottom.0, bottom.2.0$"):
        FeatureTap(model, "fc")
    with pytest.raises(ValueError, match=r"no layer 'fc'; its last linear layers: none$"):
        FeatureTap(nn.ReLU(), "fc")
    with pytest.raises(ValueError, match=r"no layer 'top.haed'; did you mean 'top.head'.*?; its last linear layers: "):
        FeatureTap(model, "top.haed")
    with pytest.raises(ValueError, match="not a module of the model"):
        FeatureTap(model, nn.Linear(4, 3))
    with pytest.raises(ValueError, match=r"no linear layer to tap; name one with layer=\.\.\."):
        FeatureTap(nn.Sequential(nn.Conv2d(1, 1, 3)))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("model", "layer", "message"),
    [
        (nn.Linear(2, 2).state_dict(), None, "model is a mapping, as a state dict is: build the nn.Module"),
        ("model.pth", None, "model must be an nn.Module, got str"),
        (None, None, "model must be an nn.Module, got NoneType"),
        (nn.Linear(2, 2), 0, "layer must be a module of the model or its dotted name, got int"),
    ],
)
def test_what_cannot_be_tapped_is_one_line(model: object, layer: object, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        FeatureTap(model, layer)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_torchscript_is_told_works() -> None:
    model, x = nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 3)).eval(), inputs(7, 6)
    scripted = torch.jit.script(nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 3)))
    with pytest.raises(ValueError, match=r"^model is TorchScript, .*load_state_dict\(scripted\.state_dict\(\)\)"):
        FeatureTap(scripted)
    with pytest.raises(ValueError, match=r"^model is TorchScript, "):
        FeatureTap(torch.jit.trace(model, x))
    model.load_state_dict(scripted.state_dict())
    with FeatureTap(model) as tap:
        assert torch.equal(model(x), scripted(x))
    assert torch.equal(tap.features, model[0](x))


def test_training_mode_is_warned_of() -> None:
    model = nn.Sequential(nn.Dropout(), nn.Linear(6, 3))
    with FeatureTap(model) as tap, pytest.warns(UserWarning, match=r"in training mode, .*call model.eval\(\) first$"):
        model(inputs(7, 6))
    assert tap.tapped is model[1]


def test_what_is_caught_is_a_copy() -> None:
    model, x = nn.Sequential(nn.Linear(6, 4), nn.ReLU(inplace=True), nn.Linear(4, 3)), inputs(7, 6)
    expected = model[0](x)
    with FeatureTap(model.eval(), "1") as tap:
        model(x)
    assert torch.equal(tap.features, expected) and float(tap.features.min()) < 0
