"""What is known of the classes once their means are: tables that the second pass and the metrics read.

A table that is not finite, or too large or too small to square, is replaced by zeros, because decompositions raise on
NaN and infinity; what comes of it says nothing, and a flag per trial says so.
"""

from __future__ import annotations

from jaxtyping import Float64
from torch import Tensor

from nc_bench.metrics import class_geometry as geometry
from nc_bench.metrics.head import Head


class ClassTables:
    """Class means and what they determine alone, in float64, for t trials.

    counts (t, K); means (t, K, d), a row of zeros for an empty class; centred_means, the rows mu_c - mu of M;
    gram = M M^T (t, K, K); distances |mu_c - mu_c'| (t, K, K); left, singular, basis: the singular value decomposition
    of M in r = min(K-1, d) directions; cutoff (t,), the length up to which a difference of means is rounding, and
    spanned (t, r), the directions above it; measurable (t,), whether the means are usable numbers.

    centres (t, K, d), relative to mu: the class centres that nearest-centre decisions use where they are not the
    means, else None; centres_known (t,), whether they are usable numbers. head: `HeadTables`, if there is a head.
    """

    def __init__(
        self,
        means: Float64[Tensor, "t k d"],
        counts: Float64[Tensor, "t k"],
        head: Head | None = None,
        centres: Float64[Tensor, "t k d"] | None = None,
    ) -> None:
        self.measurable = self.centres_known = geometry.in_range(means)
        self.counts, self.means = counts, geometry.zeroed_unless(self.measurable, means)
        self.classes = means.shape[-2]
        self.centred_means = geometry.centred(self.means)
        self.gram = geometry.gram(self.centred_means)
        self.distances = geometry.pair_distances(self.centred_means, self.gram)
        self.left, self.singular, self.basis = geometry.singular_directions(self.centred_means, self.gram)
        self.cutoff = geometry.rank_cutoff(self.means)
        self.spanned = self.singular > self.cutoff[:, None]
        self.centres: Float64[Tensor, "t k d"] | None = None
        if centres is not None:
            self.centres_known = geometry.in_range(centres)
            self.centres = geometry.zeroed_unless(self.centres_known, centres) - self.mean_of_means
        self.head = None if head is None else HeadTables(head, self)

    @property
    def mean_of_means(self) -> Float64[Tensor, "t 1 d"]:
        """mu = (1/K) sum_c mu_c."""
        return self.means.mean(-2, keepdim=True)


class HeadTables:
    """A last linear layer together with the class means, in float64, for t trials.

    usable (t,): whether weight and bias are usable numbers; weight (t, K, d), zero where they are not; logits: the
    `Head` without the part that is common to all classes; longest_weight (t,): the norm of its longest row;
    weight_on_span (t, K, r) = Wc V, V the basis of the span of M; class_outputs (t, K, K): row c is the output at mu_c,
    up to one number for all classes; relative_outputs (t, K, K): the same without what mu and the bias add to each row.
    """

    def __init__(self, head: Head, tables: ClassTables) -> None:
        self.usable = head.usable()
        head = head.zeroed_unless(self.usable)
        self.weight = head.weight
        self.weight_on_span = geometry.centred(head.weight) @ tables.basis.mT
        self.logits = head.without_common_part()
        self.longest_weight = geometry.row_norms(self.logits.weight).amax(-1)
        if head.output_map is None:
            # The bias and the offset of the features, often far larger, do not tell classes apart.
            self.relative_outputs = tables.centred_means @ self.logits.weight.mT
            self.class_outputs = self.relative_outputs + self.logits.outputs(tables.mean_of_means)
        else:
            self.relative_outputs = self.class_outputs = self.logits.outputs(tables.means)

    def centred_outputs(self, shift: Float64[Tensor, "t #k #k"]) -> Float64[Tensor, "t k k"]:
        """z_c - (1/K) sum_c z_c, z_c the class mean of P h(x): `shift` is that of P (h(x) - class_outputs)."""
        means = self.relative_outputs + shift
        return geometry.centred(means - means.mean(-1, keepdim=True))

    def output_cutoff(self, tables: ClassTables) -> Float64[Tensor, "t"]:
        """Length up to which a difference of mean outputs is rounding, of the means, the weight or the outputs."""
        from_means = tables.cutoff * self.longest_weight
        from_weight = geometry.rank_cutoff(self.weight) * geometry.row_norms(tables.centred_means).amax(-1)
        return from_means + from_weight + geometry.rank_cutoff(self.relative_outputs)
