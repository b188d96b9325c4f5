"""A study whose rule is the user's own function, and sweeps whose plug-ins are checked before a trial runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from plugin_files import Written
from sweep_files import ARMS, BASE, STUDY, write_sweep

from nc_bench.config import ConfigError
from nc_bench.plugins import PluginError
from nc_bench.sweeps.checks import check_plugins, check_study
from nc_bench.sweeps.grid import load_grid
from nc_bench.sweeps.studies import rule_of
from nc_bench.sweeps.studies.evidence import Evidence

RULES = """
from nc_bench.sweeps.studies.evidence import Answer, Verdict

def rule(evidence, *, least=0.5):
    return Answer(verdict=Verdict.SUPPORTED, headline=f"It is above {least}.", header=("a",), rows=(("1",),))

def nothing(evidence): return "yes"
"""


def test_the_rule_of_a_study(plugin: Written, tmp_path: Path) -> None:
    path = plugin(RULES)
    study = {**STUDY, "answer": f"{path}:rule", "arguments": {"least": 0.25}}
    file = write_sweep(tmp_path, arms=ARMS, study=study)
    grid = load_grid(file)
    check_study(grid, file)
    assert grid.sweep.study is not None and grid.sweep.study.source is not None
    evidence = Evidence.__new__(Evidence)
    assert rule_of(grid.sweep.study)(evidence).headline == "It is above 0.25."
    wrong = grid.sweep.study.model_copy(update={"answer": f"{path}:nothing", "arguments": {}})
    with pytest.raises(PluginError, match=r"^study\.answer: .* should return an Answer .*, not a str"):
        rule_of(wrong)(evidence)


@pytest.mark.parametrize(
    ("name", "arguments", "problem"),
    [
        ("ruel", {}, r"study\.answer: .*has no 'ruel'; did you mean 'rule'"),
        ("rule", {"last": 1}, r"study\.arguments\.last: .*did you mean 'least'"),
    ],
)
def test_rules_that_cannot_be_used(plugin: Written, tmp_path: Path, name: str, arguments: object, problem: str) -> None:
    study = {**STUDY, "answer": f"{plugin(RULES)}:{name}", "arguments": arguments}
    file = write_sweep(tmp_path, arms=ARMS, study=study)
    with pytest.raises(ConfigError, match=rf"{file}: {problem}"):
        check_study(load_grid(file), file)


def test_a_plug_in_that_cannot_be_imported_is_said_once(plugin: Written, tmp_path: Path) -> None:
    path = plugin("raise RuntimeError('not today')\n")
    file = write_sweep(tmp_path, base=BASE, axes={"objective.loss": [f"{path}:loss"]}, seeds=3)
    with pytest.raises(ConfigError, match=r"objective\.loss: .*RuntimeError: not today") as caught:
        check_plugins(load_grid(file), file)
    assert len(str(caught.value).splitlines()) == 1
