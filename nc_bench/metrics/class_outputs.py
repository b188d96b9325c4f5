"""What the outputs at the class means say, from blocks of rows where a table of them would be too large."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float64
from torch import Tensor

from nc_bench.metrics.class_geometry import centred, row_norms
from nc_bench.metrics.class_pairs import has_tables
from nc_bench.metrics.cross_entropy import losses

if TYPE_CHECKING:
    from nc_bench.metrics.class_tables import ClassTables, HeadTables

PerTrial = Float64[Tensor, "t"]

BLOCK_ELEMENTS = 2**20
"""Outputs in one block (8 MiB) where there is no table of them."""


@dataclass(frozen=True, kw_only=True)
class MeanOutputs:
    """Of z_c - (1/K) sum_c z_c, z_c the mean P z of class c: sum of squares, longest row, and mean of its own entry."""

    squares: PerTrial
    longest: PerTrial
    pull: PerTrial

    @classmethod
    def of(cls, means: Float64[Tensor, "t k k"]) -> MeanOutputs:
        rows = centred(means - means.mean(-1, keepdim=True))
        return cls(
            squares=rows.square().sum((-2, -1)),
            longest=row_norms(rows).amax(-1),
            pull=rows.diagonal(dim1=-2, dim2=-1).mean(-1),
        )


@dataclass(frozen=True, kw_only=True)
class OutputsAtMeans:
    """Cross entropy, its logarithm and `log_mean_exp` of the output at every class mean (t, K); the longest row of what
    is relative to the output at mu; and `centred`, what the outputs of a linear head say.
    """

    loss: Float64[Tensor, "t k"]
    log_loss: Float64[Tensor, "t k"]
    log_mean_exp: Float64[Tensor, "t k"]
    longest: PerTrial
    centred: MeanOutputs


def outputs_at_means(tables: ClassTables, head: HeadTables) -> OutputsAtMeans:
    """From the whole table where tables of pairs are kept or an output map acts on it, else from blocks of rows."""
    trials, classes = tables.counts.shape
    whole = has_tables(classes) or head.logits.output_map is not None
    step = classes if whole else max(1, BLOCK_ELEMENTS // (trials * classes))
    # Filled block by block: small tensors kept among large ones that are freed leave the heap full of holes, at
    # 50,000 classes as large as the table itself.
    found = head.weight.new_empty(6, trials, classes)
    for start in range(0, classes, step):
        block = slice(start, start + step)
        outputs, relative = head.outputs_at_means(tables, block)
        labels = torch.arange(classes, device=outputs.device)[block].expand(trials, -1)
        rows = relative - relative.mean(-1, keepdim=True)
        squares, own = row_norms(rows).square(), rows.gather(-1, labels[..., None])[..., 0]
        numbers = [*by_trial(head.numbers(outputs), labels), row_norms(relative), squares, own]
        torch.stack(numbers, out=found[..., block])
    loss, log_loss, log_mean_exp, lengths, squares, own = found
    return OutputsAtMeans(
        loss=loss,
        log_loss=log_loss,
        log_mean_exp=log_mean_exp,
        longest=lengths.amax(-1),
        centred=MeanOutputs(squares=squares.sum(-1), longest=squares.amax(-1).sqrt(), pull=own.mean(-1)),
    )


def by_trial(outputs: Float64[Tensor, "t n k"], labels: Tensor) -> list[Tensor]:
    """`losses` (t, n) of outputs, trial by trial, each in memory of its own.

    So neither the order of a sum nor where a logarithm begins its vectors depends on the stack (see
    `class_geometry.moments`).
    """
    found = [losses(own.clone(), its) for own, its in zip(outputs.split(1), labels.split(1), strict=True)]
    return [torch.cat(parts) for parts in zip(*found, strict=True)]
