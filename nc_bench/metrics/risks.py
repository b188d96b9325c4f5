"""From losses to risks, what separates them from their floor, and where the norm budget goes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from nc_bench.metrics.class_geometry import evenness, spectral_norm, unit_for
from nc_bench.metrics.class_tables import ClassTables, HeadTables
from nc_bench.metrics.cross_entropy import equal_log_mean_exp, equal_risk_drop
from nc_bench.metrics.names import BUDGET_PARTS
from nc_bench.metrics.sample_sums import SampleSums

PerTrial = Float64[Tensor, "t"]
Each = Float64[Tensor, "*shape"]

NEAR = 1e-4
"""`log_mean_exp` below which risks are taken as what they are above log K."""

SQUARES = (1e-140, 1e140)
"""Lengths whose squares, and sums of them, float64 holds."""

FIRST_ORDER = 1e-30
"""Distance from log K below which the margin is proportional to it, to all digits."""


def risk_values(tables: ClassTables, head: HeadTables, sums: SampleSums) -> dict[str, PerTrial]:
    """Mean cross entropy, over samples and over classes, the smallest balanced one of features and heads this long, and
    what the network loses on the way to it.

    With rho = feature_radius and op = head_opnorm: risk_floor = log(1 + (K-1) exp(-rho op sqrt(K/(K-1)))) (Cor. 4.2,
    symmetrised over classes); risk_gap = risk_balanced - risk_floor >= 0; simplex_efficiency =
    sqrt((K-1)/K) (log(K-1) - log(exp(risk_balanced) - 1)) / (rho op), 1 at exact collapse onto the simplex.
    risk_of_means: the mean over classes of the cross entropy of the output at the class mean, at most risk_balanced by
    Lemma 3.1; jensen_gap what it is below. margin: the equal margin of all outputs that has risk_balanced, log(K-1) -
    log(exp(risk_balanced) - 1), rho op sqrt(K/(K-1)) at exact collapse.
    """
    classes = tables.classes
    balanced, of_means = balanced_risk(tables, head, sums), risk_of_means(tables, head)
    exponent = sums.feature_radius * spectral_norm(head.singular) * math.sqrt(classes / max(classes - 1, 1))
    largest_margin = exponent * head.scale
    floor = torch.log1p((classes - 1) * torch.exp(-largest_margin))
    floor_above_log = torch.log1p((classes - 1) / classes * torch.expm1(-largest_margin))
    both_near = balanced.near & of_means.near
    jensen = torch.where(both_near, balanced.spread - of_means.spread, balanced.value - of_means.value)
    return {
        "risk": sums.loss.sum(-1) / tables.counts.sum(-1),
        "risk_balanced": balanced.value,
        "risk_floor": floor,
        "risk_gap": torch.where(balanced.near, balanced.above_log - floor_above_log, balanced.value - floor),
        "margin": balanced.margin(),
        "simplex_efficiency": balanced.scaled_margin() / exponent,
        "risk_of_means": of_means.value,
        "jensen_gap": jensen,
        "gap_within": jensen,
        **_head_budget(tables, head, balanced, of_means, exponent),
    }


def means_budget(tables: ClassTables, sums: SampleSums) -> dict[str, PerTrial]:
    """What unequal singular values of M, and means shorter than the longest sample, leave of the norm budget.

    efficiency_simplex = |M|_* / (sqrt(K-1) |M|_F); efficiency_norm = |M|_F / (sqrt(K) feature_radius); both 1 at
    exact collapse.
    """
    size = torch.linalg.vector_norm(tables.singular, dim=-1)
    return {
        "efficiency_simplex": evenness(tables.singular, max(tables.classes - 1, 1)),
        "efficiency_norm": size / (math.sqrt(tables.classes) * sums.feature_radius),
    }


def _head_budget(
    tables: ClassTables, head: HeadTables, balanced: Risk, of_means: Risk, exponent: PerTrial
) -> dict[str, PerTrial]:
    """The margin of an equal-margin classifier, from what the risk shows to what the norms allow, step by step.

    With s, sigma the singular values of Wc and M, in decreasing order, and op = max s:
    m(risk_balanced) <= m(risk_of_means) (Lemma 3.1) <= tr(Wc M^T)/(K-1) (Jensen over pairs of classes)
    <= <s, sigma>/(K-1) (von Neumann) <= op |M|_*/(K-1) <= op |M|_F/sqrt(K-1) (Cauchy-Schwarz)
    <= op feature_radius sqrt(K/(K-1)). Quotients are efficiencies, differences of the risks of these margins gaps.
    """
    others, opnorm, lengths = max(tables.classes - 1, 1), spectral_norm(head.singular), tables.singular
    size = torch.linalg.vector_norm(lengths, dim=-1)
    margins = [
        of_means.scaled_pull * (tables.classes / others),
        (head.singular * lengths).sum(-1) / others,
        opnorm * lengths.sum(-1) / others,
        opnorm * size / math.sqrt(others),
        exponent,
    ]
    means_margin = of_means.scaled_margin()
    values = {
        "efficiency_within": balanced.scaled_margin() / means_margin,
        "efficiency_pairs": means_margin / margins[0],
        "efficiency_alignment": margins[0] / margins[1],
        "efficiency_isometry": margins[1] / margins[2],
        "gap_pairs": of_means.above_equal_margin(margins[0] * head.scale),
    }
    for part, (smaller, larger) in zip(BUDGET_PARTS[2:], pairwise(margins), strict=True):
        values[f"gap_{part}"] = equal_risk_drop(smaller, larger, head.scale, tables.classes)
    return values


def balanced_risk(tables: ClassTables, head: HeadTables, sums: SampleSums) -> Risk:
    """The mean over classes of the mean cross entropy of the class."""
    pull = head.mean_outputs(sums.output_shift / tables.counts[..., None]).pull
    linear = head.logits.output_map is None
    return Risk(
        classes=tables.classes,
        scale=head.scale,
        value=(sums.loss / tables.counts).mean(-1),
        log=sums.log_risk_balanced,
        spread=(sums.log_mean_exp / tables.counts).mean(-1),
        pull=pull * head.scale if linear else pull,
        scaled_pull=pull if linear else pull / head.scale,
    )


def risk_of_means(tables: ClassTables, head: HeadTables) -> Risk:
    """The mean over classes of the cross entropy of the output at the class mean, for a linear head."""
    at_means = head.at_means
    pull = at_means.centred.pull
    return Risk(
        classes=tables.classes,
        scale=head.scale,
        value=at_means.loss.mean(-1),
        log=at_means.log_loss.logsumexp(-1) - math.log(tables.classes),
        spread=at_means.log_mean_exp.mean(-1),
        pull=pull * head.scale,
        scaled_pull=pull,
    )


def output_efficiency(
    outputs: Float64[Tensor, "t n k"],
    labels: Int64[Tensor, "t n"],
    its_losses: tuple[Float64[Tensor, "t n"], Float64[Tensor, "t n"], Float64[Tensor, "t n"]],
    unit: PerTrial,
) -> Float64[Tensor, "t n"]:
    """sqrt((K-1)/K) (log(K-1) - log(exp(loss_i) - 1)) / |P z_i|, at most 1 by Lemma 3.3; -inf where P z_i is 0.

    outputs: z in units of `unit`; its_losses: `losses` of the outputs as numbers.
    """
    classes, scale = outputs.shape[-1], unit[:, None]
    centred = outputs - outputs.mean(-1, keepdim=True)
    pull, length = centred.gather(-1, labels[..., None])[..., 0], torch.linalg.vector_norm(centred, dim=-1)
    if bool(((length < SQUARES[0]) | (length > SQUARES[1])).any()):
        size = unit_for(centred.abs().amax(-1, keepdim=True))
        length = torch.linalg.vector_norm(centred / size, dim=-1) * size[..., 0]
    loss, log_loss, beyond = its_losses
    sample = Risk(
        classes=classes, scale=scale, value=loss, log=log_loss, spread=beyond, pull=pull * scale, scaled_pull=pull
    )
    share = math.sqrt((classes - 1) / classes) * sample.scaled_margin() / length
    return torch.where(length == 0, -math.inf, share)


@dataclass(frozen=True, kw_only=True)
class Risk:
    """A cross entropy, of a sample or the mean over classes, its logarithm, and what it is above log K.

    value - log K = spread - pull with spread the mean of `log_mean_exp` and pull = (1/K) sum_c (P z_c)_c, z_c the class
    mean of the outputs: tr(Wc M^T)/K for a linear head, where the bias cancels. Near log K the difference of risk and
    log K would be rounding; these two are exact however small the outputs are. scaled_pull: the pull over `scale`, that
    of `HeadTables`.
    """

    classes: int
    scale: Float64[Tensor, "*#shape"]
    value: Each
    log: Each
    spread: Each
    pull: Each
    scaled_pull: Each

    @property
    def above_log(self) -> Each:
        """The risk minus log K."""
        return self.spread - self.pull

    @property
    def near(self) -> Bool[Tensor, "*shape"]:
        """Whether the outputs are so small that the risk has to be taken relative to log K."""
        return self.spread < NEAR

    def margin(self) -> Each:
        """log(K-1) - log(exp(risk) - 1), the equal margin that has this risk."""
        # log(expm1(r)) is the exponent of an equal-logit classifier with risk r; below 1e-13 it equals log r.
        log_expm1 = self.value + torch.log(-torch.expm1(-self.value))
        reached = torch.where(self.value < 1e-13, self.log, log_expm1)
        far = math.log(max(self.classes - 1, 1)) - reached
        return torch.where(self.near, -torch.log1p(self._ratio * torch.expm1(self.above_log)), far)

    def scaled_margin(self) -> Each:
        """`margin` over `scale`."""
        spread = torch.where(self.spread == 0, 0.0, self.spread / self.scale)
        first_order = self._ratio * (self.scaled_pull - spread)
        by_first_order = self.near & (self.above_log.abs() < FIRST_ORDER)
        return torch.where(by_first_order, first_order, self.margin() / self.scale)

    @property
    def _ratio(self) -> float:
        return self.classes / max(self.classes - 1, 1)

    def above_equal_margin(self, margin: PerTrial) -> PerTrial:
        """The risk minus log(1 + (K-1) e^-margin), where the margin is the mean one: pull K/(K-1)."""
        equal = torch.logaddexp(torch.zeros_like(margin), math.log(max(self.classes - 1, 1)) - margin)
        if self.classes == 1:
            return self.value
        near = self.spread - equal_log_mean_exp(margin, self.classes)
        return torch.where(self.near, near, self.value - equal)
