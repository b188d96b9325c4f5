"""The one loop, optimizers, checkpoints, and run directories from start to end."""

from nc_bench.training.grouping import groups
from nc_bench.training.run import run_ensemble, run_training

__all__ = ["groups", "run_ensemble", "run_training"]
