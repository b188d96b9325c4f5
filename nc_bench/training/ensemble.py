"""The state of training: one stacked program for trials that differ only in numbers. A run is an ensemble of one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from nc_bench.config import Config, ConfigError
from nc_bench.constraints import ParameterConstraints
from nc_bench.data import Augmentation, Dataset, Images, training_batches, training_labels
from nc_bench.distributed import SINGLE_PROCESS, Processes
from nc_bench.models import Classifier, build_classifier
from nc_bench.models.layers import with_trial_axis
from nc_bench.recording import Split
from nc_bench.rng import Stream, generator, global_stream
from nc_bench.training.forward import TrainingForward
from nc_bench.training.objective import Objective
from nc_bench.training.optimizers import Closure, build_optimizer, decayed_parameters, learning_rate_factor
from nc_bench.training.plugin_metrics import PluginMetrics

DTYPES = {"float32": torch.float32, "float64": torch.float64}


class Ensemble:
    """Model, data, optimizer and step count of t trials; nothing else changes while training.

    Each of several processes takes its share of every batch, and all take the same step: that of the whole batch.
    Raises ConfigError for a batch larger than the data, or too small to be shared, a last batch that batch norm
    cannot normalize, class weights for another number of classes, or a setting for speed (`training.autocast`,
    `channels_last`, `compile`) that does not work on the device.
    """

    def __init__(
        self, configs: Sequence[Config], dataset: Dataset, device: torch.device, processes: Processes = SINGLE_PROCESS
    ) -> None:
        self.processes = processes
        first, dtype = configs[0], DTYPES[configs[0].dtype]
        data = dataset.to(device, dtype)
        self.configs, self.device, self.classes = configs, device, data.classes
        self.inputs: Tensor | Images = data.train_inputs
        self.test_inputs, self.test_labels = data.test_inputs, data.test_labels
        self.samples, self.input_shape = len(self.inputs), tuple(dataset.train_inputs.shape[1:])
        self.batch_size = _checked_batch_size(first, self.samples)
        self.labels = torch.stack(
            [training_labels(c.data, dataset.train_labels, data.classes, c.seed) for c in configs]
        ).to(device)
        if first.model.takes_indices:
            self.inputs, self.test_labels = torch.arange(self.samples, device=device), self.test_labels[:0]
        self.model: Classifier = build_classifier(
            configs, input_shape=self.input_shape, samples=self.samples, classes=self.classes
        ).to(device, dtype)
        self.own_metrics = PluginMetrics(first.record, self.model, self.classes)
        _check_last_batch(self.model, self.batch_size, self.samples)
        _check_shares(self.model, processes.size, self.batch_size, self.samples, len(self.test_labels))
        self.forward = TrainingForward(self.model, first, device, processes)
        self.constraints = ParameterConstraints(configs, self.model.head.weight, self.model.table)
        self.constraints.project()
        self.optimizer = build_optimizer(self.model, configs)
        self.step_count = 0
        self.objective = Objective(configs, self.labels, self.classes, dtype)
        self.epoch_loss = torch.zeros(len(configs), dtype=dtype, device=device)
        self._gradient_norms = torch.full((len(configs),), torch.nan, dtype=torch.float64)

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.samples // self.batch_size)

    @property
    def total_steps(self) -> int:
        return self.steps_per_epoch * self.configs[0].training.epochs

    def learning_rate_factor(self) -> float:
        """The schedule's factor for the step that comes next; after the last step, that of the last."""
        total = max(self.total_steps, 1)
        return learning_rate_factor(self.configs[0].schedule, min(self.step_count, total - 1), total)

    def steps_of_epoch(self) -> Iterator[None]:
        """Takes the remaining steps of the current epoch, one per iteration."""
        self.model.train()
        self.epoch_loss.zero_()
        epoch, done = divmod(self.step_count, self.steps_per_epoch)
        order = self._order(epoch)
        batches = order.split(self.batch_size, 1)[done:]
        augment = self._augmentation(epoch)
        shares = [self._share(batch) for batch in batches]
        for batch, own, inputs in zip(batches, shares, training_batches(self.inputs, shares), strict=True):
            self._step(batch, inputs if augment is None else augment(inputs, own))
            self.step_count += 1
            yield

    @property
    def class_counts(self) -> list[list[int]]:
        """For every trial, the training samples of every class by the labels that are trained on."""
        return [torch.bincount(labels, minlength=self.classes).tolist() for labels in self.labels]

    def finite(self) -> list[bool]:
        """For every trial, whether each loss of the epoch so far was finite. Waits for the device."""
        return self.processes.total(self.epoch_loss).isfinite().tolist()

    def gradient_norms(self) -> list[float]:
        """Norm of the gradient in the last step of the latest epoch, per trial; NaN before there is one."""
        return self._gradient_norms.tolist()

    def train_split(self) -> Split:
        return Split(inputs=self.inputs, labels=self.labels)

    def test_split(self) -> Split | None:
        """None where there is none, as for a table of features: it has no value off its samples."""
        if len(self.test_labels) == 0:
            return None
        labels = self.test_labels.expand(len(self.configs), -1).contiguous()
        return Split(inputs=self.test_inputs, labels=labels)

    @torch.no_grad()
    def penalties(self, features: Tensor | None) -> list[float]:
        """What the objective adds to the risk, per trial: l/2 |parameters|^2 + l_h/2 sum_i |h_i|^2."""
        total = torch.zeros(len(self.configs), dtype=torch.float64, device=self.device)
        groups = decayed_parameters(self.model, self.configs[0].objective.decay_biases)
        stacked = ([p.double() for p in with_trial_axis(self.model, group)] for group in groups)
        total += self.objective.weight_penalty(*stacked)
        if self.objective.decays_features:
            if features is None:
                return [float("nan")] * len(self.configs)
            total += self.objective.feature_penalty(features.double())
        return total.tolist()

    @torch.no_grad()
    def mean_losses(self, risks: Sequence[float], features: Tensor | None) -> list[float]:
        """Mean loss over the training samples, per trial: their risk where that is the loss, else from features."""
        if self.objective.is_risk:
            return list(risks)
        if features is None:
            return [float("nan")] * len(self.configs)
        outputs = self.model.outputs(features.to(self.epoch_loss))
        return self.objective.loss(outputs, self.labels).tolist()

    def states(self) -> list[dict[str, Any]]:
        """For every trial what a later process needs to go on, alone or stacked with any trials at the same step."""
        model, optimizer = self.model.state_dict(), self.optimizer.state_dict()
        return [
            {
                "model": self._of_trial(model, trial),
                "optimizer": {
                    "step": optimizer["step"],
                    "state": {kind: self._of_trial(tensors, trial) for kind, tensors in optimizer["state"].items()},
                },
            }
            for trial in range(len(self.configs))
        ]

    def load(self, states: Sequence[dict[str, Any]]) -> None:
        """Go on from one state for each trial, bit for bit: they were projected when made, and are not again."""
        self.model.load_state_dict(_stacked([state["model"] for state in states]))
        optimizers = [state["optimizer"] for state in states]
        (self.step_count,) = {optimizer["step"] for optimizer in optimizers}
        kinds = dict.fromkeys(kind for optimizer in optimizers for kind in optimizer["state"])
        stacked = {kind: _stacked([optimizer["state"].get(kind) for optimizer in optimizers]) for kind in kinds}
        self.optimizer.load_state_dict({"step": self.step_count, "state": stacked})

    def _of_trial(self, tensors: Mapping[str, Tensor], trial: int) -> dict[str, Tensor]:
        """Copies of this trial's part of stacked tensors; a single trial owns all there is."""
        return {
            name: (tensor if len(self.configs) == 1 else tensor[trial : trial + 1]).clone()
            for name, tensor in tensors.items()
        }

    def _step(self, batch: Int64[Tensor, "t b"], inputs: Tensor) -> None:
        loss, objective = self._differentiate(batch, inputs)
        self.epoch_loss += loss
        if (self.step_count + 1) % self.steps_per_epoch == 0:
            self._gradient_norms = self.optimizer.gradient_norms()
        closure = Closure(
            current=lambda: self._of_all(objective, batch), evaluate=lambda: self._evaluate_again(batch, inputs)
        )
        self.optimizer.step(self.learning_rate_factor(), closure)
        self.constraints.project()

    def _differentiate(self, batch: Int64[Tensor, "t b"], inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Mean loss, and with feature decay, of this process's share of a batch, which are the inputs; the parameters
        are left with the gradients of the whole batch."""
        weight, own = self.processes.weight(batch.shape[1]), self._share(batch)
        with self._noise():
            features, outputs = self.forward(inputs)
        loss = self.objective.loss(outputs, self.labels.gather(1, own))
        objective = loss
        if self.objective.decays_features:
            objective = loss + self.objective.feature_penalty(features)
        objective.backward(torch.full_like(objective, weight))
        return loss.detach(), objective.detach()

    @torch.enable_grad()
    def _evaluate_again(self, batch: Int64[Tensor, "t b"], inputs: Tensor) -> Tensor:
        """The objective within a step; running statistics of batch norm count the step once."""
        before = [buffer.clone() for buffer in self.model.buffers()]
        _, objective = self._differentiate(batch, inputs)
        for buffer, old in zip(self.model.buffers(), before, strict=True):
            buffer.copy_(old)
        return self._of_all(objective, batch)

    def _share(self, batch: Int64[Tensor, "t b"]) -> Int64[Tensor, "t s"]:
        return batch[:, self.processes.local_slice(batch.shape[1])]

    def _of_all(self, mean: Float[Tensor, "t"], batch: Int64[Tensor, "t b"]) -> Float[Tensor, "t"]:
        """The mean over a batch, from that over this process's share."""
        return self.processes.total(mean * (self.processes.weight(batch.shape[1]) / self.processes.size))

    def _noise(self) -> AbstractContextManager[None]:
        """What dropout and the like draw in this step: a function of the seed, the step and the rank, so a resumed
        run's too."""
        if not self.model.stochastic:
            return nullcontext()
        draw = self.step_count * self.processes.size + self.processes.rank
        return global_stream(self.configs[0].seed, Stream.MODEL_NOISE, draw, device=self.device)

    def _augmentation(self, epoch: int) -> Augmentation | None:
        settings = getattr(self.configs[0].data, "augment", None)
        if settings is None or not (settings.flip or settings.crop_padding):
            return None
        seeds = [config.seed for config in self.configs]
        return Augmentation.of_epoch(settings, seeds, self.samples, epoch, self.device)

    def _order(self, epoch: int) -> Int64[Tensor, "t n"]:
        """The order of the samples in this epoch; a full batch is taken as it stands."""
        if self.batch_size == self.samples:
            return torch.arange(self.samples, device=self.device).expand(len(self.configs), -1)
        draws = [generator(config.seed, Stream.DATA_ORDER, epoch) for config in self.configs]
        return torch.stack([torch.randperm(self.samples, generator=draw) for draw in draws]).to(self.device)


def _stacked(trials: Sequence[Mapping[str, Tensor] | None]) -> dict[str, Tensor]:
    """Tensors of single trials on one axis of trials. None: zeros, as a trial without momentum has no velocity."""
    if len(trials) == 1:
        return dict(trials[0] or {})
    like = next(trial for trial in trials if trial is not None)
    return {
        name: torch.cat([torch.zeros_like(tensor) if trial is None else trial[name] for trial in trials])
        for name, tensor in like.items()
    }


def _checked_batch_size(config: Config, samples: int) -> int:
    size = config.training.batch_size or samples
    if size > samples:
        raise ConfigError(f"training.batch_size: {size} is larger than the {samples} training samples")
    return size


def _check_last_batch(model: Classifier, size: int, samples: int) -> None:
    if model.uses_batch_statistics and (samples % size or size) == 1:
        raise ConfigError(
            f"training.batch_size: {size} leaves one of {samples} samples in the last batch, "
            "which batch norm cannot normalize"
        )


def _check_shares(model: Classifier, processes: int, batch_size: int, samples: int, tests: int) -> None:
    """Every process has a sample of every batch and of both splits, and two of a batch that its batch norm sees."""
    last, least = samples % batch_size or batch_size, 2 if model.uses_batch_statistics else 1
    if processes > 1 and last < least * processes:
        raise ConfigError(
            f"training.batch_size: {batch_size} leaves {last} of {samples} samples in the last batch, too few for "
            f"{processes} processes with at least {least} each"
        )
    if 0 < tests < processes:
        raise ConfigError(f"data.name: {tests} test samples are too few for {processes} processes")
