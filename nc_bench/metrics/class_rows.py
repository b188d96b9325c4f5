"""Rows of tables of pairs of classes, for the classes of given samples."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from nc_bench.metrics.class_pairs import distances, has_tables
from nc_bench.metrics.class_tables import ClassTables


@dataclass(frozen=True, kw_only=True)
class ClassRows:
    """half_squares |mu_c - m_e|^2 / 2, inverse_squares 1 / |mu_c - mu_e|^2 (0 for no distance) and, with a head, the
    outputs at mu_c, for classes c in rows and e in columns.
    """

    half_squares: Float[Tensor, "rows k"]
    inverse_squares: Float[Tensor, "rows k"]
    outputs: Float64[Tensor, "rows k"] | None

    @classmethod
    def together(cls, parts: list[ClassRows]) -> ClassRows:
        """The rows of one trial after the other."""
        outputs = [part.outputs for part in parts if part.outputs is not None]
        return cls(
            half_squares=torch.cat([part.half_squares for part in parts]),
            inverse_squares=torch.cat([part.inverse_squares for part in parts]),
            outputs=torch.cat(outputs) if outputs else None,
        )


class RowsOfClasses:
    """Gives `ClassRows`: of whole tables where these are kept, else computed for the classes that are there.

    So samples in the order of their classes cost least: every row is computed about once.
    """

    def __init__(self, tables: ClassTables) -> None:
        self.tables = tables
        self._whole: dict[torch.dtype, ClassRows] = {}

    def of(self, flat: Int64[Tensor, "t n"], precision: torch.dtype) -> tuple[ClassRows, Int64[Tensor, "t n"]]:
        """Rows, and which of them belongs to every sample; flat: its class's row in tables of shape (t K, ..)."""
        classes = self.tables.classes
        if not has_tables(classes):
            own, index = flat.unique(return_inverse=True)
            trials = own // classes
            parts = [
                self._of_trials(slice(trial, trial + 1), own[trials == trial] - trial * classes, precision)
                for trial in trials.unique().tolist()
            ]
            return ClassRows.together(parts), index
        if precision not in self._whole:
            self._whole[precision] = self._of_trials(slice(None), slice(None), precision)
        return self._whole[precision], flat

    def _of_trials(self, trials: slice, classes: Tensor | slice, precision: torch.dtype) -> ClassRows:
        tables, head = self.tables, self.tables.head
        means = tables.centred_means[trials]
        apart = distances(means[:, classes], means) if tables.pairs.table is None else tables.pairs.table
        from_centres = apart if tables.centres is None else distances(means[:, classes], tables.centres[trials])
        inverse_squares = torch.where(apart > 0, 1 / apart.square(), 0.0)
        outputs = None if head is None else head.outputs_at_means(tables, classes, trials)[0].flatten(0, 1)
        return ClassRows(
            half_squares=(from_centres.square() / 2).to(precision).flatten(0, 1),
            inverse_squares=inverse_squares.to(precision).flatten(0, 1),
            outputs=outputs,
        )
