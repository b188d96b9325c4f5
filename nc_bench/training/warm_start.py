"""Weights to start from that an earlier run has learnt."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from nc_bench.config import ConfigError
from nc_bench.runs import RunError
from nc_bench.runs.directory import CHECKPOINT
from nc_bench.training.checkpoint import read_checkpoint
from nc_bench.training.ensemble import Ensemble


@torch.no_grad()
def warm_start(ensemble: Ensemble) -> None:
    """Give every trial the weights and running statistics of `training.warm_start`, where that is set, nothing else.

    Constraints on parameters are applied afterwards. Raises ConfigError, one line, if there is no such checkpoint, it
    is damaged, or it is of a model with other parameters.
    """
    given = ensemble.configs[0].training.warm_start
    if given is None:
        return
    path = Path(given).expanduser()
    path = path / CHECKPOINT if path.is_dir() else path
    if not path.is_file():
        raise ConfigError(f"training.warm_start: {path}: there is no such checkpoint")
    try:
        saved: dict[str, Tensor] = read_checkpoint(path).state["model"]
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
