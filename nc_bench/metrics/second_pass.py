"""Sums over samples that need the finished class means: the second pass over the features, chunk by chunk.

Deviations h_i - mu_{y_i} are formed in float64 and multiplied in the features' own precision, at least float32:
with float32 features the products are float32 products of small, exactly centred numbers, so the interesting
digits survive at half the cost. Everything that does not shrink at collapse (class means, their logits and
distances) stays in float64 tables, and every decision that float32 cannot make is made again in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from nc_bench.geometry.moments import flat_labels
from nc_bench.metrics.class_geometry import in_range, moments, row_norms
from nc_bench.metrics.class_outputs import by_trial
from nc_bench.metrics.class_rows import ClassRows, RowsOfClasses
from nc_bench.metrics.class_tables import ClassTables, HeadTables
from nc_bench.metrics.risks import output_efficiency
from nc_bench.metrics.sample_sums import SampleSums

FLOAT32_TABLES = (1e-10, 1e15)
"""Largest entries of the tables whose products with deviations, and their squares, float32 holds."""

BLOCK_ELEMENTS = 2**18
"""Samples times classes that are gone through at a time, so that what is made in between stays in the cache."""


@dataclass(frozen=True, kw_only=True)
class _Chunk:
    """Features in float64, their labels, the squared distance to their class mean, and the products of h - mu_y.

    flat: the row of each sample's class in tables of shape (t K, ..). products: with all tables, side by side.
    """

    features: Float64[Tensor, "t n d"]
    labels: Int64[Tensor, "t n"]
    flat: Int64[Tensor, "t n"]
    squares: Float64[Tensor, "t n"]
    products: Float[Tensor, "t n m"]


@dataclass(frozen=True, kw_only=True)
class _PerSample:
    """What samples (t, n) say one by one: the class of the nearest centre, the term of nc1_cdnv_directional, and, with
    a head, the class it predicts, the losses, the share of |P z| that is margin, and P (z - the class's output) and its
    square.
    """

    nearest: Int64[Tensor, "t n"]
    directional: Float64[Tensor, "t n"]
    predicted: Int64[Tensor, "t n"] | None = None
    loss: Float64[Tensor, "t n"] | None = None
    log_loss: Float64[Tensor, "t n"] | None = None
    log_mean_exp: Float64[Tensor, "t n"] | None = None
    efficiency: Float64[Tensor, "t n"] | None = None
    output_squares: Float64[Tensor, "t n"] | None = None
    output_shift: Float64[Tensor, "t n k"] | None = None

    @classmethod
    def together(cls, parts: list[_PerSample]) -> _PerSample:
        """Those of one block after the other."""
        if len(parts) == 1:
            return parts[0]
        columns = {field.name: [getattr(part, field.name) for part in parts] for field in fields(cls)}
        return cls(**{name: torch.cat(column, 1) for name, column in columns.items() if column[0] is not None})


class SecondPass:
    """From chunks of features to `SampleSums`, given the tables that the first pass has left."""

    def __init__(self, tables: ClassTables) -> None:
        self.tables, self.classes = tables, tables.classes
        self._mean_squares = row_norms(tables.means).square()
        self._centred_squares = row_norms(tables.centred_means).square()
        self._centres = tables.centred_means if tables.centres is None else tables.centres
        self._longest_centre = row_norms(self._centres).amax(-1)
        self._inverse_counts = 1 / tables.counts
        self._ordinary = bool((tables.unit == 1).all())
        self._fits: bool | Bool[Tensor, "t"] | None = None
        self._factors: dict[torch.dtype, tuple[Tensor, Tensor]] = {}
        self._rows = RowsOfClasses(tables)

    def sums(self, features: Float[Tensor, "t n d"], labels: Int64[Tensor, "t n"]) -> SampleSums:
        """What one chunk adds to the sums."""
        fits = False if features.dtype == torch.float64 else self._fits_float32()
        if isinstance(fits, bool):
            return self._sums(features, labels, torch.float32 if fits else torch.float64)
        # Rare, and worth both: what one trial's tables need must not change a digit of the others.
        return SampleSums.where(
            fits, self._sums(features, labels, torch.float32), self._sums(features, labels, torch.float64)
        )

    def _sums(
        self, features: Float[Tensor, "t n d"], labels: Int64[Tensor, "t n"], precision: torch.dtype
    ) -> SampleSums:
        tables = self.tables
        side_by_side, to_means = self._factors_in(precision)
        chunk = self._chunk(features, labels, side_by_side)
        flat, squares, directions = chunk.flat, chunk.squares, tables.basis.shape[-2]
        span = chunk.products[..., :directions]
        with_means = span @ to_means
        with_own = with_means.gather(-1, labels[..., None])[..., 0].to(torch.float64)
        with_mean_of_means = chunk.products[..., directions].to(torch.float64)
        centred_norms = squares + 2 * with_own + self._centred_squares.view(-1)[flat]
        norms = squares + 2 * (with_own + with_mean_of_means) + self._mean_squares.view(-1)[flat]
        per_sample = self._per_sample(chunk, with_means)
        return SampleSums(
            squared_deviation=self._per_class(squares, flat),
            directional=(per_sample.directional * self._inverse_counts.view(-1)[flat]).sum(-1),
            norms=moments(torch.linalg.vector_norm(chunk.features, dim=-1)),
            span_squares=span.square().sum(-2, dtype=torch.float64),
            largest_deviation=squares.amax(-1).sqrt(),
            largest_norm=norms.amax(-1).clamp(min=0).sqrt(),
            largest_centred_norm=centred_norms.amax(-1).clamp(min=0).sqrt(),
            nearest_correct=(per_sample.nearest == labels).sum(-1).to(torch.float64),
            **self._sums_of_outputs(chunk, per_sample),
        )

    def _chunk(
        self, features: Float[Tensor, "t n d"], labels: Int64[Tensor, "t n"], side_by_side: Float[Tensor, "t d m"]
    ) -> _Chunk:
        flat, exact = flat_labels(labels, self.classes), features.to(torch.float64)
        if not self._ordinary:
            exact = exact / self.tables.unit[:, None, None]
        deviations = _rows_of(self.tables.means.flatten(0, 1), flat)
        torch.sub(exact, deviations, out=deviations)
        squares = torch.linalg.vector_norm(deviations, dim=-1).square()
        products = deviations.to(side_by_side.dtype) @ side_by_side
        return _Chunk(features=exact, labels=labels, flat=flat, squares=squares, products=products)

    def _fits_float32(self) -> bool | Bool[Tensor, "t"]:
        """For which trials float32 holds products with the tables; True or False where all are alike."""
        if self._fits is None:
            fits = torch.stack([in_range(table, FLOAT32_TABLES) for table in self._multiplied()]).all(0)
            alike = bool(fits.all()) or not bool(fits.any())
            self._fits = bool(fits[0]) if alike else fits
        return self._fits

    def _multiplied(self) -> list[Float64[Tensor, "t _ d"]]:
        """The tables that deviations are multiplied with, besides the basis of the span of M."""
        tables = [self.tables.mean_of_means]
        if self.tables.head is not None:
            tables.append(self.tables.head.logits.weight)
        if self.tables.centres is not None:
            tables.append(self.tables.centres)
        return tables

    def _factors_in(self, precision: torch.dtype) -> tuple[Float[Tensor, "t d m"], Float[Tensor, "t r k"]]:
        """What deviations are multiplied with, side by side; what turns coordinates in the span into M (h - mu_y)."""
        if precision not in self._factors:
            tables = [table.to(precision) for table in (self.tables.basis, *self._multiplied())]
            self._factors[precision] = (torch.cat(tables, -2).mT, self.tables.coordinates.to(precision).mT)
        return self._factors[precision]

    def _per_sample(self, chunk: _Chunk, with_means: Float[Tensor, "t n k"]) -> _PerSample:
        """Block by block of samples."""
        rows, index = self._rows.of(chunk.flat, with_means.dtype)
        step = max(1, BLOCK_ELEMENTS // self.classes)
        blocks = [slice(start, start + step) for start in range(0, chunk.labels.shape[1], step)]
        return _PerSample.together(
            [self._of_block(chunk, with_means, rows, index[:, block], block) for block in blocks]
        )

    def _of_block(
        self,
        chunk: _Chunk,
        with_means: Float[Tensor, "t n k"],
        rows: ClassRows,
        index: Int64[Tensor, "t b"],
        block: slice,
    ) -> _PerSample:
        head, labels = self.tables.head, chunk.labels[:, block]
        with_centres = with_means if self.tables.centres is None else chunk.products[..., -self.classes :]
        found = {
            "nearest": self._nearest(chunk, with_centres[:, block], _rows_of(rows.half_squares, index), block),
            "directional": _directional(with_means[:, block], labels, _rows_of(rows.inverse_squares, index)),
        }
        if head is not None and rows.outputs is not None:
            found |= self._of_outputs(head, chunk, _rows_of(rows.outputs, index), block)
        return _PerSample(**found)

    def _nearest(
        self, chunk: _Chunk, with_centres: Float[Tensor, "t b k"], scores: Float[Tensor, "t b k"], block: slice
    ) -> Int64[Tensor, "t b"]:
        """argmin_c |h - m_c|^2, which is argmin_c |mu_y - m_c|^2 / 2 - (h - mu_y) . m_c for the centres m.

        `scores` are |mu_y - m_c|^2 / 2, and overwritten.
        """
        labels, centres = chunk.labels[:, block], self._centres
        own = scores.gather(-1, labels[..., None])[..., 0].to(torch.float64)
        torch.sub(with_centres, scores, out=scores)
        tolerance = self._tolerance(with_centres.dtype, chunk.squares[:, block], self._longest_centre)
        if tolerance is not None:
            # What rounding the table does: a centre that comes near the best is no farther from mu_y than that allows.
            tolerance = 2 * tolerance + 4 * torch.finfo(with_centres.dtype).eps * own

        def exactly(few: Tensor) -> Tensor:
            relative = chunk.features[:, block][:, few] - self.tables.mean_of_means
            return relative @ centres.mT - centres.square().sum(-1)[:, None] / 2

        return _decide(scores, labels, tolerance, exactly)

    def _of_outputs(
        self, head: HeadTables, chunk: _Chunk, outputs: Float64[Tensor, "t b k"], block: slice
    ) -> dict[str, Tensor]:
        """What the head makes of the features; `outputs` are those at the class means, and overwritten."""
        labels, first = chunk.labels[:, block], self.tables.basis.shape[-2] + 1
        products, exact = chunk.products[:, block, first : first + self.classes], chunk.features[:, block]
        found: dict[str, Tensor] = {}
        if head.logits.output_map is None:
            shift = products
            outputs += head.scaled(products.to(torch.float64))
            longest = head.longest_weight * head.inner
            tolerance = self._tolerance(products.dtype, chunk.squares[:, block], longest)
        else:
            at_means, outputs, tolerance = outputs, head.outputs(exact), None
            shift = outputs - at_means
            shift = shift - shift.mean(-1, keepdim=True)
            found["output_shift"] = shift
        found["output_squares"] = torch.linalg.vector_norm(shift, dim=-1, dtype=torch.float64).square()
        found["predicted"] = _decide(outputs, labels, tolerance, lambda few: head.outputs(exact[:, few]))
        its_losses = by_trial(head.numbers(outputs), labels)
        found["loss"], found["log_loss"], found["log_mean_exp"] = its_losses
        per_trial = zip(*(part.split(1) for part in (outputs, labels, *its_losses, head.outer)), strict=True)
        found["efficiency"] = torch.cat(
            [output_efficiency(own.clone(), its, (a, b, c), unit) for own, its, a, b, c, unit in per_trial]
        )
        return found

    def _sums_of_outputs(self, chunk: _Chunk, per_sample: _PerSample) -> dict[str, Tensor]:
        """The fields of `SampleSums` that say what the head makes of the features; 0 without a head."""
        flat, labels = chunk.flat, chunk.labels
        none = chunk.squares.new_zeros(len(labels))
        zeros = self._inverse_counts.new_zeros(self._inverse_counts.shape)
        names = ("loss", "log_mean_exp", "correct", "output_squares")
        sums = dict.fromkeys(names, zeros) | {"mismatched": none, "output_shift": none[:, None, None]}
        if per_sample.predicted is None or per_sample.log_loss is None or per_sample.efficiency is None:
            return sums | dict.fromkeys(("log_risk_balanced", "output_efficiency"), none - math.inf)
        sums |= {
            name: self._per_class(values, flat)
            for name in ("loss", "log_mean_exp", "output_squares", "output_shift")
            if (values := getattr(per_sample, name)) is not None
        }
        weighted = per_sample.log_loss - torch.log(self.classes * self.tables.counts.view(-1)[flat])
        return sums | {
            "correct": self._per_class((per_sample.predicted == labels).to(torch.float64), flat),
            "mismatched": (per_sample.predicted != per_sample.nearest).sum(-1).to(torch.float64),
            "output_efficiency": per_sample.efficiency.amax(-1),
            "log_risk_balanced": torch.cat([row.clone().logsumexp(-1) for row in weighted.split(1)]),
        }

    def _per_class(
        self, values: Float64[Tensor, "t n *rest"], flat: Int64[Tensor, "t n"]
    ) -> Float64[Tensor, "t k *rest"]:
        """Sums over the samples of every class."""
        trials, rest = values.shape[0], values.shape[2:]
        sums = values.new_zeros(trials * self.classes, *rest)
        sums.index_add_(0, flat.reshape(-1), values.reshape(-1, *rest))
        return sums.view(trials, self.classes, *rest)

    def _tolerance(
        self, dtype: torch.dtype, squares: Float64[Tensor, "t n"], longest: Float64[Tensor, "t"]
    ) -> Float64[Tensor, "t n"] | None:
        """Several times the rounding error of products in `dtype`; None where they are float64 already.

        It grows like the root of the number of terms.
        """
        if dtype == torch.float64:
            return None
        width = self.tables.means.shape[-1]
        return (4 + math.sqrt(width) / 2) * torch.finfo(dtype).eps * squares.sqrt() * longest[:, None]


def _directional(
    with_means: Float[Tensor, "t n k"], labels: Int64[Tensor, "t n"], inverse_squares: Float[Tensor, "t n k"]
) -> Float64[Tensor, "t n"]:
    """sum_c <h - mu_y, mu_y - mu_c>^2 / |mu_y - mu_c|^4, given <h - mu_y, mu_c - mu>; the last is overwritten."""
    inverse_squares *= with_means.gather(-1, labels[..., None]) - with_means
    return torch.linalg.vector_norm(inverse_squares, dim=-1, dtype=torch.float64).square()


def _rows_of(table: Float[Tensor, "rows m"], index: Int64[Tensor, "t n"]) -> Float[Tensor, "t n m"]:
    """The row of the table that belongs to every sample's class."""
    return table.index_select(0, index.reshape(-1)).view(*index.shape, table.shape[-1])


def _decide(
    scores: Float[Tensor, "t n k"],
    labels: Int64[Tensor, "t n"],
    tolerance: Float64[Tensor, "t n"] | None,
    exactly: Callable[[Tensor], Tensor],
) -> Int64[Tensor, "t n"]:
    """argmax of the scores; computed again, exactly, for samples whose runner-up is within the rounding error.

    Most samples that are learned have their own label far in front, and need no more than its largest rival.
    """
    index, chosen = labels[..., None], labels.clone()
    own = scores.gather(-1, index)
    rival = scores.scatter_(-1, index, -math.inf).amax(-1)
    scores.scatter_(-1, index, own)
    margin = 0.0 if tolerance is None else 2 * tolerance
    unsure = ~(own[..., 0] > rival + margin)
    if bool(unsure.any()):
        theirs = scores[unsure]
        best, chosen[unsure] = theirs.max(-1)
        if tolerance is not None:
            close = torch.zeros_like(unsure)
            close[unsure] = (theirs > (best - 2 * tolerance[unsure])[:, None]).sum(-1) > 1
            few = close.any(0).nonzero()[:, 0]
            if len(few):
                chosen[:, few] = exactly(few).argmax(-1)
    return chosen
