"""Problems to solve: chosen class sizes and unconstrained features, one free vector for every sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from nc_bench.config import Config
from nc_bench.data import Dataset


def chosen_classes(counts: Sequence[int]) -> Dataset:
    """Labels only: counts[k] samples of class k. The inputs say nothing; unconstrained features do not look at them."""
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    inputs = torch.zeros(len(labels), 1, dtype=torch.float64)
    return Dataset(
        name="chosen classes",
        classes=len(counts),
        train_inputs=inputs,
        train_labels=labels,
        test_inputs=inputs[:0],
        test_labels=labels[:0],
    )


def unconstrained(
    width: int,
    *,
    seed: int = 0,
    nonnegative: bool = False,
    bias: bool = False,
    head: dict[str, Any] | None = None,
    constraints: dict[str, Any] | None = None,
    objective: dict[str, Any] | None = None,
    learning_rate: float = 0.1,
    feature_rate: float = 1.0,
) -> Config:
    """A run over a table of features in float64, full batch; `feature_rate` is the features' rate over the head's.

    The data that the configuration names are not used: the caller brings its own (`chosen_classes`).
    """
    return Config.model_validate(
        {
            "seed": seed,
            "device": "cpu",
            "dtype": "float64",
            "data": {"name": "digits"},
            "model": {"name": "unconstrained", "widths": [width], "nonnegative": nonnegative},
            "head": {"bias": bias, **(head or {})},
            "constraints": constraints or {},
            "objective": {"decay_biases": False, **(objective or {})},
            "optimizer": {"name": "sgd", "lr": learning_rate, "backbone_lr_factor": feature_rate},
            "training": {"epochs": 1, "batch_size": None},
        }
    )
