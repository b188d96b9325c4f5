"""The model and the data of somebody's loop: what is found in them, how they are measured, and what a manifest says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from nc_bench.config import Config
from nc_bench.constraints import ConstraintResiduals, build_set
from nc_bench.errors import NotFinite
from nc_bench.metrics import Head
from nc_bench.recording import Recording, Split
from nc_bench.recording.content import ContentDigest
from nc_bench.recording.model_metrics import measure_samples, probe_head
from nc_bench.training.foreign_loop import as_recording, class_counts, loader_of, names_of
from nc_bench.training.manifest import facts_of_loop

if TYPE_CHECKING:
    from nc_bench.recording.batches import Unpack

Parts = tuple[tuple[Recording, Split], tuple[Recording | None, Split | None]]
"""Recording and labels of the training split, and of the test split where there is one."""


class MeasuredLoop:
    """A model and its splits, test None where there is none; arguments as for `RunRecorder`."""

    def __init__(
        self,
        model: nn.Module,
        train: Any,
        test: Any,
        *,
        classes: Any,
        layer: Any,
        unpack: Unpack | None,
        device: Any,
        budget: int,
    ) -> None:
        self.model, self._train = model, loader_of(train, "train")
        self._test = None if test is None else loader_of(test, "test")
        self._asked = {"classes": classes, "layer": layer, "unpack": unpack, "device": device}
        self._budget = budget
        self._contents: dict[str, ContentDigest] = {}

    def probe(self) -> tuple[Head | None, torch.dtype, bool]:
        """What `probe_head` finds on the first batch of the training split."""
        return probe_head(self.model, self._train, **self._asked)

    def measured(self, config: Config, *, first: bool) -> Parts:
        """Recordings and labels of both splits; NotFinite, one line, where a number is not finite.

        first: whether the contents of the splits enter `facts`; once is enough, and it takes time.
        """
        train = self._measured("train", self._train, config, None, first)
        test = (None, None) if self._test is None else self._measured("test", self._test, config, train[0], first)
        if not math.isfinite(train[0].penultimate.metrics[0].get("risk", 0.0)):
            raise NotFinite("the training risk is not finite")
        return train, test

    def _measured(
        self, split: str, data: Any, config: Config, train: Recording | None, first: bool
    ) -> tuple[Recording, Split]:
        residuals, content = ConstraintResiduals([config]), ContentDigest() if first else None
        if content is not None:
            self._contents[split] = content
        measured = measure_samples(
            self.model,
            data,
            **self._asked,
            budget=self._budget,
            centres=None if train is None else train.penultimate.class_means,
            output_map=build_set([config], "outputs"),
            content=content,
            observe=lambda features, outputs: residuals.update(
                features[None].double(), None if outputs is None else outputs[None].double()
            ),
        )
        return as_recording(measured, residuals.compute(None if measured.head is None else measured.head.weight))

    def facts(self, config: Config, parts: Parts, class_names: Sequence[str] | None) -> dict[str, Any]:
        """What the manifest says of data and model, from the first measurement."""
        (train, train_split), (_, test_split) = parts
        layer = train.penultimate
        _, classes, width = layer.class_means.shape
        return facts_of_loop(
            config,
            class_names=names_of(self._train, classes, class_names),
            class_counts=class_counts(train_split.labels[0], classes),
            samples={
                "train": train_split.labels.shape[1],
                "test": 0 if test_split is None else test_split.labels.shape[1],
            },
            width=width,
            data_digest=sha256("".join(part.hexdigest for part in self._contents.values()).encode()).hexdigest(),
            parameters=sum(parameter.numel() for parameter in self.model.parameters()),
            device=layer.class_means.device,
        )
