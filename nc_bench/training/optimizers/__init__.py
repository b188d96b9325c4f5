"""Optimizers for stacked trials: parameter groups, steps, the learning rate at every step."""

from nc_bench.training.optimizers.base import Closure, StackedOptimizer
from nc_bench.training.optimizers.build import build_optimizer, learning_rate_factor
from nc_bench.training.optimizers.groups import decayed_parameters, muon_parameters

__all__ = [
    "Closure",
    "StackedOptimizer",
    "build_optimizer",
    "decayed_parameters",
    "learning_rate_factor",
    "muon_parameters",
]
