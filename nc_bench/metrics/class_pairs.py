"""What pairs of classes say: distances, angles and closeness of directions.

Up to WHOLE classes there are tables of all pairs. Beyond, tables would outgrow the features: pairs are visited in tiles
of TILE x TILE, in time that grows as K^2 d by nature and in memory that does not grow with K^2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from nc_bench.metrics.class_geometry import Means, PerTrial, moments, pooled_moments, row_norms

WHOLE = 2048
"""Classes up to which a table of all pairs is kept, 32 MiB in float64."""

TILE = 1024
"""Classes along each side of a tile of pairs where there are more."""

Block = Float64[Tensor, "t a b"]


def has_tables(classes: int) -> bool:
    """Whether tables of all pairs of so many classes are kept."""
    return classes <= WHOLE


@dataclass(frozen=True, kw_only=True)
class MeanPairs:
    """What pairs c != c' of rows say, for t trials.

    distances and closeness: number, mean and sum of squared deviations of |row_c - row_c'| and of -log |u_c - u_c'|, u
    the unit rows; shortest, longest: the extreme distances; cosine_excess, worst_cosine: the mean and the largest of
    |cos + 1/(K-1)|; inverse_squares (t, K): sum over c' of
    1/|row_c - row_c'|^2; coinciding, one_direction (t, K): whether a class shares its row, or its direction, with
    another up to rounding; table (t, K, K): the distances, up to WHOLE classes.
    """

    distances: Float64[Tensor, "t 3"]
    closeness: Float64[Tensor, "t 3"]
    shortest: PerTrial
    longest: PerTrial
    cosine_excess: PerTrial
    worst_cosine: PerTrial
    inverse_squares: Float64[Tensor, "t k"]
    coinciding: Bool[Tensor, "t k"]
    one_direction: Bool[Tensor, "t k"]
    table: Float64[Tensor, "t k k"] | None


def mean_pairs(rows: Means, cutoff: PerTrial, products: Float64[Tensor, "t k k"] | None = None) -> MeanPairs:
    """`cutoff`: the length up to which a difference of rows is rounding; `products`: the inner products, if known."""
    trials, classes, _ = rows.shape
    norms, squares = row_norms(rows), rows.square().sum(-1)
    inverse_squares = torch.zeros_like(norms)
    coinciding, one_direction = torch.zeros_like(norms, dtype=torch.bool), torch.zeros_like(norms, dtype=torch.bool)
    excess, worst, longest = rows.new_zeros(3, trials)
    shortest = torch.full_like(longest, math.inf)
    of_distances, of_closeness = _Moments(), _Moments()
    table = None
    for mine, theirs in tiles(classes):
        first, second = rows[:, mine], rows[:, theirs]
        its_products = first @ second.mT if products is None or not has_tables(classes) else products
        apart = _apart(first, second, its_products, squares[:, mine], squares[:, theirs])
        table = apart if has_tables(classes) else None
        own, other = norms[:, mine, None], norms[:, None, theirs]
        cosines = its_products / own / other
        directions = _apart(first / own, second / other.mT, cosines)
        diagonal = mine == theirs
        _mark(coinciding, apart <= cutoff[:, None, None], mine, theirs, diagonal=diagonal)
        rounding = cutoff[:, None, None] * (1 / own + 1 / other)
        _mark(one_direction, directions <= rounding, mine, theirs, diagonal=diagonal)
        inverse = 1 / apart.square()
        if diagonal:
            inverse.diagonal(dim1=-2, dim2=-1).zero_()
        else:
            inverse_squares[:, theirs] += inverse.sum(-2)
        inverse_squares[:, mine] += inverse.sum(-1)
        its_sum, its_largest = _cosine_excess(cosines, classes, diagonal=diagonal)
        excess, worst = excess + its_sum, torch.maximum(worst, its_largest)
        if apart.shape[-1] > 1 or classes == 1 or not diagonal:
            lengths = _pairs(apart, diagonal=diagonal)
            of_distances.add(lengths)
            if classes > 1:
                shortest, longest = torch.minimum(shortest, lengths.amin(-1)), torch.maximum(longest, lengths.amax(-1))
            of_closeness.add(_closeness(_pairs(directions, diagonal=diagonal)))
    return MeanPairs(
        distances=of_distances.total,
        closeness=of_closeness.total,
        shortest=shortest,
        longest=longest,
        cosine_excess=excess / max(classes * (classes - 1) / 2, 1),
        worst_cosine=worst,
        inverse_squares=inverse_squares,
        coinciding=coinciding,
        one_direction=one_direction,
        table=table,
    )


def equiangular(rows: Means, products: Float64[Tensor, "t k k"] | None = None) -> tuple[PerTrial, PerTrial]:
    """Mean and maximum over c != c' of |cos(row_c, row_c') + 1/(K-1)|; 0 for a simplex centred at 0."""
    classes = rows.shape[-2]
    norms = row_norms(rows)
    excess, worst = rows.new_zeros(2, rows.shape[0])
    for mine, theirs in tiles(classes):
        known = products if has_tables(classes) else None
        its_products = rows[:, mine] @ rows[:, theirs].mT if known is None else known
        cosines = its_products / norms[:, mine, None] / norms[:, None, theirs]
        its_sum, its_largest = _cosine_excess(cosines, classes, diagonal=mine == theirs)
        excess, worst = excess + its_sum, torch.maximum(worst, its_largest)
    return excess / max(classes * (classes - 1) / 2, 1), worst


def worst_deviation(rows: Means, variances: Float64[Tensor, "t k"], table: Float64[Tensor, "t k k"] | None) -> PerTrial:
    """max over c != c' of (V_c + V_c') / (2 |row_c - row_c'|^2); `table`: the distances, where they are kept."""
    worst = rows.new_zeros(rows.shape[0])
    for mine, theirs in tiles(rows.shape[-2]):
        apart = distances(rows[:, mine], rows[:, theirs]) if table is None else table
        shares = (variances[:, mine, None] + variances[:, None, theirs]) / (2 * apart.square())
        if mine == theirs:
            shares.diagonal(dim1=-2, dim2=-1).zero_()
        worst = torch.maximum(worst, shares.amax((-2, -1)))
    return worst


def distances(first: Float64[Tensor, "t a d"], second: Float64[Tensor, "t b d"]) -> Block:
    """|x - y| for rows x of the first and y of the second."""
    return _apart(first, second, first @ second.mT)


def tiles(classes: int) -> Iterator[tuple[slice, slice]]:
    """Blocks of rows and of columns that hold every pair c <= c'; those on the diagonal hold it twice."""
    step = classes if has_tables(classes) else TILE
    cuts = [slice(start, min(start + step, classes)) for start in range(0, classes, step)]
    for number, mine in enumerate(cuts):
        for theirs in cuts[number:]:
            yield mine, theirs


def _apart(
    first: Tensor, second: Tensor, products: Block, squares: Tensor | None = None, its_squares: Tensor | None = None
) -> Block:
    """Distances, from inner products where that keeps 12 digits and from the difference of the rows where not."""
    squares = first.square().sum(-1) if squares is None else squares
    its_squares = second.square().sum(-1) if its_squares is None else its_squares
    sums = squares[..., :, None] + its_squares[..., None, :]
    squared = (sums - 2 * products).clamp(min=0)
    trial, row, column = (squared < 1e-3 * sums).nonzero(as_tuple=True)
    for part in torch.arange(len(trial), device=first.device).split(4096):
        differences = first[trial[part], row[part]] - second[trial[part], column[part]]
        squared[trial[part], row[part], column[part]] = differences.square().sum(-1)
    return squared.sqrt_()


def _pairs(block: Block, *, diagonal: bool) -> Float64[Tensor, "t p"]:
    """Entries of pairs c < c'."""
    if not diagonal:
        return block.flatten(1)
    first, second = torch.triu_indices(block.shape[-2], block.shape[-1], 1, device=block.device)
    return block[..., first, second]


def _closeness(lengths: Float64[Tensor, "t p"]) -> Float64[Tensor, "t p"]:
    """-log, trial by trial: where a logarithm begins its vectors must not depend on the stack."""
    return torch.cat([-torch.log(row.clone()) for row in lengths.split(1)])


def _cosine_excess(cosines: Block, classes: int, *, diagonal: bool) -> tuple[PerTrial, PerTrial]:
    """The sum over pairs of |cos + 1/(K-1)|, and the largest."""
    excess = (cosines + 1.0 / max(classes - 1, 1)).abs_()
    if not diagonal:
        return excess.sum((-2, -1)), excess.amax((-2, -1))
    excess.diagonal(dim1=-2, dim2=-1).zero_()
    return excess.sum((-2, -1)) / 2, excess.amax((-2, -1))


def _mark(
    flags: Bool[Tensor, "t k"], found: Bool[Tensor, "t a b"], mine: slice, theirs: slice, *, diagonal: bool
) -> None:
    """Flag the classes of the pairs that are found."""
    if diagonal:
        found.diagonal(dim1=-2, dim2=-1).fill_(False)
    flags[:, mine] |= found.any(-1)
    flags[:, theirs] |= found.any(-2)


class _Moments:
    """`moments` of values that come in parts.

    Merged at once: a list of small tensors, each made between large ones that are freed, leaves the heap full of holes.
    """

    total: Float64[Tensor, "t 3"]

    def __init__(self) -> None:
        self._has_values = False

    def add(self, values: Float64[Tensor, "t m"]) -> None:
        part = moments(values)
        self.total = pooled_moments(self.total, part) if self._has_values else part
        self._has_values = True
