"""Layers that compute W f + b: which modules they are, their weight and bias, their inputs and outputs as rows."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from nc_bench.errors import UserError
from nc_bench.models.layers import StackedLinear

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
WRAPPERS = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""Attributes under which torch.compile, FSDP and activation checkpointing keep the module that they wrap."""

QUANTIZED_EPSILON = 2.0**-6
"""Relative error of the outputs of a layer with 8-bit weights, whose inputs are rounded to 8 bits as well."""


def unwrapped(model: nn.Module) -> nn.Module:
    """The module inside torch.compile, DataParallel, DistributedDataParallel and FSDP."""
    while True:
        parallel = isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel)
        name = "module" if parallel else next((name for name in WRAPPERS if name in model._modules), None)
        if name is None:
            return model
        model = model.get_submodule(name)


def is_sharded(model: nn.Module) -> bool:
    """Whether FSDP keeps a part of its parameters in each process, so that a forward pass is one of all processes."""
    wrapped = any("_fsdp_wrapped_module" in module._modules for module in model.modules())
    return wrapped or any(hasattr(parameter, "full_tensor") for parameter in model.parameters())


def plain_name(name: str) -> str:
    """A dotted name without the parts that wrappers inside the model add to it."""
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def named_layers(model: nn.Module) -> dict[str, nn.Module]:
    """The modules of the unwrapped model by dotted name; of a wrapper and what it wraps, the latter."""
    return {plain_name(name): module for name, module in unwrapped(model).named_modules()}


def is_linear(layer: nn.Module) -> bool:
    """Whether it is a linear layer, a quantized one, or a convolution of one pixel, which is linear at every place."""
    if isinstance(layer, CONVOLUTIONS):
        ones = all(size == 1 for size in (*layer.kernel_size, *layer.stride, layer.groups))
        return ones and all(size == 0 for size in layer.padding)
    # Those of torch.ao.nn.quantized, and the transposed linear layer of GPT-2.
    kind = type(layer)
    named = kind.__name__ == "Conv1D" or (kind.__name__ == "Linear" and "quantized" in kind.__module__)
    return isinstance(layer, nn.Linear | StackedLinear) or named


def of_one_trial(weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """W (K, d) and b (K,) of a layer that stacks one trial; others as they are."""
    if weight.ndim == 3 and len(weight) == 1:
        return weight[0], None if bias is None else bias[0]
    return weight, bias


def weight_and_bias(name: str, layer: nn.Module) -> tuple[Tensor, Tensor | None]:
    """W (..., K, d) and b (..., K) of a layer, detached; UserError for a layer without a weight of numbers."""
    weight, bias = (_value(getattr(layer, part, None)) for part in ("weight", "bias"))
    if weight is not None and weight.is_quantized:
        weight = weight.dequantize()
    if weight is None or not weight.is_floating_point() or weight.ndim < 2:
        kind = "no weight" if weight is None else f"a weight of shape {tuple(weight.shape)} and dtype {weight.dtype}"
        raise UserError(
            f"layer {name!r} is a {type(layer).__name__} with {kind}, not one of numbers (K, d): "
            "tap a linear layer, or dequantize the model first"
        )
    if isinstance(layer, CONVOLUTIONS):
        weight = weight.flatten(1)
    elif type(layer).__name__ == "Conv1D":
        weight = weight.mT
    return weight.detach(), None if bias is None else bias.detach()


def epsilon(layer: nn.Module, output: Tensor) -> float:
    """Relative rounding error of the layer's output: that of its dtype, more with weights of 8 bits or with TF32."""
    weight = _value(getattr(layer, "weight", None))
    own = torch.finfo(output.dtype).eps
    if weight is not None and (weight.is_quantized or not weight.is_floating_point()):
        return QUANTIZED_EPSILON
    backends: Any = torch.backends
    part = backends.cuda.matmul if output.is_cuda else backends.mkldnn.matmul
    reduced = {"tf32": 2.0**-10, "bf16": 2.0**-7}.get(part.fp32_precision, 0.0)
    return max(own, reduced) if output.dtype == torch.float32 else own


def as_rows(layer: nn.Module, values: Tensor) -> Tensor:
    """Inputs or outputs of a layer as (N, places, width): a pixel or a token is a place, a plain vector has one.

    Of stacked trials there must be one.
    """
    if isinstance(layer, CONVOLUTIONS):
        values = values.movedim(1, -1)
    if isinstance(layer, StackedLinear) and len(values) == 1:
        values = values[0]
    return values[:, None] if values.ndim == 2 else values.flatten(1, -2)


def _value(part: Any) -> Tensor | None:
    """Quantized layers have methods where others have parameters; other quantized tensors know their numbers."""
    if callable(part) and not isinstance(part, Tensor):
        part = part()
    if not isinstance(part, Tensor):
        return None
    if hasattr(part, "full_tensor"):  # sharded over the processes of FSDP
        return part.full_tensor()
    return part.dequantize() if type(part).dequantize is not Tensor.dequantize else part
