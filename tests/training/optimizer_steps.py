"""What the tests of optimizers share: a small model, gradients for it, and resumption."""

from __future__ import annotations

import copy
import io
from typing import Any

import torch
from torch import Tensor, nn

from nc_bench.config import Config
from nc_bench.models import Classifier, build_classifier
from nc_bench.training.optimizers import build_optimizer


def classifier(*configs: Config, dtype: torch.dtype = torch.float64) -> Classifier:
    return build_classifier(configs, input_shape=(5,), samples=7, classes=3).to(dtype)


def gradients(model: nn.Module, step: int, *, size: float = 1.0) -> list[Tensor]:
    """Gradients of a step, the same for models of equal shapes."""
    random = torch.Generator().manual_seed(step)
    drawn = [size * torch.randn(p.shape, generator=random, dtype=torch.float64) for p in model.parameters()]
    return [draw.to(p.dtype) for draw, p in zip(drawn, model.parameters(), strict=True)]


def set_gradients(model: nn.Module, values: list[Tensor]) -> None:
    for parameter, value in zip(model.parameters(), values, strict=True):
        parameter.grad = value.clone()


def assert_resumed_bit_for_bit(config: Config) -> None:
    """The state of an optimizer, saved and loaded in the middle, leads to the same parameters."""
    model = classifier(config)
    optimizer = build_optimizer(model, [config])

    def steps(model: Classifier, optimizer: Any, numbers: range) -> None:
        for step in numbers:
            set_gradients(model, gradients(model, step))
            optimizer.step(1 / (1 + step))

    steps(model, optimizer, range(4))
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    later = copy.deepcopy(model)
    fresh = build_optimizer(later, [config])
    fresh.load_state_dict(torch.load(file, weights_only=True))
    steps(model, optimizer, range(4, 9))
    steps(later, fresh, range(4, 9))
    assert all(map(torch.equal, model.parameters(), later.parameters()))
