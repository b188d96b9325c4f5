"""From losses to risks, what separates them from their floor, and the margin that has the same risk."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from nc_bench.metrics.class_tables import ClassTables, HeadTables
from nc_bench.metrics.sample_sums import SampleSums

PerTrial = Float64[Tensor, "t"]

NEAR = 1e-4
"""`log_mean_exp` below which risks are taken as what they are above log K."""

FIRST_ORDER = 1e-30
"""Distance from log K below which the margin is proportional to it, to all digits."""


def risk_values(tables: ClassTables, head: HeadTables, sums: SampleSums, opnorm: PerTrial) -> dict[str, PerTrial]:
    """Mean cross entropy, over samples and over classes, and the smallest balanced one of features and heads this long.

    With rho = feature_radius and op = head_opnorm: risk_floor = log(1 + (K-1) exp(-rho op sqrt(K/(K-1)))) (Cor. 4.2,
    symmetrised over classes); risk_gap = risk_balanced - risk_floor >= 0; simplex_efficiency =
    sqrt((K-1)/K) (log(K-1) - log(exp(risk_balanced) - 1)) / (rho op), 1 at exact collapse onto the simplex.
    """
    classes = tables.classes
    balanced = BalancedRisk(tables, head, sums)
    exponent = sums.feature_radius * opnorm * math.sqrt(classes / max(classes - 1, 1))
    margin = exponent * head.scale
    floor = torch.log1p((classes - 1) * torch.exp(-margin))
    floor_above_log = torch.log1p((classes - 1) / classes * torch.expm1(-margin))
    return {
        "risk": sums.loss.sum(-1) / tables.counts.sum(-1),
        "risk_balanced": balanced.value,
        "risk_floor": floor,
        "risk_gap": torch.where(balanced.near, balanced.above_log - floor_above_log, balanced.value - floor),
        "simplex_efficiency": balanced.scaled_margin() / exponent,
    }


class BalancedRisk:
    """`risk_balanced`, and what it is above log K.

    risk - log K = spread - pull with spread = mean of `log_mean_exp` over classes and pull = (1/K) sum_c (P z_c)_c,
    z_c the class mean of the outputs: tr(Wc M^T)/K for a linear head, where the bias cancels. Near log K the difference
    of risk and log K would be rounding; these two are exact however small the outputs are.
    """

    def __init__(self, tables: ClassTables, head: HeadTables, sums: SampleSums) -> None:
        self.classes, self.scale = tables.classes, head.scale
        self.value: PerTrial = (sums.loss / tables.counts).mean(-1)
        self.log: PerTrial = sums.log_risk_balanced
        self.spread: PerTrial = (sums.log_mean_exp / tables.counts).mean(-1)
        outputs = head.centred_outputs(sums.output_shift / tables.counts[..., None])
        pull = outputs.diagonal(dim1=-2, dim2=-1).mean(-1)
        if head.logits.output_map is None:
            self.pull, self.scaled_pull = pull * head.scale, pull
        else:
            self.pull, self.scaled_pull = pull, pull / head.scale
        self.above_log: PerTrial = self.spread - self.pull
        self.near: Bool[Tensor, "t"] = self.spread < NEAR

    def scaled_margin(self) -> PerTrial:
        """log(K-1) - log(exp(risk) - 1), the equal margin that has this risk, over `HeadTables.scale`."""
        ratio = self.classes / max(self.classes - 1, 1)
        # log(expm1(r)) is the exponent of an equal-logit classifier with risk r; below 1e-13 it equals log r.
        log_expm1 = self.value + torch.log(-torch.expm1(-self.value))
        reached = torch.where(self.value < 1e-13, self.log, log_expm1)
        far = math.log(max(self.classes - 1, 1)) - reached
        margin = torch.where(self.near, -torch.log1p(ratio * torch.expm1(self.above_log)), far) / self.scale
        spread = torch.where(self.spread == 0, 0.0, self.spread / self.scale)
        first_order = ratio * (self.scaled_pull - spread)
        return torch.where(self.near & (self.above_log.abs() < FIRST_ORDER), first_order, margin)
