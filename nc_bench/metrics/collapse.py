"""Every metric from features, labels and the last linear layer that are in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from nc_bench.geometry.arrays import Array, check_arrays, check_labels, classes_of, tensor_of
from nc_bench.metrics.class_pairs import has_tables
from nc_bench.metrics.gather import Gather, no_gather, sum_of
from nc_bench.metrics.head import Head
from nc_bench.metrics.parallel import map_in_threads
from nc_bench.metrics.precision import full_precision
from nc_bench.metrics.result import CollapseMetrics
from nc_bench.metrics.two_pass import FirstPass, Measurement, TwoPassMetrics

CHUNK_ELEMENTS = 2**19
"""Float64 numbers in one chunk (4 MiB): small enough for the cache, large enough for the matrix products."""

PRODUCT_ELEMENTS = 2**23
"""Products of a chunk with the tables of all classes (32 MiB in float32)."""

COLUMNS = 128
"""Fewest columns that are worth a thread in the first pass."""

T = TypeVar("T")
Item = TypeVar("Item")


def collapse_metrics(
    features: Array,
    labels: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    classes: Any = None,
    minimum_samples: int = 1,
    absent: str = "nan",
    class_names: Sequence[str] | None = None,
) -> CollapseMetrics:
    """Neural-collapse metrics of one set of features, as plain floats.

    features (N, d) floating, labels (N,) integers in 0..K-1, weight (K, d) and bias (K,) of the last linear
    layer. Tensors, NumPy arrays, pandas tables or lists of numbers (Python floats are float64). Without `weight` only
    the metrics of the features are returned; `bias` counts in the logits only. `classes` (default: rows of `weight`,
    else the largest label + 1) may exceed the classes present. Products are formed in the precision of `features`,
    whether autocast or TF32 is on or not, everything else in float64: relative accuracy about 1e-9 for float64 features
    and 1e-6 for float32 ones, also at deep collapse (float32 with less where deviations from the class means are nearly
    orthogonal to what they are multiplied with).

    Classes with samples, but fewer than `minimum_samples`, are left out, with their rows of `weight`;
    classes without samples make what needs every class NaN (absent="nan") or are left out too ("skip"). The result's
    `left_out` says which, with their counts, and `per_class["class"]` which are left. `class_names`, one for each
    class, stand in `per_class["name"]`.

    At exact collapse on a simplex centred at 0 with weight = its vertices: every nc*, `centre_offset`,
    `output_collapse`, `isometry_defect` and `risk_gap` is 0, `simplex_efficiency`, `accuracy` and
    `ncc_accuracy` 1. Undefined values (an empty class, one class, a zero mean, a non-finite feature) are NaN and
    the returned mapping's `reasons` says why. The formula, range and source of each: docs/metrics.md.
    Sources: E & Wojtowytsch (2021), section 1 and Cor. 4.2; Papyan, Han & Donoho (2020).

    Raises ValueError, one line, for what is no array of numbers or is masked, sparse or complex, wrong shapes,
    mismatched lengths, labels out of range, no samples, a bias without weight, no class that has enough samples, an
    unknown `absent`, or not as many names as classes.
    """
    features, labels = tensor_of("features", features), tensor_of("labels", labels)
    check_arrays(features, labels)
    if len(features) == 0:
        raise ValueError("there are no samples to measure")
    labels = labels.to(features.device, torch.int64)
    head = checked_head(weight, bias, features)
    count = number_of_classes(labels, head, classes)
    check_labels(labels, count)
    return measure_classes(
        features, labels, head, count, minimum_samples=minimum_samples, absent=absent, class_names=class_names
    )


def measure_classes(
    features: Float[Tensor, "n d"],
    labels: Int64[Tensor, "n"],
    head: Head | None,
    classes: int,
    *,
    minimum_samples: int = 1,
    absent: str = "nan",
    class_names: Sequence[str] | None = None,
    gather: Gather = no_gather,
) -> CollapseMetrics:
    """`collapse_metrics` of checked arrays, of which each of several processes may hold a share, perhaps of none."""
    if absent not in ("nan", "skip"):
        raise ValueError(f'absent must be "nan" or "skip", got {absent!r}')
    if isinstance(minimum_samples, bool) or not isinstance(minimum_samples, int) or minimum_samples < 1:
        raise ValueError(f"minimum_samples must be a positive integer, got {minimum_samples!r}")
    if class_names is not None and len(class_names) != classes:
        raise ValueError(f"class_names holds {len(class_names)} names for {classes} classes")
    counts = sum_of(torch.bincount(labels, minlength=classes), gather)
    kept = (counts >= minimum_samples) | ((counts == 0) & (absent == "nan"))
    if not bool((kept & (counts > 0)).any()):
        raise ValueError(f"no class has {minimum_samples} samples or more")
    if bool(kept.all()):
        whole = measure_features(features[None], labels[None], classes=classes, head=head, gather=gather)
        return whole.metrics[0].with_names(class_names)
    own, labels = kept[labels].nonzero()[:, 0], (kept.cumsum(0) - 1)[labels]
    part = None if head is None else head.of_classes(kept)
    metrics = measure_features(
        features[None], labels[None], classes=int(kept.sum()), head=part, gather=gather, samples=own[None]
    ).metrics[0]
    metrics.per_class["class"] = kept.nonzero()[:, 0].cpu().numpy()
    metrics.left_out = {c: int(counts[c]) for c in (~kept).nonzero()[:, 0].tolist()}
    return metrics.with_names(class_names)


def measure_features(
    features: Float[Tensor, "t n d"],
    labels: Int64[Tensor, "t n"],
    *,
    classes: int,
    head: Head | None = None,
    centres: Float64[Tensor, "t k d"] | None = None,
    gather: Gather = no_gather,
    samples: Int64[Tensor, "t m"] | None = None,
) -> Measurement:
    """`collapse_metrics` for t trials at once, without checks: labels must lie in 0..classes-1.

    features (t, N, d) floating, labels (t, N); head: weight (t, K, d) and bias (t, K) in float64; centres and gather as
    for `TwoPassMetrics`; samples: the positions of those that are measured, default all. No metric of a trial depends
    on the other trials. Beyond 2,048 classes the second pass takes the samples in the order of their classes: nothing
    of size K^2 is kept, and what a class needs is computed once.
    """
    trials, _, width = features.shape
    rows = max(1, min(CHUNK_ELEMENTS // width, PRODUCT_ELEMENTS // (2 * classes)) // trials)
    metrics = TwoPassMetrics(classes, head, centres, gather)
    with full_precision(features.device):
        metrics.first = _first_pass(features, labels, classes, samples, rows)
        if not has_tables(classes):
            samples = _by_class(labels, samples)
        chunks, count = _chunks(features, labels, samples, rows), _number(labels, samples, rows)
        # The first chunk alone, for it makes tables that all use.
        metrics.second_pass(*next(chunks))
        # In tiles every chunk has tables of its own: in several threads they take several times the memory.
        each = _each if has_tables(classes) else _in_turn
        for part in each(lambda chunk: metrics.sums_of(*chunk), chunks, features, count - 1):
            metrics.add(part)
        return metrics.result()


def _first_pass(
    features: Float[Tensor, "t n d"],
    labels: Int64[Tensor, "t n"],
    classes: int,
    samples: Int64[Tensor, "t m"] | None,
    rows: int,
) -> FirstPass:
    """Columns by columns, which sums in one order whatever the number of threads."""
    width = features.shape[-1]
    in_parts = features.device.type == "cpu" and _number(labels, samples, rows) > 1
    step = max(COLUMNS, -(-width // torch.get_num_threads())) if in_parts else width
    blocks = [slice(start, start + step) for start in range(0, width, step)]

    def of_columns(block: slice) -> FirstPass:
        found = FirstPass(classes)
        for chunk in _chunks(features[..., block], labels, samples, rows):
            found.take_in(*chunk)
        return found

    first, *others = _each(of_columns, iter(blocks), features, len(blocks))
    return first.beside(others)


def _each(work: Callable[[Item], T], items: Iterator[Item], features: Tensor, count: int) -> Iterator[T]:
    """`work` of all items, by several threads on the CPU."""
    return map_in_threads(work, items, count) if features.device.type == "cpu" else map(work, items)


def _in_turn(work: Callable[[Item], T], items: Iterator[Item], features: Tensor, count: int) -> Iterator[T]:
    return map(work, items)


def _number(labels: Int64[Tensor, "t n"], samples: Int64[Tensor, "t m"] | None, rows: int) -> int:
    """How many chunks there are."""
    return max(1, -(-(labels if samples is None else samples).shape[1] // rows))


def _chunks(
    features: Float[Tensor, "t n d"], labels: Int64[Tensor, "t n"], samples: Int64[Tensor, "t m"] | None, rows: int
) -> Iterator[tuple[Tensor, Tensor]]:
    if samples is None:
        yield from zip(features.split(rows, 1), labels.split(rows, 1), strict=True)
    else:
        for part in samples.split(rows, 1):
            yield features.take_along_dim(part[..., None], 1), labels.gather(1, part)


def _by_class(labels: Int64[Tensor, "t n"], samples: Int64[Tensor, "t m"] | None) -> Int64[Tensor, "t m"]:
    if samples is None:
        return labels.argsort(stable=True)
    return samples.gather(1, labels.gather(1, samples).argsort(stable=True))


def number_of_classes(labels: Int64[Tensor, "n"], head: Head | None, classes: Any) -> int:
    if classes is not None:
        classes = classes_of(classes)
    if head is not None:
        rows: int = head.weight.shape[1]
        if classes is not None and classes != rows:
            raise ValueError(f"classes is {classes}, but weight has {rows} rows")
        return rows
    found: int = classes or classes_of(max(1, int(labels.max()) + 1))
    return found


def checked_head(weight: Array | None, bias: Array | None, features: Float[Tensor, "n d"]) -> Head | None:
    if weight is None:
        if bias is not None:
            raise ValueError("bias was given without weight")
        return None
    weight = _real("weight", weight, features.device)
    if weight.ndim != 2 or weight.shape[0] == 0 or weight.shape[1] != features.shape[1]:
        raise ValueError(f"weight must be (K, {features.shape[1]}), got {tuple(weight.shape)}")
    if bias is None:
        return Head(weight=weight[None])
    bias = _real("bias", bias, features.device)
    if bias.shape != weight.shape[:1]:
        raise ValueError(f"bias must be {tuple(weight.shape[:1])}, got {tuple(bias.shape)}")
    return Head(weight=weight[None], bias=bias[None])


def _real(name: str, value: Array, device: torch.device) -> Tensor:
    array = tensor_of(name, value)
    if array.is_complex() or array.dtype == torch.bool:
        raise ValueError(f"{name} must hold real numbers, got {array.dtype}")
    return array.to(device, torch.float64)
