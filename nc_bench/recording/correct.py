"""The metrics of the samples that a model classifies correctly: what misclassified ones add to a spread is left out."""

from __future__ import annotations

import math
from dataclasses import replace

from jaxtyping import Float, Float64, Int64
from torch import Tensor

from nc_bench.metrics import CollapseMetrics, Head, measure_features
from nc_bench.metrics.names import METRIC_NAMES
from nc_bench.recording.depth import NOT_KEPT


def correct_metrics(
    features: Float[Tensor, "t n d"] | None,
    labels: Int64[Tensor, "t n"],
    head: Head,
    centres: Float64[Tensor, "t k d"] | None,
) -> list[CollapseMetrics]:
    """Every metric of each trial's correctly classified samples, around the class means of these samples.

    features: of all samples, None where they do not fit in memory; centres: as for the metrics of all samples.
    All is NaN, with a reason, where there are no features or no sample is classified correctly.
    """
    if features is None:
        return [_undefined(NOT_KEPT) for _ in labels]
    found = []
    for trial in range(len(labels)):
        own = slice(trial, trial + 1)
        its_head = replace(head, weight=head.weight[own], bias=None if head.bias is None else head.bias[own])
        predicted = its_head.outputs(features[own].double()).argmax(-1)
        kept = (predicted == labels[own])[0].nonzero()[:, 0]
        if not len(kept):
            found.append(_undefined("no sample is classified correctly"))
            continue
        its_centres = None if centres is None else centres[own]
        measured = measure_features(
            features[own, kept], labels[own, kept], classes=head.weight.shape[1], head=its_head, centres=its_centres
        )
        found.append(measured.metrics[0])
    return found


def _undefined(reason: str) -> CollapseMetrics:
    return CollapseMetrics(dict.fromkeys(METRIC_NAMES, math.nan), dict.fromkeys(METRIC_NAMES, reason))
