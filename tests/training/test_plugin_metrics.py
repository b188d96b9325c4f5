"""Metrics of the user's own: columns of the rows of both splits, equal to ours where they are the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from plugin_files import Written
from small_runs import network, tiny_dataset

from nc_bench.config import Config, ConfigError, config_hash
from nc_bench.plugins import PluginError
from nc_bench.training import run_training
from nc_bench.training.ensemble import Ensemble

METRICS = """
import torch

def spread(features, labels):
    means = torch.stack([features[labels == k].mean(0) for k in labels.unique()])
    return (features - means[labels]).square().sum(1).mean()

def hits(features, labels, weight, bias, classes, *, percent=False):
    logits = features @ weight.T + (0 if bias is None else bias)
    assert logits.shape[1] == classes and features.dtype == weight.dtype == torch.float64
    right = (logits.argmax(1) == labels).double().mean()
    return float(100 * right if percent else right)

def nothing(labels):
    return float("nan")
"""


def with_metrics(*metrics: Any, **sections: Any) -> Config:
    return network(record={"metrics": list(metrics), **sections}, training={"epochs": 1, "batch_size": None})


def test_columns_of_both_splits(plugin: Written, tmp_path: Path) -> None:
    path = plugin(METRICS)
    percent = {"name": f"{path}:hits", "arguments": {"percent": True}, "column": "percent"}
    config = with_metrics(f"{path}:spread", f"{path}:hits", percent, f"{path}:nothing")
    assert run_training(config, tmp_path / "run") == "complete"
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert {row["split"] for row in rows} == {"train", "test"}
    for row in rows:
        assert row["hits"] == pytest.approx(row["percent"] / 100, abs=1e-12)
        assert row["spread"] > 0 and row["nothing"] is None
        assert row["reasons"]["nothing"] == f"{path}:nothing returned NaN"
    assert len({config_hash(c) for c in (config, with_metrics(f"{path}:spread"), with_metrics(percent))}) == 3


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("return torch.ones(3)", r"should return one number, not a Tensor of shape \(3,\)"),
        ("return [1, 2]", "should return one number, not a list"),
        ("return 'high'", "should return a real number, not 'high'"),
        ("return None", "should return a real number, not None"),
        ("return features @ labels", r"RuntimeError: .* \(own_\d+\.py, line 3\)"),
    ],
)
def test_metrics_that_cannot_be_used(plugin: Written, body: str, problem: str) -> None:
    path = plugin(f"import torch\ndef metric(features, labels):\n    {body}\n")
    with pytest.raises(PluginError, match=rf"^record\.metrics\.0\.name: {path}:metric: {problem}"):
        Ensemble([with_metrics(f"{path}:metric")], tiny_dataset(), torch.device("cpu"))


def test_columns_that_are_taken_and_arguments_that_do_not_exist(plugin: Written) -> None:
    path = plugin(METRICS + "\ndef nc1_pinv(features): return 1.0\n")
    for metrics in ([f"{path}:nc1_pinv"], [f"{path}:spread", f"{path}:spread"]):
        with pytest.raises(ConfigError, match=r"rows have a column '(nc1_pinv|spread)' already"):
            Ensemble([with_metrics(*metrics)], tiny_dataset(), torch.device("cpu"))
    wrong = {"name": f"{path}:hits", "arguments": {"precent": True}}
    with pytest.raises(PluginError, match=r"record\.metrics\.0\.arguments\.precent: .*did you mean 'percent'"):
        Ensemble([with_metrics(wrong)], tiny_dataset(), torch.device("cpu"))
