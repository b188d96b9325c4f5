"""Every command of `nc-bench`: its help, nothing, a wrong flag, a reader that leaves, ASCII only, a path named `ü`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_runs import NETWORK
from yaml import safe_dump

from nc_bench.cli import COMMANDS, main
from nc_bench.completion import complete
from nc_bench.errors import UserError

ROOT = Path(__file__).parents[1]
ASCII = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
"""A terminal that knows ASCII alone."""


def started(*line: str, **environment: str) -> subprocess.Popen[str]:
    # Unbuffered, argparse itself hides that its help could not be written.
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.Popen(
        [sys.executable, "-m", "nc_bench", *line],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=buffered | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | environment,
        text=True,
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_the_command_and_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    said = capsys.readouterr().out
    assert said.startswith(f"usage: nc-bench {command} ") and said.isascii()
    _, _, examples = said.partition("\nexamples:\n")
    assert f"  nc-bench {command}" in examples


@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_flag_is_refused_in_one_line(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--halp", *(["x"] if command in ("report", "schema") else [])]) == 2
    out, said = capsys.readouterr()
    assert out == "" and said.startswith(f"nc-bench {command}: ") and said.count("\n") == 1
    if command != "schema":
        assert said.endswith("unrecognized arguments: --halp; did you mean '--help'?\n")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("train", "name a configuration, for example: nc-bench train digits_ball\n"),
        ("sweep", "name a configuration, for example: nc-bench sweep studies/depth --dry-run\n"),
        ("measure", "give --features and --labels, or --config or --run; --help has examples\n"),
        ("report", "the following arguments are required: DIR; nc-bench report --help lists what there is\n"),
    ],
)
def test_a_command_that_needs_something_says_what(command: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command]) == 2
    assert capsys.readouterr() == ("", f"nc-bench {command}: {said}")


def test_readers_that_leave_are_met_with_silence() -> None:
    lines = [[], ["configs"], ["schema", "sweep"], ["studies"], *([command, "--help"] for command in COMMANDS)]
    for line in lines:
        with started(*line) as left:
            assert left.stdout is not None and left.stderr is not None
            left.stdout.close()
            assert (left.stderr.read(), left.wait()) == ("", 141), line


def test_a_terminal_of_ascii_is_enough() -> None:
    for line, status, begins in (
        (["configs"], 0, ""),
        (["schema"], 0, ""),
        (["train", "ü"], 2, "\\xfc: neither a file"),
    ):
        with started(*line, **ASCII) as process:
            out, said = process.communicate()
        assert out.isascii() and said.isascii() and said.startswith(begins) and bool(said) == bool(begins)
        assert process.returncode == status


@pytest.mark.parametrize(
    ("line", "offered", "others"),
    [
        ("nc-bench s", {"studies", "sweep", "schema"}, {"train"}),
        ("nc-bench train --re", {"--resume"}, {"--retry-failed"}),
        ("nc-bench train digits_ba", {"digits_ball", "digits_ball_relu"}, {"studies/depth"}),
        ("nc-bench sweep --config studies/dep", {"studies/depth"}, {"digits_ball"}),
        ("nc-bench train digits_ball optimizer.mo", {"optimizer.momentum="}, {"optimizer.lr="}),
        ("nc-bench train digits_ball optimizer.name=a", {"adam", "adamw"}, {"sgd"}),
    ],
)
def test_the_shell_completes(line: str, offered: set[str], others: set[str], tmp_path: Path) -> None:
    asked = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_STDOUT_FILENAME": str(tmp_path / "offered"), "_ARGCOMPLETE_IFS": "\n"}
    asked |= {"COMP_LINE": line, "COMP_POINT": str(len(line)), "COMP_TYPE": "9", "_ARGCOMPLETE_COMP_WORDBREAKS": " ="}
    with started(**asked) as process:
        assert process.wait() == 0
    found = {word.strip() for word in (tmp_path / "offered").read_text().splitlines()}
    assert offered <= found and not others & found


def test_completion_without_its_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "argcomplete", None)
    with pytest.raises(UserError, match=r"pip install 'nc_bench\[completion\]'"):
        complete(COMMANDS)


@pytest.mark.slow
def test_a_path_may_have_any_letters(tmp_path: Path) -> None:
    folder = tmp_path / "ü ö"
    folder.mkdir()
    (folder / "ü.yaml").write_text(safe_dump({**NETWORK, "training": {"epochs": 1, "batch_size": 128}}))
    run = str(folder / "run")
    for line in (["train", str(folder / "ü.yaml"), "--out", run], ["measure", "--run", run, "--out", f"{run}2"]):
        with started(*line, **ASCII) as process:
            _, said = process.communicate()
        assert (process.returncode, said) == (0, ""), line
    assert (folder / "run2" / "report.html").exists()
