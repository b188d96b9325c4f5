"""What an earlier run learnt: its model, and its weights to start another run from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nc_bench.config import Config, ConfigError
from nc_bench.models import Classifier, build_classifier
from nc_bench.models.weights import load_starting_weights
from nc_bench.paths import expanded
from nc_bench.runs import RunDirectory, RunError
from nc_bench.runs.directory import CHECKPOINT, MANIFEST
from nc_bench.runs.load import FINISHED
from nc_bench.text import one_line
from nc_bench.training.checkpoint import ForeignFile, read_checkpoint
from nc_bench.training.ensemble import DTYPES, Ensemble


class TrainedModel(nn.Module):
    """x (n, ...) -> logits (n, K): the `classifier` of one trial without its axis of trials.

    The forward pass holds the bounds of features and outputs that the run had. For a table of unconstrained features
    x (n,) are indices of training samples.
    """

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, x: Tensor) -> Float[Tensor, "n k"]:
        logits: Tensor = self.classifier(x[None])[0]
        return logits


def load_trained_model(directory: Path, config: Config, manifest: Mapping[str, Any]) -> TrainedModel:
    """The model of a run in eval mode, on the CPU and in its own dtype, with the weights of its newest checkpoint.

    Raises RunError, one line, if the run has saved no checkpoint yet, it is damaged or of another format, or the
    manifest does not state the shape of a sample.
    """
    checkpoints = RunDirectory(directory).checkpoints()
    if not checkpoints:
        raise RunError(f"{directory}: holds no {CHECKPOINT}, so there are no weights to load")
    if "input_shape" not in manifest:
        raise RunError(f"{directory / MANIFEST}: no input_shape, so the model cannot be built; train the run again")
    checkpoint = read_checkpoint(checkpoints[0])
    for key, stated in (("run", manifest.get("run")), ("step", manifest.get("checkpoint_step"))):
        if manifest.get("status") in FINISHED and checkpoint.meta[key] != stated:
            raise RunError(f"{checkpoints[0]}: not the checkpoint that this run ended with; its {key} is another")
    state = checkpoint.state
    model = build_classifier(
        [config],
        input_shape=manifest["input_shape"],
        samples=manifest["samples"]["train"],
        classes=manifest["classes"],
    ).to(DTYPES[config.dtype])
    try:
        model.load_state_dict(state["model"])
    except RuntimeError as error:  # of a module that Python code gives
        raise RunError(f"{checkpoints[0]}: its weights do not fit the model: {one_line(error)}") from None
    return TrainedModel(model).eval()


@torch.no_grad()
def warm_start(ensemble: Ensemble) -> None:
    """Give every trial the weights that it starts from, and nothing else: those of the model (`model.weights`,
    `model.pretrained`), then weights and running statistics of `training.warm_start`, where they are set.

    Constraints on parameters are applied afterwards. Raises ConfigError, one line, if there is no such checkpoint, it
    is damaged, or it is of a model with other parameters.
    """
    first = ensemble.configs[0]
    if load_starting_weights(ensemble.model, first, ensemble.input_shape):
        ensemble.constraints.project()
    source = first.training.warm_start
    if source is None:
        return
    path = expanded(source, key="training.warm_start", error=ConfigError)
    path = path / CHECKPOINT if path.is_dir() else path
    if not path.is_file():
        raise ConfigError(f"training.warm_start: {path}: there is no such checkpoint")
    try:
        saved: dict[str, Tensor] = read_checkpoint(path).state["model"]
    except ForeignFile as error:
        raise ConfigError(
            f"training.warm_start: {error}: only nc_bench's runs can be started from. To measure this model, build its "
            "nn.Module in Python, load the weights, and give its features to nc_bench.collapse_metrics"
        ) from None
    except RunError as error:
        raise ConfigError(f"training.warm_start: {error}") from None
    own = ensemble.model.state_dict()
    if names := sorted(own.keys() ^ saved.keys()):
        holder = "the checkpoint" if names[0] in saved else "the model"
        raise ConfigError(f"training.warm_start: {path}: only {holder} has {names[0]}")
    for name, mine in own.items():
        if saved[name].shape not in (mine.shape, (1, *mine.shape[1:])):
            shapes = f"{tuple(saved[name].shape[1:])} there and {tuple(mine.shape[1:])} here"
            raise ConfigError(f"training.warm_start: {path}: {name} is {shapes}")
    for name, mine in own.items():
        mine.copy_(saved[name])
    ensemble.constraints.project()
