"""Hooks that catch the penultimate features of any model and the outputs of other modules; eval mode to call it in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from nc_bench.metrics import full_precision
from nc_bench.models.layers import StackedLinear

LINEAR_LAYERS = (nn.Linear, StackedLinear)


class FeatureTap:
    """Context manager: `features` is the input of the last linear layer in the latest forward pass.

    model: any torch module; call it as usual inside the `with` block. layer: a module of the model, or its
    dotted name; by default the linear layer that runs last in a forward pass, so h(x) = W f(x) + b with
    f(x) = `features` (E & Wojtowytsch 2021, (1.1)). `tapped` is that layer. Features come detached, in the
    model's own precision; put the model in eval mode and switch autocast off yourself if you are measuring.
    The hooks are removed on any exit from the block.

    outputs: dotted names of further modules, whose output in the latest forward pass is kept in the mapping
    `outputs`, each with a function that is applied to it at once, so that only what it returns is held in memory.

    Raises ValueError if the model is no module that can be tapped (a state dict, TorchScript), has no linear layer, or
    no module called as `layer` or `outputs` say;
    RuntimeError if `features` is read before a forward pass went through the layer (a compiled model does not run
    hooks: call the raw one).
    """

    def __init__(
        self,
        model: Any,
        layer: Any = None,
        *,
        outputs: Mapping[str, Callable[[Any], Any]] | None = None,
    ) -> None:
        _check_model(model)
        self._layers = _candidates(model, layer)
        self._taps = [(name, _module(model, name), reduce) for name, reduce in (outputs or {}).items()]
        self.outputs: dict[str, Any] = {}
        self._handles: list[torch.utils.hooks.RemovableHandle] = []
        self._features: Tensor | None = None
        self._tapped: nn.Module | None = None

    @property
    def features(self) -> Tensor:
        """Input of the tapped layer in the latest forward pass, (..., d)."""
        if self._features is None:
            names = "the layer" if len(self._layers) == 1 else "a linear layer"
            raise RuntimeError(f"no features: no forward pass has gone through {names} (call the raw model)")
        return self._features

    @property
    def tapped(self) -> nn.Module:
        """The layer whose input `features` is."""
        _ = self.features
        assert self._tapped is not None
        return self._tapped

    def __enter__(self) -> FeatureTap:
        self._handles = [layer.register_forward_pre_hook(self._catch, with_kwargs=True) for layer in self._layers]
        for name, module, reduce in self._taps:
            self._handles.append(module.register_forward_hook(partial(self._catch_output, name, reduce)))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _catch(self, layer: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        given: Tensor = arguments[0] if arguments else next(iter(keywords.values()))
        self._features, self._tapped = given.detach(), layer

    def _catch_output(
        self, name: str, reduce: Callable[[Any], Any], module: nn.Module, given: tuple[Any, ...], output: Any
    ) -> None:
        # Removed first: the mapping keeps the order in which the modules ran.
        self.outputs.pop(name, None)
        self.outputs[name] = reduce(output.detach() if isinstance(output, Tensor) else output)


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Inside the block the model is in eval mode, without autocast or TF32; afterwards everything is as before."""
    training = model.training
    model.eval()
    try:
        with full_precision(next(model.parameters()).device):
            yield
    finally:
        model.train(training)


def _check_model(model: Any) -> None:
    if isinstance(model, torch.jit.ScriptModule):
        raise ValueError(
            "model is TorchScript, in which layers cannot be tapped: build the nn.Module that it was made of, give it "
            "the weights with load_state_dict(scripted.state_dict()), and tap that"
        )
    if isinstance(model, Mapping):
        raise ValueError("model is a mapping, as a state dict is: build the nn.Module and give it load_state_dict(...)")
    if not isinstance(model, nn.Module):
        raise ValueError(f"model must be an nn.Module, got {type(model).__name__}")


def _module(model: nn.Module, name: str) -> nn.Module:
    try:
        return model.get_submodule(name)
    except AttributeError:
        raise ValueError(f"the model has no module {name!r}") from None


def _candidates(model: nn.Module, layer: Any) -> list[nn.Module]:
    if isinstance(layer, nn.Module):
        if not any(layer is module for module in model.modules()):
            raise ValueError("the layer to tap is not a module of the model")
        return [layer]
    named = dict(model.named_modules())
    if layer is not None and not isinstance(layer, str):
        raise ValueError(f"layer must be a module of the model or its dotted name, got {type(layer).__name__}")
    if layer is not None:
        if layer not in named:
            linear = [name for name, module in named.items() if isinstance(module, LINEAR_LAYERS)]
            raise ValueError(f"the model has no layer {layer!r}; its linear layers: {', '.join(linear) or 'none'}")
        return [named[layer]]
    found: list[nn.Module] = [module for module in named.values() if isinstance(module, LINEAR_LAYERS)]
    if not found:
        raise ValueError("the model has no linear layer to tap; name one with layer=...")
    return found
