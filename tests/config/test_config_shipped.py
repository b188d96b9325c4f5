"""Configurations that come with the package, and those that Python code states."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nc_bench.config import (
    Config,
    ConfigError,
    config_of,
    dump_config,
    find_config,
    load_config,
    shipped_names,
)

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"


def test_a_name_is_the_file_of_the_repository() -> None:
    for name in ("digits_ball", "studies/depth"):
        assert find_config(name).read_bytes() == (CONFIGS / f"{name}.yaml").read_bytes()
    assert load_config("digits_ball") == load_config(CONFIGS / "digits_ball.yaml")
    assert {"digits_ball", "studies/depth"} <= set(shipped_names())


def test_a_file_comes_before_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("digits_ball").write_text("seed: 1\n")
    assert find_config("digits_ball") == Path("digits_ball")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("digits_bal", "digits_bal: neither a file nor a shipped configuration; did you mean 'digits_ball'?"),
        ("zzz", "zzz: neither a file nor a shipped configuration; `nc-bench configs` lists those that are shipped"),
        ("digits_ball.yml", "digits_ball.yml: cannot be read: No such file or directory"),
        (3, "should be a path, not int"),
        ({"seed": "x"}, "config: seed: "),
    ],
)
def test_what_is_no_configuration_is_said_in_one_line(
    given: Any, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as refused:
        config_of(given)
    assert str(refused.value).splitlines()[0].startswith(said)


def test_python_states_a_configuration_as_a_file_does() -> None:
    base = load_config("digits_ball")
    stated = {"training.epochs": np.int64(2), "optimizer.lr": np.float64(0.1), "model.widths": (8, 4)}
    changed = load_config("digits_ball", ["training.epochs=2", "optimizer.lr=0.1", "model.widths=[8, 4]"])
    mapping = base.model_dump(mode="json")
    for given in ("digits_ball", CONFIGS / "digits_ball.yaml", base, mapping):
        assert config_of(given) == base and config_of(given, stated) == changed
    assert mapping == base.model_dump(mode="json")


def test_another_optimizer_replaces_what_the_file_did_not_state() -> None:
    given: dict[str, Any] = {"data": {"name": "digits"}, "model": {"name": "mlp", "widths": [8]}}
    given["training"] = {"epochs": 1, "batch_size": 100}
    sgd = Config.model_validate({**given, "optimizer": {"name": "sgd", "lr": 0.1}})
    assert config_of(sgd, {"optimizer.name": "adam"}).optimizer.name == "adam"


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"training.epochs": -1}, "run_training: training.epochs: "),
        ({"training.epoch": 1}, "run_training: training.epoch: unknown key; did you mean 'epochs'?"),
        ({"seed.x": 1}, "run_training: 'seed.x': seed is a value, not a section"),
        ({"training.": 1}, "run_training: 'training.': is no dotted key, such as training.epochs"),
        ({"optimizer.lr": object()}, "optimizer.lr: object given, which is no value of a configuration"),
    ],
)
def test_an_override_that_is_wrong_is_said_in_one_line(overrides: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        config_of("digits_ball", overrides)
    assert str(refused.value).startswith(said) and "\n" not in str(refused.value)


def test_what_a_configuration_of_python_becomes_is_read_back_equal(tmp_path: Path) -> None:
    config = config_of("digits_ball", {"data.seed": 3})
    (tmp_path / "config.yaml").write_text(dump_config(config))
    assert load_config(tmp_path / "config.yaml") == config
