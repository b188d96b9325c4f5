"""Rows as the history of a run of W&B."""

from __future__ import annotations

import os

from nc_bench.loggers.protocol import LoggedRun, Row, numbers


class WandbLogger:
    """An offline run of W&B in DIR/wandb, to be sent with `wandb sync`; WANDB_MODE=online sends it at once.

    The history goes by epochs, and W&B keeps the first entry of each. A resumed run has the same id, so that both parts
    become one run when they are sent.
    """

    def __init__(self, run: LoggedRun) -> None:
        import wandb

        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "nc_bench"),
            id=run.id,
            name=run.path.resolve().name,
            dir=run.path,
            config=dict(run.settings),
            mode=os.environ.get("WANDB_MODE", "offline"),  # type: ignore[arg-type]
            resume="allow" if run.rows else None,
            reinit="create_new",
            settings=wandb.Settings(silent=True, console="off", disable_git=True),
        )

    def log(self, row: Row) -> None:
        """Add the numbers to the entry of this epoch."""
        self._run.log({"epoch": row["epoch"], **numbers(row)}, step=int(row["epoch"]))

    def close(self) -> None:
        """End the run of W&B."""
        self._run.finish()
