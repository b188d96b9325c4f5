"""What is written of a configuration reads back equal, flat or as text, whatever its values are."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from config_files import small
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nc_bench.config import Config, config_changes, config_hash, dump_config, flatten, load_config

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
    st.fixed_dictionaries(
        {"name": st.just("deep_linear"), "widths": st.lists(counts, min_size=2, max_size=4)},
        optional={"init_scale": positive},
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


def test_an_infinite_exponent_is_kept_in_file_and_hash(tmp_path: Path) -> None:
    settings = small().model_dump()
    settings["constraints"]["features"] = {"radius": 1.0, "p": math.inf}
    cube = Config.model_validate(settings)
    settings["constraints"]["features"]["p"] = 2.0
    assert config_hash(cube) != config_hash(Config.model_validate(settings))
    (tmp_path / "saved.yaml").write_text(dump_config(cube))
    assert load_config(tmp_path / "saved.yaml") == cube
