"""Floor 3: the one loop, update rules, schedules, constraints on parameters, checkpoints."""

from nc_bench.training.run import run_training

__all__ = ["run_training"]
