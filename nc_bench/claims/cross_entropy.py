"""The cross entropy is convex, and flat along (1, ..., 1) alone: so class means have the least risk (sections 2, 3.1).

Hessians come from automatic differentiation. Risks are those of random networks, classes of unequal size, and of
outputs that are placed around class means.
"""

from __future__ import annotations

from functools import cache
from statistics import fmean

import torch
from jaxtyping import Float64, Int64
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot, relu

from nc_bench.claims.claim import Claim
from nc_bench.theory import convexity

CLASSES = (2, 3, 5, 10, 30)
"""Numbers of classes, and so of outputs, at which the Hessian is taken."""

NETWORKS, SAMPLES = 100, 60
SCATTERED, SCATTER = 5, 1e-3
"""Classes, and standard deviation within them, where the cost of scatter is measured: the fourth order is then a
millionth of the second."""

LEMMA_2_1, LEMMA_3_1 = "E & Wojtowytsch 2021, Lemma 2.1", "E & Wojtowytsch 2021, Lemma 3.1"


def claims() -> list[Claim]:
    """The Hessian, its eigenvalues and kernel; the risk of class means against that of the samples."""
    return [*_hessian(), *_class_means()]


def _hessian() -> list[Claim]:
    where = f"at random outputs of {', '.join(map(str, CLASSES))} classes"
    return [
        Claim(
            name="loss_second_derivative",
            statement=f"second derivative of the loss along (0, 1, ..., K-1): the mean {where}",
            source=LEMMA_2_1,
            predicted=lambda: fmean(_along(torch.from_numpy(convexity.loss_hessian(z))) for z in outputs()),
            obtained=lambda: fmean(_along(hessian(z)) for z in outputs()),
            tolerance=1e-12,
        ),
        Claim(
            name="loss_curvature_product",
            statement=f"log of the product of all eigenvalues of the Hessian but the smallest: the mean {where}",
            source=f"{LEMMA_2_1}, by the matrix-tree theorem",
            predicted=lambda: fmean(convexity.log_curvature_product(z) for z in outputs()),
            obtained=lambda: fmean(float(torch.linalg.eigvalsh(hessian(z))[1:].log().sum()) for z in outputs()),
            tolerance=1e-8,
        ),
        Claim(
            name="loss_smallest_eigenvalue",
            statement=f"the smallest eigenvalue of the Hessian is 0: the one farthest from it {where}",
            source=LEMMA_2_1,
            predicted=lambda: 0.0,
            obtained=lambda: max((float(torch.linalg.eigvalsh(hessian(z))[0]) for z in outputs()), key=abs),
            tolerance=1e-14,
            relative=False,
        ),
        Claim(
            name="loss_kernel",
            statement=f"its eigenvector is (1, ..., 1): the smallest |cosine| between the two {where}",
            source=LEMMA_2_1,
            predicted=lambda: 1.0,
            obtained=lambda: min(_cosine_of_kernel(z) for z in outputs()),
            tolerance=1e-12,
        ),
        Claim(
            name="loss_second_eigenvalue",
            statement=f"strictly convex across (1, ..., 1): the next eigenvalue of the Hessian, the smallest {where}",
            source=f"{LEMMA_2_1}, by Weyl's inequality",
            predicted=lambda: min(convexity.least_curvature(z) for z in outputs()),
            obtained=lambda: min(float(torch.linalg.eigvalsh(hessian(z))[1]) for z in outputs()),
            tolerance=1e-9,
            bound="at_least",
        ),
    ]


def _class_means() -> list[Claim]:
    where = f"of {NETWORKS} random networks"
    return [
        Claim(
            name="class_means_risk",
            statement=f"class means have the smaller risk: risk over risk of the class means, the smallest {where}",
            source=LEMMA_3_1,
            predicted=lambda: 1.0,
            obtained=lambda: min(risk(z, c) / risk(means(z, c), c) for z, c in networks()),
            tolerance=0.0,
            bound="at_least",
        ),
        Claim(
            name="class_means_flat_direction",
            statement="equally small where outputs differ from their class mean by multiples of (1, ..., 1): the ratio "
            f"farthest from 1 {where}",
            source=LEMMA_3_1,
            predicted=lambda: 1.0,
            obtained=lambda: max((_flat_ratio(z, c) for z, c in networks()), key=lambda ratio: abs(ratio - 1)),
            tolerance=1e-12,
        ),
        Claim(
            name="class_means_scatter",
            statement=f"by how much scatter of {SCATTER:g} within {SCATTERED} classes raises the risk",
            source="E & Wojtowytsch 2021, the expansion below Lemma 3.1",
            predicted=lambda: convexity.scatter_cost(*(part.numpy() for part in scattered())),
            obtained=_cost_of_scatter,
            tolerance=1e-5,
        ),
    ]


@cache
def outputs() -> list[Float64[Tensor, "k"]]:
    """A random output vector for each number of classes, entries of standard deviation 2."""
    random = torch.Generator().manual_seed(0)
    return [2 * torch.randn(classes, generator=random, dtype=torch.float64) for classes in CLASSES]


def hessian(z: Float64[Tensor, "k"]) -> Float64[Tensor, "k k"]:
    """By automatic differentiation of the cross entropy of the last class."""
    label = torch.tensor(len(z) - 1)
    return torch.autograd.functional.hessian(lambda logits: cross_entropy(logits, label), z)


@cache
def networks() -> list[tuple[Float64[Tensor, "n k"], Int64[Tensor, "n"]]]:
    """Outputs of random multilayer perceptrons on random inputs, and random labels, 2 to 9 classes."""
    found = []
    for seed in range(NETWORKS):
        random = torch.Generator().manual_seed(seed)
        classes, scale = 2 + seed % 8, 4.0 ** (seed % 5 - 1)
        hidden, last = (torch.randn(shape, generator=random, dtype=torch.float64) for shape in ((6, 20), (20, classes)))
        inputs = torch.randn(SAMPLES, 6, generator=random, dtype=torch.float64)
        labels = torch.cat([torch.arange(classes), torch.randint(0, classes, (SAMPLES - classes,), generator=random)])
        found.append((scale * relu(inputs @ hidden) @ last / 10, labels))
    return found


def means(z: Float64[Tensor, "n k"], labels: Int64[Tensor, "n"]) -> Float64[Tensor, "n k"]:
    """The mean output of the class of every sample."""
    members = one_hot(labels).to(z.dtype)
    return ((members.mT @ z) / members.sum(0)[:, None])[labels]


def risk(z: Float64[Tensor, "n k"], labels: Int64[Tensor, "n"]) -> float:
    """The mean cross entropy of samples."""
    return float(cross_entropy(z, labels))


@cache
def scattered() -> tuple[Float64[Tensor, "k k"], Float64[Tensor, "k k k"]]:
    """Class means and covariances of SCATTERED classes."""
    random = torch.Generator().manual_seed(0)
    shapes = ((SCATTERED, SCATTERED), (SCATTERED, SCATTERED, SCATTERED))
    centres, roots = (torch.randn(shape, generator=random, dtype=torch.float64) for shape in shapes)
    return centres, SCATTER**2 * roots @ roots.mT


def _cost_of_scatter() -> float:
    """Balanced risk of outputs z_c +- sqrt(K) r, r the columns of a root of the covariance, less that of the z_c."""
    centres, covariances = scattered()
    shifts = SCATTERED**0.5 * torch.linalg.cholesky(covariances).mT
    outputs = centres[:, None] + torch.cat([shifts, -shifts], 1)
    labels = torch.arange(SCATTERED)
    return risk(outputs.flatten(0, 1), labels.repeat_interleave(2 * SCATTERED)) - risk(centres, labels)


def _flat_ratio(z: Float64[Tensor, "n k"], labels: Int64[Tensor, "n"]) -> float:
    """Every sample's own first entry, added to all entries of its class mean, as the multiple of (1, ..., 1)."""
    flat = means(z, labels) + z[:, :1]
    return risk(flat, labels) / risk(means(flat, labels), labels)


def _along(hessian: Float64[Tensor, "k k"]) -> float:
    steps = torch.arange(len(hessian), dtype=torch.float64)
    return float(steps @ hessian @ steps)


def _cosine_of_kernel(z: Float64[Tensor, "k"]) -> float:
    smallest = torch.linalg.eigh(hessian(z)).eigenvectors[:, 0]
    return float(smallest.mean().abs() * len(z) ** 0.5)
