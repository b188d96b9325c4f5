"""What is known of the classes once their means are: tables that the second pass and the metrics read.

Features and weight are measured in units of their own, powers of two, so that no square leaves the range of float64
whatever their scale; the unit is 1 for numbers of ordinary size. A table that is not finite is replaced by zeros,
because decompositions raise on NaN and infinity; what comes of it says nothing, and a flag per trial says so.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from nc_bench.metrics import class_geometry as geometry
from nc_bench.metrics.head import Head


class ClassTables:
    """Class means and what they determine alone, in float64, for t trials.

    unit (t,): what all lengths here are measured in, a power of two; counts (t, K); means (t, K, d), a row of zeros for
    an empty class; centred_means, the rows mu_c - mu of M; gram = M M^T (t, K, K); distances |mu_c - mu_c'| (t, K, K),
    and direction_distances those of the unit rows of M; left, singular, basis: the singular value decomposition of M in
    r = min(K-1, d) directions; cutoff (t,), the length up to which a difference of means is rounding, and spanned
    (t, r), the directions above it; measurable (t,), whether the means are usable numbers.

    centres (t, K, d), relative to mu: the class centres that nearest-centre decisions use where they are not the
    means, else None; centres_known (t,), whether they are usable numbers. head: `HeadTables`, if there is a head.
    """

    def __init__(
        self,
        means: Float64[Tensor, "t k d"],
        counts: Float64[Tensor, "t k"],
        head: Head | None = None,
        centres: Float64[Tensor, "t k d"] | None = None,
        unit: Float64[Tensor, "t"] | None = None,
    ) -> None:
        """`means` are given in units of `unit` (default: 1), the centres as they are."""
        self.unit = torch.ones_like(means[:, 0, 0]) if unit is None else unit
        self.measurable = self.centres_known = geometry.in_range(means)
        self.counts, self.means = counts, geometry.zeroed_unless(self.measurable, means)
        self.classes = means.shape[-2]
        self.centred_means = geometry.centred(self.means)
        self.gram = geometry.gram(self.centred_means)
        self.distances = geometry.pair_distances(self.centred_means, self.gram)
        self.direction_distances = geometry.direction_distances(self.centred_means, self.gram)
        self.left, self.singular, self.basis = geometry.singular_directions(self.centred_means, self.gram)
        self.cutoff = geometry.rank_cutoff(self.means)
        self.spanned = self.singular > self.cutoff[:, None]
        self.centres: Float64[Tensor, "t k d"] | None = None
        if centres is not None:
            centres = centres / self.unit[:, None, None]
            self.centres_known = geometry.in_range(centres, (0.0, geometry.LARGEST))
            self.centres = geometry.zeroed_unless(self.centres_known, centres) - self.mean_of_means
        self.head = None if head is None else HeadTables(head, self)

    @property
    def mean_of_means(self) -> Float64[Tensor, "t 1 d"]:
        """mu = (1/K) sum_c mu_c."""
        return self.means.mean(-2, keepdim=True)


class HeadTables:
    """A last linear layer together with the class means, in float64, for t trials.

    usable (t,): whether weight and bias are finite; unit (t,): what the weight is measured in; weight (t, K, d), zero
    where not usable; bias (t, K), zero if there is none, and without_bias (t,); directions (t, K, d): the rows of the
    weight, each in a unit of its own; centred_weight, the rows of Wc; gram = Wc Wc^T; singular (t, min(K-1, d)), the
    singular values of Wc.

    scale (t,): one product of a feature and a weight in their units, as a number. Outputs are in units of `outer`, and
    a product of a feature and a weight in their units is `inner` of these, so that scale = inner * outer: outputs that
    no bias or output map is added to are decided upon in units in which they do not underflow.

    logits: the `Head` without the part that is common to all classes, its weight in its unit and its bias in units of
    outer; longest_weight (t,): the norm of its longest row; weight_on_span (t, K, r) = Wc V, V the basis of the span of
    M; on_means (t, K, K) = Wc M^T; class_outputs (t, K, K): row c is the output at mu_c, up to one number for all
    classes; relative_outputs (t, K, K): the same without what mu and the bias add to each row, before `inner` (with an
    output map: after everything).
    """

    def __init__(self, head: Head, tables: ClassTables) -> None:
        self.usable = head.usable()
        head = head.zeroed_unless(self.usable)
        self.unit = geometry.unit_for(head.weight.abs().amax((-2, -1)))
        self.weight = head.weight / self.unit[:, None, None]
        self.bias = head.weight.new_zeros(head.weight.shape[:-1]) if head.bias is None else head.bias
        self.directions = head.weight / geometry.unit_for(head.weight.abs().amax(-1, keepdim=True))
        self.centred_weight = geometry.centred(self.weight)
        self.gram = geometry.gram(self.centred_weight)
        self.singular = geometry.singular_values(self.centred_weight, self.gram)
        self.weight_on_span = self.centred_weight @ tables.basis.mT
        self.scale = tables.unit * self.unit
        self.logits = replace(head, weight=self.weight).without_common_part()
        self.longest_weight = geometry.row_norms(self.logits.weight).amax(-1)
        self._choose_units()
        if head.output_map is None:
            # The bias and the offset of the features, often far larger, do not tell classes apart.
            self.relative_outputs = tables.centred_means @ self.logits.weight.mT
            self.class_outputs = self.scaled(self.relative_outputs) + self.outputs(tables.mean_of_means)
            self.on_means = self.relative_outputs.mT
        else:
            self.on_means = self.centred_weight @ tables.centred_means.mT
            self.relative_outputs = self.class_outputs = self.outputs(tables.means)

    def _choose_units(self) -> None:
        bias = self.logits.bias
        self.without_bias: Bool[Tensor, "t"] = torch.ones_like(self.usable) if bias is None else (bias == 0).all(-1)
        as_they_are = ~self.without_bias & (self.scale < 1)
        if self.logits.output_map is not None:
            as_they_are = torch.ones_like(self.usable)
        self.inner = torch.where(as_they_are, self.scale, 1.0)
        self.outer = torch.where(as_they_are, 1.0, self.scale)
        self.ordinary = bool((self.scale == 1).all())
        if bias is not None and not self.ordinary:
            in_units = torch.where(self.without_bias[:, None], 0.0, bias / self.outer[:, None])
            self.logits = replace(self.logits, bias=in_units)

    def scaled(self, products: Float64[Tensor, "t n k"]) -> Float64[Tensor, "t n k"]:
        """Products of features and weight in their units, in units of `outer`."""
        return products if self.ordinary else products * self.inner[:, None, None]

    def numbers(self, outputs: Float64[Tensor, "t n k"]) -> Float64[Tensor, "t n k"]:
        """Outputs in units of `outer`, as the numbers that they are."""
        return outputs if self.ordinary else outputs * self.outer[:, None, None]

    def outputs(self, features: Float64[Tensor, "t n d"]) -> Float64[Tensor, "t n k"]:
        """Outputs, up to one number for all classes, in units of `outer`, of features in theirs."""
        return self.logits.outputs(features if self.ordinary else features * self.inner[:, None, None])

    def centred_outputs(self, shift: Float64[Tensor, "t #k #k"]) -> Float64[Tensor, "t k k"]:
        """z_c - (1/K) sum_c z_c, z_c the class mean of P h(x): `shift` is that of P (h(x) - class_outputs)."""
        means = self.relative_outputs + shift
        return geometry.centred(means - means.mean(-1, keepdim=True))

    def output_cutoff(self, tables: ClassTables) -> Float64[Tensor, "t"]:
        """Length up to which a difference of mean outputs is rounding, of the means, the weight or the outputs."""
        from_means = tables.cutoff * self.longest_weight
        from_weight = geometry.rank_cutoff(self.weight) * geometry.row_norms(tables.centred_means).amax(-1)
        rounding = from_means + from_weight
        if self.logits.output_map is not None:
            rounding = rounding * self.scale
        return rounding + geometry.rank_cutoff(self.relative_outputs)
