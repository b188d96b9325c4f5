"""When two configurations describe the same run: what changes their hash, and how a change is said."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from config_files import small
from pydantic import create_model

from nc_bench.config import Config, Stop, config_changes, config_hash
from nc_bench.config.base import Section
from nc_bench.text import shown


def test_hash_stays() -> None:
    assert config_hash(small()) == "5a70f1bfc7d03a10"
    assert config_hash(complete("noise", "unconstrained", "adamw")) == "19e3c2b4b4dcb5b7"


WIDTHS: dict[str, Any] = {"mlp": {"widths": [4]}, "unconstrained": {"widths": [4]}, "deep_linear": {"widths": [4, 4]}}
WIDTHS["live:Net"] = {"digest": "0" * 16}


def complete(data: str, model: str, optimizer: str) -> Config:
    """A configuration in which every section that may be null is given, with what it needs and no more."""
    made = {"classes": 3, "dimension": 4, "samples_per_class": 5}
    needs: dict[str, dict[str, Any]] = {
        "noise": made,
        "gaussian_mixture": made | {"separation": 1},
        "arrays": {"train_inputs": "x.npy", "train_labels": "y.npy"},
        "hugging_face": {"root": "folder"},
        "live": {"digest": "0" * 16},
    }
    data_needs = needs.get(data, {})
    optimizer_needs = {"adamw": {"decoupled_decay": 0.1}, "muon": {"adamw_lr": 0.1}}.get(optimizer, {})
    constrained = optimizer != "lbfgs"
    return Config.model_validate(
        {
            "data": {"name": data, **data_needs},
            "model": {"name": model, **WIDTHS.get(model, {})},
            "optimizer": {"name": optimizer, "lr": 0.1, **optimizer_needs},
            "constraints": {
                "features": {"radius": 2} if constrained else None,
                "head": {"radius": 2} if constrained else None,
                "outputs": {"radius": 2},
            },
            "training": {"epochs": 2, "batch_size": None, "stop": {"terminal_epochs": 3}},
        }
    )


COMPLETE = [
    complete("digits", "mlp", "sgd"),
    complete("cifar10", "resnet18", "adam"),
    complete("noise", "unconstrained", "adamw"),
    complete("noise", "deep_linear", "adam"),
    complete("image_folder", "timm:resnet18", "signum"),
    complete("gaussian_mixture", "mlp", "muon"),
    complete("digits", "mlp", "lbfgs"),
    complete("foreign", "foreign", "foreign"),
    complete("arrays", "mlp", "sgd"),
    complete("hugging_face", "mlp", "sgd"),
    complete("live", "live:Net", "sgd"),
    complete("import:torch.utils.data:TensorDataset", "mlp", "sgd"),
    complete("digits", "import:torch.nn:Linear", "import:torch.optim:RAdam"),
    small(
        objective={"loss": "import:torch.nn:MultiMarginLoss"},
        record={"metrics": ["import:torch:norm"]},
    ),
    small(data={"balance": {"name": "step", "ratio": 2, "minority_classes": 3}}, schedule={"name": "cosine"}),
    small(data={"balance": {"name": "exponential", "ratio": 2}}, schedule={"name": "multi_step", "milestones": [0.5]}),
    small(data={"balance": {"name": "counts", "counts": [3, 4]}}),
]
"""Every class of section, at least once."""


def sections(value: Section) -> Iterator[Section]:
    yield value
    for key in type(value).model_fields:
        inner = getattr(value, key)
        for part in inner if isinstance(inner, tuple) else (inner,):
            if isinstance(part, Section):
                yield from sections(part)


def replaced(value: Section, old: Section, new: Section) -> Any:
    """A configuration in which the section `old`, the same object, is `new`; nothing is checked."""
    if value is old:
        return new
    inner = {key: getattr(value, key) for key in type(value).model_fields}
    changed = {key: replaced(part, old, new) for key, part in inner.items() if isinstance(part, Section)}
    for key, listed in inner.items():
        if isinstance(listed, tuple) and any(isinstance(part, Section) for part in listed):
            changed[key] = tuple(replaced(part, old, new) for part in listed)
    return value.model_copy(update=changed)


def all_sections(above: type[Section] = Section) -> set[type[Section]]:
    """The classes that a configuration is made of: those in `nc_bench.config` that no other class refines."""
    below = [kind for kind in above.__subclasses__() if kind.__module__.startswith("nc_bench.config.")]
    return set().union(*map(all_sections, below)) if below else {above}


def test_every_section_is_among_the_complete_ones() -> None:
    assert all_sections() == {type(section) for config in COMPLETE for section in sections(config)}


@pytest.mark.parametrize("config", COMPLETE, ids=lambda config: f"{config.data.name}-{config.optimizer.name}")
def test_a_field_added_with_a_default_changes_no_hash(config: Config) -> None:
    for section in sections(config):
        grown = create_model("Grown", __base__=type(section), added=(float, 0.5), more=(Stop, Stop()))
        values = {key: getattr(section, key) for key in type(section).model_fields}
        with_default = replaced(config, section, grown.model_construct(**values))
        assert config_hash(with_default) == config_hash(config), type(section)
        with_another = replaced(config, section, grown.model_construct(**values, added=0.25))
        assert config_hash(with_another) != config_hash(config) or isinstance(section, Stop), type(section)


@pytest.mark.parametrize("config", COMPLETE, ids=lambda config: f"{config.data.name}-{config.optimizer.name}")
def test_every_other_value_changes_the_hash(config: Config) -> None:
    for section in sections(config):
        for key in type(section).model_fields:
            changed = replaced(config, section, section.model_copy(update={key: "another"}))
            ignored = key in section.not_in_hash or isinstance(section, Stop)
            assert (config_hash(changed) == config_hash(config)) == ignored, (type(section), key)
            assert (config_changes(config, changed) == []) == ignored, (type(section), key)


def test_an_empty_section_is_not_a_missing_one() -> None:
    config = small(training={"stop": {"terminal_epochs": 3}})
    stop = config.training.model_copy(update={"stop": Stop()})
    bare = config.constraints.model_copy(update={"features": Stop()})
    assert config_hash(config.model_copy(update={"training": stop})) == config_hash(small())
    assert config_hash(config.model_copy(update={"constraints": bare})) != config_hash(small())


@pytest.mark.parametrize(
    "changes",
    [
        {"device": "cpu"},
        {"training": {"epochs": 5, "checkpoint_seconds": 0}},
        {"training": {"stop": {"terminal_epochs": 5}}},
        {"optimizer": {"lr": "5e-2"}},
        {"optimizer": {"momentum": -0.0}},
        {"constraints": {}},
        {"schedule": {"name": "constant", "warmup": 0}},
        {"head": {"bias": True}},
    ],
)
def test_what_a_result_does_not_depend_on(changes: dict[str, Any]) -> None:
    assert config_hash(small(**changes)) == config_hash(small())
    assert config_changes(small(), small(**changes)) == []


def test_a_result_does_not_depend_on_where_the_data_lie() -> None:
    here, there = (
        small(data={"name": "mnist", **where})
        for where in ({}, {"root": "/elsewhere", "download": True, "memory_gb": 1, "workers": 0})
    )
    assert config_hash(here) == config_hash(there) and config_changes(here, there) == []


@pytest.mark.parametrize(
    "changes, lines",
    [
        ({"optimizer": {"lr": 0.1}}, ["optimizer.lr: 0.05 -> 0.1"]),
        ({"model": {"widths": [32]}}, ["model.widths: [32, 16] -> [32]"]),
        ({"training": {"batch_size": None}}, ["training.batch_size: 128 -> null"]),
        ({"training": {"warm_start": "elsewhere"}}, ["training.warm_start: null -> elsewhere"]),
        (
            {"constraints": {"head": {"radius": 1}}},
            ["constraints.head: null -> {radius: 1.0, set: spectral, temperature: null}"],
        ),
        (
            {"optimizer": {"name": "adam", "lr": 0.1}},
            ["optimizer.name: sgd -> adam", "optimizer.lr: 0.05 -> 0.1"],
        ),
        ({"seed": 1, "device": "cpu", "dtype": "float64"}, ["seed: 0 -> 1", "dtype: float32 -> float64"]),
    ],
)
def test_changes_are_a_line_each(changes: dict[str, Any], lines: list[str]) -> None:
    assert config_changes(small(), small(**changes)) == lines
    assert config_hash(small(**changes)) != config_hash(small())


def test_values_are_shown_as_yaml_on_one_short_line() -> None:
    assert shown(None) == "null"
    assert shown("true") == "'true'"
    assert shown("two\nlines").count("\n") == 0
    assert len(shown(list(range(100)))) == 60
