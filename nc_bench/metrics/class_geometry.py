"""What the class means and the last layer alone determine: NC2, NC3, offsets, isometry.

Everything here is float64 with a leading axis of trials t. A value that is undefined comes out as any number;
`nc_bench.metrics.undefined` puts NaN and the reason in its place. NC2 and NC3: Papyan, Han & Donoho (2020), section 2.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

Means = Float64[Tensor, "t k d"]
Gram = Float64[Tensor, "t k k"]
PerTrial = Float64[Tensor, "t"]

EPS = torch.finfo(torch.float64).eps

SMALLEST, LARGEST = 1e-70, 1e70
"""Between these, float64 holds the fourth powers of entries, and sums of many of them."""

ORDINARY = 2.0**32
"""Numbers between 1 / ORDINARY and ORDINARY are measured as they are, others in units of a power of two."""


def unit_for(largest: Float64[Tensor, "*shape"]) -> Float64[Tensor, "*shape"]:
    """A power of two to divide numbers by whose largest is given, so that their powers stay within float64.

    1 where the largest is of ordinary size, 0, or not finite. Dividing by a power of two loses no digit.
    """
    extreme = largest.isfinite() & (largest > 0) & ((largest > ORDINARY) | (largest < 1 / ORDINARY))
    exponent = torch.frexp(torch.where(extreme, largest, 1.0)).exponent.clamp(-1020, 1020)
    # From its bits: 2**x as the library computes it may miss a power of two by a rounding error.
    power = ((exponent.to(torch.int64) + 1023) << 52).view(torch.float64)
    return torch.where(extreme, power, 1.0)


def in_range(rows: Means, limits: tuple[float, float] = (SMALLEST, LARGEST)) -> Bool[Tensor, "t"]:
    """Whether all entries are finite and the largest, unless it is 0, lies between the limits."""
    largest = rows.abs().amax((-2, -1))
    return (largest == 0) | ((largest > limits[0]) & (largest < limits[1]))


def zeroed_unless(usable: Bool[Tensor, "t"], rows: Means) -> Means:
    """The rows, with zeros for the trials that are not usable: decompositions raise on NaN and infinity."""
    return torch.where(usable[:, None, None], rows, 0)


def rank_cutoff(rows: Means) -> PerTrial:
    """Length below which a difference of the rows is rounding: max_c |row_c| max(K, d) eps(float64)."""
    return row_norms(rows).amax(-1) * max(rows.shape[-2:]) * EPS


def row_norms(rows: Means) -> Float64[Tensor, "t k"]:
    return torch.linalg.vector_norm(rows, dim=-1)


def centred(rows: Means) -> Means:
    """Rows minus their mean: M from the class means, Wc from W."""
    return rows - rows.mean(-2, keepdim=True)


def frobenius(rows: Means) -> Float64[Tensor, "t 1 1"]:
    return torch.linalg.matrix_norm(rows, keepdim=True)


def unit_rows(rows: Means) -> Means:
    return rows / row_norms(rows)[..., None]


def coefficient_of_variation(values: Float64[Tensor, "t m"]) -> PerTrial:
    """Unbiased standard deviation over mean; 0 for a single value."""
    if values.shape[-1] < 2:
        return values.new_zeros(values.shape[:-1])
    return standard_deviation(values) / mean(values)


def mean(values: Float64[Tensor, "t m"]) -> PerTrial:
    """Trial by trial: torch sums the entries of a row in another order where there are other numbers of rows, and a
    trial's numbers must not depend on the stack that it is in.
    """
    return torch.cat([row.mean(-1) for row in values.split(1)])


def standard_deviation(values: Float64[Tensor, "t m"]) -> PerTrial:
    """The unbiased one, trial by trial as `mean`; 0 for a single value."""
    if values.shape[-1] < 2:
        return values.new_zeros(values.shape[:-1])
    return torch.cat([row.std(-1) for row in values.split(1)])


def equinorm(rows: Means) -> PerTrial:
    """std_c |row_c| / mean_c |row_c|; 0 for a simplex."""
    return coefficient_of_variation(row_norms(rows))


def gram(rows: Means) -> Gram:
    """Inner products of the rows."""
    return rows @ rows.mT


def largest_share(values: Float64[Tensor, "t m"]) -> PerTrial:
    """max |value / mean - 1|; 0 for a single value."""
    if values.shape[-1] < 2:
        return values.new_zeros(values.shape[:-1])
    return (values / mean(values)[:, None] - 1).abs().amax(-1)


def equiangular(rows: Means, products: Gram) -> tuple[PerTrial, PerTrial]:
    """Mean and maximum over c != c' of |cos(row_c, row_c') + 1/(K-1)|; 0 for a simplex centred at 0."""
    classes = rows.shape[-2]
    norms = row_norms(rows)
    cosines = products / norms[..., :, None] / norms[..., None, :]
    excess = (cosines + 1.0 / max(classes - 1, 1)).abs()
    excess.diagonal(dim1=-2, dim2=-1).zero_()
    return excess.sum((-2, -1)) / max(classes * (classes - 1), 1), excess.amax((-2, -1))


def pair_distances(rows: Means, products: Gram) -> Gram:
    """|row_c - row_c'|, from the Gram matrix where that keeps 12 digits and from the difference where not."""
    squares = rows.square().sum(-1)
    sums = squares[..., :, None] + squares[..., None, :]
    squared = (sums - 2 * products).clamp(min=0)
    squared.diagonal(dim1=-2, dim2=-1).zero_()
    cancelled = squared < 1e-3 * sums
    cancelled.diagonal(dim1=-2, dim2=-1).fill_(False)
    trial, first, second = cancelled.nonzero(as_tuple=True)
    for part in torch.arange(len(trial), device=rows.device).split(4096):
        differences = rows[trial[part], first[part]] - rows[trial[part], second[part]]
        squared[trial[part], first[part], second[part]] = differences.square().sum(-1)
    return squared.sqrt()


def pairs(matrix: Gram) -> Float64[Tensor, "t p"]:
    """Entries above the diagonal: one per pair c < c' of classes."""
    classes = matrix.shape[-1]
    first, second = torch.triu_indices(classes, classes, 1, device=matrix.device)
    return matrix[..., first, second]


def etf_error(products: Gram) -> PerTrial:
    """|G/|G|_F - (I - 11^T/K)/sqrt(K-1)|_F with G = M M^T; 0 for a simplex."""
    classes = products.shape[-1]
    target = torch.eye(classes, dtype=products.dtype, device=products.device) - 1.0 / classes
    target /= math.sqrt(max(classes - 1, 1))
    return torch.linalg.matrix_norm(products / frobenius(products) - target)


def duality(weight: Means, rows: Means) -> tuple[PerTrial, PerTrial]:
    """|D|_F and sqrt(K) max_c |d_c| for D = W/|W|_F - M/|M|_F with the rows d_c; 0 when W is a multiple of M.

    The second is never the smaller, and equal where all rows of D are equally long.
    """
    difference = weight / frobenius(weight) - rows / frobenius(rows)
    return torch.linalg.matrix_norm(difference), math.sqrt(rows.shape[-2]) * row_norms(difference).amax(-1)


def misalignments(weight: Means, rows: Means) -> Float64[Tensor, "t k"]:
    """1 - cos(w_c, mu_c - mu) per class, as half the squared difference of unit vectors; 0 when aligned."""
    return (unit_rows(weight) - unit_rows(rows)).square().sum(-1) / 2


def singular_values(rows: Means, products: Gram) -> Float64[Tensor, "t r"]:
    """The min(K-1, d) singular values of centred rows, largest first, given their inner products.

    From the smaller of the two Gram matrices; where the smallest would lose too many digits, from the rows.
    """
    classes, width = rows.shape[-2:]
    kept = min(classes - 1, width)
    squares = torch.linalg.eigvalsh(products if classes <= width else rows.mT @ rows)
    squares = squares[..., squares.shape[-1] - kept :].flip(-1).clamp(min=0)
    values = squares.sqrt()
    if kept > 0 and bool((poor := squares[..., -1] <= 1e-8 * squares[..., 0]).any()):
        exact = torch.linalg.svdvals(rows[poor])[..., :kept]
        # The largest keeps all its digits, and is the same number whatever the others are.
        values[poor] = torch.cat([values[poor][..., :1], exact[..., 1:]], -1)
    return values


def spectral_norm(singular: Float64[Tensor, "t r"]) -> PerTrial:
    """The largest singular value; 0 where there is none."""
    return singular[..., 0] if singular.shape[-1] > 0 else singular.sum(-1)


def length(vectors: Float64[Tensor, "t k"]) -> PerTrial:
    """Euclidean norm, also of numbers whose squares leave the range of float64."""
    unit = unit_for(vectors.abs().amax(-1))
    return torch.linalg.vector_norm(vectors / unit[:, None], dim=-1) * unit


def direction_distances(rows: Means, products: Gram) -> Gram:
    """|u_c - u_c'| of the unit rows u, given the inner products of the rows."""
    norms = row_norms(rows)
    return pair_distances(unit_rows(rows), products / norms[..., :, None] / norms[..., None, :])


def evenness(singular: Float64[Tensor, "t r"], number: int) -> PerTrial:
    """Their sum over sqrt(n) times the root of the sum of their squares: 1 for n equal ones."""
    return singular.sum(-1) / (math.sqrt(number) * torch.linalg.vector_norm(singular, dim=-1))


def effective_rank(singular: Float64[Tensor, "t r"]) -> PerTrial:
    """exp(-sum p log p), p the singular values over their sum: their number where they are equal."""
    shares = singular / singular.sum(-1, keepdim=True)
    return torch.exp(-torch.cat([torch.special.xlogy(row, row).sum(-1) for row in shares.split(1)]))


def singular_directions(
    rows: Means, products: Gram
) -> tuple[Float64[Tensor, "t k r"], Float64[Tensor, "t r"], Float64[Tensor, "t r d"]]:
    """Singular value decomposition U, s, V^T of centred rows, in at most min(K-1, d) directions, largest first.

    Rows that sum to zero have rank K-1 at most. A well-conditioned matrix is decomposed through its Gram matrix,
    which is twice as fast and, down to a hundredth of the largest singular value, as exact to 12 digits.
    """
    classes, width = rows.shape[-2:]
    directions = min(classes - 1, width)
    if classes > width or directions == 0:
        return _svd(rows, directions)
    squares, left = torch.linalg.eigh(products)
    squares, left = squares[..., 1:].flip(-1), left[..., 1:].flip(-1)
    singular = squares.clamp(min=0).sqrt()
    basis = (left / singular[..., None, :]).mT @ rows
    poor = squares[..., -1] <= 1e-4 * squares[..., 0]
    if bool(poor.any()):
        left[poor], singular[poor], basis[poor] = _svd(rows[poor], directions)
    return left, singular, basis


def _svd(rows: Means, directions: int) -> tuple[Tensor, Tensor, Tensor]:
    left, singular, basis = torch.linalg.svd(rows, full_matrices=False)
    return left[..., :directions], singular[..., :directions], basis[..., :directions, :]


def isometry_defect(on_span: Float64[Tensor, "t k r"]) -> PerTrial:
    """(s_max - s_min)/s_mean over the singular values of Wc on the span of M's rows, given Wc V.

    0 for an isometry, which the head is at exact collapse: E & Wojtowytsch (2021), Cor. 4.2 (4).
    """
    if on_span.shape[-1] == 0:
        return torch.full_like(on_span.sum((-2, -1)), torch.nan)
    values = torch.linalg.svdvals(on_span)
    return (values[..., 0] - values[..., -1]) / values.mean(-1)
