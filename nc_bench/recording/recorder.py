"""From a model and a split to the metrics of that split, through a tap on the raw module."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from nc_bench.config import Config
from nc_bench.constraints import ConstraintResiduals
from nc_bench.data import Images, select_rows
from nc_bench.distributed import SINGLE_PROCESS, Processes
from nc_bench.metrics import CollapseMetrics, Head, Measurement, TwoPassMetrics, measure_features
from nc_bench.metrics.accumulator import FEATURE_BUDGET
from nc_bench.models import Classifier
from nc_bench.recording.correct import correct_metrics
from nc_bench.recording.depth import DepthColumns, LayerRecording, depth_columns
from nc_bench.recording.model_state import eval_mode
from nc_bench.recording.stages import Stage
from nc_bench.recording.tap import FeatureTap
from nc_bench.runs.directory import PENULTIMATE

BATCH_ELEMENTS = 2**22
"""Numbers of one trial in one evaluation batch, counted over the widest of input and features.

The number of trials does not enter: in batches of another size a stacked trial would get other last bits than alone."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """What is measured: inputs (N, ...) shared by all trials, and each trial's labels (t, N)."""

    inputs: Tensor | Images
    labels: Int64[Tensor, "t n"]


@dataclass(frozen=True, kw_only=True)
class Recording:
    """What was measured on a split.

    layers: by name, the penultimate first, the others in the order in which they run. residuals: by how much each
    constraint is violated, by name, one number per trial. depth: what the layers say together, by layer and trial.
    correct: with `record.correct_only` the metrics of the samples that each trial classifies correctly, else empty.
    weight: the head's, as it multiplies the features; None where features are measured alone.
    """

    layers: dict[str, LayerRecording]
    residuals: dict[str, list[float]]
    depth: dict[str, list[DepthColumns]]
    correct: list[CollapseMetrics]
    weight: Float64[Tensor, "t k d"] | None

    @property
    def penultimate(self) -> LayerRecording:
        """The input of the head."""
        return self.layers[PENULTIMATE]

    @property
    def centres(self) -> dict[str, Float64[Tensor, "t k _"]]:
        """The class means of every layer: what the test split is judged by."""
        return {name: layer.class_means for name, layer in self.layers.items()}


class Recorder:
    """Measures splits of a classifier: eval mode, no autocast, TF32 off, float64 metrics (docs/metrics.md).

    `stages` (see `recorded_stages`) are measured besides the penultimate layer, without the head. Features beyond
    `budget` bytes, of all layers together, are computed a second time instead of being kept; the numbers are the same.
    Each of several processes measures its share of the samples, each sample once, in the state of rank 0's batch norm;
    all get the metrics, and the kept features, of all samples.
    """

    def __init__(
        self,
        model: Classifier,
        configs: Sequence[Config],
        classes: int,
        *,
        stages: Sequence[Stage] = (),
        budget: int = FEATURE_BUDGET,
        processes: Processes = SINGLE_PROCESS,
    ) -> None:
        self.processes = processes
        self.model, self.configs, self.classes, self.budget = model, configs, classes, budget
        self.stages = {stage.name: stage for stage in stages}

    @property
    def widths(self) -> dict[str, int]:
        """Numbers in a sample's features at every layer, in the order of depth."""
        stages = {name: stage.width for name, stage in self.stages.items()}
        return {**stages, PENULTIMATE: self.model.head.weight.shape[-1]}

    def keeps(self, split: Split) -> bool:
        """Whether the features of all layers fit in the budget, counted in float64."""
        return split.labels.numel() * sum(self.widths.values()) * torch.float64.itemsize <= self.budget

    @torch.no_grad()
    def record(
        self, split: Split, centres: Mapping[str, Float64[Tensor, "t k _"]] | None = None, *, hulls: bool = False
    ) -> Recording:
        """Every metric on this split; `centres` are those of the training split when the test split is measured.

        hulls: whether this is where `record.hull_overlap` asks for convex hulls.
        """
        record = self.configs[0].record
        head = Head(
            weight=self.model.head.weight.detach().double(),
            bias=None if self.model.head.bias is None else self.model.head.bias.detach().double(),
            output_map=self.model.output_bound,
        )
        residuals = ConstraintResiduals(self.configs, self.processes.gather)
        self.processes.broadcast_buffers(self.model)
        with eval_mode(self.model):
            measure = self._from_memory if self.keeps(split) else self._computed_twice
            layers = measure(split, head, centres or {}, residuals)
        depth = depth_columns(layers, self.readers(), split.labels, record, hulls=hulls)
        correct = []
        if record.correct_only:
            its_centres = (centres or {}).get(PENULTIMATE)
            correct = correct_metrics(layers[PENULTIMATE].features, split.labels, head, its_centres)
        return Recording(
            layers=layers,
            residuals=residuals.compute(head.weight),
            depth=depth,
            correct=correct,
            weight=head.weight,
        )

    def readers(self) -> dict[str, Float64[Tensor, "t o d"] | None]:
        """The weight that reads each layer, None where that is no linear layer; in the order of depth."""
        trials, readers = len(self.configs), {name: stage.reader for name, stage in self.stages.items()}
        weights: dict[str, Tensor | None] = {}
        for name, reader in {**readers, PENULTIMATE: "head"}.items():
            weight = self.model.get_parameter(f"{reader}.weight").detach().double() if reader else None
            weights[name] = None if weight is None else weight.reshape(trials, *weight.shape[-2:])
        return weights

    def _from_memory(
        self, split: Split, head: Head, centres: Mapping[str, Tensor], residuals: ConstraintResiduals
    ) -> dict[str, LayerRecording]:
        parts: dict[str, list[Tensor]] = {}
        share, gather = self.processes.local_slice(split.labels.shape[1]), self.processes.gather
        for batch, _ in self._batches(split, residuals):
            for name, features in batch.items():
                parts.setdefault(name, []).append(features)
        layers = {}
        for name in list(parts):
            features = torch.cat(parts.pop(name), 1)
            its_head = head if name == PENULTIMATE else None
            measured = measure_features(
                features,
                split.labels[:, share],
                classes=self.classes,
                head=its_head,
                centres=centres.get(name),
                gather=gather,
            )
            layers[name] = _layer(measured, self.processes.concatenate(features, split.labels.shape[1], dim=1))
        return layers

    def _computed_twice(
        self, split: Split, head: Head, centres: Mapping[str, Tensor], residuals: ConstraintResiduals
    ) -> dict[str, LayerRecording]:
        gather = self.processes.gather
        heads = {PENULTIMATE: head, **dict.fromkeys(self.stages)}
        metrics = {name: TwoPassMetrics(self.classes, h, centres.get(name), gather) for name, h in heads.items()}
        for second in (False, True):
            for batch, labels in self._batches(split, residuals):
                for name, features in batch.items():
                    (metrics[name].second_pass if second else metrics[name].first_pass)(features, labels)
        return {name: _layer(passes.result(), None) for name, passes in metrics.items()}

    def _batches(self, split: Split, residuals: ConstraintResiduals) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
        """Features of every layer by name, the penultimate first, and their labels, of this process's share."""
        share = self.processes.local_slice(split.labels.shape[1])
        mine, own_labels = select_rows(split.inputs, share), split.labels[:, share]
        trials = len(split.labels)
        width = max(math.prod(split.inputs.shape[1:]), *self.widths.values())
        rows = max(1, BATCH_ELEMENTS // width)
        outputs = {stage.module: stage.features for stage in self.stages.values()}
        with FeatureTap(self.model, self.model.head, outputs=outputs) as tap:
            for inputs, labels in zip(mine.split(rows), own_labels.split(rows, 1), strict=True):
                logits = self.model(inputs.expand(trials, *inputs.shape))
                features = {PENULTIMATE: tap.features}
                features |= {name: tap.outputs[stage.module] for name, stage in self.stages.items()}
                residuals.update(features[PENULTIMATE], logits)
                yield features, labels


def _layer(measured: Measurement, features: Tensor | None) -> LayerRecording:
    return LayerRecording(metrics=measured.metrics, class_means=measured.class_means, features=features)
