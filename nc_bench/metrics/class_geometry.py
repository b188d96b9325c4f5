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

ROWS = 4096
"""Rows that are handled at a time where tables of all of them would be made in between."""

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
    """The rows, with zeros for the trials that are not usable: decompositions raise on NaN and infinity.

    They are not copied where all are usable.
    """
    return rows if bool(usable.all()) else torch.where(usable[:, None, None], rows, 0)


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


def moments(values: Float64[Tensor, "t m"]) -> Float64[Tensor, "t 3"]:
    """Number, mean, and sum of squared deviations from the mean.

    Trial by trial: torch sums the entries of a row in another order where there are other numbers of rows, and a
    trial's numbers must not depend on the stack that it is in.
    """
    found = []
    for row in values.split(1):
        mean = row.mean(-1)
        found.append(torch.stack([torch.full_like(mean, row.shape[-1]), mean, (row - mean).square_().sum(-1)], -1))
    return torch.cat(found)


def pooled_moments(first: Float64[Tensor, "t 3"], second: Float64[Tensor, "t 3"]) -> Float64[Tensor, "t 3"]:
    """`moments` of two sets as one (Chan, Golub & LeVeque 1979)."""
    (number, mean, squares), (more, its_mean, its_squares) = first.unbind(-1), second.unbind(-1)
    total, apart = number + more, its_mean - mean
    share = more / total.clamp(min=1)
    return torch.stack([total, mean + share * apart, squares + its_squares + number * share * apart.square()], -1)


def standard_deviation(of_values: Float64[Tensor, "t 3"]) -> PerTrial:
    """The unbiased one, from `moments`; 0 for a single value."""
    number, _, squares = of_values.unbind(-1)
    return (squares / (number - 1).clamp(min=1)).sqrt()


def coefficient_of_variation(of_values: Float64[Tensor, "t 3"]) -> PerTrial:
    """Unbiased standard deviation over mean, from `moments`; 0 for a single value."""
    deviation = standard_deviation(of_values)
    return torch.where(of_values[:, 0] < 2, 0.0, deviation / of_values[:, 1])


def largest_share(values: Float64[Tensor, "t m"]) -> PerTrial:
    """max |value / mean - 1|; 0 for a single value."""
    if values.shape[-1] < 2:
        return values.new_zeros(values.shape[:-1])
    return (values / moments(values)[:, 1:2] - 1).abs().amax(-1)


def equinorm(rows: Means) -> PerTrial:
    """std_c |row_c| / mean_c |row_c|; 0 for a simplex."""
    return coefficient_of_variation(moments(row_norms(rows)))


def gram(rows: Means) -> Gram:
    """Inner products of the rows."""
    return rows @ rows.mT


def etf_error(singular: Float64[Tensor, "t r"], mean_row: Float64[Tensor, "t #1 d"], rows: Means) -> PerTrial:
    """|A/|A|_F - (I - 11^T/K)/sqrt(K-1)|_F with A = X X^T, X = rows + 1 mean_row; 0 for a simplex.

    `rows` are centred, with these min(K-1, d) singular values. Both matrices of the difference have the eigenvectors of
    rows rows^T where mean_row is 0, so that it is the difference of their eigenvalues; otherwise the vector
    (1, .., 1) is no eigenvector, and what A has in its row and column is added.
    """
    classes, squares = rows.shape[-2], singular.square()
    along_ones = classes * mean_row.square().sum((-2, -1))
    across = classes * (rows @ mean_row.mT).square().sum((-2, -1))
    rest = 2 * across + along_ones.square()
    size = (squares.square().sum(-1) + rest).sqrt()
    return _from_target(squares / size[:, None], classes, rest / size.square())


def alignment_etf_error(
    products: Float64[Tensor, "t k r"],
    coordinates: Float64[Tensor, "t k r"],
    singular: Float64[Tensor, "t r"],
    from_mean_row: Float64[Tensor, "t k"],
) -> PerTrial:
    """|B/|B|_F - (I - 11^T/K)/sqrt(K-1)|_F with B = W M^T; 0 for a simplex.

    M = U S V^T with U S the `coordinates`; `products` = Wc V S, so that Wc M^T = products U^T; from_mean_row = M w, w
    the mean row of W. Frobenius norms are those of the products with U and with what is orthogonal to it, where B is 0.
    """
    classes, values = coordinates.shape[-2], singular[..., None, :]
    rest = classes * from_mean_row.square().sum(-1)
    blocks = products.split(ROWS, -2)
    squares, inside = torch.zeros_like(rest), torch.zeros_like(rest)
    for rows in blocks:
        squares += rows.square().sum((-2, -1))
    size = (squares + rest).sqrt()
    for rows, its in zip(blocks, coordinates.split(ROWS, -2), strict=True):
        target = torch.where(values > 0, its / values, 0.0) / math.sqrt(max(classes - 1, 1))
        inside += (rows / size[:, None, None] - target).square().sum((-2, -1))
    outside = (classes - 1 - coordinates.shape[-1]) / max(classes - 1, 1)
    return (inside + outside + rest / size.square()).sqrt()


def duality(weight: Means, rows: Means) -> tuple[PerTrial, PerTrial]:
    """|D|_F and sqrt(K) max_c |d_c| for D = W/|W|_F - M/|M|_F with the rows d_c; 0 when W is a multiple of M.

    The second is never the smaller, and equal where all rows of D are equally long.
    """
    size, its_size = frobenius(weight), frobenius(rows)
    parts = zip(weight.split(ROWS, -2), rows.split(ROWS, -2), strict=True)
    lengths = torch.cat([row_norms(w / size - m / its_size) for w, m in parts], -1)
    return torch.linalg.vector_norm(lengths, dim=-1), math.sqrt(rows.shape[-2]) * lengths.amax(-1)


def misalignments(weight: Means, rows: Means) -> Float64[Tensor, "t k"]:
    """1 - cos(w_c, mu_c - mu) per class, as half the squared difference of unit vectors; 0 when aligned."""
    parts = zip(weight.split(ROWS, -2), rows.split(ROWS, -2), strict=True)
    return torch.cat([(unit_rows(w) - unit_rows(m)).square().sum(-1) / 2 for w, m in parts], -1)


def singular_values(rows: Means, products: Gram | None = None, *, most: int | None = None) -> Float64[Tensor, "t r"]:
    """The singular values of the rows, at most min(K, d) or `most`, largest first; `products`: rows rows^T, if known.

    From the smaller of the two Gram matrices; where the smallest would lose too many digits, from the rows.
    """
    kept = min(*rows.shape[-2:]) if most is None else most
    squares = torch.linalg.eigvalsh(_smaller_gram(rows, products))
    squares = squares[..., squares.shape[-1] - kept :].flip(-1).clamp(min=0)
    values = squares.sqrt()
    if kept > 0 and bool((poor := squares[..., -1] <= 1e-8 * squares[..., 0]).any()):
        exact = torch.linalg.svdvals(rows[poor])[..., :kept]
        # The largest keeps all its digits, and is the same number whatever the others are.
        values[poor] = torch.cat([values[poor][..., :1], exact[..., 1:]], -1)
    return values


def _smaller_gram(rows: Means, products: Gram | None) -> Float64[Tensor, "t m m"]:
    classes, width = rows.shape[-2:]
    if classes > width:
        return rows.mT @ rows
    return gram(rows) if products is None else products


def spectral_norm(singular: Float64[Tensor, "t r"]) -> PerTrial:
    """The largest singular value; 0 where there is none."""
    return singular[..., 0] if singular.shape[-1] > 0 else singular.sum(-1)


def length(vectors: Float64[Tensor, "t k"]) -> PerTrial:
    """Euclidean norm, also of numbers whose squares leave the range of float64."""
    unit = unit_for(vectors.abs().amax(-1))
    return torch.linalg.vector_norm(vectors / unit[:, None], dim=-1) * unit


def evenness(singular: Float64[Tensor, "t r"], number: int) -> PerTrial:
    """Their sum over sqrt(n) times the root of the sum of their squares: 1 for n equal ones."""
    return singular.sum(-1) / (math.sqrt(number) * torch.linalg.vector_norm(singular, dim=-1))


def effective_rank(singular: Float64[Tensor, "t r"]) -> PerTrial:
    """exp(-sum p log p), p the singular values over their sum: their number where they are equal."""
    shares = singular / singular.sum(-1, keepdim=True)
    return torch.exp(-torch.cat([torch.special.xlogy(row, row).sum(-1) for row in shares.split(1)]))


def singular_directions(
    rows: Means, products: Gram | None = None
) -> tuple[Float64[Tensor, "t k r"], Float64[Tensor, "t r"], Float64[Tensor, "t r d"]]:
    """Singular value decomposition U S, s, V^T of centred rows, in at most min(K-1, d) directions, largest first.

    Rows that sum to zero have rank K-1 at most. A well-conditioned matrix is decomposed through the smaller of its two
    Gram matrices, which is faster and, down to a hundredth of the largest singular value, as exact to 12 digits.
    """
    classes, width = rows.shape[-2:]
    directions = min(classes - 1, width)
    if directions == 0:
        return _svd(rows, directions)
    squares, vectors = torch.linalg.eigh(_smaller_gram(rows, products))
    squares, vectors = squares[..., -directions:].flip(-1), vectors[..., -directions:].flip(-1)
    singular = squares.clamp(min=0).sqrt()
    if classes > width:
        basis = vectors.mT.contiguous()
        coordinates = rows @ vectors
    else:
        basis = (vectors / singular[..., None, :]).mT @ rows
        coordinates = vectors * singular[..., None, :]
    poor = squares[..., -1] <= 1e-4 * squares[..., 0]
    if bool(poor.any()):
        coordinates[poor], singular[poor], basis[poor] = _svd(rows[poor], directions)
    return coordinates, singular, basis


def _svd(rows: Means, directions: int) -> tuple[Tensor, Tensor, Tensor]:
    left, singular, basis = torch.linalg.svd(rows, full_matrices=False)
    left, singular, basis = left[..., :directions], singular[..., :directions], basis[..., :directions, :]
    return left * singular[..., None, :], singular, basis


def isometry_defect(on_span: Float64[Tensor, "t k r"]) -> PerTrial:
    """(s_max - s_min)/s_mean over the singular values of Wc on the span of M's rows, given Wc V.

    0 for an isometry, which the head is at exact collapse: E & Wojtowytsch (2021), Cor. 4.2 (4). NaN where V has fewer
    than K-1 directions.
    """
    classes, directions = on_span.shape[-2:]
    if directions < max(classes - 1, 1):
        return torch.full_like(on_span[:, 0, :1].sum(-1), torch.nan)
    values = singular_values(on_span)
    return (values[..., 0] - values[..., -1]) / values.mean(-1)


def _from_target(eigenvalues: Float64[Tensor, "t r"], classes: int, rest: PerTrial) -> PerTrial:
    """|D - (I - 11^T/K)/sqrt(K-1)|_F for D with these eigenvalues orthogonal to (1, .., 1), and `rest` else."""
    others = max(classes - 1, 1)
    missing = max(others - eigenvalues.shape[-1], 0) / others
    return ((eigenvalues - 1 / math.sqrt(others)).square().sum(-1) + missing + rest).sqrt()
