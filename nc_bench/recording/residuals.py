"""By how much features, outputs and head leave the sets they are constrained to."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from nc_bench.config import Config, LpBall
from nc_bench.geometry.balls import ball_residual, sphere_residual
from nc_bench.metrics.gather import Gather, no_gather


class ConstraintWatch:
    """Sees every batch of a measurement; residuals are max(0, norm/radius - 1), only for bounds that were set.

    On a sphere |norm/radius - 1|. NaN where the norm is. `gather` brings together what several processes saw.
    """

    def __init__(self, configs: Sequence[Config], gather: Gather = no_gather) -> None:
        self.gather = gather
        features = [c.constraints.features for c in configs if c.constraints.features]
        outputs = [c.constraints.outputs for c in configs if c.constraints.outputs]
        self.balls: dict[str, Sequence[LpBall]] = {"feature_residual": features, "output_residual": outputs}
        self.feature_set = features[0].set if features else "ball"
        self.head = [c.constraints.head for c in configs if c.constraints.head]
        self.squares, self.rows = torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.int64)
        self.largest: dict[str, Tensor] = {}

    def see(self, features: Float[Tensor, "t n d"], outputs: Float[Tensor, "t n k"]) -> None:
        """Take in one batch."""
        for name, rows in (("feature_residual", features), ("output_residual", outputs)):
            balls = self.balls[name]
            kind = self.feature_set if name == "feature_residual" else "ball"
            if balls and kind == "mean_square":
                self.squares = self.squares.to(rows.device) + rows.detach().double().square().sum((1, 2))
                self.rows = self.rows.to(rows.device) + rows.shape[1]
            elif balls:
                radii = rows.new_tensor([[ball.radius] for ball in balls], dtype=torch.float64)
                on_sphere = kind == "sphere"
                rows = rows.detach()
                excess = sphere_residual(rows, radii) if on_sphere else ball_residual(rows, radii, balls[0].p)
                self.largest[name] = torch.maximum(self.largest.get(name, excess), excess)

    def residuals(self, weight: Float64[Tensor, "t k d"]) -> dict[str, list[float]]:
        """One number per trial for every bound; call it after all batches."""
        found = {}
        if self.feature_set == "mean_square":
            found["feature_residual"] = self._mean_square_excess().tolist()
        for name, largest in self.largest.items():
            found[name] = torch.stack([theirs for (theirs,) in self.gather([largest])]).amax(0).tolist()
        radii = [bound.radius for bound in self.head]
        if radii and self.head[0].set == "mean_square":
            norms = weight.square().sum(-1).mean(-1).sqrt()
            found["head_residual"] = (norms / norms.new_tensor(radii) - 1).clamp(min=0).tolist()
        elif radii:
            # The SVD refuses a batch with one NaN in it, and a diverged trial must not take the others along.
            finite = weight.isfinite().flatten(1).all(1)
            norms = torch.linalg.matrix_norm(torch.where(finite[:, None, None], weight, 0.0), 2)
            norms = torch.where(finite, norms, torch.nan)
            found["head_residual"] = (norms / norms.new_tensor(radii) - 1).clamp(min=0).tolist()
        return found

    def _mean_square_excess(self) -> Float64[Tensor, "t"]:
        """Excess of the root mean square over all samples."""
        parts = self.gather([self.squares, self.rows])
        squares, rows = (torch.stack(column).sum(0) for column in zip(*parts, strict=True))
        radii = squares.new_tensor([ball.radius for ball in self.balls["feature_residual"]])
        return ((squares / rows).sqrt() / radii - 1).clamp(min=0)
