"""`measure_model`: the metrics of anybody's model on anybody's loader, which leaves the model as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from nc_bench.distributed import SINGLE_PROCESS, Processes
from nc_bench.errors import UserError
from nc_bench.geometry.arrays import check_labels, classes_of
from nc_bench.metrics import CollapseMetrics, Head, Measurement, TwoPassMetrics
from nc_bench.metrics.accumulator import FEATURE_BUDGET
from nc_bench.metrics.feature_store import checked_budget
from nc_bench.metrics.head import OutputMap
from nc_bench.models.heads import output_tensors
from nc_bench.models.linear_layers import is_linear, of_one_trial
from nc_bench.recording.batches import Unpack
from nc_bench.recording.content import ContentDigest
from nc_bench.recording.fingerprint import Fingerprint
from nc_bench.recording.model_reader import ModelReader, numbered, opened_reader
from nc_bench.recording.tap import FeatureTap


def measure_model(
    model: Any,
    loader: Any,
    *,
    classes: Any = None,
    layer: Any = None,
    device: Any = None,
    unpack: Unpack | None = None,
    class_names: Sequence[str] | None = None,
    progress: bool | None = None,
    budget: Any = FEATURE_BUDGET,
    processes: Any = SINGLE_PROCESS,
) -> CollapseMetrics:
    """Neural-collapse metrics (docs/metrics.md) of a classifier on the samples of a loader.

    model: an nn.Module that returns logits (N, K), or a tuple, mapping or Hugging Face output with them; also compiled,
    in DistributedDataParallel or FSDP. Its head W f + b is found and verified on every batch, as `FeatureTap` says;
    one logit z is measured as two classes with the rows -w/2 and w/2. Where the model returns outputs for tokens or
    pixels, labels (N, T) give each its class, and those of -100 are left out.
    loader: an iterable of batches: pairs (inputs, labels), or mappings with `labels`, `label`, `targets`, `target` or
    `y`, whose other entries become keywords; else unpack(batch) -> (inputs, labels). Inputs that are a tuple are
    positional arguments. Labels are whole numbers in 0..K-1. Arrays and pandas tables are taken as tensors.
    classes: K, by default the outputs of the head. layer: a module or its dotted name to measure instead of the head,
    as one of two averaged heads; of a layer with other than `classes` outputs the features alone are measured.
    device: where to measure; by default where the model is. class_names stand in `per_class["name"]`.
    progress: a bar on the standard error, by default where that is a terminal.
    processes: `nc_bench.distributed.current_group()` where each process of torch.distributed has a share of the
    samples, at least one, in its own loader: all call this, and all get the metrics of all samples. By default a
    process measures its own samples alone.

    Features are kept on the CPU up to `budget` bytes (2 GiB); beyond it nothing is kept and the loader is read a second
    time, with the same random numbers. The values are those of `collapse_metrics` on the same features, to 1e-12 in
    float64 and 1e-6 in float32; at collapse every nc* is 0. The model runs in eval mode without gradients, autocast and
    TF32; modes, buffers, device, hooks and all global random generators are as before on any exit.

    Raises UserError (a ValueError), one line that names the batch: no labels, labels that are no whole numbers, out of
    range or of another number; features that are NaN or infinite; samples that differ between the two readings
    (random augmentation, other samples); and what `FeatureTap` raises. What the model itself raises goes through.
    """
    count, budget = None if classes is None else classes_of(classes), checked_budget(budget)
    if not isinstance(processes, Processes):
        raise UserError(f"processes must be nc_bench.distributed.current_group(), got {type(processes).__name__}")
    with opened_reader(model, loader, layer=layer, device=device, unpack=unpack, progress=progress) as reader:
        measured = _measured(reader, count, class_names, budget, processes=processes)
    return measured.measurement.metrics[0].with_names(class_names)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What was measured, with which head (None for a layer that is none), and of what.

    labels (N,) in the order of reading, on the CPU; features (N, d) likewise where they fit in memory, in their own
    `dtype`. trainable: whether the head's weight takes gradients.
    """

    measurement: Measurement
    head: Head | None
    trainable: bool
    labels: Int64[Tensor, "n"]
    features: Float[Tensor, "n d"] | None
    dtype: torch.dtype


Observer = Callable[[Float[Tensor, "n d"], Float[Tensor, "n k"] | None], None]
"""Sees the features and outputs of every batch once; no outputs where features are measured alone."""


def measure_samples(
    model: Any,
    loader: Any,
    *,
    classes: Any = None,
    layer: Any = None,
    device: Any = None,
    unpack: Unpack | None = None,
    budget: int = FEATURE_BUDGET,
    centres: Float64[Tensor, "1 k d"] | None = None,
    output_map: OutputMap | None = None,
    observe: Observer | None = None,
    content: ContentDigest | None = None,
) -> Measured:
    """As `measure_model`, with what else is known then. Raises NotFinite, a UserError, for NaN or infinity.

    centres: what nearest class means are looked for among, as those of the training split. output_map: follows the
    head, as the map onto a ball. content: takes in what the loader gives.
    """
    with opened_reader(model, loader, layer=layer, device=device, unpack=unpack, progress=False) as reader:
        count = None if classes is None else classes_of(classes)
        return _measured(
            reader, count, None, budget, centres=centres, output_map=output_map, observe=observe, content=content
        )


def probe_head(
    model: Any,
    loader: Any,
    *,
    classes: Any = None,
    layer: Any = None,
    device: Any = None,
    unpack: Unpack | None = None,
) -> tuple[Head | None, torch.dtype, bool]:
    """The head, found on the first batch, the dtype of the features, and whether the weight takes gradients.

    No head where `layer` is none, so that its features alone are measured. Raises what `measure_model` raises.
    """
    with opened_reader(model, loader, layer=layer, device=device, unpack=unpack, progress=False) as reader:
        for number, features, labels in reader.batches("first batch"):
            with numbered(number):
                head, count = _head(reader, None if classes is None else classes_of(classes))
                check_labels(labels, count)
            return head, features.dtype, _is_trainable(reader.tap)
    raise UserError("the loader has no samples to measure")


def _measured(
    reader: ModelReader,
    classes: int | None,
    class_names: Sequence[str] | None,
    budget: int,
    *,
    centres: Float64[Tensor, "1 k d"] | None = None,
    output_map: OutputMap | None = None,
    observe: Observer | None = None,
    content: ContentDigest | None = None,
    processes: Processes = SINGLE_PROCESS,
) -> Measured:
    asked = _Asked(
        classes=classes, class_names=class_names, centres=centres, output_map=output_map, processes=processes
    )
    first = processes.all_or_raise(lambda: _first_reading(reader, asked, budget, observe, content))
    metrics, kept = first.metrics, first.kept
    # Sums over the processes are formed here, and not where one process may fail and leave the others waiting.
    metrics.second_pass(first.none[None], first.labels[None, :0].to(reader.device))
    if processes.any(kept is None):
        kept = None
        processes.all_or_raise(lambda: _read_again(reader, metrics, first))
    else:
        for features, labels in kept or ():
            metrics.second_pass(features.to(reader.device)[None], labels.to(reader.device)[None])
    return Measured(
        measurement=metrics.result(),
        head=metrics.head,
        trainable=_is_trainable(reader.tap),
        labels=first.labels,
        features=None if kept is None else torch.cat([part for part, _ in kept]),
        dtype=first.none.dtype,
    )


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What is asked for: it makes the metrics once the first batch has shown the head."""

    classes: int | None
    class_names: Sequence[str] | None
    centres: Float64[Tensor, "1 k d"] | None
    output_map: OutputMap | None
    processes: Processes

    def metrics(self, reader: ModelReader) -> TwoPassMetrics:
        head, classes = _head(reader, self.classes)
        if self.class_names is not None and len(self.class_names) != classes:
            raise UserError(f"class_names holds {len(self.class_names)} names for {classes} classes")
        head = None if head is None else replace(head, output_map=self.output_map)
        return TwoPassMetrics(classes, head, self.centres, self.processes.gather)


@dataclass(frozen=True, kw_only=True)
class _FirstReading:
    """What the first reading leaves: the first pass is done, and features are kept where they fit in the budget.

    none: no features, of their width and dtype, on the reader's device.
    """

    metrics: TwoPassMetrics
    fingerprint: Fingerprint
    labels: Int64[Tensor, "n"]
    kept: list[tuple[Tensor, Tensor]] | None
    none: Float[Tensor, "0 d"]


def _first_reading(
    reader: ModelReader, asked: _Asked, budget: int, observe: Observer | None, content: ContentDigest | None
) -> _FirstReading:
    metrics: TwoPassMetrics | None = None
    every_label: list[Tensor] = []
    kept: list[tuple[Tensor, Tensor]] | None = []
    fingerprint, taken = Fingerprint(), 0
    for number, features, labels in reader.batches("first pass", content):
        with numbered(number):
            if metrics is None:
                metrics = asked.metrics(reader)
            check_labels(labels, metrics.classes)
        metrics.first_pass(features[None], labels[None])
        fingerprint.take_in(features, labels, metrics.classes)
        every_label.append(labels.cpu())
        if observe is not None:
            observe(features, None if metrics.head is None else reader.logits(metrics.head, features))
        taken += features.numel() * features.element_size()
        if taken > budget:
            kept = None
        elif kept is not None:
            kept.append((features.cpu(), every_label[-1]))
    if metrics is None:
        raise UserError("the loader has no samples to measure")
    return _FirstReading(
        metrics=metrics,
        fingerprint=fingerprint,
        labels=torch.cat(every_label),
        kept=kept,
        none=reader.tap.features.new_empty(0, metrics.first.sums.sums.shape[-1]),
    )


def _is_trainable(tap: FeatureTap) -> bool:
    return any(parameter.requires_grad for parameter in tap.tapped.parameters())


def _read_again(reader: ModelReader, metrics: TwoPassMetrics, first: _FirstReading) -> None:
    if isinstance(reader.loader, Iterator):
        raise UserError(
            "the features exceed the budget, and the loader can be read only once: give a DataLoader, or a larger "
            "budget= (bytes)"
        )
    second = Fingerprint()
    for number, features, labels in reader.batches("second pass"):
        with numbered(number):
            check_labels(labels, metrics.classes)
        metrics.second_pass(features[None], labels[None])
        second.take_in(features, labels, metrics.classes)
    why = first.fingerprint.differs_from(second)
    if why:
        raise UserError(
            f"the loader gives other samples when it is read a second time ({why}): switch random augmentation and "
            "resampling off, or give a budget= (bytes) in which all features fit"
        )


def _head(reader: ModelReader, classes: int | None) -> tuple[Head | None, int]:
    """The head of the tapped layer, None for a layer whose features alone are measured; and the number of classes."""
    tap = reader.tap
    if not is_linear(tap.tapped):
        if classes is None:
            raise UserError(f"layer {tap.name!r} is no linear layer: give classes= to measure its input")
        return None, classes
    weight, bias = of_one_trial(tap.weight, tap.bias)
    rows = len(weight)
    if classes not in (None, rows):
        if tap.searches:
            raise UserError(f"classes is {classes}, but the head {tap.name!r} has {rows} outputs")
        return None, classes
    widths = [size for tensor in output_tensors(reader.output).values() for size in tensor.shape[1:] or (1,)]
    if classes is None and rows not in widths and not (rows == 2 and 1 in widths):
        raise UserError(
            f"layer {tap.name!r} has {rows} outputs, which the model has not: give classes= to measure its input alone"
        )
    return Head(weight=weight.double()[None], bias=None if bias is None else bias.double()[None]), rows
