"""The forward pass of a training step: its precision and memory layout, compiled or not. Measurements do not use it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor, nn

from nc_bench.config import Config, ConfigError
from nc_bench.distributed import SINGLE_PROCESS, Processes
from nc_bench.models import Classifier
from nc_bench.text import first_line

VECTOR = 16
"""Most float32 numbers in a vector register of a CPU."""


class TrainingForward:
    """inputs (t, n, ...) -> features (t, n, d) and outputs (t, n, K), in the type of the model's parameters.

    With `training.autocast` the layers that torch's autocast lists run in bfloat16, parameters and update stay as they
    are; with `training.channels_last` convolutions see images with the channels innermost; with `training.compile`
    torch.compile makes one program of it, for every size of batch its own, so that a resumed run repeats it. Of several
    processes each gives its own inputs, and gets gradients averaged over all.
    Raises ConfigError where the device has no bfloat16, torch.compile does not work, or gradients would be wrong.
    """

    def __init__(
        self, model: Classifier, config: Config, device: torch.device, processes: Processes = SINGLE_PROCESS
    ) -> None:
        self.model, self.device, self.training, self.processes = model, device, config.training, processes
        if config.training.autocast == "bfloat16":
            check_bfloat16(device)
        if config.training.channels_last:
            check_channels_last(model, device)
        if config.training.compile:
            check_compiler(device)

    @cached_property
    def run(self) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        """x -> f(x), h(x); made in the first step, because all processes have to make it together."""
        joint = self.processes.average_gradients(_FeaturesAndOutputs(self.model))
        return torch.compile(joint, dynamic=False) if self.training.compile else joint

    def __call__(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        if self.training.channels_last:
            # With a single channel torch takes either layout for the other, and only a copy has strides that say which.
            innermost = inputs[0].permute(0, 2, 3, 1).clone(memory_format=torch.contiguous_format)
            inputs = innermost.permute(0, 3, 1, 2)[None]
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.training.autocast == "bfloat16"):
            features, outputs = self.run(inputs)
        dtype = self.model.head.weight.dtype
        return features.to(dtype), outputs.to(dtype)


class _FeaturesAndOutputs(nn.Module):
    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        features = self.model.backbone(inputs)
        return features, self.model.outputs(features)


def check_bfloat16(device: torch.device) -> None:
    """Raises ConfigError where the device cannot multiply in bfloat16."""
    refusal = f"training.autocast: {device} cannot multiply in bfloat16"
    # Older GPUs emulate it, slower than float32 would be.
    if device.type == "cuda" and torch.version.hip is None and torch.cuda.get_device_capability(device) < (8, 0):
        raise ConfigError(f"{refusal} ({torch.cuda.get_device_name(device)}); set training.autocast: none")
    try:
        ones = torch.ones(2, 2, device=device, dtype=torch.bfloat16)
        torch.mm(ones, ones)
    except (RuntimeError, TypeError) as error:
        raise ConfigError(f"{refusal} ({first_line(error)}); set training.autocast: none") from None


def check_channels_last(model: nn.Module, device: torch.device) -> None:
    """Raises ConfigError where a CPU would compute wrong gradients, or hang.

    With channels innermost, oneDNN's gradient of the weights of a strided 1 x 1 convolution writes past its memory
    where there are fewer input channels than a vector register holds numbers (its issue 6035).
    """
    narrow = [
        module.in_channels
        for module in model.modules()
        if isinstance(module, nn.Conv2d) and set(module.kernel_size) == {1} and max(module.stride) > 1
    ]
    if device.type == "cpu" and narrow and min(narrow) < VECTOR:
        raise ConfigError(
            f"training.channels_last: gradients of a strided 1 x 1 convolution of {min(narrow)} channels would be "
            f"wrong on a CPU; set training.channels_last: false, or a model.width_multiplier with {VECTOR} channels"
        )


def check_compiler(device: torch.device) -> None:
    """Raises ConfigError where torch.compile does not work, as without a C++ compiler."""
    compiled = torch.compile(_probe, dynamic=False, options={"fx_graph_cache": False})
    try:
        compiled(torch.ones(2, device=device))
    except (RuntimeError, ImportError, OSError) as error:
        raise ConfigError(
            f"training.compile: torch.compile does not work here ({first_line(error)}); set training.compile: false"
        ) from None


def _probe(x: Tensor) -> Tensor:
    return x.sin() + 1
