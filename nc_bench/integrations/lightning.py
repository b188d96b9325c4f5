"""A Lightning callback that makes a run directory of a fit: `Trainer(callbacks=[CollapseCallback(...)])`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import nc_bench.vision  # noqa: F401  (makes the torchvision importable that Lightning looks for)
from nc_bench.integrations.required import required
from nc_bench.integrations.shown import logged
from nc_bench.run_recorder import RunRecorder

if TYPE_CHECKING:
    from lightning.pytorch import Callback, LightningModule, Trainer
else:
    Callback = required("lightning.pytorch", extra="lightning").Callback


class CollapseCallback(Callback):
    """Measures after every epoch of training, and logs the metrics as `collapse/train/nc1_pinv` and so on.

    ::

        trainer = Trainer(callbacks=[CollapseCallback("runs/mine", train=train_loader, test=test_loader)])

    directory, train, test and options: as for `nc_bench.RunRecorder`, which is given the LightningModule, whose
    `forward` has to return the logits. every: measure after each so many epochs, and after the last. A fit that goes on
    from a checkpoint (`ckpt_path`) goes on in the directory too.
    """

    def __init__(
        self, directory: Any, *, train: Any, test: Any = None, every: int = 1, resume: bool = False, **options: Any
    ) -> None:
        self.directory, self.every, self.resume = directory, every, resume
        self.options = {"train": train, "test": test, **options}
        self.recorder: RunRecorder | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open the directory; the checkpoint has been loaded by now."""
        epochs = trainer.max_epochs if trainer.max_epochs and trainer.max_epochs > 0 else None
        resume = self.resume or trainer.ckpt_path is not None
        self.recorder = RunRecorder(self.directory, pl_module, **{"epochs": epochs, **self.options, "resume": resume})

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure where it is due."""
        assert self.recorder is not None, "training has started"
        epoch = trainer.current_epoch + 1
        if epoch % self.every == 0 or epoch == trainer.max_epochs or trainer.should_stop:
            found = self.recorder.record(epoch, step=trainer.global_step)
            pl_module.log_dict(logged(found), rank_zero_only=True)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Judge, and write the page."""
        assert self.recorder is not None, "training has started"
        self.recorder.close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Keep what was recorded."""
        if self.recorder is not None:
            self.recorder.__exit__(type(exception), exception, None)
