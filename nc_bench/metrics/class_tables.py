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
from nc_bench.metrics.class_outputs import MeanOutputs, outputs_at_means
from nc_bench.metrics.class_pairs import equiangular, has_tables, mean_pairs
from nc_bench.metrics.head import Head


class ClassTables:
    """Class means and what they determine alone, in float64, for t trials.

    unit (t,): what all lengths here are measured in, a power of two; counts (t, K); means (t, K, d), a row of zeros for
    an empty class; centred_means, the rows mu_c - mu of M; coordinates (t, K, r), singular, basis (t, r, d): the
    singular value decomposition U S, s, V^T of M in r = min(K-1, d) directions; cutoff (t,), the length up to which a
    difference of means is rounding, and spanned (t, r), the directions above it; pairs: what pairs of rows of M say;
    measurable (t,), whether the means are usable numbers.

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
        self.cutoff = geometry.rank_cutoff(self.means)
        products = products_if_small(self.centred_means)
        self.coordinates, self.singular, self.basis = geometry.singular_directions(self.centred_means, products)
        self.pairs = mean_pairs(self.centred_means, self.cutoff, products)
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


def products_if_small(rows: geometry.Means) -> Float64[Tensor, "t k k"] | None:
    """The inner products of the rows, where that is no larger than the rows or than a table of pairs may be."""
    classes, width = rows.shape[-2:]
    return geometry.gram(rows) if classes <= width or has_tables(classes) else None


class HeadTables:
    """A last linear layer together with the class means, in float64, for t trials.

    usable (t,): whether weight and bias are finite; unit (t,): what the weight is measured in; weight (t, K, d), zero
    where not usable; bias (t, K), zero if there is none, and without_bias (t,); directions (t, K, d): the rows of the
    weight, each in a unit of its own; centred_weight, the rows of Wc; singular (t, min(K-1, d)), the singular values of
    Wc; cosine_excess, worst_cosine (t,), `equiangular` of Wc.

    scale (t,): one product of a feature and a weight in their units, as a number. Outputs are in units of `outer`, and
    a product of a feature and a weight in their units is `inner` of these, so that scale = inner * outer: outputs that
    no bias or output map is added to are decided upon in units in which they do not underflow.

    logits: the `Head` without the part that is common to all classes, its weight in its unit and its bias in units of
    outer; longest_weight (t,): the norm of its longest row; with_means (t, K) = M w, w the mean row of the weight.
    Of Wc V, V the basis of the span of M: isometry_defect (t,); on_span (t,), its Frobenius norm; on_means (t,), that
    of Wc M^T; etf_error and etf_error_centred (t,), `alignment_etf_error` of W and Wc. at_means: what the outputs at
    the class means say; class_outputs (t, K, K), where an output map acts on them, else None: row c is the output at
    mu_c, up to one number for all classes.
    """

    def __init__(self, head: Head, tables: ClassTables) -> None:
        self.usable = head.usable()
        head = head.zeroed_unless(self.usable)
        self.unit = geometry.unit_for(head.weight.abs().amax((-2, -1)))
        self.weight = _in_units(head.weight, self.unit[:, None, None])
        self.bias = head.weight.new_zeros(head.weight.shape[:-1]) if head.bias is None else head.bias
        self._given = head.weight
        self.logits = replace(head, weight=self.weight).without_common_part()
        self.centred_weight = self.logits.weight if head.output_map is None else geometry.centred(self.weight)
        products = products_if_small(self.centred_weight)
        self.singular = geometry.singular_values(
            self.centred_weight, products, most=min(tables.classes - 1, self.weight.shape[-1])
        )
        self.cosine_excess, self.worst_cosine = equiangular(self.centred_weight, products)
        self._compare(tables)
        self.scale = tables.unit * self.unit
        self.longest_weight = geometry.row_norms(self.logits.weight).amax(-1)
        self._choose_units()
        self._at_mean = self.outputs(tables.mean_of_means)
        self.class_outputs = None if head.output_map is None else self.outputs(tables.means)
        self.at_means = outputs_at_means(tables, self)

    @property
    def directions(self) -> Float64[Tensor, "t k d"]:
        """Made when asked for, when the largest tables are gone."""
        return _in_units(self._given, geometry.unit_for(self._given.abs().amax(-1, keepdim=True)))

    def _compare(self, tables: ClassTables) -> None:
        """Values of Wc and W on the span of the class means."""
        on_span = self.centred_weight @ tables.basis.mT
        self.isometry_defect = geometry.isometry_defect(on_span)
        self.on_span = geometry.frobenius(on_span)[:, 0, 0]
        products = on_span.mul_(tables.singular[..., None, :])
        self.on_means = geometry.frobenius(products)[:, 0, 0]
        self.with_means = (tables.centred_means @ self.weight.mean(-2)[..., None])[..., 0]
        factors = (products, tables.coordinates, tables.singular)
        self.etf_error = geometry.alignment_etf_error(*factors, self.with_means)
        self.etf_error_centred = geometry.alignment_etf_error(*factors, torch.zeros_like(self.with_means))

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

    def outputs_at_means(
        self, tables: ClassTables, classes: Tensor | slice, trials: slice = slice(None)
    ) -> tuple[Float64[Tensor, "t c k"], Float64[Tensor, "t c k"]]:
        """Rows of `class_outputs` for these classes, and what is relative to the output at mu: before `inner`, without
        what mu and the bias add, which is often far larger and does not tell classes apart. Of a head with an output
        map, the same twice.
        """
        if self.logits.output_map is not None:
            assert self.class_outputs is not None
            outputs = self.class_outputs[trials][:, classes]
            return outputs, outputs
        relative = tables.centred_means[trials][:, classes] @ self.logits.weight[trials].mT
        in_units = relative if self.ordinary else relative * self.inner[trials, None, None]
        return in_units + self._at_mean[trials], relative

    def mean_outputs(self, shift: Float64[Tensor, "t #k #k"]) -> MeanOutputs:
        """Of z_c - (1/K) sum_c z_c, z_c the class mean of P h(x): `shift` is that of P (h(x) - class_outputs)."""
        if self.logits.output_map is None:
            return self.at_means.centred
        assert self.class_outputs is not None
        return MeanOutputs.of(self.class_outputs + shift)

    def output_cutoff(self, tables: ClassTables) -> Float64[Tensor, "t"]:
        """Length up to which a difference of mean outputs is rounding, of the means, the weight or the outputs."""
        from_means = tables.cutoff * self.longest_weight
        from_weight = geometry.rank_cutoff(self.weight) * geometry.row_norms(tables.centred_means).amax(-1)
        rounding = from_means + from_weight
        if self.logits.output_map is not None:
            rounding = rounding * self.scale
        return rounding + self.at_means.longest * tables.classes * geometry.EPS


def _in_units(weight: Float64[Tensor, "t k d"], unit: Float64[Tensor, "t #k 1"]) -> Float64[Tensor, "t k d"]:
    """The weight over its unit, without a copy where that is 1."""
    return weight if bool((unit == 1).all()) else weight / unit
