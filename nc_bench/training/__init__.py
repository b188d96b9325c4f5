"""The one loop, optimizers, checkpoints, and run directories from start to end."""

from nc_bench.training.grouping import groups
from nc_bench.training.run import run_ensemble, run_training
from nc_bench.training.settle import settle

__all__ = ["groups", "run_ensemble", "run_training", "settle"]
