"""Floor 3: the one loop, update rules, schedules, constraints on parameters, checkpoints."""

from nc_bench.training.grouping import groups
from nc_bench.training.run import run_ensemble, run_training

__all__ = ["groups", "run_ensemble", "run_training"]
