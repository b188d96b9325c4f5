"""The layer whose output is the model's output: found and verified in models of all kinds, else refused by name."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nc_bench import FeatureTap, collapse_metrics, measure_model
from nc_bench.errors import UserError
from nc_bench.models.layers import StackedLinear


class Made(nn.Module):
    """Parts that a function puts together."""

    def __init__(self, forward: Callable[..., Any], **parts: nn.Module) -> None:
        super().__init__()
        self.function = forward
        for name, part in parts.items():
            self.add_module(name, part)
        self.eval()

    def forward(self, x: Tensor) -> Any:
        return self.function(self, x)


def rows(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(2))


def trunk(*after: nn.Module, outputs: int = 3) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.ReLU(inplace=True), nn.Linear(5, outputs), *after).eval()


def tapped(model: nn.Module, x: Tensor, layer: str | None = None) -> tuple[FeatureTap, Any]:
    with torch.no_grad(), FeatureTap(model, layer) as tap:
        output = model(x)
    return tap, output


@pytest.mark.parametrize(
    ("after", "map_of_logits"),
    [
        ((), lambda z: z),
        ((nn.LogSoftmax(-1),), lambda z: z.log_softmax(-1)),
        ((nn.Softmax(-1),), lambda z: z.softmax(-1)),
        ((nn.Identity(), nn.Dropout()), lambda z: z),
    ],
)
def test_the_head_of_a_network_and_what_follows_it(after: Any, map_of_logits: Any) -> None:
    tap, output = tapped(trunk(*after), rows(6, 4))
    assert tap.name == "2" and tap.features.shape == (6, 5)
    torch.testing.assert_close(map_of_logits(tap.features @ tap.weight.T + tap.bias), output)


@pytest.mark.parametrize("after", [(), (nn.Flatten(0),), (nn.Sigmoid(),), (nn.Flatten(0), nn.Sigmoid())])
def test_a_model_with_one_logit_is_one_of_two_classes(after: Any) -> None:
    tap, output = tapped(trunk(*after, outputs=1), rows(6, 4))
    z = tap.features @ tap.weight.T + tap.bias
    assert tap.weight.shape == (2, 5) and torch.equal(z[:, 0], -z[:, 1])
    probability = output if any(isinstance(part, nn.Sigmoid) for part in after) else output.sigmoid()
    torch.testing.assert_close(z.softmax(-1)[:, 1], probability.flatten())


@pytest.mark.parametrize(
    ("layers", "name"),
    [
        ((nn.AdaptiveAvgPool2d(1), nn.Conv2d(5, 4, 1), nn.Flatten()), "2"),
        ((nn.AdaptiveAvgPool2d(1), nn.Conv2d(5, 4, 1)), "2"),
        ((nn.Conv2d(5, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()), "1"),
        ((nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 4, bias=False)), "3"),
    ],
)
def test_a_convolution_of_one_pixel_is_a_head(layers: Any, name: str) -> None:
    model = nn.Sequential(nn.Conv2d(3, 5, 3), *layers).eval()
    tap, output = tapped(model, rows(6, 3, 8, 8))
    assert tap.name == name and tap.features.shape == (6, 5)
    z = tap.features @ tap.weight.T + (0 if tap.bias is None else tap.bias)
    torch.testing.assert_close(z, output.flatten(1))


def tokens(x: Tensor) -> Tensor:
    return x[:, None] * torch.arange(1, 6)[:, None]


@pytest.mark.parametrize("place", [0, 4, "own"])
def test_the_token_that_the_head_is_read_at(place: Any) -> None:
    at = torch.arange(6) % 5 if place == "own" else torch.full((6,), place)
    model = Made(lambda self, x: self.score(tokens(x))[torch.arange(6), at], score=nn.Linear(4, 3, bias=False))
    tap, output = tapped(model, rows(6, 4))
    assert torch.equal(tap.features, tokens(rows(6, 4))[torch.arange(6), at])
    torch.testing.assert_close(tap.features @ tap.weight.T, output)


def test_outputs_averaged_over_tokens() -> None:
    model = Made(lambda self, x: self.score(tokens(x)).mean(1), score=nn.Linear(4, 3))
    tap, _ = tapped(model, rows(6, 4))
    torch.testing.assert_close(tap.features, tokens(rows(6, 4)).mean(1))


def test_an_output_for_each_token_is_tapped_for_each() -> None:
    model = Made(lambda self, x: self.score(tokens(x)), score=nn.Linear(4, 3))
    tap, _ = tapped(model, rows(6, 4))
    assert torch.equal(tap.features, tokens(rows(6, 4)))
    with pytest.raises(
        ValueError, match=r"got \(6, 5, 4\) torch.float32; take one token, features\[:, 0\], or features"
    ):
        collapse_metrics(tap.features, torch.arange(6))


def test_one_stacked_trial_is_a_plain_head() -> None:
    model = Made(lambda self, x: self.a(x[None])[0], a=StackedLinear(4, 3, [torch.Generator().manual_seed(0)]))
    tap, output = tapped(model, rows(6, 4))
    assert torch.equal(tap.features, rows(6, 4))
    torch.testing.assert_close(tap.features @ tap.weight.T + tap.bias, output)


@pytest.mark.parametrize(
    "output",
    [
        lambda z, x: (torch.tensor(0.5), z, x),
        lambda z, x: {"features": x, "out": z},
        lambda z, x: {"logits": z, "other": z},
        lambda z, x: {"probabilities": z.softmax(-1), "z": z},
    ],
)
def test_the_tensor_of_logits_among_others(output: Any) -> None:
    model = Made(lambda self, x: output(self.a(x), x), a=nn.Linear(4, 3))
    tap, _ = tapped(model, rows(6, 4))
    assert tap.name == "a" and torch.equal(tap.features, rows(6, 4))


def twice(self: Any, x: Tensor) -> Tensor:
    self.a(x + 1)
    return self.a(x)


A, B, C = (nn.Linear(4, 3) for _ in range(3))
REFUSED: dict[str, tuple[nn.Module, str]] = {
    "two heads averaged": (
        Made(lambda s, x: (s.a(x) + s.b(x)) / 2, a=A, b=B),
        "the model's output is the average of 2 heads, 'a' and 'b': measure one of them, layer='a'",
    ),
    "three heads averaged": (
        Made(lambda s, x: (s.a(x) + s.b(x) + s.c(x)) / 3, a=A, b=B, c=C),
        "the model's output is the average of 3 heads, 'a', 'b' and 'c': measure one of them, layer='a'",
    ),
    "two heads added": (
        Made(lambda s, x: s.a(x) + s.b(-x), a=A, b=B),
        "the model's output is the sum of 2 heads, 'a' and 'b': measure one of them, layer='a'",
    ),
    "views averaged": (
        Made(lambda s, x: (s.a(x) + s.a(x.flip(-1))) / 2, a=A),
        "the model's output is the average of 2 runs of its head 'a': run it once",
    ),
    "run twice": (Made(twice, a=A), "the head 'a' runs 2 times in one forward pass, so a sample has no single"),
    "an auxiliary head": (
        Made(lambda s, x: (s.a(x), s.b(x)), a=A, b=B),
        "the model returns the outputs of 2 heads, 'a' and 'b': say which, layer='a'",
    ),
    "several candidates": (
        Made(lambda s, x: s.b(s.a(x)), a=nn.Linear(4, 3), b=nn.Linear(3, 3)),
        "2 linear layers give the model's output, 'a' and 'b': say which, layer='a'",
    ),
    "scaled": (
        Made(lambda s, x: 2 * s.a(x), a=A),
        "no linear layer's output is the model's output, so there is no W f + b to measure; the last to run is 'a' "
        "(layer='a' taps it all the same)",
    ),
    "an activation at the end": (trunk(nn.ReLU()), "no linear layer's output is the model's output"),
    "no module runs": (
        Made(lambda s, x: nn.functional.linear(x, s.a.weight), a=A),
        "no linear layer runs as a module in a forward pass: name the layer to tap with layer=...",
    ),
    "no tensor": (Made(lambda s, x: [s.a(x).tolist()], a=A), "the model returns no tensor of outputs"),
    "not a number": (Made(lambda s, x: s.a(x / 0), a=A), "the model's output holds NaN or infinity"),
}
for part, value in (("weight", torch.eye(3)), ("bias", torch.zeros(3))):
    getattr(REFUSED["several candidates"][0].b, part).data.copy_(value)


@pytest.mark.parametrize("case", REFUSED)
def test_models_without_one_head_are_refused_by_name(case: str) -> None:
    model, message = REFUSED[case]
    with pytest.raises(UserError) as caught:
        tapped(model, rows(6, 4))
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_of_averaged_heads_one_may_be_named() -> None:
    tap, _ = tapped(REFUSED["two heads averaged"][0], rows(6, 4), "b")
    assert tap.name == "b" and torch.equal(tap.features, rows(6, 4)) and torch.equal(tap.weight, B.weight)


def test_every_forward_pass_is_verified() -> None:
    model = Made(lambda s, x: s.a(x) + (len(x) == 5), a=A)
    with torch.no_grad(), FeatureTap(model) as tap:
        model(rows(6, 4))
        with pytest.raises(UserError, match="output is not W f \\+ b of its layer 'a' in this forward pass"):
            model(rows(5, 4))
    assert tap.features.shape[1] == 4


def test_the_search_leaves_no_trace() -> None:
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 3))
    model[1].eval()
    torch.manual_seed(1)
    before = model[0].running_mean.clone()
    with FeatureTap(model), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model(rows(6, 4))
    assert [module.training for module in model] == [True, False, True]
    expected = 0.9 * before + 0.1 * rows(6, 4).mean(0)
    torch.testing.assert_close(model[0].running_mean, expected)  # moved once, by the pass in training mode


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_compiled_model_is_tapped_uncompiled() -> None:
    model, own = trunk(), trunk()
    compiler: Any = partial(torch.compile, backend="eager")
    whole, inner = compiler(model), nn.Sequential(compiler(model[:2]), model[2]).eval()
    own.compile(backend="eager")
    for compiled, name in ((whole, "2"), (inner, "1"), (own, "2")):
        tap, output = tapped(compiled, rows(6, 4))
        assert tap.name == name
        torch.testing.assert_close(tap.features @ tap.weight.T + tap.bias, output)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_precisions(dtype: torch.dtype) -> None:
    tap, output = tapped(trunk().to(dtype), rows(6, 4).to(dtype))
    assert tap.features.dtype == dtype and tap.weight.dtype == dtype and output.dtype == dtype


def test_autocast() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        tap, output = tapped(trunk(), rows(64, 4))
    assert output.dtype == torch.bfloat16 and tap.name == "2"


class Static(nn.Module):
    """What quantisation with calibration asks for: where numbers become whole ones, and floating ones again."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.quant, self.dequant = torch.ao.quantization.QuantStub(), torch.ao.quantization.DeQuantStub()
        self.body, self.head = nn.Sequential(nn.Linear(4, 16), nn.ReLU()), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.dequant(self.head(self.body(self.quant(x))))
        return logits


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_statically_quantized_models() -> None:
    ao, model = torch.ao.quantization, Static().eval()
    model.qconfig = ao.get_default_qconfig("x86")
    prepared = ao.prepare(ao.fuse_modules(model, [["body.0", "body.1"]]))
    prepared(rows(200, 4))
    quantized = ao.convert(prepared)
    assert "quantized" in type(quantized.head).__module__
    tap, output = tapped(quantized, rows(200, 4))
    assert tap.name == "head" and tap.features.dtype == tap.weight.dtype == torch.float32
    step = float(quantized.head.scale)
    torch.testing.assert_close(tap.features @ tap.weight.T + tap.bias, output, atol=step, rtol=0.0)
    found = measure_model(quantized, [(rows(200, 4), torch.arange(200) % 3)])
    expected = collapse_metrics(tap.features, torch.arange(200) % 3, tap.weight, tap.bias)
    assert found == pytest.approx(expected, rel=1e-6, nan_ok=True)
    # The head alone.
    only = ao.quantize_dynamic(Static().eval(), {"head": ao.default_dynamic_qconfig})
    tap, _ = tapped(only, rows(200, 4))
    assert tap.name == "head" and isinstance(only.body[0], nn.Linear)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_quantized_models() -> None:
    model = torch.ao.quantization.quantize_dynamic(trunk(), {nn.Linear}, dtype=torch.qint8)
    tap, output = tapped(model, rows(200, 4))
    assert tap.name == "2" and tap.weight.shape == (3, 5) and tap.weight.dtype == torch.float32
    torch.testing.assert_close(tap.features @ tap.weight.T + tap.bias, output, atol=0.02, rtol=0.0)
