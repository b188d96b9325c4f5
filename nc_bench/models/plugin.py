"""A model of the user's own: what a plug-in returns, without its head."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from nc_bench.config import PluginModel
from nc_bench.models.backbones import HeadlessModel
from nc_bench.models.headless import without_head
from nc_bench.plugins import load_plugin


def plugin_model(config: PluginModel, shape: Sequence[int], samples: int, classes: int) -> HeadlessModel:
    """The module that the plug-in returns without its head, whose weight and bias are kept to start with.

    Its signature may have classes or num_classes, input_shape (of one sample) and samples (of the training split).
    Random numbers come from torch's global generator, seeded by the run. Raises PluginError where it cannot be
    imported or called or returns no module, and ConfigError as `without_head` does.
    """
    plugin = load_plugin("model.name", config.name, config.source)
    offered = {"classes": classes, "num_classes": classes, "input_shape": tuple(shape), "samples": samples}
    model = plugin(**plugin.keywords(config.arguments, offered))
    if not isinstance(model, nn.Module):
        raise plugin.refused(f"should return a torch.nn.Module, not a {type(model).__name__}")
    return without_head(model, config.name, shape, classes)
