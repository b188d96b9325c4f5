"""Hooks that catch the penultimate features of any model and the outputs of other modules."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from nc_bench.errors import UserError
from nc_bench.metrics import full_precision
from nc_bench.models.heads import FoundHead, dense, find_head, head_rows, output_tensors, two_classes, verify_head
from nc_bench.models.layers import StackedLinear
from nc_bench.models.linear_layers import is_linear, named_layers, of_one_trial, plain_name, unwrapped, weight_and_bias
from nc_bench.recording.model_state import eval_mode
from nc_bench.rng import kept_global_generators
from nc_bench.text import did_you_mean

LINEAR_LAYERS = (nn.Linear, StackedLinear)


class FeatureTap:
    """Context manager: `features` f are the input of the layer whose output is the model's, in the latest forward pass.

    model: any torch module, also compiled (inside the block it runs uncompiled), in DistributedDataParallel or FSDP;
    call it as usual inside the `with` block. The layer is found by one more forward pass, in eval mode, on the first
    batch: a linear layer, or a convolution of one pixel, with h(x) = W f(x) + b (E & Wojtowytsch 2021, (1.1)), which
    is then verified in every forward pass. `features` are (N, d) where the outputs are (N, K), also where the layer
    sees a map that is averaged, or tokens of which one is picked; where the model returns an output for each token,
    they are (N, T, d): measure one token, `features[:, 0]`, or each with a label of its own, `features.flatten(0, 1)`.
    A log-softmax or softmax after the layer is no part of it; of a model with one logit z `weight` has the two rows
    -w/2 and w/2, whose softmax is the sigmoid of z.

    layer: a module of the model, or its dotted name, whose input is tapped instead, as it comes and unverified.

    `tapped` is the layer, `name` its dotted name, `weight` (K, d) and `bias` (K,) or None are its W and b in that
    forward pass. All are copies without a graph, in the model's own precision; in training mode the tap warns, and it
    leaves autocast to you. The hooks are removed on any exit from the block.

    outputs: dotted names of further modules, whose output in the latest forward pass is kept in the mapping
    `outputs`, each with a function that is applied to it at once, so that only what it returns is held in memory.

    Raises UserError (a ValueError), one line, if the model is no module that can be tapped (a state dict, TorchScript),
    has no linear layer, or no module called as `layer` or `outputs` say; inside a forward pass, if no layer's output is
    the model's output, several are, it is an average of heads, or the head runs twice. RuntimeError if `features` is
    read before a forward pass went through the layer.
    """

    def __init__(
        self,
        model: Any,
        layer: Any = None,
        *,
        outputs: Mapping[str, Callable[[Any], Any]] | None = None,
    ) -> None:
        _check_model(model)
        self._root, self._compiled = unwrapped(model), _is_compiled(model)
        self._names = {module: name for name, module in named_layers(model).items()}
        self._layers = _candidates(model, layer)
        self.searches, self._head = layer is None, None if layer is None else FoundHead(name="", layer=self._layers[0])
        self._taps = [(name, _module(model, name), reduce) for name, reduce in (outputs or {}).items()]
        self.outputs: dict[str, Any] = {}
        self._exit = ExitStack()
        self._calls = 0
        self._input: Tensor | None = None
        self._output: Tensor | None = None
        self._features: Tensor | None = None
        self._weight: tuple[Tensor, Tensor | None] | None = None

    @property
    def features(self) -> Tensor:
        """Input of the tapped layer in the latest forward pass, (N, d), or as the layer was given it."""
        if self._features is None:
            names = "the layer" if len(self._layers) == 1 else "a linear layer"
            raise RuntimeError(f"no features: no forward pass of the tapped model has gone through {names}")
        return self._features

    @property
    def tapped(self) -> nn.Module:
        """The layer whose input `features` is."""
        _ = self.features
        assert self._head is not None
        return self._head.layer

    @property
    def name(self) -> str:
        """The dotted name of that layer in the model, without what wrappers add to it."""
        return self._names[self.tapped]

    @property
    def weight(self) -> Tensor:
        """W (K, d) of that layer; UserError if it is not linear."""
        return self._linear()[0]

    @property
    def bias(self) -> Tensor | None:
        """b (K,) of that layer, None if it has none."""
        return self._linear()[1]

    def _linear(self) -> tuple[Tensor, Tensor | None]:
        layer = self.tapped
        return two_classes(*(self._weight or weight_and_bias(self.name, layer)))

    def __enter__(self) -> FeatureTap:
        with ExitStack() as hooks:
            if self._compiled:
                # Compiled code runs no hooks that came after it.
                hooks.enter_context(torch.compiler.set_stance("force_eager"))
            if self.searches:
                root = self._root
                hooks.callback(root.register_forward_pre_hook(self._before_model, with_kwargs=True).remove)
            for layer in self._layers:
                hooks.callback(layer.register_forward_pre_hook(self._before_layer, with_kwargs=True).remove)
                if self.searches:
                    hooks.callback(layer.register_forward_hook(self._after_layer).remove)
            for name, module, reduce in self._taps:
                hooks.callback(module.register_forward_hook(partial(self._catch_output, name, reduce)).remove)
            if self.searches:
                hooks.callback(self._root.register_forward_hook(self._after_model).remove)
            self._exit = hooks.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._exit.close()

    def _before_model(self, root: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        self._calls = 0
        if self._head is None:
            with kept_global_generators(), eval_mode(root):
                # Not `root(...)`: that would run this hook again.
                self._head = find_head(root, lambda: root.forward(*arguments, **keywords))

    def _before_layer(self, layer: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        if self._head is None or layer is not self._head.layer:
            return
        if self._root.training:
            warnings.warn(
                "the tapped model is in training mode, where dropout and batch norm change its features: "
                "call model.eval() first",
                stacklevel=2,
            )
        given: Tensor = arguments[0] if arguments else next(iter(keywords.values()))
        # A copy: what comes next may work in place.
        self._input, self._calls = dense(given).clone(), self._calls + 1
        if not self.searches:
            self._features = self._input
        if is_linear(layer):
            # Copied here: where FSDP shards them, they are whole only now.
            weight, bias = weight_and_bias(self._names[layer], layer)
            self._weight = weight.clone(), None if bias is None else bias.clone()

    def _after_layer(self, layer: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
        if self._head is not None and layer is self._head.layer:
            self._output = dense(output).clone()

    def _after_model(self, root: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
        head, shown = self._head, output_tensors(output)
        assert head is not None
        if self._calls != 1 or self._input is None or self._output is None or self._weight is None:
            raise UserError(f"the head {self._names[head.layer]!r} ran {self._calls} times in a forward pass, not once")
        if head.key not in shown:
            raise UserError("the model's output has another form in this forward pass than in the first, in eval mode")
        logits = shown[head.key]
        self._features = head_rows(head, self._input, self._output, logits)
        with full_precision(self._input.device):
            if head.places != "all":
                self._weight = of_one_trial(*self._weight)
            verify_head(head, self._features, *self._weight, self._output, logits)
        self._input = self._output = None

    def _catch_output(
        self, name: str, reduce: Callable[[Any], Any], module: nn.Module, given: tuple[Any, ...], output: Any
    ) -> None:
        # Removed first: the mapping keeps the order in which the modules ran.
        self.outputs.pop(name, None)
        self.outputs[name] = reduce(output.detach() if isinstance(output, Tensor) else output)


def _is_compiled(model: nn.Module) -> bool:
    return any(module._compiled_call_impl is not None or "_orig_mod" in module._modules for module in model.modules())


def _check_model(model: Any) -> None:
    if isinstance(model, torch.jit.ScriptModule):
        raise UserError(
            "model is TorchScript, in which layers cannot be tapped: build the nn.Module that it was made of, give it "
            "the weights with load_state_dict(scripted.state_dict()), and tap that"
        )
    if isinstance(model, Mapping):
        raise UserError("model is a mapping, as a state dict is: build the nn.Module and give it load_state_dict(...)")
    if not isinstance(model, nn.Module):
        raise UserError(f"model must be an nn.Module, got {type(model).__name__}")


def _module(model: nn.Module, name: str) -> nn.Module:
    named = named_layers(model)
    if name not in named:
        raise UserError(f"the model has no module {name!r}{_hint(name, named)}")
    return named[name]


def _candidates(model: nn.Module, layer: Any) -> list[nn.Module]:
    if isinstance(layer, nn.Module):
        if not any(layer is module for module in model.modules()):
            raise UserError("the layer to tap is not a module of the model")
        return [layer]
    named = named_layers(model)
    linear = {name: module for name, module in named.items() if is_linear(module)}
    if layer is None:
        if not linear:
            raise UserError("the model has no linear layer to tap; name one with layer=...")
        return list(linear.values())
    if not isinstance(layer, str):
        raise UserError(f"layer must be a module of the model or its dotted name, got {type(layer).__name__}")
    for name in (layer, plain_name(layer), plain_name(layer).removeprefix("module.")):
        if name in named:
            return [named[name]]
    shown = ", ".join([name or "the model itself" for name in linear][-3:])
    raise UserError(f"the model has no layer {layer!r}{_hint(layer, named)}; its last linear layers: {shown or 'none'}")


def _hint(name: str, known: Mapping[str, nn.Module]) -> str:
    hint = did_you_mean(name, [other for other in known if other], most=3)
    return f"; {hint}" if hint else ""
