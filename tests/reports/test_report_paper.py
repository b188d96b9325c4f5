"""The figures for a paper: their width, their letters, their names."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from made_runs import write_picture

from nc_bench import Run
from nc_bench.report import main
from nc_bench.reports import paper
from nc_bench.reports.paper import write_paper_figures

MakeRun = Callable[..., Run]

NAMES = ["nc1", "nc2_nc3", "risk", "shares", "simplex_end", "simplex_end_test", "simplex_start"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    from made_runs import write_run

    run = write_run(tmp_path_factory.mktemp("paper") / "run")
    for epoch in (1, 300):
        write_picture(run, epoch=epoch, classes=10, spread=0.1)
    found = write_paper_figures(run, ("pdf", "svg"), 3.25)
    assert all(path.parent == run.path / "figures" / "paper" for path in found)
    first = {path.name: path.read_bytes() for path in found}
    with pytest.MonkeyPatch.context() as patch:
        panels = list(paper._panels(run))
        patch.setattr(paper, "_panels", lambda run: panels[:1])
        write_paper_figures(run, ("pdf", "svg"), 3.25)
    assert {path.name: path.read_bytes() for path in found} == first  # the same run, the same bytes
    return first


def test_every_panel_has_a_file_named_by_what_it_shows(files: dict[str, bytes]) -> None:
    assert sorted(files) == sorted(f"{name}.{kind}" for name in NAMES for kind in ("pdf", "svg"))


def test_figures_have_the_width_of_a_column(files: dict[str, bytes]) -> None:
    for name, content in files.items():
        if name.endswith("pdf"):
            (width,) = re.findall(rb"/MediaBox \[ 0 0 ([\d.]+) [\d.]+ \]", content)
        else:
            (width,) = re.findall(rb'<svg [^>]*?width="([\d.]+)pt"', content, re.DOTALL)
        assert float(width) == 234  # 3.25 inches of 72 points


def test_letters_of_a_pdf_are_embedded_and_no_type_3(files: dict[str, bytes]) -> None:
    for name in NAMES:
        kinds = set(re.findall(rb"/Subtype /(Type3|TrueType|CIDFontType2|Type1)", files[f"{name}.pdf"]))
        assert kinds and kinds <= {b"TrueType", b"CIDFontType2"}
        assert b"/FontFile2" in files[f"{name}.pdf"]


def test_letters_of_an_svg_are_letters_of_the_text_size(files: dict[str, bytes]) -> None:
    source = files["nc2_nc3.svg"].decode()
    assert "angles (nc2_equiangular)" in source and ">epoch<" in source
    sizes = {float(size) for size in re.findall(r"font-size: ([\d.]+)px", source)}
    assert {8.0, 9.0} <= sizes and max(sizes) == 9.0
    assert "<dc:date>" not in source


def test_the_command_says_where_they_are(make_run: MakeRun, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run()
    assert main([str(run.path), "--format", "svg", "--width", "2"]) == 0
    shown = capsys.readouterr().out
    assert "for a paper, 2 inches wide" in shown and str(run.path / "figures" / "paper" / "risk.svg") in shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--format", "pfd"], "no format is called 'pfd'; did you mean 'pdf'?"),
        (["--format", "jpeg"], "there are pdf, svg, png"),
        (["--width", "0.1"], "0.1 given, should be a number of inches from 1.5 to 20"),
        (["--width", "wide"], "wide given"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    tmp_path: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path), *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
