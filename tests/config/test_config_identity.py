"""What is done with a configuration once it is read: written, flattened, hashed, compared, described."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import create_model

from nc_bench.config import (
    Config,
    Stop,
    config_changes,
    config_hash,
    dump_config,
    flatten,
    json_schema,
    load_config,
)
from nc_bench.config.base import Section
from nc_bench.text import shown

SMALL: dict[str, Any] = {
    "data": {"name": "digits"},
    "model": {"name": "mlp", "widths": [32, 16]},
    "optimizer": {"name": "sgd", "lr": 0.05},
    "training": {"epochs": 3, "batch_size": 128},
}

positive = st.floats(min_value=0, exclude_min=True, allow_infinity=False)
nonnegative = st.floats(min_value=0, allow_infinity=False)
below_one = st.floats(min_value=0, max_value=1, exclude_max=True)
counts = st.integers(1, 10**6)
flags = st.booleans()
text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)


def increasing(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(values, min_size=1, max_size=4, unique=True).map(sorted)


def mapping(name: str, **values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"name": st.just(name)}, optional=values)


balls = st.fixed_dictionaries(
    {"radius": positive}, optional={"p": st.floats(1, exclude_min=True, allow_infinity=False)}
)
models = st.one_of(
    st.fixed_dictionaries(
        {"name": st.just("mlp"), "widths": st.lists(counts, min_size=1, max_size=4)},
        optional={"activation": st.sampled_from(["relu", "hard_tanh"]), "batch_norm": flags},
    ),
    st.fixed_dictionaries(
        {"name": st.just("unconstrained"), "widths": st.lists(counts, min_size=1, max_size=1)},
        optional={"init_scale": positive, "nonnegative": flags},
    ),
)
adaptive = {"betas": st.lists(below_one, min_size=2, max_size=2), "eps": positive}
optimizers = st.one_of(
    st.fixed_dictionaries({"name": st.just("sgd"), "lr": positive}, optional={"decoupled_decay": nonnegative}),
    st.fixed_dictionaries({"name": st.just("adam"), "lr": positive}, optional=adaptive),
    st.fixed_dictionaries(
        {"name": st.just("adamw"), "lr": positive, "decoupled_decay": nonnegative}, optional=adaptive
    ),
)
schedules = st.one_of(
    mapping("constant"),
    mapping("cosine"),
    st.fixed_dictionaries(
        {"name": st.just("multi_step"), "milestones": increasing(st.floats(0.01, 0.99))},
        optional={"factor": positive},
    ),
)
shared = {
    "labels": st.sampled_from(["original", "random"]),
    "seed": st.integers(0, 2**40),
    "balance": st.one_of(
        mapping("full"),
        st.fixed_dictionaries({"name": st.just("step"), "ratio": st.floats(1, 100), "minority_classes": counts}),
        st.fixed_dictionaries({"name": st.just("counts"), "counts": st.lists(counts, min_size=2, max_size=4)}),
    ),
}
data = st.one_of(
    mapping("digits", keep_classes=st.lists(st.integers(0, 9), min_size=2, unique=True), **shared),
    mapping("mnist", root=text, download=flags, **shared),
    mapping("fashion_mnist", root=text, download=flags, **shared),
    st.fixed_dictionaries(
        {
            "name": st.just("gaussian_mixture"),
            "classes": st.integers(2, 9),
            "dimension": counts,
            "samples_per_class": counts,
            "separation": nonnegative,
        },
        optional=shared,
    ),
)
configurations = st.fixed_dictionaries(
    {
        "data": data,
        "model": models,
        "optimizer": optimizers,
        "training": st.fixed_dictionaries(
            {"epochs": counts, "batch_size": st.none() | counts},
            optional={
                "stop": st.fixed_dictionaries(
                    {}, optional={"simplex_efficiency": positive, "terminal_epochs": counts}
                ).filter(bool),
                "warm_start": text,
            },
        ),
    },
    optional={
        "seed": st.integers(0, 2**63 - 1),
        "device": st.sampled_from(["auto", "cpu", "cuda:1"]),
        "dtype": st.sampled_from(["float32", "float64"]),
        "head": st.fixed_dictionaries({}, optional={"bias": flags, "trainable": flags}),
        "constraints": st.fixed_dictionaries({}, optional={"features": st.none() | balls, "outputs": balls}),
        "schedule": schedules,
        "record": st.fixed_dictionaries(
            {"every": st.just("log") | increasing(st.integers(0, 10**9))},
            optional={
                "layers": st.just("all") | st.lists(text, min_size=1, max_size=3, unique=True),
                "flatten": flags,
                "features": flags | st.sampled_from([["train"], ["test", "train"]]),
            },
        ),
    },
).map(Config.model_validate)


def small(**changes: Any) -> Config:
    """The small configuration with sections replaced or, where both are mappings, updated."""
    merged = {**SMALL, **changes}
    for key, value in changes.items():
        if isinstance(value, dict) and key in SMALL:
            merged[key] = {**SMALL[key], **value}
    return Config.model_validate(merged)


@given(configurations)
@example(small(data={"name": "mnist", "root": "1e-3"}))
@example(small(data={"name": "mnist", "root": "null"}))
@example(small(optimizer={"lr": 1e-8}))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_what_is_written_reads_back_equal(tmp_path: Path, config: Config) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(dump_config(config), encoding="utf-8")
    back = load_config(path)
    assert back == config
    assert config_hash(back) == config_hash(config)


@given(configurations, configurations)
@settings(max_examples=60, deadline=None)
def test_no_changes_exactly_if_the_hashes_agree(old: Config, new: Config) -> None:
    assert config_changes(old, old) == []
    assert (config_changes(old, new) == []) == (config_hash(old) == config_hash(new))
    assert all("\n" not in line for line in config_changes(old, new))


def test_lists_stand_on_one_line_and_defaults_are_written() -> None:
    lines = dump_config(small()).splitlines()
    assert "  widths: [32, 16]" in lines
    assert "  checkpoint_seconds: 10.0" in lines
    assert lines.index("  name: sgd") == lines.index("optimizer:") + 1


def test_flatten() -> None:
    flat = flatten(small(constraints={"features": {"radius": 5}}, data={"name": "mnist"}))
    assert flat["model.widths"] == (32, 16)
    assert flat["constraints.features.radius"] == 5.0
    assert flat["constraints.head"] is None
    assert flat["data.download"] is False
    assert flat["seed"] == 0
    assert "optimizer" not in flat


def test_hash_stays() -> None:
    assert config_hash(small()) == "5a70f1bfc7d03a10"
    assert config_hash(complete("noise", "unconstrained", "adamw")) == "19e3c2b4b4dcb5b7"


def complete(data: str, model: str, optimizer: str) -> Config:
    """A configuration in which every section that may be null is given, with what it needs and no more."""
    data_needs = {"classes": 3, "dimension": 4, "samples_per_class": 5}
    data_needs |= {"separation": 1} if data == "gaussian_mixture" else {}
    optimizer_needs = {"adamw": {"decoupled_decay": 0.1}, "muon": {"adamw_lr": 0.1}}.get(optimizer, {})
    constrained = optimizer != "lbfgs"
    return Config.model_validate(
        {
            "data": {"name": data, **(data_needs if data in ("noise", "gaussian_mixture") else {})},
            "model": {"name": model, **({"widths": [4]} if model in ("mlp", "unconstrained") else {})},
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
    complete("image_folder", "timm:resnet18", "signum"),
    complete("gaussian_mixture", "mlp", "muon"),
    complete("digits", "mlp", "lbfgs"),
    small(data={"balance": {"name": "step", "ratio": 2, "minority_classes": 3}}, schedule={"name": "cosine"}),
    small(data={"balance": {"name": "exponential", "ratio": 2}}, schedule={"name": "multi_step", "milestones": [0.5]}),
    small(data={"balance": {"name": "counts", "counts": [3, 4]}}),
]
"""Every class of section, at least once."""


def sections(value: Section) -> Iterator[Section]:
    yield value
    for key in type(value).model_fields:
        if isinstance(inner := getattr(value, key), Section):
            yield from sections(inner)


def replaced(value: Section, old: Section, new: Section) -> Any:
    """A configuration in which the section `old`, the same object, is `new`; nothing is checked."""
    if value is old:
        return new
    inner = {key: getattr(value, key) for key in type(value).model_fields}
    changed = {key: replaced(part, old, new) for key, part in inner.items() if isinstance(part, Section)}
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
        ({"constraints": {"head": {"radius": 1}}}, ["constraints.head: null -> {radius: 1.0, set: spectral}"]),
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


def models_in(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [schema, *schema["$defs"].values()]


def test_every_field_says_what_it_means() -> None:
    schema = json_schema()
    assert len(models_in(schema)) > 10
    for model in models_in(schema):
        assert model["additionalProperties"] is False
        for name, field in model["properties"].items():
            said = {**schema["$defs"].get(field.get("$ref", "").rpartition("/")[2], {}), **field}
            assert len(said.get("description", "")) >= 5, f"{model['title']}.{name}"


def test_schema_lists_what_is_allowed() -> None:
    schema = json_schema()
    assert sorted(schema["required"]) == ["data", "model", "optimizer", "training"]
    assert schema["$defs"]["AdamW"]["required"] == ["name", "lr", "decoupled_decay"]
    assert schema["$defs"]["OutputBound"]["properties"]["p"]["minimum"] == 1
    assert schema["$defs"]["Downloaded"]["properties"]["name"]["enum"][:2] == ["mnist", "fashion_mnist"]
    assert schema["properties"]["device"]["pattern"]
    assert yaml.safe_load(dump_config(small())).keys() == schema["properties"].keys()


def test_an_infinite_exponent_is_kept_in_file_and_hash(tmp_path: Path) -> None:
    settings = small().model_dump()
    settings["constraints"]["features"] = {"radius": 1.0, "p": math.inf}
    cube = Config.model_validate(settings)
    settings["constraints"]["features"]["p"] = 2.0
    assert config_hash(cube) != config_hash(Config.model_validate(settings))
    (tmp_path / "saved.yaml").write_text(dump_config(cube))
    assert load_config(tmp_path / "saved.yaml") == cube
