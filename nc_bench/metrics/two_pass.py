"""The metrics of features that come in chunks, twice, so that they need not be in memory."""

from __future__ import annotations

from collections.abc import Sequence
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


class FirstPass:
    """Counts and class sums of features that come in chunks, and the largest |entry| of every trial."""

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self._sums: ClassSums | None = None
        self._largest: Float64[Tensor, "t"] | None = None

    @property
    def sums(self) -> ClassSums:
        """What the chunks add up to."""
        assert self._sums is not None, "the first pass comes first"
        return self._sums

    @property
    def largest(self) -> Float64[Tensor, "t"]:
        """0 of no samples."""
        assert self._largest is not None, "the first pass comes first"
        return self._largest

    def take_in(self, features: Float[Tensor, "t n d"], labels: Int64[Tensor, "t n"]) -> None:
        """Add a chunk, which may be empty."""
        if self._sums is None:
            self._sums = ClassSums.none(features, self.classes)
            self._largest = self._sums.counts.new_zeros(len(features))
        self._sums.take_in(features, labels)
        if features.numel():
            largest = torch.maximum(features.amax((-2, -1)), -features.amin((-2, -1))).to(torch.float64)
            self._largest = torch.maximum(self.largest, largest)

    def of_all(self, gather: Gather) -> FirstPass:
        """That of the samples of all processes."""
        parts = gather([self.sums.counts, self.sums.sums, self.largest])
        total, *others = (ClassSums(counts=counts, sums=sums) for counts, sums, _ in parts)
        for other in others:
            total.add(other)
        return self._made(total, torch.stack([largest for *_, largest in parts]).amax(0))

    def beside(self, others: Sequence[FirstPass]) -> FirstPass:
        """That of the same samples with the columns of the others after these."""
        if not others:
            return self
        sums = torch.cat([self.sums.sums, *(other.sums.sums for other in others)], -1)
        largest = torch.stack([self.largest, *(other.largest for other in others)]).amax(0)
        return self._made(ClassSums(counts=self.sums.counts, sums=sums), largest)

    def _made(self, sums: ClassSums, largest: Float64[Tensor, "t"]) -> FirstPass:
        made = FirstPass(self.classes)
        made._sums, made._largest = sums, largest
        return made


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
        self.first = FirstPass(classes)
        self._second: SecondPass | None = None
        self._sums: SampleSums | None = None

    def first_pass(self, features: Float[Tensor, "t n d"], labels: Int64[Tensor, "t n"]) -> None:
        """Take in a chunk's counts and class sums."""
        self.first.take_in(features, labels)

    def second_pass(self, features: Float[Tensor, "t n d"], labels: Int64[Tensor, "t n"]) -> None:
        """Take in what a chunk says once the class means are known."""
        self.add(self.sums_of(features, labels))

    def sums_of(self, features: Float[Tensor, "t n d"], labels: Int64[Tensor, "t n"]) -> SampleSums:
        """What `second_pass` adds for a chunk: after the first call it may be asked by several threads at a time."""
        if self._second is None:
            self._second = SecondPass(self._tables())
        return self._second.sums(features, labels) if labels.numel() else SampleSums.none(self._second.tables)

    def add(self, part: SampleSums) -> None:
        """Take in the sums of a chunk."""
        if self._sums is None:
            self._sums = part
        else:
            self._sums.add(part)

    def result(self) -> Measurement:
        """The metrics, once both passes are done."""
        assert self._second is not None and self._sums is not None, "two passes come first"
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
        return Measurement(metrics=metrics, class_means=self.first.sums.means(empty=torch.nan))

    def _tables(self) -> ClassTables:
        """What the first pass has found, over the samples of all processes."""
        self.first = self.first.of_all(self.gather)
        sums, largest = self.first.sums, self.first.largest
        unit = unit_for(largest)
        in_units = ClassSums(counts=sums.counts, sums=sums.sums / unit[:, None, None])
        # Features with an infinity have means, and with opposite infinities among them even finite differences.
        means = torch.where(largest.isfinite()[:, None, None], in_units.means(empty=0.0), torch.nan)
        return ClassTables(means, in_units.counts, self.head, self.centres, unit)
