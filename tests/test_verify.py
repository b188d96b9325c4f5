"""The command `verify`: what it prints, writes and returns, on claims made for the purpose."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from nc_bench import verify
from nc_bench.claims import catalogue, figures
from nc_bench.claims.claim import Claim


def claim(name: str, obtained: float) -> Claim:
    return Claim(
        name=name,
        statement=f"statement of {name}",
        source=f"source of {name}",
        predicted=lambda: 0.5,
        obtained=lambda: obtained,
        tolerance=1e-3,
    )


CLAIMS = [claim("ball_risk", 0.5), claim("ball_cosine", 0.5004), claim("decay_risk", 0.4999)]


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> list[Claim]:
    claims = list(CLAIMS)
    monkeypatch.setattr(catalogue, "claims", lambda: claims)
    return claims


def test_a_line_a_claim_and_success_if_all_hold(capsys: pytest.CaptureFixture[str]) -> None:
    assert verify.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[:3]] == [
        ["claim", "predicted", "obtained", "deviation", "tolerance", "source"],
        ["ball_risk", "0.5", "0.5", "0.0e+00", "1e-03", "holds", "source", "of", "ball_risk"],
        ["ball_cosine", "0.5", "0.5004", "8.0e-04", "1e-03", "holds", "source", "of", "ball_cosine"],
    ]
    assert lines[-1] == "3 of 3 claims hold"
    assert len(lines) == 5


@pytest.mark.parametrize("wrong", [0.51, -0.5, math.nan, math.inf])
def test_a_claim_that_fails_is_named(known: list[Claim], wrong: float, capsys: pytest.CaptureFixture[str]) -> None:
    known.append(claim("wrong", wrong))
    assert verify.main([]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "fails" in lines[4].split()
    assert lines[-2:] == ["3 of 4 claims hold", "fails: wrong"]


@pytest.mark.parametrize(
    ("only", "checked"),
    [
        (["ball_*"], ["ball_risk", "ball_cosine"]),
        (["decay_risk", "ball_risk"], ["ball_risk", "decay_risk"]),
        (["*_risk", "ball_*"], ["ball_risk", "ball_cosine", "decay_risk"]),
    ],
)
def test_only_takes_names_and_patterns(only: list[str], checked: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert verify.main(["--only", *only]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:-1]] == checked


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("ball_rsik", "did you mean 'ball_risk'"),
        ("zzz", "there are ball_risk, ball_cosine, decay_risk"),
        ("Ball_*", ""),
    ],
)
def test_a_name_that_fits_none_is_refused(name: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify.main(["--only", "ball_risk", name]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"--only: no claim is called '{name}'; {hint}")
    assert err.count("\n") == 1


def test_a_wrong_option_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert verify.main(["--onyl", "ball_risk"]) == 2
    assert capsys.readouterr().err == (
        "nc-bench verify: unrecognized arguments: --onyl ball_risk; did you mean '--only'?\n"
    )


def test_json_holds_every_outcome(known: list[Claim], tmp_path: Path) -> None:
    known.append(claim("wrong", 0.6))
    assert verify.main(["--json", str(tmp_path / "verify.json")]) == 1
    rows = json.loads((tmp_path / "verify.json").read_text())
    assert [row["holds"] for row in rows] == [True, True, True, False]
    assert rows[3] == {
        "name": "wrong",
        "source": "source of wrong",
        "predicted": 0.5,
        "obtained": 0.6,
        "deviation": pytest.approx(0.2),
        "tolerance": 1e-3,
        "holds": False,
    }


def test_json_writes_null_for_what_is_no_number(known: list[Claim], tmp_path: Path) -> None:
    known[:] = [claim("lost", math.nan)]
    assert verify.main(["--json", str(tmp_path / "verify.json")]) == 1

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    (row,) = json.loads((tmp_path / "verify.json").read_text(), parse_constant=refuse)
    assert (row["obtained"], row["deviation"], row["holds"]) == (None, None, False)


def test_the_markdown_table_says_what_is_claimed(known: list[Claim], tmp_path: Path) -> None:
    known.append(claim("bounded |h|", 0.6))
    assert verify.main(["--table", str(tmp_path / "verify.md")]) == 1
    lines = (tmp_path / "verify.md").read_text().splitlines()
    assert lines[0] == "3 of 4 claims hold"
    assert (
        lines[4]
        == "| `ball_risk` | statement of ball_risk | 0.5 | 0.5 | 0.0e+00 | 1e-03 | holds | source of ball_risk |"
    )
    assert lines[-1].startswith(r"| `bounded \|h\|` | statement of bounded \|h\| | 0.5 | 0.6 |")
    assert all(line.replace(r"\|", "").count("|") == 9 for line in lines[2:])


def test_figures_are_drawn_into_a_folder_that_need_not_be_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(figures, "FIGURES", {"one.png": Figure, "two.png": Figure})
    assert verify.main(["--figures", str(tmp_path / "new" / "figures")]) == 0
    made = sorted((tmp_path / "new" / "figures").iterdir())
    assert [path.name for path in made] == ["one.png", "two.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in made)


@pytest.mark.parametrize("option", ["--json", "--table", "--figures"])
def test_a_target_that_cannot_be_written_is_refused_before_anything_is_solved(
    option: str, known: list[Claim], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def solved() -> Any:
        raise AssertionError("solved first")

    known[:] = [Claim(name="n", statement="s", source="s", predicted=lambda: 0.0, obtained=solved, tolerance=0.0)]
    (tmp_path / "file").write_text("")
    target = tmp_path / "file" / "below"
    assert verify.main([option, str(target)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"{option}: cannot write {target}: ")
    assert err.count("\n") == 1
