"""Rows as scalars of TensorBoard."""

from __future__ import annotations

from nc_bench.loggers.protocol import LoggedRun, Row, numbers

FOLDER = "tensorboard"


class TensorBoardLogger:
    """Event files in DIR/tensorboard, scalars by `train/nc1_pinv` over epochs; a resumed run replaces what is newer."""

    def __init__(self, run: LoggedRun) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(run.path / FOLDER), purge_step=run.next_epoch)

    def log(self, row: Row) -> None:
        """Write the scalars at this epoch."""
        for name, value in numbers(row).items():
            self._writer.add_scalar(name, value, row["epoch"])
        self._writer.flush()

    def close(self) -> None:
        """Close the event file."""
        self._writer.close()
