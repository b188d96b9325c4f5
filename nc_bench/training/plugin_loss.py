"""A loss of the user's own: a plug-in, called with the logits and labels of one trial and checked before training."""

from __future__ import annotations

import inspect

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from nc_bench.config import Objective
from nc_bench.plugins import Plugin, load_plugin

PROBE = 5
"""Samples that a loss is tried on before anything is trained."""


class PluginLoss:
    """outputs (1, n, K) and labels (1, n) -> losses (1, n), by a function of (n, K) and (n,).

    A plug-in that is a class, as those of torch.nn with `reduction: none`, is made once with the arguments, and its
    object called. Raises PluginError where the plug-in cannot be used: see `load_plugin`, or it returns something else
    than a floating-point number for each sample that a gradient leads back from to the logits.
    """

    def __init__(self, settings: Objective, classes: int, like: Tensor) -> None:
        plugin = load_plugin("objective.loss", settings.loss, settings.source)
        if inspect.isclass(plugin.value):
            made = plugin(**plugin.keywords(settings.arguments, {"classes": classes}))
            if not callable(made):
                raise plugin.refused(f"makes a {type(made).__name__}, which cannot be called with logits and labels")
            if isinstance(made, nn.Module):
                if any(True for _ in made.parameters()):
                    raise plugin.refused("has parameters, and nothing would train them")
                made = made.to(like.device, like.dtype)
            self.keywords, self.plugin = {}, Plugin(key=plugin.key, path=plugin.path, value=made)
        else:
            self.keywords = plugin.keywords(settings.arguments, {"classes": classes}, positional=2)
            self.plugin = plugin
        self._try(classes, like)

    def __call__(self, outputs: Float[Tensor, "1 n k"], labels: Int64[Tensor, "1 n"]) -> Float[Tensor, "1 n"]:
        losses = self.plugin(outputs[0], labels[0], **self.keywords)
        self._check(losses, outputs[0])
        return losses.to(outputs)[None]

    def _check(self, losses: object, outputs: Tensor) -> None:
        if not isinstance(losses, Tensor):
            raise self.plugin.refused(f"should return a tensor of losses, not a {type(losses).__name__}")
        if losses.shape != outputs.shape[:1]:
            hint = "; for a loss of torch.nn state arguments: {reduction: none}" if losses.ndim == 0 else ""
            raise self.plugin.refused(
                f"should return a loss for each of {len(outputs)} samples, not a tensor of shape "
                f"{tuple(losses.shape)}{hint}"
            )
        if not losses.is_floating_point():
            raise self.plugin.refused(f"should return floating-point numbers, not {losses.dtype}")

    def _try(self, classes: int, like: Tensor) -> None:
        outputs = torch.linspace(-1, 1, PROBE * classes, dtype=like.dtype, device=like.device).view(PROBE, classes)
        labels = torch.arange(PROBE, device=like.device) % classes
        with torch.enable_grad():
            losses = self(outputs.requires_grad_()[None], labels[None])
        if not losses.requires_grad:
            raise self.plugin.refused("its losses have no gradient with respect to the logits")
