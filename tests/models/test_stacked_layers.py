"""Stacked layers against torch's own, trial by trial."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from nc_bench.models.layers import StackedBatchNorm, StackedLinear
from nc_bench.rng import Stream, generator


def generators(trials: int) -> list[torch.Generator]:
    return [generator(trial, Stream.INITIALISATION) for trial in range(trials)]


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("bias", [True, False])
def test_every_trial_of_a_linear_layer_is_torchs(bias: bool) -> None:
    stacked = StackedLinear(5, 4, generators(3), bias=bias).double()
    x = random(3, 7, 5).requires_grad_()
    outputs = stacked(x)
    outputs.square().sum().backward()
    for trial in range(3):
        single = nn.Linear(5, 4, bias=bias, dtype=torch.float64)
        with torch.no_grad():
            single.weight.copy_(stacked.weight[trial])
            if bias:
                single.bias.copy_(stacked.bias[trial])
        inputs = x[trial].detach().requires_grad_()
        expected = single(inputs)
        expected.square().sum().backward()
        torch.testing.assert_close(outputs[trial], expected, rtol=0, atol=1e-13)
        torch.testing.assert_close(x.grad[trial], inputs.grad, rtol=0, atol=1e-12)
        torch.testing.assert_close(stacked.weight.grad[trial], single.weight.grad, rtol=0, atol=1e-12)
        if bias:
            torch.testing.assert_close(stacked.bias.grad[trial], single.bias.grad, rtol=0, atol=1e-12)


def test_a_linear_layer_starts_as_torchs_does() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = StackedLinear(64, 500, generators(1)), nn.Linear(64, 500)
    for layer in layers:
        for values in (layer.weight.detach().flatten(), layer.bias.detach().flatten()):
            bound = 1 / 8
            assert 0.98 * bound < float(values.abs().max()) <= bound
            # Uniform: sd bound/sqrt(3); the estimate's own relative spread is sqrt(.2/n), 2 % for the biases.
            assert abs(float(values.std()) * math.sqrt(3) / bound - 1) < 4 * math.sqrt(0.2 / len(values))


def test_every_trial_starts_from_its_own_generator() -> None:
    together = StackedLinear(5, 4, generators(3))
    third = StackedLinear(5, 4, generators(3)[2:])
    assert torch.equal(together.weight[2], third.weight[0])
    assert torch.equal(together.bias[2], third.bias[0])
    assert not torch.equal(together.weight[0], together.weight[1])


def test_every_trial_of_a_batch_norm_is_torchs_in_training_and_evaluation() -> None:
    stacked = StackedBatchNorm(2, 5).double()
    singles = [nn.BatchNorm1d(5, dtype=torch.float64) for _ in range(2)]
    with torch.no_grad():
        stacked.weight.copy_(random(2, 5, seed=1))
        stacked.bias.copy_(random(2, 5, seed=2))
        for trial, single in enumerate(singles):
            single.weight.copy_(stacked.weight[trial])
            single.bias.copy_(stacked.bias[trial])
    for step, mode in enumerate((True, True, True, False)):
        stacked.train(mode)
        x = (3 * random(2, 6, 5, seed=10 + step) + 1).requires_grad_()
        factors = random(2, 6, 5, seed=20 + step)
        outputs = stacked(x)
        (outputs * factors).sum().backward()
        for trial, single in enumerate(singles):
            single.train(mode)
            inputs = x[trial].detach().requires_grad_()
            expected = single(inputs)
            (expected * factors[trial]).sum().backward()
            torch.testing.assert_close(outputs[trial], expected, rtol=0, atol=1e-12)
            torch.testing.assert_close(x.grad[trial], inputs.grad, rtol=0, atol=1e-12)
            torch.testing.assert_close(stacked.weight.grad[trial], single.weight.grad, rtol=0, atol=1e-12)
            torch.testing.assert_close(stacked.running_mean[trial], single.running_mean, rtol=0, atol=1e-14)
            torch.testing.assert_close(stacked.running_var[trial], single.running_var, rtol=0, atol=1e-14)
