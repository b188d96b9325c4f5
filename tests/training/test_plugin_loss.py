"""A loss of the user's own, in runs and in a sweep's stack; what is wrong with one is refused before training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from plugin_files import Written
from small_runs import measured, network, tiny_dataset

from nc_bench.config import Config, ConfigError, config_hash, load_config
from nc_bench.plugins import PluginError
from nc_bench.runs import RunDirectory
from nc_bench.runs.manifest import read_manifest
from nc_bench.training import run_training
from nc_bench.training.ensemble import Ensemble
from nc_bench.training.grouping import check_stackable, groups

CROSS_ENTROPY = """
import torch

def loss(logits, labels, *, scale=1.0):
    return scale * torch.nn.functional.cross_entropy(logits, labels, reduction="none")
"""


def with_loss(path: str, **changes: Any) -> Config:
    arguments = changes.pop("arguments", {})
    changes.setdefault("training", {"epochs": 1, "batch_size": None})
    return network(objective={"loss": path, "arguments": arguments}, **changes)


def test_its_own_cross_entropy_trains_as_ours(plugin: Written, tmp_path: Path) -> None:
    config = with_loss(plugin(CROSS_ENTROPY) + ":loss", training={"epochs": 2, "batch_size": 128})
    assert run_training(config, tmp_path / "own") == "complete"
    assert run_training(network(training={"epochs": 2, "batch_size": 128}), tmp_path / "ours") == "complete"
    header, *rows = measured(tmp_path / "own")
    assert "objective" in header
    assert [row.split(",")[:12] for row in rows] == [row.split(",")[:12] for row in measured(tmp_path / "ours")[1:]]
    stated = read_manifest(tmp_path / "own" / "manifest.json")["plugins"]["objective.loss"]
    assert stated == {"path": config.objective.loss, "source": config.objective.source}
    assert load_config(tmp_path / "own" / "config.yaml") == config


def test_arguments_and_source_are_part_of_the_identity(plugin: Written) -> None:
    path = plugin(CROSS_ENTROPY) + ":loss"
    one, two = with_loss(path), with_loss(path, arguments={"scale": "2e0"})
    assert two.objective.arguments == {"scale": 2.0}
    other = one.objective.model_copy(update={"source": "0" * 16})
    assert len({config_hash(c) for c in (one, two, one.model_copy(update={"objective": other}), network())}) == 4


def test_trials_with_a_plug_in_are_not_stacked(plugin: Written) -> None:
    path = plugin(CROSS_ENTROPY) + ":loss"
    configs = [with_loss(path, seed=seed) for seed in range(3)]
    assert groups(configs) == [[0], [1], [2]]
    with pytest.raises(ConfigError, match=r"^objective\.loss: import:.* cannot be stacked"):
        check_stackable(configs)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("return 'x'", "should return a tensor of losses, not a str"),
        ("return torch.ones(3)", r"should return a loss for each of 5 samples, not a tensor of shape \(3,\)"),
        (
            "return logits.sum()",
            r"not a tensor of shape \(\); for a loss of torch.nn state arguments: {reduction: none}",
        ),
        ("return labels", "should return floating-point numbers, not torch.int64"),
        ("return torch.ones(5)", "its losses have no gradient with respect to the logits"),
        ("return logits[:, 7]", r"IndexError: .*\(own_\d+\.py, line 4\)"),
    ],
)
def test_losses_that_cannot_be_used(plugin: Written, body: str, problem: str) -> None:
    config = with_loss(plugin(f"\nimport torch\ndef loss(logits, labels):\n    {body}\n") + ":loss")
    with pytest.raises(PluginError, match=rf"^objective\.loss: import:own_\d+:loss: .*{problem}") as caught:
        Ensemble([config], tiny_dataset(), torch.device("cpu"))
    assert "\n" not in str(caught.value)


def test_losses_of_torch_are_classes() -> None:
    margin = with_loss("import:torch.nn:MultiMarginLoss", arguments={"reduction": "none"})
    assert Ensemble([margin], tiny_dataset(), torch.device("cpu")).objective.plugin is not None
    with pytest.raises(PluginError, match=r"^objective\.arguments\.reductoin: .*did you mean 'reduction'\?"):
        Ensemble(
            [with_loss("import:torch.nn:MultiMarginLoss", arguments={"reductoin": "none"})],
            tiny_dataset(),
            torch.device("cpu"),
        )
    with pytest.raises(PluginError, match="has parameters, and nothing would train them"):
        linear = {"in_features": 3, "out_features": 2}
        Ensemble([with_loss("import:torch.nn:Linear", arguments=linear)], tiny_dataset(), torch.device("cpu"))


def test_arguments_without_a_plug_in_and_paths_that_are_none(plugin: Written) -> None:
    with pytest.raises(ValueError, match=r"objective.arguments: needs objective.loss: import:<module>:<name>"):
        network(objective={"arguments": {"a": 1}})
    with pytest.raises(ValueError, match=r"should be import:package.module:name"):
        network(objective={"loss": "import:only_a_module"})
    with pytest.raises(ValueError, match="there is no module nowhere_to_be_found in"):
        network(objective={"loss": "import:nowhere_to_be_found:loss"})
    with pytest.raises(ValueError, match="should hold finite numbers only"):
        with_loss(plugin(CROSS_ENTROPY) + ":loss", arguments={"scale": [float("nan")]})


def test_a_run_is_read_where_its_plug_in_is_gone_and_not_gone_on_with(plugin: Written, tmp_path: Path) -> None:
    path = plugin(CROSS_ENTROPY) + ":loss"
    config = with_loss(path, training={"epochs": 1, "batch_size": 256})
    run_training(config, tmp_path / "run")
    file = tmp_path / f"{path.split(':')[1]}.py"
    file.write_text(CROSS_ENTROPY + "# changed\n")
    changed = with_loss(path, training={"epochs": 1, "batch_size": 256})
    run = RunDirectory(tmp_path / "run")
    with pytest.raises(ValueError, match=rf"objective.source: {config.objective.source} -> {changed.objective.source}"):
        run.lock(changed, resume=True)
    file.unlink()
    assert config_hash(load_config(tmp_path / "run" / "config.yaml")) == config_hash(config)
