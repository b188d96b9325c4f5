"""Constraints on parameters: sets with a projection, applied after initialisation, loading and every step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from nc_bench.config import Config, FeatureBound, HeadBound, Unconstrained
from nc_bench.geometry.balls import clip_spectral, project_ball, project_sphere
from nc_bench.models import Classifier
from nc_bench.models.backbones import FeatureTable


@dataclass(frozen=True, kw_only=True)
class ParameterSets:
    """The sets that the head's weight and a feature table are kept in; None where they are free.

    A mean square set bounds the root mean square of the rows' norms.
    """

    head_radius: Tensor | None
    head_mean_square: bool
    table_radius: Tensor | None
    table_p: float
    table_set: str
    nonnegative_table: bool

    @torch.no_grad()
    def project(self, model: Classifier) -> None:
        """Move the parameters to the nearest point of their sets; what is inside stays bitwise as it is."""
        if self.head_radius is not None:
            project = project_mean_square if self.head_mean_square else clip_spectral
            model.head.weight.copy_(project(model.head.weight, self.head_radius))
        if isinstance(model.backbone, FeatureTable):
            features = model.backbone.features
            if self.nonnegative_table:
                features.clamp_(min=0)
            if self.table_radius is not None:
                # After the clamp this is the projection on the intersection: the ball is symmetric in coordinates.
                if self.table_set == "mean_square":
                    features.copy_(project_mean_square(features, self.table_radius))
                elif self.table_set == "sphere":
                    features.copy_(project_sphere(features, self.table_radius[:, None]))
                else:
                    features.copy_(project_ball(features, self.table_radius[:, None], self.table_p))


def project_mean_square(rows: Float[Tensor, "t n d"], radius: Float[Tensor, "t"]) -> Float[Tensor, "t n d"]:
    """The nearest matrices whose rows have a root mean square norm of at most radius, one radius per matrix.

    A ball of radius sqrt(n) radius around the origin, so rows inside it are returned bit for bit.
    """
    return project_ball(rows.flatten(1), radius * math.sqrt(rows.shape[1])).view_as(rows)


def parameter_sets(configs: Sequence[Config], device: torch.device) -> ParameterSets:
    """The constraint sets of these trials, which share everything but their radii."""
    first = configs[0]
    heads = [c.constraints.head for c in configs if c.constraints.head]
    is_table = isinstance(first.model, Unconstrained)
    balls = [c.constraints.features for c in configs if c.constraints.features and is_table]
    return ParameterSets(
        head_radius=_radii(heads, device),
        head_mean_square=bool(heads) and heads[0].set == "mean_square",
        table_radius=_radii(balls, device),
        table_p=balls[0].p if balls else 2.0,
        table_set=balls[0].set if balls else "ball",
        nonnegative_table=isinstance(first.model, Unconstrained) and first.model.nonnegative,
    )


def _radii(bounds: Sequence[FeatureBound] | Sequence[HeadBound], device: torch.device) -> Tensor | None:
    """One radius per trial, None where there is no bound."""
    if not bounds:
        return None
    return torch.tensor([bound.radius for bound in bounds], dtype=torch.float64, device=device)
