"""Reading a configuration: files, overrides, defaults, and files that hold none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from config_files import BALL, refusal, written

from nc_bench.config import Adam, Config, CosineSchedule, ExponentialBalance, Mlp, Sgd, load_config


def test_file_and_defaults(ball: Path) -> None:
    config = load_config(ball)
    assert isinstance(config.model, Mlp)
    assert config.model.widths == (256, 256, 64)
    assert isinstance(config.optimizer, Sgd)
    assert config.optimizer.lr == 0.05, "YAML reads 5e-2 as text"
    assert isinstance(config.schedule, CosineSchedule)
    assert config.constraints.features is not None
    assert (config.constraints.features.radius, config.constraints.features.p) == (5.0, 2.0)
    assert config.constraints.outputs is None
    assert (config.seed, config.device, config.dtype, config.record.every) == (0, "auto", "float32", "epoch")
    assert config.objective.weight_decay == 0.0
    assert config.training.checkpoint_seconds == 10.0


def test_a_configuration_is_frozen(ball: Path) -> None:
    config = load_config(ball)
    with pytest.raises(ValueError, match="frozen"):
        config.seed = 1
    assert hash(config) == hash(load_config(ball))


def test_overrides_are_yaml_and_apply_in_order(ball: Path) -> None:
    config = load_config(
        ball,
        [
            "seed=1",
            "seed=2",
            "data.labels=random",
            "model.widths=[32, 16]",
            "training.batch_size=null",
            "training.epochs=1e3",
            "constraints.features=null",
            "constraints.outputs.radius=2",
            "record.every=[0, 1, 10]",
            "schedule={name: multi_step, milestones: [.5, .75]}",
        ],
    )
    assert (config.seed, config.data.labels, config.model.widths) == (2, "random", (32, 16))
    assert (config.training.batch_size, config.training.epochs) == (None, 1000)
    assert config.constraints.features is None
    assert config.constraints.outputs is not None
    assert config.record.every == (0, 1, 10)
    assert config.schedule.name == "multi_step"


def test_a_new_name_keeps_the_keys_that_it_has_and_says_which_it_leaves_out(
    ball: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = load_config(ball, ["optimizer.name=adam", "schedule={name: cosine}"]).optimizer
    assert isinstance(kept, Adam) and kept.lr == 0.05
    said = "command line: optimizer.name=adam: leaves out momentum, which adam does not have; keeps lr: 5e-2\n"
    assert capsys.readouterr().err == said
    assert load_config(ball, ["optimizer.name=sgd"]) == load_config(ball) and capsys.readouterr().err == ""
    # What the command line itself states is never left out, and neither is what no optimizer has.
    unknown = "optimizer.momentum: unknown key for name: adam; known are name, lr, backbone_lr_factor, "
    (line,) = refusal(ball, "optimizer.name=adam", "optimizer.momentum=.5")
    assert line.startswith(f"command line: {unknown}")
    ball.write_text(BALL.replace("momentum", "momentun"))
    (line,) = refusal(ball, "optimizer.name=adam")
    assert line.startswith("ball.yaml: optimizer.momentun: unknown key")


def test_a_new_name_of_a_section_within_another(ball: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "{name: digits, balance: {name: step, ratio: 10, minority_classes: 5}}"
    ball.write_text(BALL.replace("{name: digits}", text))
    config = load_config(ball, ["data.balance.name=exponential"])
    assert config.data.balance == ExponentialBalance(name="exponential", ratio=10)
    assert capsys.readouterr().err.endswith(
        "leaves out minority_classes, which exponential does not have; keeps ratio: 10\n"
    )


def test_an_override_does_not_reach_through_an_alias(ball: Path) -> None:
    text = BALL.replace("features: {radius: 5}", "features: &bound {radius: 5}\n  outputs: *bound")
    config = load_config(written(ball, text), ["constraints.features.radius=3"])
    assert config.constraints.features is not None
    assert config.constraints.outputs is not None
    assert (config.constraints.features.radius, config.constraints.outputs.radius) == (3.0, 5.0)


def test_merge_keys_are_no_repetition(ball: Path) -> None:
    text = BALL.replace("features: {radius: 5}", "features: &b {radius: 5}\n  outputs: {<<: *b, radius: 7}")
    outputs = load_config(written(ball, text)).constraints.outputs
    assert outputs is not None
    assert outputs.radius == 7.0


@pytest.mark.parametrize(
    "text, problem",
    [
        ("", ": the file is empty"),
        ("# nothing\n", ": the file is empty"),
        ("- seed\n", ": should hold a mapping of keys to values, not a list"),
        ("seed: 1\ndtype: float32\nseed: 2\n", ", line 3, column 1: repeated key 'seed'"),
        ("data:\n  name: digits\n  name: mnist\n", ", line 3, column 3: repeated key 'name'"),
        ("seed: 1\n\tdtype: x\n", ", line 2, column 1: while scanning for the next token, "),
        ("model: [1", ", line 1, column 10: while parsing a flow sequence, "),
        ("seed: 1\n---\nseed: 2\n", ", line 2, column 1: expected a single document"),
        ("x: !!python/name:os.system\n", ", line 1, column 4: could not determine a constructor"),
        ("seed: 2024-13-45\n", ", line 1, column 7: 2024-13-45 is read as a date, which nothing here takes; "),
        (b"\xff\xfe\x00", ": not readable as YAML: unacceptable character"),
    ],
)
def test_a_file_that_holds_no_configuration(ball: Path, text: str | bytes, problem: str) -> None:
    (line,) = refusal(written(ball, text))
    assert line.startswith(f"ball.yaml{problem}")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.yaml") == ["none.yaml: cannot be read: No such file or directory"]
    (tmp_path / "folder").mkdir()
    assert refusal(tmp_path / "folder") == ["folder: cannot be read: Is a directory"]


def test_keys_that_are_no_text_and_mappings_inside_themselves(ball: Path) -> None:
    (unknown,) = refusal(written(ball, BALL + "1: x\n"))
    assert unknown.startswith("ball.yaml: 1: unknown key; known are seed, ")
    (inside,) = refusal(written(ball, BALL + "seed: &a {seed: *a}\n"), "head.bias=false")
    assert inside == "ball.yaml, line 11, column 17: *a stands inside of what it names"


def test_no_torch() -> None:
    program = "import sys; sys.modules['torch'] = None; import nc_bench.config; nc_bench.config.json_schema()"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2])


def test_config_checks_itself_without_a_file() -> None:
    settings = {
        "data": {"name": "digits"},
        "model": {"name": "mlp", "widths": [8]},
        "optimizer": {"name": "sgd", "lr": 0.1, "nesterov": True},
        "training": {"epochs": 1, "batch_size": None},
    }
    with pytest.raises(ValueError, match=r"optimizer\.nesterov: needs optimizer\.momentum > 0"):
        Config.model_validate(settings)
