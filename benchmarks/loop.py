"""The package's own loop with nobody listening: nothing is written."""

from __future__ import annotations

import math

from nc_bench.recording import Recorder
from nc_bench.training.ensemble import Ensemble
from nc_bench.training.loop import Hooks, train
from nc_bench.training.stopping import StopRequest


def train_and_record(ensemble: Ensemble) -> None:
    """From the first step to the last, recorded as the configurations say. A time counts only of a whole training."""
    recorder = Recorder(ensemble.model, ensemble.configs, ensemble.classes)
    hooks = Hooks(
        rows=_unheard,
        recorded=_unheard,
        epoch_done=_unheard,
        save=_unheard,
        ended=_unheard,
        stops=lambda trial: math.inf,
        measured=_unheard,
    )
    ensemble.step_count = 0
    statuses = train(ensemble, recorder, lambda trial: 0.0, StopRequest(), hooks)
    assert set(statuses) == {"complete"}, f"training ended as {statuses}"


def train_only(ensemble: Ensemble) -> None:
    """One epoch without a recording; waits for the device at its end."""
    ensemble.step_count = 0
    for _ in ensemble.steps_of_epoch():
        pass
    assert all(ensemble.finite()), "training diverged"


def _unheard(*news: object) -> None:
    """Takes whatever the loop tells."""
