"""Metrics of the user's own: plug-ins that are given the penultimate features, and return a number."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nc_bench.config import ConfigError, Record
from nc_bench.config.training import PluginMetric
from nc_bench.metrics.names import METRIC_NAMES
from nc_bench.models import Classifier
from nc_bench.plugins import Plugin, load_plugin
from nc_bench.recording.depth import DEPTH_NAMES

NOT_KEPT = "the features do not fit in memory"

TAKEN = frozenset({
    *METRIC_NAMES, *DEPTH_NAMES, "epoch", "step", "split", "layer", "seconds", "reasons", "objective", "learning_rate",
    "gradient_norm", "stationarity_residual", "feature_residual", "head_residual", "output_residual",
})  # fmt: skip
"""Columns that rows may have anyway."""

PROBE = 3
"""Samples of every class that a metric is tried on before anything is trained."""


class PluginMetrics:
    """The columns that `record.metrics` asks for, at the penultimate layer of both splits.

    A metric is given, by the names in its signature, features (n, d) and labels (n,), the head's weight (K, d) and bias
    (K,) or None, all in float64, and classes. It returns one number; NaN is an undefined one. Raises PluginError where
    one cannot be used, and ConfigError for a column that rows have already.
    """

    def __init__(self, record: Record, model: Classifier, classes: int) -> None:
        self.classes = classes
        self.metrics = [
            (metric, load_plugin(f"record.metrics.{index}.name", metric.name, metric.source))
            for index, metric in enumerate(record.metrics)
        ]
        columns = [metric.column_name for metric in record.metrics]
        for column in columns:
            if column in TAKEN or columns.count(column) > 1:
                raise ConfigError(f"record.metrics: rows have a column '{column}' already; give it another by column")
        if self.metrics:
            labels = torch.arange(classes, device=model.head.weight.device).repeat(PROBE)
            draw = torch.Generator().manual_seed(0)
            features = torch.randn(len(labels), model.width, generator=draw, dtype=torch.float64)
            self.values(features.to(labels.device), labels, model, 0)

    @torch.no_grad()
    def values(
        self, features: Tensor | None, labels: Tensor, model: Classifier, trial: int
    ) -> tuple[dict[str, float], dict[str, str]]:
        """By column the number, and why it is NaN. features: (n, d) of one trial, None where they are not kept."""
        values, reasons = dict[str, float](), dict[str, str]()
        bias = model.head.bias
        given = {
            "features": None if features is None else features.double(),
            "labels": labels,
            "weight": model.head.weight.detach()[trial].double(),
            "bias": None if bias is None else bias.detach()[trial].double(),
            "classes": self.classes,
        }
        for metric, plugin in self.metrics:
            column = metric.column_name
            values[column] = math.nan if features is None else _number(metric, plugin, given)
            if math.isnan(values[column]):
                reasons[column] = NOT_KEPT if features is None else f"{metric.name} returned NaN"
        return values, reasons


def _number(metric: PluginMetric, plugin: Plugin, given: Mapping[str, Any]) -> float:
    value = plugin(**plugin.keywords(metric.arguments, given))
    single = value.numel() == 1 if isinstance(value, Tensor) else np.ndim(value) == 0
    if not single:
        shape = f" of shape {tuple(value.shape)}" if hasattr(value, "shape") else ""
        raise plugin.refused(f"should return one number, not a {type(value).__name__}{shape}")
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        raise plugin.refused(f"should return a real number, not {value!r}") from None
