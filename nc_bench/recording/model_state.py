"""A model and a loader that are somebody else's: used in eval mode, on a device, and afterwards as they were."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from nc_bench.errors import UserError
from nc_bench.metrics import full_precision


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Inside the block the model is in eval mode, without autocast or TF32; afterwards everything is as before."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with full_precision(device_of(model)):
            yield
    finally:
        for module in training:
            module.training = True


@contextmanager
def kept_buffers(model: nn.Module) -> Iterator[None]:
    """Afterwards the model's buffers hold what they held before: some modules count calls also in eval mode."""
    before = [(buffer, buffer.clone()) for buffer in model.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, values in before:
                if not torch.equal(buffer, values):
                    buffer.copy_(values)


@contextmanager
def on_device(model: nn.Module, device: Any) -> Iterator[torch.device]:
    """Inside the block the model is on this device, by default where it is; afterwards where it was."""
    here = device_of(model)
    try:
        there = here if device is None else torch.device(device)
    except (RuntimeError, TypeError):
        raise UserError(f"device must be cpu, cuda or cuda:N, got {device!r}") from None
    if there == here or (there.index is None and there.type == here.type):
        yield here
        return
    if there.type == "cuda" and (there.index or 0) >= torch.cuda.device_count():
        raise UserError(f"device: {there} asked for, but torch sees {torch.cuda.device_count()} CUDA devices")
    if len({tensor.device for tensor in (*model.parameters(), *model.buffers())}) > 1:
        raise UserError("the model is spread over several devices: leave device out")
    try:
        yield device_of(model.to(there))
    finally:
        model.to(here)


@contextmanager
def kept_generators(loader: Iterable[Any]) -> Iterator[None]:
    """Afterwards the generators of a DataLoader and its sampler are as they were before."""
    sampler = getattr(loader, "sampler", None)
    owned = [getattr(owner, "generator", None) for owner in (loader, sampler)]
    before = [(own, own.get_state()) for own in owned if isinstance(own, torch.Generator)]
    try:
        yield
    finally:
        for own, state in before:
            own.set_state(state)


def device_of(model: nn.Module) -> torch.device:
    """The device of the model's first parameter or buffer; the CPU if it has none."""
    for tensors in (model.parameters(), model.buffers()):
        for tensor in tensors:
            return tensor.device
    return torch.device("cpu")
