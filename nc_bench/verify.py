"""nc-bench verify [--only NAME ...] [--json FILE] [--table FILE] [--figures DIR]"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
from collections.abc import Sequence
from fnmatch import filter as matching
from pathlib import Path
from typing import TYPE_CHECKING

from nc_bench.commands import EXIT_FAILED, EXIT_OK, run_command
from nc_bench.errors import UserError
from nc_bench.parsing import CommandParser
from nc_bench.text import did_you_mean

if TYPE_CHECKING:
    from nc_bench.claims.claim import Claim, Outcome

COLUMNS = ("claim", "predicted", "obtained", "deviation", "tolerance", "", "source")


def main(argv: list[str] | None = None) -> int:
    """Check every claim, a line each. Exit status: 0 all hold, 1 one fails or the disk does, 2 wrong command line."""
    return run_command(lambda: _verify(parser().parse_args(argv)))


def _verify(arguments: argparse.Namespace) -> int:
    # torch takes a second to import: --help does not need it.
    from nc_bench.claims.catalogue import claims

    chosen = _chosen(claims(), arguments.only)
    _check_writable(arguments)
    outcomes = _check(chosen)
    failed = [outcome.name for outcome in outcomes if not outcome.holds]
    print(_summary(outcomes), *(f"fails: {name}" for name in failed), sep="\n")
    _keep(chosen, outcomes, arguments)
    return EXIT_FAILED if failed else EXIT_OK


def parser() -> CommandParser:
    """What the command line may say."""
    parser = CommandParser(
        "verify",
        "Solve or train for every claim of the theory, and compare the outcome with the prediction.",
        examples=("nc-bench verify", "nc-bench verify --only 'decay_*' --json outcomes.json"),
    )
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help="only the claims of these names; * matches any text, as in 'decay_*'"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the outcomes there, a list of objects")
    parser.add_argument("--table", type=Path, metavar="FILE", help="write a Markdown table there, with every statement")
    parser.add_argument("--figures", type=Path, metavar="DIR", help="draw the figures of the claims there")
    return parser


def _chosen(known: Sequence[Claim], wanted: Sequence[str] | None) -> list[Claim]:
    """The claims of these names, in the order of the catalogue. UserError for a name that fits none."""
    if wanted is None:
        return list(known)
    names = [claim.name for claim in known]
    fitting: set[str] = set()
    for name in wanted:
        found = matching(names, name)
        if not found:
            hint = did_you_mean(name, names, most=3) or f"there are {', '.join(names)}"
            raise UserError(f"--only: no claim is called '{name}'; {hint}")
        fitting.update(found)
    return [claim for claim in known if claim.name in fitting]


def _check(chosen: Sequence[Claim]) -> list[Outcome]:
    import torch
    from tqdm import tqdm

    from nc_bench.claims.claim import check

    # The problems are so small that threads would only wait for each other.
    torch.set_num_threads(1)
    width = max(len(claim.name) for claim in chosen)
    print(_line(width, *COLUMNS))
    outcomes = []
    with tqdm(chosen, unit="claim", disable=None, leave=False) as bar:
        for claim in bar:
            bar.set_postfix_str(claim.name)
            outcome = check(claim)
            outcomes.append(outcome)
            bar.write(_line(width, *_cells(outcome)), file=sys.stdout)
    return outcomes


def _cells(outcome: Outcome) -> tuple[str, ...]:
    """Name, predicted, obtained, deviation, tolerance, verdict, source."""
    return (
        outcome.name,
        f"{outcome.predicted:.10g}",
        f"{outcome.obtained:.10g}",
        f"{outcome.deviation:.1e}",
        f"{outcome.tolerance:.0e}",
        "holds" if outcome.holds else "fails",
        outcome.source,
    )


def _line(width: int, name: str, predicted: str, obtained: str, deviation: str, tolerance: str, *rest: str) -> str:
    verdict, source = rest
    return f"{name:<{width}} {predicted:>16} {obtained:>16} {deviation:>9} {tolerance:>9}  {verdict:<5}  {source}"


def _check_writable(arguments: argparse.Namespace) -> None:
    """UserError if a target cannot be written: better now than after all claims are solved."""
    for option in ("json", "table", "figures"):
        target: Path | None = getattr(arguments, option)
        try:
            if target is not None and option == "figures":
                target.mkdir(parents=True, exist_ok=True)
            elif target is not None:
                target.open("a").close()
        except OSError as error:
            raise UserError(f"--{option}: cannot write {target}: {error.strerror}") from None


def _keep(chosen: Sequence[Claim], outcomes: Sequence[Outcome], arguments: argparse.Namespace) -> None:
    if arguments.json is not None:
        rows = [{name: _null(value) for name, value in dataclasses.asdict(outcome).items()} for outcome in outcomes]
        arguments.json.write_text(json.dumps(rows, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    if arguments.table is not None:
        arguments.table.write_text(_table(chosen, outcomes), encoding="utf-8")
    if arguments.figures is not None:
        from nc_bench.claims.figures import DPI, FIGURES

        for name, draw in FIGURES.items():
            draw().savefig(arguments.figures / name, dpi=DPI)


def _null(value: object) -> object:
    """JSON has no NaN and no infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _table(chosen: Sequence[Claim], outcomes: Sequence[Outcome]) -> str:
    head = ("claim", "statement", "predicted", "obtained", "deviation", "tolerance", "", "source")
    rows = [head, ("---",) * len(head)]
    for claim, outcome in zip(chosen, outcomes, strict=True):
        name, *numbers, source = _cells(outcome)
        rows.append((f"`{name}`", claim.statement, *numbers, source))
    lines = ["| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in rows]
    return "\n".join([_summary(outcomes), "", *lines, ""])


def _summary(outcomes: Sequence[Outcome]) -> str:
    return f"{sum(outcome.holds for outcome in outcomes)} of {len(outcomes)} claims hold"


if __name__ == "__main__":
    sys.exit(main())
