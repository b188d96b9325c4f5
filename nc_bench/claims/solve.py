"""Two solvers that minimise the objective of a configuration, with the model, loss and constraints of a run.

`descend` is projected gradient descent, for problems with constraints; `minimise` is L-BFGS, for those without.
Neither knows a prediction. What no configuration states is solved by `nc_bench.claims.free_tensors`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from nc_bench.claims.free_tensors import LBFGS
from nc_bench.config import Config
from nc_bench.data import Dataset
from nc_bench.metrics import CollapseMetrics, collapse_metrics
from nc_bench.training.ensemble import Ensemble
from nc_bench.training.optimizers import decayed_parameters

CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True, eq=False)
class Solution:
    """Where a solver came to rest: objective, features (N, d), outputs (N, K), labels (N,), weight (K, d), bias.

    ``lowest`` is the smallest objective at any feasible point on the way, the last one included.
    """

    objective: float
    lowest: float
    features: Tensor
    outputs: Tensor
    labels: Tensor
    weight: Tensor
    bias: Tensor | None

    @property
    def metrics(self) -> CollapseMetrics:
        """Every metric at this point."""
        return collapse_metrics(self.features, self.labels, self.weight, self.bias)


def descend(configs: Sequence[Config], dataset: Dataset, steps: int) -> list[Solution]:
    """Projected gradient descent on the logarithm of the objective, every trial from its own random start.

    Each step is the optimizer's, then the projection, as in a run. The logarithm has the same minimisers; its
    gradient is that of the objective over the objective, so steps do not shrink with the risk, which is what stalls
    descent where the radius is large and the risk 1e-9.
    """
    ensemble = Ensemble(configs, dataset, CPU)
    lowest = torch.full((len(configs),), torch.inf, dtype=torch.float64)
    for _ in range(steps):
        objective = objective_of(ensemble)
        lowest = torch.minimum(lowest, objective.detach())
        objective.log().sum().backward()
        ensemble.optimizer.step(1.0)
        ensemble.constraints.project()
    return _solutions(ensemble, lowest)


def minimise(config: Config, dataset: Dataset, *, starts: int = 1) -> Solution:
    """The lowest of several minima that SciPy's L-BFGS-B finds from random starts, seeds config.seed, +1, ...

    It minimises the logarithm of the objective, as `descend` does: its tolerance is then relative, which counts where
    the decay is 1e-12 and the objective with it. For objectives without sets, apart from non-negative features, which
    are bounds.
    """
    trials = [config.model_copy(update={"seed": config.seed + start}) for start in range(starts)]
    return min((_minimise(trial, dataset) for trial in trials), key=lambda solution: solution.objective)


def largest_objective(solutions: Callable[[], Sequence[Solution]]) -> float:
    """Of several starts: every one has to arrive."""
    return max(solution.objective for solution in solutions())


def class_means(solution: Solution) -> Float[Tensor, "k d"]:
    """Mean feature of every class."""
    return torch.stack([solution.features[solution.labels == k].mean(0) for k in solution.labels.unique()])


def cosines(rows: Float[Tensor, "k d"]) -> Float[Tensor, "pairs"]:
    """Cosines of all pairs of rows."""
    first, second = torch.triu_indices(len(rows), len(rows), 1)
    return torch.nn.functional.cosine_similarity(rows[first], rows[second], dim=1)


def smallest_lead(outputs: Float[Tensor, "n k"], labels: Int64[Tensor, "n"]) -> float:
    """By how much the true class leads every other one: the least over samples and classes."""
    true = outputs.gather(1, labels[:, None])
    others = outputs.scatter(1, labels[:, None], -torch.inf)
    return float((true - others).min())


def objective_of(ensemble: Ensemble) -> Tensor:
    """The whole objective of every trial on all samples, (t,): loss and both penalties, as a run minimises it."""
    features = ensemble.model.backbone(torch.arange(ensemble.samples).expand(len(ensemble.configs), -1))
    decayed = decayed_parameters(ensemble.model, ensemble.configs[0].objective.decay_biases)
    loss = ensemble.objective.loss(ensemble.model.outputs(features), ensemble.labels)
    return loss + ensemble.objective.feature_penalty(features) + ensemble.objective.weight_penalty(*decayed)


def _minimise(config: Config, dataset: Dataset) -> Solution:
    ensemble = Ensemble([config], dataset, CPU)
    parameters = [parameter for parameter in ensemble.model.parameters() if parameter.requires_grad]
    sizes = [parameter.numel() for parameter in parameters]

    def put(x: NDArray[np.float64]) -> None:
        with torch.no_grad():
            for parameter, part in zip(parameters, torch.from_numpy(x).split(sizes), strict=True):
                parameter.copy_(part.view_as(parameter))

    def evaluate(x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        put(x)
        value = objective_of(ensemble).log().sum()
        slopes = torch.autograd.grad(value, parameters)
        return value.item(), torch.cat([slope.flatten() for slope in slopes]).numpy()

    start = torch.cat([parameter.detach().flatten() for parameter in parameters]).numpy()
    bounds = _bounds(ensemble, parameters)
    result = minimize(evaluate, start, jac=True, method="L-BFGS-B", bounds=bounds, options=LBFGS)
    put(result.x)
    return _solutions(ensemble, torch.tensor([np.inf], dtype=torch.float64))[0]


def _bounds(ensemble: Ensemble, parameters: Sequence[Tensor]) -> list[tuple[float | None, None]]:
    """Zero from below for the entries of non-negative features, nothing else."""
    nonnegative = {id(parameter) for parameter in ensemble.constraints.nonnegative}
    return [
        (0.0 if id(parameter) in nonnegative else None, None)
        for parameter in parameters
        for _ in range(parameter.numel())
    ]


@torch.no_grad()
def _solutions(ensemble: Ensemble, lowest: Tensor) -> list[Solution]:
    objective = objective_of(ensemble)
    features = ensemble.model.backbone(torch.arange(ensemble.samples).expand(len(ensemble.configs), -1))
    head, outputs = ensemble.model.head, ensemble.model.outputs(features)
    return [
        Solution(
            objective=objective[trial].item(),
            lowest=min(lowest[trial].item(), objective[trial].item()),
            features=features[trial].clone(),
            outputs=outputs[trial].clone(),
            labels=ensemble.labels[trial],
            weight=head.weight[trial].clone(),
            bias=None if head.bias is None else head.bias[trial].clone(),
        )
        for trial in range(len(ensemble.configs))
    ]
