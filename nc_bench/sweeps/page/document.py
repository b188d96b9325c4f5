"""Puts the page of a sweep together."""

from __future__ import annotations

from html import escape
from pathlib import Path

from nc_bench.reports.page.document import PAGE, name_of
from nc_bench.reports.page.shell import NO_SCRIPT, html_page, source
from nc_bench.runs.files import write_bytes
from nc_bench.statistics import LEVEL
from nc_bench.sweeps.load import SweepTables
from nc_bench.sweeps.page.bands import Bands, bands_of
from nc_bench.sweeps.page.differences import Differences, differences_of, outcome_of
from nc_bench.sweeps.page.packed import packed_bands, packed_differences, packed_trials
from nc_bench.sweeps.page.tables import answer_section, cell_table, problem_list, states, what_it_is
from nc_bench.sweeps.page.trials import SweepData, read_sweep_data
from nc_bench.text import listed, plain

SHARED_SCRIPTS = ("common.js", "charts.js")
OWN_SCRIPTS = ("filter.js", "scatter.js", "heat.js", "differences.js", "sweep.js")


def write_sweep_page(tables: SweepTables, out: Path | None = None) -> Path:
    """Write the page of a sweep to DIR/report.html, or to `out`; its path. Nothing is trained; needs no torch.

    RunError, one line, if a trial is damaged; OSError where the file cannot be written.
    """
    out = out or tables.path / PAGE
    out.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(out, sweep_page(read_sweep_data(tables), out))
    return out


def sweep_page(data: SweepData, out: Path) -> bytes:
    """The page, whose links start from where it will lie."""
    outcome = outcome_of(data)
    bands, differences = bands_of(data), differences_of(data, outcome)
    packed = {
        "trials": packed_trials(data, out),
        "bands": packed_bands(data, bands),
        "differences": packed_differences(differences),
    }
    name = plain(name_of(data.path))
    body = [
        "<header>",
        f"<h1>{escape(name)}</h1>",
        f'<p class="what">{escape(plain(what_it_is(data)))}</p>',
        "</header>",
        "<main>",
        NO_SCRIPT,
        *answer_section(data),
        *states(data),
        *problem_list(data),
        "<h2>The table</h2>",
        *cell_table(data, outcome),
        "<h2>All trials in pictures</h2>",
        f"<p>{ABOUT_FILTER}</p>",
        '<div class="controls" id="filter" role="group" aria-label="Which trials are shown"></div>',
        '<p class="soft" id="filtered" aria-live="polite"></p>',
        *_scatter(),
        *_bands(bands),
        *_heat_map(data),
        *_differences(differences),
        *_trial_list(),
        "</main>",
    ]
    scripts = [*map(source, SHARED_SCRIPTS), *(source(script, __package__) for script in OWN_SCRIPTS)]
    return html_page(f"nc_bench: {name}", body, packed, scripts)


ABOUT_FILTER = "What is chosen here holds for all pictures and for the list of the trials below."


def _scatter() -> list[str]:
    return [
        '<section aria-labelledby="scatter-head">',
        '<h2 id="scatter-head">One measure against another</h2>',
        "<p>A point for each complete trial, at its last recorded epoch. The cursor, or the arrow keys, tell which; a "
        "click, or Enter, opens the trial.</p>",
        '<figure class="chart" id="scatter"><div class="controls" data-controls></div>'
        '<ul class="legend" data-legend></ul><div class="plot" style="position: relative"></div>'
        '<p class="soft" data-left></p></figure>',
        "</section>",
    ]


def _bands(bands: Bands) -> list[str]:
    if not bands.means or len(bands.epochs) < 2:
        return ["<h2>Over the epochs</h2>", '<p class="empty">No curves were recorded.</p>']
    pooled = f" and over {listed(list(bands.pooled))}" if bands.pooled else ""
    about = (
        f"Means over the seeds{pooled}; the band is the {100 * LEVEL:g} % t interval of the mean, where there are two "
        "trials or more."
    )
    return [
        '<section aria-labelledby="bands-head">',
        '<h2 id="bands-head">Over the epochs</h2>',
        f"<p>{escape(plain(about))}</p>",
        '<figure class="chart" id="bands"><div class="controls" data-controls></div>'
        '<ul class="legend" data-legend></ul><div class="plot" style="position: relative"></div>'
        '<div class="controls"></div>'
        '<p class="soft" data-left></p></figure>',
        "</section>",
    ]


def _heat_map(data: SweepData) -> list[str]:
    axes = [name for name in data.columns if data.points[name].nunique() > 1]
    if len(axes) < 2:
        return []
    return [
        '<section aria-labelledby="heat-head">',
        '<h2 id="heat-head">Heat map</h2>',
        "<p>Means over the complete trials of each cell; the stronger the colour, the smaller the value.</p>",
        '<figure class="matrix" id="heat"><div class="controls" data-controls></div>'
        '<div class="scroll" tabindex="0" role="region" aria-label="Heat map"><div class="plot"></div></div>'
        '<p class="soft" data-ends></p></figure>',
        "</section>",
    ]


def _differences(found: list[Differences]) -> list[str]:
    if not found:
        return []
    about = (
        "Mean of the differences seed by seed with its 95 % t interval; where fewer than two seeds are in common, the "
        "difference of the means with Welch's interval (unpaired). p: two-sided t test, adjusted by Holm's method for "
        "all differences of the column. All other columns are equal in the two."
    )
    return [
        '<section aria-labelledby="differences-head">',
        '<h2 id="differences-head">Differences</h2>',
        f"<p>{about}</p>",
        '<div id="differences"><div class="controls" data-controls></div><div data-table></div></div>',
        "</section>",
    ]


def _trial_list() -> list[str]:
    return [
        '<section aria-labelledby="trials-head">',
        '<h2 id="trials-head">The trials</h2>',
        "<p>Each leads to the folder of its run, or to its page where there is one; "
        "<code>nc-bench report FOLDER</code> writes it.</p>",
        '<div id="trials"><div data-table></div><div class="controls">'
        '<button type="button" data-more>More</button></div></div></section>',
    ]
