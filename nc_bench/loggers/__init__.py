"""Where the rows of a run go besides its directory: CSV, TensorBoard, W&B, MLflow, or a logger of the user's own."""

from nc_bench.loggers.group import EXTRAS, LoggerGroup, check_installed
from nc_bench.loggers.protocol import LoggedRun, Logger, numbers

__all__ = ["EXTRAS", "LoggedRun", "Logger", "LoggerGroup", "check_installed", "numbers"]
