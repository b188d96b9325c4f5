"""Sums over samples that need the finished class means: one look at the features, chunk by chunk.

Deviations h_i - mu_{y_i} are formed in float64 and multiplied in the features' own precision, at least float32:
with float32 features the products are float32 products of small, exactly centred numbers, so the interesting
digits survive at half the cost. Everything that does not shrink at collapse (class means, their logits and
distances) stays in float64 tables, and every decision that float32 cannot make is made again in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from nc_bench.geometry.moments import flat_slots
from nc_bench.metrics.class_geometry import (
    LARGEST,
    centred,
    gram,
    in_range,
    pair_distances,
    row_norms,
    singular_directions,
    zeroed_unless,
)
from nc_bench.metrics.head import Head
from nc_bench.metrics.sample_sums import SampleSums

FLOAT32_TABLES, FLOAT32_DEVIATION = (1e-10, 1e15), 1e18
"""Largest entries of the tables, and length of deviations, whose products and their squares float32 holds."""


class SecondLook:
    """Turns chunks of features into `SampleSums`, given the class means and (if there is one) the head.

    `centres` are the class centres that nearest-centre decisions use: the means themselves, or the training
    split's means when the test split is measured. Tables that are not finite, or too large or small to square,
    are replaced by zeros: what comes of them says nothing, and `measurable`, `centres_known` and `head_usable`
    (t,) say for which trials.
    """

    def __init__(
        self,
        means: Float64[Tensor, "t k d"],
        counts: Float64[Tensor, "t k"],
        head: Head | None = None,
        centres: Float64[Tensor, "t k d"] | None = None,
    ) -> None:
        self.measurable = self.centres_known = in_range(means)
        self.means, self.counts = zeroed_unless(self.measurable, means), counts
        self.classes = means.shape[-2]
        self.rows = centred(self.means)
        self.row_squares, self.mean_squares = row_norms(self.rows).square(), row_norms(self.means).square()
        self.gram = gram(self.rows)
        self.left, self.singular, self.basis = singular_directions(self.rows, self.gram)
        self.distances = pair_distances(self.rows, self.gram)
        apart = self.distances
        self.centres: Tensor | None = None
        if centres is not None:
            self.centres_known = in_range(centres)
            self.centres = zeroed_unless(self.centres_known, centres) - self.means.mean(-2, keepdim=True)
            apart = torch.cdist(self.rows, self.centres, compute_mode="donot_use_mm_for_euclid_dist")
        self.half_squares = apart.square() / 2
        self.longest_centre = row_norms(self.rows if self.centres is None else self.centres).amax(-1)
        self.head: Head | None = None
        if head is not None:
            self._take_head(head)
        self._narrow: bool | Bool[Tensor, "t"] | None = None
        self._prepared: dict[torch.dtype, tuple[Tensor, Tensor]] = {}

    def _take_head(self, head: Head) -> None:
        self.head_usable = head.usable()
        self.head = head.zeroed_unless(self.head_usable)
        self.weight_on_span = centred(self.head.weight) @ self.basis.mT
        self.logits = self.head.without_common_part()
        self.longest_weight = row_norms(self.logits.weight).amax(-1)
        if head.output_map is None:
            # The bias and the offset of the features, often far larger, do not tell classes apart.
            self.row_outputs = self.rows @ self.logits.weight.mT
            middle = self.means.mean(-2, keepdim=True)
            self.class_outputs = self.row_outputs + self.logits.outputs(middle)
        else:
            self.row_outputs = self.class_outputs = self.logits.outputs(self.means)

    def __call__(self, features: Float[Tensor, "t n d"], labels: Int64[Tensor, "t n"]) -> SampleSums:
        narrow = False if features.dtype == torch.float64 else self._fits_float32()
        if isinstance(narrow, bool):
            return self._sums(features, labels, torch.float32 if narrow else torch.float64)
        # Rare, and worth both: what one trial's tables need must not change a digit of the others.
        return SampleSums.where(
            narrow, self._sums(features, labels, torch.float32), self._sums(features, labels, torch.float64)
        )

    def _sums(
        self, features: Float[Tensor, "t n d"], labels: Int64[Tensor, "t n"], precision: torch.dtype
    ) -> SampleSums:
        reach = FLOAT32_DEVIATION if precision == torch.float32 else LARGEST
        slots = flat_slots(labels, self.classes)
        exact = features.to(torch.float64)
        deviations = exact - self._pick(self.means, slots)
        squares = torch.linalg.vector_norm(deviations, dim=-1).square()
        products, to_rows = self._products(precision)
        projected = deviations.to(precision) @ products
        span = projected[..., : self.basis.shape[-2]]
        along = span @ to_rows
        along_own = along.gather(-1, labels[..., None])[..., 0].to(torch.float64)
        along_mean = projected[..., self.basis.shape[-2]].to(torch.float64)
        centred_norms = squares + 2 * along_own + self.row_squares.view(-1)[slots]
        norms = squares + 2 * (along_own + along_mean) + self.mean_squares.view(-1)[slots]
        nearest = self._nearest(exact, projected, along, squares, slots)
        largest, spare = squares.amax(-1).sqrt(), squares.new_zeros(squares.shape[0])
        sums = SampleSums(
            squared_deviation=self._per_class(squares, slots),
            span_squares=span.square().sum(-2, dtype=torch.float64),
            largest_deviation=torch.where(largest < reach, largest, math.inf),
            largest_norm=norms.amax(-1).clamp(min=0).sqrt(),
            largest_centred_norm=centred_norms.amax(-1).clamp(min=0).sqrt(),
            nearest_correct=(nearest == labels).sum(-1).to(torch.float64),
            loss=self._per_class(torch.zeros_like(squares), slots),
            log_risk_balanced=spare - math.inf,
            correct=spare,
            mismatched=spare,
            output_shift=spare[:, None, None],
            output_squares=self._per_class(torch.zeros_like(squares), slots),
        )
        if self.head is not None:
            self._outputs(sums, exact, projected, squares, nearest, labels, slots)
        return sums

    def _fits_float32(self) -> bool | Bool[Tensor, "t"]:
        """For which trials float32 holds products with the tables; True or False where all are alike."""
        if self._narrow is None:
            narrow = torch.stack([in_range(table, FLOAT32_TABLES) for table in self._tables()]).all(0)
            alike = bool(narrow.all()) or not bool(narrow.any())
            self._narrow = bool(narrow[0]) if alike else narrow
        return self._narrow

    def _tables(self) -> list[Float64[Tensor, "t _ d"]]:
        tables = [self.means.mean(-2, keepdim=True)]
        if self.head is not None:
            tables.append(self.logits.weight)
        if self.centres is not None:
            tables.append(self.centres)
        return tables

    def _products(self, precision: torch.dtype) -> tuple[Tensor, Tensor]:
        """What deviations are multiplied with, side by side (t, d, m); then span -> rows of M (t, r, K)."""
        if precision not in self._prepared:
            side_by_side = torch.cat([self.basis, *self._tables()], -2).mT.to(precision)
            to_rows = (self.left * self.singular[..., None, :]).mT.to(precision)
            self._prepared[precision] = (side_by_side, to_rows)
        return self._prepared[precision]

    def _nearest(
        self, exact: Tensor, projected: Tensor, along: Tensor, squares: Tensor, slots: Tensor
    ) -> Int64[Tensor, "t n"]:
        """argmin_c |h - m_c|^2, which is argmin_c |mu_y - m_c|^2 / 2 - (h - mu_y) . m_c for the centres m."""
        products = along if self.centres is None else projected[..., -self.classes :]
        centres = self.rows if self.centres is None else self.centres
        scores = products - self._pick(self.half_squares, slots)
        tolerance = _tolerance(products.dtype, squares, self.longest_centre, exact.shape[-1])
        return _decide(scores, tolerance, lambda few: self._exact_scores(exact[:, few], centres))

    def _exact_scores(self, exact: Tensor, centres: Tensor) -> Tensor:
        middle = self.means.mean(-2, keepdim=True)
        return (exact - middle) @ centres.mT - centres.square().sum(-1)[:, None] / 2

    def _outputs(
        self,
        sums: SampleSums,
        exact: Tensor,
        projected: Tensor,
        squares: Tensor,
        nearest: Tensor,
        labels: Tensor,
        slots: Tensor,
    ) -> None:
        first = self.basis.shape[-2] + 1
        products = projected[..., first : first + self.classes]
        own_outputs = self._pick(self.class_outputs, slots)
        if self.logits.output_map is None:
            shift = products.to(torch.float64)
            outputs = own_outputs + shift
            tolerance = _tolerance(products.dtype, squares, self.longest_weight, exact.shape[-1])
        else:
            outputs = self.logits.outputs(exact)
            shift = outputs - own_outputs
            shift = shift - shift.mean(-1, keepdim=True)
            sums.output_shift = self._per_class(shift, slots)
            tolerance = None
        predicted = _decide(outputs, tolerance, lambda few: self.logits.outputs(exact[:, few]))
        loss, log_loss = cross_entropy(outputs, labels)
        weights = -torch.log(self.classes * self.counts.view(-1)[slots])
        sums.loss = self._per_class(loss, slots)
        sums.log_risk_balanced = torch.logsumexp(log_loss + weights, -1)
        sums.correct = (predicted == labels).sum(-1).to(torch.float64)
        sums.mismatched = (predicted != nearest).sum(-1).to(torch.float64)
        sums.output_squares = self._per_class(shift.square().sum(-1), slots)

    def _pick(self, table: Tensor, slots: Tensor) -> Tensor:
        return table.reshape(-1, table.shape[-1])[slots]

    def _per_class(self, values: Tensor, slots: Tensor) -> Tensor:
        trials, rest = values.shape[0], values.shape[2:]
        sums = values.new_zeros(trials * self.classes, *rest)
        sums.index_add_(0, slots.reshape(-1), values.reshape(-1, *rest))
        return sums.view(trials, self.classes, *rest)


def _tolerance(dtype: torch.dtype, squares: Tensor, longest: Tensor, width: int) -> Tensor | None:
    """Several times the rounding error of products in `dtype`; None where they are float64 already.

    It grows like the root of the number of terms.
    """
    if dtype == torch.float64:
        return None
    return (4 + math.sqrt(width) / 2) * torch.finfo(dtype).eps * squares.sqrt() * longest[:, None]


def _decide(scores: Tensor, tolerance: Tensor | None, exactly: Callable[[Tensor], Tensor]) -> Tensor:
    """argmax of the scores; asked again exactly for samples whose runner-up is within the rounding error."""
    best, chosen = scores.max(-1)
    if tolerance is not None:
        rivals = (scores > (best - 2 * tolerance)[..., None]).sum(-1)
        few = (rivals > 1).any(0).nonzero()[:, 0]
        if len(few):
            chosen[:, few] = exactly(few).argmax(-1)
    return chosen


def cross_entropy(
    outputs: Float64[Tensor, "t n k"], labels: Int64[Tensor, "t n"]
) -> tuple[Float64[Tensor, "t n"], Float64[Tensor, "t n"]]:
    """Cross entropy softplus(log sum_{j != y} exp(z_j - z_y)) of every sample, and its logarithm.

    Written so, it keeps its relative accuracy however small it is: at z_y - z_j = 800 the loss is 0, its
    logarithm -800.
    """
    own = labels[..., None]
    margins = outputs - outputs.gather(-1, own)
    margins.scatter_(-1, own, -math.inf)
    exponent = torch.logsumexp(margins, -1)
    loss = torch.logaddexp(exponent, torch.zeros_like(exponent))
    small = exponent < -30
    return loss, torch.where(small, exponent - exponent.exp() / 2, loss.log())
