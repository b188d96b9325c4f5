"""A callback for Hugging Face's Trainer that makes a run directory of a training: `trainer.add_callback(...)`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import nc_bench.vision  # noqa: F401  (makes the torchvision importable that transformers looks for)
from nc_bench.errors import UserError
from nc_bench.integrations.required import required
from nc_bench.integrations.shown import logged
from nc_bench.run_recorder import RunRecorder

if TYPE_CHECKING:
    from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
else:
    TrainerCallback = required("transformers", extra="transformers").TrainerCallback


class CollapseCallback(TrainerCallback):
    """Measures after every epoch of training, and logs the metrics as `collapse/train/nc1_pinv` and so on.

    ::

        trainer.add_callback(CollapseCallback("runs/mine", trainer))

    directory and options: as for `nc_bench.RunRecorder`. train, test: by default the trainer's training and evaluation
    sets, as its evaluation loads them. every: measure after each so many epochs, and after the last. A training that
    goes on from a checkpoint (`resume_from_checkpoint`) goes on in the directory too.
    Raises UserError, one line, where several processes train and no loaders are given: those of the trainer show each
    process its share only.
    """

    def __init__(
        self,
        directory: Any,
        trainer: Trainer,
        *,
        train: Any = None,
        test: Any = None,
        every: int = 1,
        resume: bool = False,
        **options: Any,
    ) -> None:
        self.directory, self.trainer, self.every, self.resume = directory, trainer, every, resume
        self.train, self.test, self.options = train, test, options
        self.recorder: RunRecorder | None = None
        if train is None and trainer.args.world_size > 1:
            raise UserError("train=: give loaders of all samples where several processes train")

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Open the directory; the checkpoint has been loaded by now."""
        if self.recorder is not None:
            self.recorder.fail()  # a training that raised has left it open
        epochs = math.ceil(args.num_train_epochs) if args.max_steps <= 0 else None
        test = self.test
        if test is None and self.trainer.eval_dataset is not None:
            test = self.trainer.get_eval_dataloader()
        self.recorder = RunRecorder(
            self.directory,
            kwargs["model"],
            train=self.trainer.get_eval_dataloader(self.trainer.train_dataset) if self.train is None else self.train,
            test=test,
            resume=self.resume or state.global_step > 0,
            **{"epochs": epochs, "seed": args.seed, **self.options},
        )

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Measure where it is due."""
        assert self.recorder is not None and state.epoch is not None, "training has begun"
        epoch = math.ceil(state.epoch - 1e-6)
        if epoch % self.every == 0 or state.global_step >= state.max_steps or control.should_training_stop:
            found = self.recorder.record(epoch, step=state.global_step)
            self.trainer.log(logged(found))

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Judge, and write the page."""
        assert self.recorder is not None, "training has begun"
        self.recorder.close()
