"""Sums over samples that need the finished class means: the second pass over the features, chunk by chunk.

Deviations h_i - mu_{y_i} are formed in float64 and multiplied in the features' own precision, at least float32:
with float32 features the products are float32 products of small, exactly centred numbers, so the interesting
digits survive at half the cost. Everything that does not shrink at collapse (class means, their logits and
distances) stays in float64 tables, and every decision that float32 cannot make is made again in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from nc_bench.geometry.moments import flat_labels
from nc_bench.metrics.class_geometry import in_range, row_norms
from nc_bench.metrics.class_tables import ClassTables, HeadTables
from nc_bench.metrics.cross_entropy import losses
from nc_bench.metrics.risks import output_efficiency
from nc_bench.metrics.sample_sums import SampleSums

FLOAT32_TABLES = (1e-10, 1e15)
"""Largest entries of the tables whose products with deviations, and their squares, float32 holds."""


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


class SecondPass:
    """From chunks of features to `SampleSums`, given the tables that the first pass has left."""

    def __init__(self, tables: ClassTables) -> None:
        self.tables, self.classes = tables, tables.classes
        self._mean_squares = row_norms(tables.means).square()
        self._centred_squares = row_norms(tables.centred_means).square()
        self._centres, apart = tables.centred_means, tables.distances
        if tables.centres is not None:
            self._centres = tables.centres
            apart = torch.cdist(tables.centred_means, self._centres, compute_mode="donot_use_mm_for_euclid_dist")
        self._half_squares = apart.square() / 2
        self._longest_centre = row_norms(self._centres).amax(-1)
        # 1 / |mu_c - mu_c'|^2, for the spread of one class in the direction of another.
        self._inverse_squares = torch.where(tables.distances > 0, 1 / tables.distances.square(), 0.0)
        self._inverse_counts = 1 / tables.counts
        self._ordinary = bool((tables.unit == 1).all())
        self._fits: bool | Bool[Tensor, "t"] | None = None
        self._factors: dict[torch.dtype, tuple[Tensor, Tensor]] = {}

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
        nearest = self._nearest(chunk, with_means if tables.centres is None else chunk.products[..., -self.classes :])
        none = squares.new_zeros(squares.shape[0])
        lengths = torch.linalg.vector_norm(chunk.features, dim=-1)
        sums = SampleSums(
            squared_deviation=self._per_class(squares, flat),
            directional=self._directional(chunk, with_means),
            norms=_moments(lengths),
            span_squares=span.square().sum(-2, dtype=torch.float64),
            largest_deviation=squares.amax(-1).sqrt(),
            largest_norm=norms.amax(-1).clamp(min=0).sqrt(),
            largest_centred_norm=centred_norms.amax(-1).clamp(min=0).sqrt(),
            nearest_correct=(nearest == labels).sum(-1).to(torch.float64),
            loss=self._per_class(torch.zeros_like(squares), flat),
            log_risk_balanced=none - math.inf,
            log_mean_exp=self._per_class(torch.zeros_like(squares), flat),
            correct=self._per_class(torch.zeros_like(squares), flat),
            mismatched=none,
            output_shift=none[:, None, None],
            output_squares=self._per_class(torch.zeros_like(squares), flat),
            output_efficiency=none - math.inf,
        )
        if tables.head is not None:
            self._add_outputs(sums, tables.head, chunk, nearest)
        return sums

    def _chunk(
        self, features: Float[Tensor, "t n d"], labels: Int64[Tensor, "t n"], side_by_side: Float[Tensor, "t d m"]
    ) -> _Chunk:
        flat, exact = flat_labels(labels, self.classes), features.to(torch.float64)
        if not self._ordinary:
            exact = exact / self.tables.unit[:, None, None]
        deviations = exact - _of_class(self.tables.means, flat)
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
            tables = self.tables
            side_by_side = torch.cat([tables.basis, *self._multiplied()], -2).mT.to(precision)
            to_means = (tables.left * tables.singular[..., None, :]).mT.to(precision)
            self._factors[precision] = (side_by_side, to_means)
        return self._factors[precision]

    def _directional(self, chunk: _Chunk, with_means: Float[Tensor, "t n k"]) -> Float64[Tensor, "t"]:
        """sum_i (1/n_y) sum_c <h_i - mu_y, mu_y - mu_c>^2 / |mu_y - mu_c|^4, given <h_i - mu_y, mu_c - mu>."""
        factors = _of_class(self._inverse_squares.to(with_means.dtype), chunk.flat)
        factors *= with_means.gather(-1, chunk.labels[..., None]) - with_means
        squares = torch.linalg.vector_norm(factors, dim=-1, dtype=torch.float64).square()
        return (squares * self._inverse_counts.view(-1)[chunk.flat]).sum(-1)

    def _nearest(self, chunk: _Chunk, with_centres: Float[Tensor, "t n k"]) -> Int64[Tensor, "t n"]:
        """argmin_c |h - m_c|^2, which is argmin_c |mu_y - m_c|^2 / 2 - (h - mu_y) . m_c for the centres m."""
        scores = with_centres - _of_class(self._half_squares, chunk.flat)
        tolerance = _tolerance(with_centres.dtype, chunk, self._longest_centre)
        return _decide(scores, tolerance, lambda few: self._exact_scores(chunk.features[:, few]))

    def _exact_scores(self, exact: Float64[Tensor, "t n d"]) -> Float64[Tensor, "t n k"]:
        centres = self._centres
        return (exact - self.tables.mean_of_means) @ centres.mT - centres.square().sum(-1)[:, None] / 2

    def _add_outputs(self, sums: SampleSums, head: HeadTables, chunk: _Chunk, nearest: Int64[Tensor, "t n"]) -> None:
        """Fill in the sums of what the head makes of the features."""
        logits, flat, exact = head.logits, chunk.flat, chunk.features
        first = self.tables.basis.shape[-2] + 1
        products = chunk.products[..., first : first + self.classes]
        own_outputs = _of_class(head.class_outputs, flat)
        if logits.output_map is None:
            shift = products.to(torch.float64)
            outputs = own_outputs + head.scaled(shift)
            tolerance = _tolerance(products.dtype, chunk, head.longest_weight * head.inner)
        else:
            outputs = head.outputs(exact)
            shift = outputs - own_outputs
            shift = shift - shift.mean(-1, keepdim=True)
            sums.output_shift = self._per_class(shift, flat)
            tolerance = None
        predicted = _decide(outputs, tolerance, lambda few: head.outputs(exact[:, few]))
        numbers = head.numbers(outputs)
        # Trial by trial, each in memory of its own, so that neither the order of a sum nor where a logarithm begins its
        # vectors depends on the stack (see `class_geometry.mean`).
        by_trial = [
            losses(own.clone(), labels) for own, labels in zip(numbers.split(1), chunk.labels.split(1), strict=True)
        ]
        loss, log_loss, beyond = (torch.cat(parts) for parts in zip(*by_trial, strict=True))
        per_trial = zip(outputs.split(1), chunk.labels.split(1), by_trial, head.outer.split(1), strict=True)
        sums.output_efficiency = torch.cat([output_efficiency(own.clone(), *rest) for own, *rest in per_trial])
        weights = -torch.log(self.classes * self.tables.counts.view(-1)[flat])
        sums.loss = self._per_class(loss, flat)
        sums.log_mean_exp = self._per_class(beyond, flat)
        sums.log_risk_balanced = torch.cat([row.clone().logsumexp(-1) for row in (log_loss + weights).split(1)])
        sums.correct = self._per_class((predicted == chunk.labels).to(torch.float64), flat)
        sums.mismatched = (predicted != nearest).sum(-1).to(torch.float64)
        sums.output_squares = self._per_class(shift.square().sum(-1), flat)

    def _per_class(
        self, values: Float64[Tensor, "t n *rest"], flat: Int64[Tensor, "t n"]
    ) -> Float64[Tensor, "t k *rest"]:
        """Sums over the samples of every class."""
        trials, rest = values.shape[0], values.shape[2:]
        sums = values.new_zeros(trials * self.classes, *rest)
        sums.index_add_(0, flat.reshape(-1), values.reshape(-1, *rest))
        return sums.view(trials, self.classes, *rest)


def _moments(values: Float64[Tensor, "t n"]) -> Float64[Tensor, "t 3"]:
    """Number, mean, and sum of squared deviations from the mean."""
    mean = values.mean(-1)
    number = torch.full_like(mean, values.shape[-1])
    return torch.stack([number, mean, (values - mean[:, None]).square().sum(-1)], -1)


def _of_class(table: Float[Tensor, "t k m"], flat: Int64[Tensor, "t n"]) -> Float[Tensor, "t n m"]:
    """The row of the table that belongs to every sample's class."""
    return table.reshape(-1, table.shape[-1])[flat]


def _tolerance(dtype: torch.dtype, chunk: _Chunk, longest: Float64[Tensor, "t"]) -> Float64[Tensor, "t n"] | None:
    """Several times the rounding error of products in `dtype`; None where they are float64 already.

    It grows like the root of the number of terms.
    """
    if dtype == torch.float64:
        return None
    width = chunk.features.shape[-1]
    return (4 + math.sqrt(width) / 2) * torch.finfo(dtype).eps * chunk.squares.sqrt() * longest[:, None]


def _decide(scores: Tensor, tolerance: Tensor | None, exactly: Callable[[Tensor], Tensor]) -> Tensor:
    """argmax of the scores; computed again, exactly, for samples whose runner-up is within the rounding error."""
    best, chosen = scores.max(-1)
    if tolerance is not None:
        rivals = (scores > (best - 2 * tolerance)[..., None]).sum(-1)
        few = (rivals > 1).any(0).nonzero()[:, 0]
        if len(few):
            chosen[:, few] = exactly(few).argmax(-1)
    return chosen
