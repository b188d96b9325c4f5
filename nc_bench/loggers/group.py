"""The loggers of a run: made from their names, and kept from ending the run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nc_bench.errors import ConfigError
from nc_bench.loggers.csv_logger import CsvLogger
from nc_bench.loggers.mlflow_logger import MlflowLogger
from nc_bench.loggers.protocol import LoggedRun, Logger, Row
from nc_bench.loggers.tensorboard_logger import TensorBoardLogger
from nc_bench.loggers.wandb_logger import WandbLogger
from nc_bench.telling import tell
from nc_bench.text import did_you_mean, listed, one_line

MAKERS: dict[str, Callable[[LoggedRun], Logger]] = {
    "csv": CsvLogger,
    "tensorboard": TensorBoardLogger,
    "wandb": WandbLogger,
    "mlflow": MlflowLogger,
}
"""By the name in `record.log`."""

EXTRAS = {"tensorboard": "tensorboard", "wandb": "wandb", "mlflow": "mlflow"}
"""The package that a logger needs, which is also the name of nc_bench's extra."""


def check_installed(loggers: Iterable[Any], *, key: str = "record.log") -> None:
    """Raises ConfigError, one line that begins with `key`, for a name that is unknown or whose library is missing."""
    for logger in loggers:
        if not isinstance(logger, str):
            if not isinstance(logger, Logger):
                raise ConfigError(f"{key}: a {type(logger).__name__} has no methods log(row) and close()")
            continue
        if logger not in MAKERS:
            hint = did_you_mean(logger, MAKERS)
            known = f"known are {listed(list(MAKERS))}, and objects with log(row) and close()"
            raise ConfigError(f"{key}: {logger!r} is no logger; {hint + ' ' if hint else ''}{known}")
        if logger in EXTRAS and find_spec(EXTRAS[logger]) is None:
            raise ConfigError(
                f"{key}: {logger} needs {EXTRAS[logger]}, which is not installed: pip install 'nc_bench[{logger}]'"
            )


class LoggerGroup:
    """Hands rows to loggers, by name or of the user's own. One that raises is named once and left out: the run goes on.

    The loggers are made where `open` is called.
    """

    def __init__(self, loggers: Sequence[str | Logger] = ()) -> None:
        self._wanted, self._path = loggers, Path()
        self._open: dict[str, Logger] = {}

    def open(self, run: LoggedRun) -> None:
        """Make the loggers of a run that starts, or goes on from its kept rows."""
        self.close()
        self._path = run.path
        for number, wanted in enumerate(self._wanted):
            if not isinstance(wanted, str):
                self._open[f"{type(wanted).__name__} {number}"] = wanted
            elif (made := self._guarded(wanted, partial(MAKERS[wanted], run))) is not None:
                self._open[wanted] = made

    def log(self, rows: Iterable[Row]) -> None:
        """Hand on rows, each to every logger."""
        for row in rows:
            for name, logger in list(self._open.items()):
                self._guarded(name, partial(logger.log, row))

    def close(self) -> None:
        """Close all loggers."""
        for name, logger in list(self._open.items()):
            self._guarded(name, logger.close)
        self._open = {}

    def _guarded(self, name: str, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except Exception as error:
            self._open.pop(name, None)
            tell(f"{self._path}: the logger {name} failed and is left out from now on ({one_line(error)})")
            return None
