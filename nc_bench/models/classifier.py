"""A classifier: a linear head on a backbone, and the bounds that hold inside its forward pass."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from nc_bench.constraints import ConstraintSet
from nc_bench.models.backbones import FeatureTable
from nc_bench.models.layers import StackedLinear


class Classifier(nn.Module):
    """x -> head(backbone(x)) for t trials; the input of `head` is the penultimate feature f(x) (t, n, d).

    A network's feature bound is the last module of its backbone, so f(x) is what the paper's f(x) is.
    `output_bound` is the bound |h(x)| <= R of the paper's section 3, or None. `stochastic` says whether a forward pass
    in training draws from torch's global generators, as dropout does.
    """

    def __init__(
        self,
        backbone: nn.Module,
        head: StackedLinear,
        output_bound: ConstraintSet | None = None,
        *,
        stochastic: bool = False,
    ) -> None:
        super().__init__()
        self.backbone, self.head, self.output_bound = backbone, head, output_bound
        self.stochastic = stochastic

    @property
    def width(self) -> int:
        """Width d of the penultimate features."""
        return self.head.weight.shape[-1]

    @property
    def table(self) -> nn.Parameter | None:
        """The unconstrained features (t, N, d), None for a network."""
        return self.backbone.features if isinstance(self.backbone, FeatureTable) else None

    def forward(self, x: Tensor) -> Float[Tensor, "t n k"]:
        return self.outputs(self.backbone(x))

    def outputs(self, features: Float[Tensor, "t n d"]) -> Float[Tensor, "t n k"]:
        """h(x) from f(x)."""
        logits: Tensor = self.head(features)
        return logits if self.output_bound is None else self.output_bound(logits)
