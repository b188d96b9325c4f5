"""Correctly classified samples: their metrics are those of the subset by itself, trial by trial."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from small_runs import network, tiny_dataset

from nc_bench import collapse_metrics
from nc_bench.config import Config
from nc_bench.metrics import Head
from nc_bench.recording import Recorder
from nc_bench.recording.correct import correct_metrics
from nc_bench.training.ensemble import Ensemble

BATCHES = {"epochs": 1, "batch_size": 8}


def config(seed: int, **sections: Any) -> Config:
    chosen = {"dtype": "float64", "record": {"correct_only": True}, "head": {"bias": True}, "training": BATCHES}
    return network(**({"seed": seed} | chosen | sections))


def test_every_trial_has_the_metrics_of_what_it_classifies_correctly() -> None:
    """Random labels, of which the networks have learned some, and not the same."""
    free = {"features": None, "head": None}
    configs = [config(seed, data={"name": "digits", "labels": "random"}, constraints=free) for seed in (0, 1)]
    ensemble = Ensemble(configs, tiny_dataset(), torch.device("cpu"))
    for _ in ensemble.steps_of_epoch():
        pass
    split = ensemble.train_split()
    recording, counts = Recorder(ensemble.model, configs, 3).record(split), []
    assert recording.penultimate.features is not None
    for trial, metrics in enumerate(recording.correct):
        features, labels = recording.penultimate.features[trial], split.labels[trial]
        head = ensemble.model.head
        weight, bias = (part[trial].detach() for part in (head.weight, head.bias))
        kept = (features @ weight.T + bias).argmax(1) == labels
        expected = collapse_metrics(features[kept], labels[kept], weight, bias, classes=3)
        assert metrics == pytest.approx(expected, rel=1e-11, abs=1e-13, nan_ok=True)
        assert metrics["accuracy"] == 1 and recording.penultimate.metrics[trial]["accuracy"] < 1
        counts.append(int(kept.sum()))
    assert len(set(counts)) == 2
    unkept = Recorder(ensemble.model, configs, 3, budget=0).record(split).correct
    assert [metrics.reasons["nc1_quotient"] for metrics in unkept] == ["the features do not fit in memory"] * 2


def test_where_nothing_is_classified_correctly_all_is_undefined() -> None:
    features, labels = torch.eye(3, dtype=torch.float64)[None], torch.tensor([[1, 2, 0]])
    (metrics,) = correct_metrics(features, labels, Head(weight=features), None)
    assert math.isnan(metrics["risk"]) and metrics.reasons["risk"] == "no sample is classified correctly"


def test_centres_are_those_given() -> None:
    features = torch.eye(3, dtype=torch.float64).repeat(2, 1)[None]
    labels = torch.tensor([[0, 1, 2, 0, 1, 2]])
    head = Head(weight=torch.eye(3, dtype=torch.float64)[None])
    own, other = (
        correct_metrics(features, labels, head, centres)[0]["ncc_accuracy"]
        for centres in (None, features[:, [1, 2, 0]])
    )
    assert own == 1 and other == 0
