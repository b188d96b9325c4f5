"""From a model and a split to the metrics of that split, through a tap on the raw module."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from nc_bench.config import Config
from nc_bench.metrics import CollapseMetrics, Head, measure, measure_features
from nc_bench.models import Classifier
from nc_bench.recording.residuals import ConstraintWatch
from nc_bench.recording.tap import FeatureTap

FEATURE_BUDGET = 2**31
"""Bytes of features kept in memory between the two looks of a measurement; beyond it they are computed again."""

BATCH_ELEMENTS = 2**22
"""Numbers in one evaluation batch, counted over trials and the wider of input and features."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """What is measured: inputs (N, ...) shared by all trials, and each trial's labels (t, N)."""

    inputs: Tensor
    labels: Int64[Tensor, "t n"]


@dataclass(frozen=True, kw_only=True)
class Recording:
    """Metrics per trial, the class means they were taken around, the features if they fit in memory, and by
    how much each constraint is violated (by name, one number per trial)."""

    metrics: list[CollapseMetrics]
    class_means: Float64[Tensor, "t k d"]
    features: Tensor | None
    residuals: dict[str, list[float]]


class Recorder:
    """Measures splits of a classifier: eval mode, no autocast, TF32 off, float64 metrics (METRICS.md).

    Features beyond `budget` bytes are computed a second time instead of being kept; the numbers are the same.
    """

    def __init__(
        self, model: Classifier, configs: Sequence[Config], classes: int, budget: int = FEATURE_BUDGET
    ) -> None:
        self.model, self.configs, self.classes, self.budget = model, configs, classes, budget

    @torch.no_grad()
    def record(self, split: Split, centres: Float64[Tensor, "t k d"] | None = None) -> Recording:
        """Every metric on this split; `centres` are the training means when the test split is measured."""
        head = Head(
            weight=_double(self.model.head.weight),
            bias=None if self.model.head.bias is None else _double(self.model.head.bias),
            output_map=self.model.output_ball,
        )
        watch = ConstraintWatch(self.configs)
        features: Tensor | None = None
        with measuring(self.model):
            if split.labels.numel() * head.weight.shape[-1] * head.weight.element_size() <= self.budget:
                features = torch.cat([part for part, _ in self._features(split, watch)], 1)
                result = measure_features(features, split.labels, classes=self.classes, head=head, centres=centres)
            else:
                look = partial(self._features, split, watch)
                result = measure(look, classes=self.classes, head=head, centres=centres)
        return Recording(
            metrics=result.metrics,
            class_means=result.class_means,
            features=features,
            residuals=watch.residuals(head.weight),
        )

    def _features(self, split: Split, watch: ConstraintWatch) -> Iterator[tuple[Tensor, Tensor]]:
        trials = len(split.labels)
        width = max(split.inputs[0].numel(), self.model.head.weight.shape[-1])
        rows = max(1, BATCH_ELEMENTS // (trials * width))
        with FeatureTap(self.model, self.model.head) as tap:
            for inputs, labels in zip(split.inputs.split(rows), split.labels.split(rows, 1), strict=True):
                outputs = self.model(inputs.expand(trials, *inputs.shape))
                features = _measurable(tap.features)
                watch.see(features, _measurable(outputs))
                yield features, labels


def _double(tensor: Tensor) -> Tensor:
    return _measurable(tensor.detach()).to(torch.float64)


def _measurable(tensor: Tensor) -> Tensor:
    """On a device with float64: Apple's has none, so its features are measured on the CPU."""
    return tensor.cpu() if tensor.device.type == "mps" else tensor


@contextmanager
def measuring(model: torch.nn.Module) -> Iterator[None]:
    """Eval mode, autocast and TF32 off, and everything as it was afterwards."""
    training, matmul = model.training, torch.backends.cuda.matmul.allow_tf32
    convolution = torch.backends.cudnn.allow_tf32
    device = next(model.parameters()).device.type
    model.eval()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    try:
        with torch.autocast(device_type=device, enabled=False):
            yield
    finally:
        model.train(training)
        torch.backends.cuda.matmul.allow_tf32 = matmul
        torch.backends.cudnn.allow_tf32 = convolution
