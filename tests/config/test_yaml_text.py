"""YAML that readers take differently, that explodes, or that no file can hold, is refused in one line."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from config_files import BALL, refusal, written

from nc_bench.config import ConfigError, dump_config, load_config
from nc_bench.config.yaml_text import MAX_BYTES, MAX_DEPTH, parse_yaml


def refused(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, "F")
    (line,) = str(caught.value).splitlines()
    return line


@pytest.mark.parametrize(
    "written, read, instead",
    [
        ("010", "the number 8", "a number in plain decimals"),
        ("-017", "the number -15", "a number in plain decimals"),
        ("00", "the number 0", "a number in plain decimals"),
        ("1_000", "the number 1000", "a number in plain decimals"),
        ("1_0.5", "the number 10.5", "a number in plain decimals"),
        ("1:30", "the number 90", "a number in plain decimals"),
        ("12:00:00", "the number 43200", "a number in plain decimals"),
        ("1:30.5", "the number 90.5", "a number in plain decimals"),
        ("on", "true", "true"),
        ("Yes", "true", "true"),
        ("OFF", "false", "false"),
        ("no", "false", "false"),
    ],
)
def test_what_readers_of_yaml_take_differently(written: str, read: str, instead: str) -> None:
    expected = f"{written} is read as {read} by some and as text by others; write {instead}, or '{written}' for text"
    assert refused(f"a: {written}") == f"F, line 1, column 4: {expected}"
    assert refused(f"{{{written}: 1}}") == f"F, line 1, column 2: {expected}"
    assert parse_yaml(f"a: '{written}'", "F") == {"a": written}


@pytest.mark.parametrize(
    "text, value",
    [("0", 0), ("-0", 0), ("+5", 5), ("0x1F", 31), ("0b101", 5), ("1.5e+3", 1500.0), (".5", 0.5), ("1.", 1.0)],
)
def test_what_all_readers_take_alike(text: str, value: float) -> None:
    assert parse_yaml(f"a: {text}", "F") == {"a": value}


@pytest.mark.parametrize(
    "text, problem",
    [
        (
            "a: 2024-01-01",
            "line 1, column 4: 2024-01-01 is read as a date, which nothing here takes; write '2024-01-01'",
        ),
        ("a: !!set {b, c}", "line 1, column 4: values of the kind 'set' are not taken"),
        ("a: !!binary aGk=", "line 1, column 4: values of the kind 'binary' are not taken"),
        ("a: !!int abc", "line 1, column 4: 'abc' is no number"),
        ("a: =", "line 1, column 4: = has a meaning of its own"),
        ('a: "\\ud800"', "line 1, column 4: holds a lone surrogate, which no file can hold"),
        ("a: 1" + "0" * 5000, "line 1, column 4: a whole number of more than 40 digits"),
        ("? [1]\n: 2", "line 1, column 3: a key should be text, not a list or a mapping"),
        ("{true: 1, True: 2}", "line 1, column 11: repeated key 'True'"),
        ("a: &a [*a]", "line 1, column 8: *a stands inside of what it names"),
        ("a: &a {<<: *a}", "line 1, column 12: *a stands inside of what it names"),
    ],
)
def test_what_is_no_plain_value(text: str, problem: str) -> None:
    assert refused(text).startswith(f"F, {problem}")


def explosion(kind: str) -> str:
    if kind == "brackets":
        return "[" * 400 + "]" * 400
    if kind == "many brackets":
        return "[" * 500_000
    if kind == "dashes":
        return "- " * 400_000
    if kind == "chain of aliases":
        return "a0: &a0 [1]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 2000))
    if kind == "aliases of aliases":
        first, inner = "a0: &a0 [1, 2]\n", "[{}]"
    else:
        first, inner = f"a0: &a0 {{{', '.join(f'k{i}: 1' for i in range(9))}}}\n", "{{<<: [{}]}}"
    levels = (f"a{i}: &a{i} {inner.format(', '.join([f'*a{i - 1}'] * 9))}\n" for i in range(1, 10))
    return first + "".join(levels)


@pytest.mark.parametrize(
    "kind, problem",
    [
        ("brackets", f"nested more than {MAX_DEPTH} levels deep"),
        ("many brackets", f"nested more than {MAX_DEPTH} levels deep"),
        ("dashes", f"nested more than {MAX_DEPTH} levels deep"),
        ("chain of aliases", f"nested more than {MAX_DEPTH} levels deep"),
        ("aliases of aliases", "more than 500,000 values, counting what aliases repeat"),
        ("merge keys of merge keys", "more than 500,000 values, counting what aliases repeat"),
    ],
)
def test_what_explodes_ends_at_once(kind: str, problem: str) -> None:
    text, start = explosion(kind), time.process_time()
    assert problem in refused(text)
    assert time.process_time() - start < 5


def test_an_override_is_read_like_a_file(ball: Path) -> None:
    (line,) = refusal(ball, "seed=010")
    assert line.startswith("command line: 'seed=010', line 1, column 1: 010 is read as the number 8")
    (line,) = refusal(ball, f"model.widths={'[' * 400}")
    assert line.endswith(f"nested more than {MAX_DEPTH} levels deep")


def test_a_file_is_not_read_without_end(ball: Path, tmp_path: Path) -> None:
    (line,) = refusal(written(ball, BALL + "#" * MAX_BYTES))
    assert line == f"ball.yaml: longer than {MAX_BYTES:,} bytes, which no configuration needs"
    os.mkfifo(tmp_path / "pipe.yaml")
    assert refusal(tmp_path / "pipe.yaml") == ["pipe.yaml: is no regular file"]
    assert refusal(Path("/dev/zero")) == ["zero: is no regular file"]
    assert refusal(Path("a\0b")) == ["should be a path, not 'a\\x00b'"]


@pytest.mark.parametrize(
    "override, problem",
    [
        ("seed='010'", "seed: '010' given, should be a whole number"),
        ("seed='1_000'", "seed: '1_000' given, should be a whole number"),
        ("seed=08", "seed: 08 given, should be a whole number"),
        ("optimizer.lr='nan'", "optimizer.lr: nan given, should be a number"),
        ("optimizer.lr='1_0.5'", "optimizer.lr: '1_0.5' given, should be a number"),
        ("optimizer.lr=٠.٥", "optimizer.lr: ٠.٥ given, should be a number"),
        ("seed=1e30", "seed: 1000000000000000019884624838656 given, should be less than"),
        (
            "seed=9223372036854775808",
            "seed: 9223372036854775808 given, should be less than or equal to 9223372036854775807",
        ),
        (
            "model.widths=[9223372036854775808]",
            "model.widths.0: 9223372036854775808 given, should be less than or equal",
        ),
        ("training.epochs=1e10", "training.epochs: 10000000000 given, should be less than or equal to 1000000000"),
        ("training.batch_size=1e30", "training.batch_size: 1000000000000000019884624838656 given, should be less "),
        ("record.every=[1, 1e12]", "record.every.1: 1000000000000 given, should be less than or equal to 1000000000"),
        (
            "device=cuda:128",
            "device: cuda:128 given, should be auto (a GPU where there is one), cpu, cuda or cuda:N (N < 100)",
        ),
        ("device=cuda:007", "device: cuda:007 given, should be auto"),
        ('training.warm_start="a\\0b"', 'training.warm_start: "a\\0b" given, should hold no control characters'),
        (
            "optimizer={name: lbfgs, history: 1e9}",
            "optimizer.history: 1000000000 given, should be less than or equal to 10000",
        ),
        (
            "model={name: resnet18, width_multiplier: 1e300}",
            "model.width_multiplier: 1e300 given, should be less than",
        ),
    ],
)
def test_bounds_and_forms_of_values(ball: Path, override: str, problem: str) -> None:
    lines = [line for line in refusal(ball, override) if line.startswith("command line")]
    assert len(lines) == 1 and lines[0].startswith(f"command line: {problem}"), lines


NOISE: dict[str, Any] = {"name": "noise", "classes": 2, "dimension": 10, "samples_per_class": 10}


@pytest.mark.parametrize(
    "changes, problem",
    [
        ({"classes": 10**7}, "data.classes: 10000000 given, should be less than or equal to 1000000"),
        ({"classes": True}, "data.classes: true given, should be a whole number"),
        (
            {"classes": 10**5, "dimension": 10**6, "samples_per_class": 10**9},
            "data.samples_per_class: makes 100,000,000,000,000,000,000 numbers, of at most 10,000,000,000,000",
        ),
    ],
)
def test_synthetic_data_have_bounds(ball: Path, changes: dict[str, Any], problem: str) -> None:
    assert refusal(ball, f"data={NOISE | changes}".replace("True", "true")) == [f"command line: {problem}"]


def test_numbers_as_text_are_taken_where_numbers_are(ball: Path) -> None:
    config = load_config(ball, [f"data={NOISE | {'classes': '1e1'}}", "seed='7'", "optimizer.lr='1e-3'"])
    assert (config.seed, config.optimizer.lr) == (7, 0.001)
    assert dump_config(config).count("classes: 10\n") == 1
