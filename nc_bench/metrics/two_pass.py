"""The metrics of features that come in chunks, twice, so that they need not be in memory."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from nc_bench.geometry.moments import ClassSums
from nc_bench.metrics.assembly import assemble
from nc_bench.metrics.class_geometry import unit_for
from nc_bench.metrics.class_tables import ClassTables
from nc_bench.metrics.gather import Gather, no_gather
from nc_bench.metrics.head import Head
from nc_bench.metrics.result import MOST_CLASSES, CollapseMetrics, class_columns
from nc_bench.metrics.sample_sums import SampleSums
from nc_bench.metrics.second_pass import SecondPass
from nc_bench.metrics.undefined import conditions, mask_undefined


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Metrics of every trial, and the class means (t, K, d) they were taken around (NaN for an empty class)."""

    metrics: list[CollapseMetrics]
    class_means: Float64[Tensor, "t k d"]


class TwoPassMetrics:
    """The metrics of features that come in chunks, in two passes over the same chunks.

    `first_pass` takes counts and class means, `second_pass` what needs them; all chunks go through the first before
    any goes through the second. The state is a few tables of K d numbers per trial, and of K^2 up to 2,048 classes,
    however many samples there are. Beyond, chunks that hold few classes cost least. Chunks may be empty.

    head: without it only the metrics of the features are measured. centres: class centres for `nc4_mismatch` and
    `ncc_accuracy`, where they are not the features' own class means (the test split is judged by the training means).
    gather: where several processes hold a share of the samples each, adds up their sums, once after each pass; all of
    them then get the metrics of all samples.
    """

    def __init__(
        self,
        classes: int,
        head: Head | None = None,
        centres: Float64[Tensor, "t k d"] | None = None,
        gather: Gather = no_gather,
    ) -> None:
        self.classes, self.head, self.centres, self.gather = classes, head, centres, gather
        self._first: ClassSums | None = None
        self._largest: Float64[Tensor, "t"] | None = None
        self._second: SecondPass | None = None
        self._sums: SampleSums | None = None

    def first_pass(self, features: Float[Tensor, "t n d"], labels: Int64[Tensor, "t n"]) -> None:
        """Take in a chunk's counts and class sums."""
        largest = _largest(features)
        if self._first is None or self._largest is None:
            self._first, self._largest = ClassSums.none(features, self.classes), largest
        self._first.take_in(features, labels)
        self._largest = torch.maximum(self._largest, largest)

    def second_pass(self, features: Float[Tensor, "t n d"], labels: Int64[Tensor, "t n"]) -> None:
        """Take in what a chunk says once the class means are known."""
        if self._second is None:
            self._second = SecondPass(self._tables())
        part = self._second.sums(features, labels) if labels.numel() else SampleSums.none(self._second.tables)
        if self._sums is None:
            self._sums = part
        else:
            self._sums.add(part)

    def result(self) -> Measurement:
        """The metrics, once both passes are done."""
        assert self._first is not None and self._second is not None and self._sums is not None, "two passes come first"
        tables, sums = self._second.tables, self._sums.of_all(self.gather)
        values = assemble(tables, sums)
        table, reasons = mask_undefined(values, conditions(tables, sums))
        rows = [dict(zip(values, row, strict=True)) for row in table.tolist()]
        matrices = {"means": tables.centred_means} if self.classes <= MOST_CLASSES else {}
        if matrices and tables.head is not None:
            matrices["weight"] = tables.head.centred_weight
        metrics = [
            CollapseMetrics(
                row, why, columns, {name: matrix[trial] for name, matrix in matrices.items()}, tables.means.shape[-1]
            )
            for trial, (row, why, columns) in enumerate(zip(rows, reasons, class_columns(tables, sums), strict=True))
        ]
        return Measurement(metrics=metrics, class_means=self._first.means(empty=torch.nan))

    def _tables(self) -> ClassTables:
        """What the first pass has found, over the samples of all processes."""
        assert self._first is not None and self._largest is not None, "the first pass comes first"
        parts = self.gather([self._first.counts, self._first.sums, self._largest])
        self._first, *others = (ClassSums(counts=counts, sums=sums) for counts, sums, _ in parts)
        for other in others:
            self._first.add(other)
        largest = torch.stack([its_largest for *_, its_largest in parts]).amax(0)
        unit = unit_for(largest)
        in_units = ClassSums(counts=self._first.counts, sums=self._first.sums / unit[:, None, None])
        # Features with an infinity have means, and with opposite infinities among them even finite differences.
        means = torch.where(largest.isfinite()[:, None, None], in_units.means(empty=0.0), torch.nan)
        return ClassTables(means, in_units.counts, self.head, self.centres, unit)


def _largest(features: Float[Tensor, "t n d"]) -> Float64[Tensor, "t"]:
    """The largest |entry| of every trial, 0 of none."""
    if not features.numel():
        return features.new_zeros(len(features), dtype=torch.float64)
    return torch.maximum(features.amax((-2, -1)), -features.amin((-2, -1))).to(torch.float64)
