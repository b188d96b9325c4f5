"""Whether the head of a run can be held against the stationarity of its objective, and with which decay."""

from __future__ import annotations

import math

from nc_bench.config import Config
from nc_bench.metrics.stationarity import stationarity_residual
from nc_bench.recording import Recording, Split
from nc_bench.training.ensemble import Ensemble


def not_stationary(config: Config) -> str:
    """Why the gradient of W does not vanish where training of this run comes to rest, or is not known; "" if it does.

    The residual is taken on the features that are measured, in eval mode. Where training sees others, as with batch
    norm, whose batches differ, it would not go to 0, and nothing is said.
    """
    objective = config.objective
    if not objective.is_cross_entropy or objective.class_weights is not None or objective.mixup is not None:
        return "the loss is not the plain cross entropy"
    if not config.head.trainable:
        return "the head is frozen"
    if config.constraints.head is not None or config.constraints.outputs is not None:
        return "the head or the outputs are bounded"
    if config.optimizer.max_gradient_norm is not None:
        return "gradients are clipped"
    if config.optimizer.rests_at_zero_gradient is None:
        return f"it is not known where {config.optimizer.name} comes to rest"
    if not config.optimizer.rests_at_zero_gradient:
        return f"{config.optimizer.name} does not come to rest where this gradient vanishes"
    if config.acting_head_decay == 0:
        return "no weight decay acts"
    if config.model.uses_batch_statistics is None:
        return f"training may see other features of {config.model.name} than those that are measured"
    if config.model.uses_batch_statistics:
        return "with batch norm training sees other features than those that are measured"
    return ""


def stationarity_residuals(ensemble: Ensemble, split: Split, recording: Recording) -> list[tuple[float, str]]:
    """`stationarity_residual` of every trial on the training split, or NaN and the reason why there is none."""
    head = ensemble.model.head
    found = []
    for trial, config in enumerate(ensemble.configs):
        reason = not_stationary(config)
        if not reason and recording.penultimate.features is None:
            reason = "the features do not fit in memory"
        if reason or recording.penultimate.features is None:
            found.append((math.nan, reason))
            continue
        residual = stationarity_residual(
            recording.penultimate.features[trial],
            split.labels[trial],
            head.weight.detach()[trial],
            None if head.bias is None else head.bias.detach()[trial],
            decay=config.acting_head_decay,
            label_smoothing=config.objective.label_smoothing,
        )
        found.append((float(residual), "" if residual == residual else "the weight is zero"))
    return found
