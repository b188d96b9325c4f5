"""The package's own loop with hooks that do nothing: nothing is written."""

from __future__ import annotations

import math

from nc_bench.recording import Recorder
from nc_bench.training.ensemble import Ensemble
from nc_bench.training.loop import Hooks, train
from nc_bench.training.stopping import Interrupt


def train_and_record(ensemble: Ensemble) -> None:
    """From the first step to the last, recorded as the configurations say. A time counts only of a whole training."""
    recorder = Recorder(ensemble.model, ensemble.configs, ensemble.classes)
    hooks = Hooks(
        rows=_ignore,
        recorded=_ignore,
        epoch_done=_ignore,
        save=_ignore,
        ended=_ignore,
        stops=lambda trial: math.inf,
        last_recorded=lambda trial: None,
        measured=_ignore,
    )
    ensemble.step_count = 0
    statuses = train(ensemble, recorder, lambda trial: 0.0, Interrupt(), hooks)
    assert set(statuses) == {"complete"}, f"training ended as {statuses}"


def train_only(ensemble: Ensemble) -> None:
    """One epoch without a recording; waits for the device at its end."""
    ensemble.step_count = 0
    for _ in ensemble.steps_of_epoch():
        pass
    assert all(ensemble.finite()), "training diverged"


def _ignore(*_: object) -> None:
    """A hook that does nothing."""
