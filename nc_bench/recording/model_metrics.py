"""`measure_model`: the metrics of anybody's model on anybody's loader, which leaves the model as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor, nn
from tqdm import tqdm

from nc_bench.errors import NotFinite, UserError
from nc_bench.geometry.arrays import check_arrays, check_labels, classes_of
from nc_bench.metrics import CollapseMetrics, Head, Measurement, TwoPassMetrics
from nc_bench.metrics.accumulator import FEATURE_BUDGET
from nc_bench.metrics.head import OutputMap
from nc_bench.models.heads import output_tensors
from nc_bench.models.linear_layers import as_rows, is_linear, of_one_trial, unwrapped
from nc_bench.recording.batches import Batch, Unpack, read_batch
from nc_bench.recording.fingerprint import Fingerprint
from nc_bench.recording.model_state import eval_mode, kept_buffers, kept_generators, on_device
from nc_bench.recording.tap import FeatureTap
from nc_bench.rng import kept_global_generators
from nc_bench.telling import is_notebook

IGNORED_LABEL = -100
"""The label of tokens that count nowhere, as in torch's cross entropy."""


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
    budget: int = FEATURE_BUDGET,
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

    Features are kept on the CPU up to `budget` bytes (2 GiB); beyond it nothing is kept and the loader is read a second
    time, with the same random numbers. The values are those of `collapse_metrics` on the same features, to 1e-12 in
    float64 and 1e-6 in float32; at collapse every nc* is 0. The model runs in eval mode without gradients, autocast and
    TF32; modes, buffers, device, hooks and all global random generators are as before on any exit.

    Raises UserError (a ValueError), one line that names the batch: no labels, labels that are no whole numbers, out of
    range or of another number; features that are NaN or infinite; samples that differ between the two readings
    (random augmentation, other samples); and what `FeatureTap` raises. What the model itself raises goes through.
    """
    with _opened(model, loader, layer=layer, device=device, unpack=unpack, progress=progress) as reader:
        measured = _measured(reader, None if classes is None else classes_of(classes), class_names, budget)
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


Observer = Callable[[Float[Tensor, "n d"], Float[Tensor, "n k"]], None]
"""Sees the features and outputs of every batch once."""


def measure_samples(
    model: Any,
    loader: Any,
    *,
    layer: Any = None,
    device: Any = None,
    unpack: Unpack | None = None,
    budget: int = FEATURE_BUDGET,
    centres: Float64[Tensor, "1 k d"] | None = None,
    output_map: OutputMap | None = None,
    observe: Observer | None = None,
) -> Measured:
    """As `measure_model`, with what else is known then. Raises NotFinite, a UserError, for NaN or infinity.

    centres: what nearest class means are looked for among, as those of the training split. output_map: follows the
    head, as the map onto a ball.
    """
    with _opened(model, loader, layer=layer, device=device, unpack=unpack, progress=False) as reader:
        return _measured(reader, None, None, budget, centres=centres, output_map=output_map, observe=observe)


def probe_head(
    model: Any, loader: Any, *, layer: Any = None, device: Any = None, unpack: Unpack | None = None
) -> tuple[Head, torch.dtype, bool]:
    """The head, found on the first batch, the dtype of the features, and whether the weight takes gradients.

    Raises what `measure_model` raises, and UserError, one line, for a layer that is no head.
    """
    with _opened(model, loader, layer=layer, device=device, unpack=unpack, progress=False) as reader:
        for _, features, labels in reader.batches("first batch"):
            head, classes = _head(reader, None)
            assert head is not None, "without classes, _head refuses what is none"
            check_labels(labels, classes)
            return head, features.dtype, _is_trainable(reader.tap)
    raise UserError("the loader has no samples to measure")


@contextmanager
def _opened(
    model: Any, loader: Any, *, layer: Any, device: Any, unpack: Unpack | None, progress: bool | None
) -> Iterator[_Reader]:
    """A reader of the features; afterwards model and loader are as they were."""
    if isinstance(loader, torch.utils.data.Dataset):
        raise UserError("loader is a Dataset of single samples: give DataLoader(dataset, batch_size=256)")
    if not isinstance(loader, Iterable):
        raise UserError(f"loader must be an iterable of batches, got {type(loader).__name__}")
    tap = FeatureTap(model, layer)
    with ExitStack() as restored:
        restored.enter_context(torch.no_grad())
        restored.enter_context(kept_buffers(model))
        place = restored.enter_context(on_device(model, device))
        restored.enter_context(eval_mode(model))
        restored.enter_context(tap)
        yield _Reader(model, loader, tap, unpack, place, progress=progress)


class _Reader:
    """The features and labels of a loader's samples, batch by batch."""

    def __init__(
        self,
        model: nn.Module,
        loader: Iterable[Any],
        tap: FeatureTap,
        unpack: Unpack | None,
        device: torch.device,
        *,
        progress: bool | None,
    ) -> None:
        self.loader, self.tap, self.unpack, self.device = loader, tap, unpack, device
        self.hidden = (False if is_notebook() else None) if progress is None else not progress
        self.root = unwrapped(model)
        sharded = "_fsdp_wrapped_module" in model._modules
        self.call: Callable[..., Any] = model if sharded else self.root
        self.output: Any = None

    def batches(self, title: str) -> Iterator[tuple[int, Float[Tensor, "n d"], Int64[Tensor, "n"]]]:
        """Number, features and labels of every batch. Each reading draws the same random numbers."""
        with kept_global_generators(), kept_generators(self.loader):
            bar = tqdm(self.loader, title, unit="batch", disable=self.hidden, leave=False)
            for number, batch in enumerate(bar, 1):
                with _numbered(number):
                    parts = read_batch(batch, self.root, self.unpack, self.device)
                self.output = self._run(number, parts)
                with _numbered(number):
                    features, labels = self._samples(parts.labels)
                if len(labels):
                    yield number, features, labels

    def logits(self, head: Head, features: Float[Tensor, "n d"]) -> Float[Tensor, "n k"]:
        """The outputs of the latest batch: the model's own where they have a row for each sample, else the head's."""
        shape = (len(features), head.weight.shape[1])
        own = [output for output in output_tensors(self.output).values() if tuple(output.shape) == shape]
        return own[0] if own else head.outputs(features.double()[None])[0]

    def _run(self, number: int, batch: Batch) -> Any:
        try:
            return self.call(*batch.arguments, **batch.keywords)
        except UserError as error:
            raise type(error)(f"batch {number}: {error}") from None
        except Exception as error:
            error.add_note(f"in batch {number} of measure_model")
            raise

    def _samples(self, labels: Tensor) -> tuple[Float[Tensor, "n d"], Int64[Tensor, "n"]]:
        """Features and labels with a row for each sample, checked."""
        features = self.tap.features
        if features.ndim > 2:
            features, labels = _places(self.tap, features, labels)
        check_arrays(features, labels)
        if not bool(features.isfinite().all()):
            raise NotFinite("the features hold NaN or infinity")
        return features, labels.to(torch.int64)


def _places(tap: FeatureTap, features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of features that come at tokens or pixels, and the label of each."""
    if not is_linear(tap.tapped):
        if features[0].numel() != features.shape[1]:
            raise UserError(f"layer {tap.name!r} is given {tuple(features.shape)}: name one that is given vectors")
        return features.flatten(1), labels
    rows = as_rows(tap.tapped, features)
    if rows.shape[1] == 1 and labels.ndim == 1:
        return rows[:, 0], labels
    if labels.ndim < 2 or tuple(labels.flatten(1).shape) != tuple(rows.shape[:2]):
        raise UserError(
            f"layer {tap.name!r} is given features {tuple(features.shape)}, a vector for each of {rows.shape[1]} tokens"
            f" or pixels, and there are labels {tuple(labels.shape)}: give each its label (-100 leaves one out), or a "
            "model that returns the output of one token"
        )
    kept = labels.flatten() != IGNORED_LABEL
    return rows.flatten(0, 1)[kept], labels.flatten()[kept]


def _measured(
    reader: _Reader,
    classes: int | None,
    class_names: Sequence[str] | None,
    budget: int,
    *,
    centres: Float64[Tensor, "1 k d"] | None = None,
    output_map: OutputMap | None = None,
    observe: Observer | None = None,
) -> Measured:
    metrics: TwoPassMetrics | None = None
    head: Head | None = None
    every_label: list[Tensor] = []
    kept: list[tuple[Tensor, Tensor]] | None = []
    first, taken = Fingerprint(), 0
    for number, features, labels in reader.batches("first pass"):
        with _numbered(number):
            if metrics is None:
                head, classes = _head(reader, classes)
                if class_names is not None and len(class_names) != classes:
                    raise UserError(f"class_names holds {len(class_names)} names for {classes} classes")
                head = None if head is None else replace(head, output_map=output_map)
                metrics = TwoPassMetrics(classes, head, centres)
            assert classes is not None
            check_labels(labels, classes)
        metrics.first_pass(features[None], labels[None])
        first.take_in(features, labels, classes)
        every_label.append(labels.cpu())
        if observe is not None and head is not None:
            observe(features, reader.logits(head, features))
        taken += features.numel() * features.element_size()
        kept = None if kept is None or taken > budget else [*kept, (features.cpu(), labels.cpu())]
    if metrics is None or classes is None or not first.samples:
        raise UserError("the loader has no samples to measure")
    if kept is None:
        _read_again(reader, metrics, first, classes)
    else:
        for features, labels in kept:
            metrics.second_pass(features.to(reader.device)[None], labels.to(reader.device)[None])
    return Measured(
        measurement=metrics.result(),
        head=head,
        trainable=_is_trainable(reader.tap),
        labels=torch.cat(every_label),
        features=None if kept is None else torch.cat([part for part, _ in kept]),
        dtype=reader.tap.features.dtype,
    )


def _is_trainable(tap: FeatureTap) -> bool:
    return any(parameter.requires_grad for parameter in tap.tapped.parameters())


def _read_again(reader: _Reader, metrics: TwoPassMetrics, first: Fingerprint, classes: int) -> None:
    if isinstance(reader.loader, Iterator):
        raise UserError(
            "the features exceed the budget, and the loader can be read only once: give a DataLoader, or a larger "
            "budget= (bytes)"
        )
    second = Fingerprint()
    for number, features, labels in reader.batches("second pass"):
        with _numbered(number):
            check_labels(labels, classes)
        metrics.second_pass(features[None], labels[None])
        second.take_in(features, labels, classes)
    why = first.differs_from(second)
    if why:
        raise UserError(
            f"the loader gives other samples when it is read a second time ({why}): switch random augmentation and "
            "resampling off, or give a budget= (bytes) in which all features fit"
        )


def _head(reader: _Reader, classes: int | None) -> tuple[Head | None, int]:
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


@contextmanager
def _numbered(number: int) -> Iterator[None]:
    """What is wrong with a batch is told with its number."""
    try:
        yield
    except ValueError as error:
        kind = type(error) if isinstance(error, UserError) else UserError
        raise kind(f"batch {number}: {error}") from None
