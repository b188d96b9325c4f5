"""Attacks on runs: kills at every file operation, bits that flip, disks that fill, second writers. Prints a table.

    python scripts/fault_campaign.py [--long] [--cases N] [--json FILE] [--only NAME ...]

Every attack ends in one of: identical (resumed, the run has the numbers of one that nobody touched, bit for bit),
noticed (one line that names the file), harmless (what flipped is read by nobody), made again. All else is a failure,
and the exit status is then 1: another number with exit status 0, a traceback, a run that cannot go on. The short form
takes every few operations and bits, and is run by the tests; the long form takes all operations and more bits.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from fault_attacks import GOOD, Row, faults, flips, ranks, second_writers, sweeps
from fault_judging import Campaign
from fault_runs import JOBS
from faults import disk_full, kill


def campaign(place: Path, *, long: bool, only: Sequence[str] = (), cases: int | None = None) -> Iterator[Row]:
    """The rows of the table, as they come."""
    attacked = Campaign(place, long=long, cases=cases)
    if not only or "kill" in only:
        for job in JOBS if long else JOBS[::2]:
            yield faults(attacked, job, kill, "killed at a file operation", 8)
    if not only or "disk" in only:
        yield faults(attacked, JOBS[0], disk_full, "the disk fills", 5, writes_only=True)
    if not only or "writers" in only:
        yield second_writers(attacked, JOBS[0], 6)
    if not only or "flip" in only:
        yield from flips(attacked, JOBS[0], cases or (24 if long else 2))
    if "ranks" in only or (long and not only):
        yield ranks(attacked, (10, 24, 38, 3, 17, 31)[:cases])
    if "sweeps" in only or (long and not only):
        yield sweeps(attacked, (8, 12, 4, 15)[:cases])
    if "rows" in only:
        yield from flips(attacked, JOBS[0], 12, "metrics.jsonl")


def as_markdown(rows: Sequence[Row]) -> str:
    lines = [f"| attack | cases | {' | '.join(GOOD)} | failed |", f"|{' --- |' * (len(GOOD) + 3)}"]
    for row in rows:
        counts = " | ".join(str(row.outcomes[outcome]) for outcome in GOOD)
        lines.append(f"| {row.attack} | {row.outcomes.total()} | {counts} | {row.outcomes['FAILED']} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Attack runs, and show how each attack ended.")
    parser.add_argument("--long", action="store_true", help="every operation, and 24 bits of every file")
    parser.add_argument("--cases", type=int, metavar="N", help="at most so many cases of each attack")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the table as JSON")
    parser.add_argument(
        "--only", nargs="*", default=(), choices=("kill", "disk", "writers", "flip", "rows", "ranks", "sweeps")
    )
    arguments = parser.parse_args(argv)
    # Children are forked: what takes seconds to import is imported here, and nothing is computed.
    import sklearn.datasets
    import sklearn.model_selection  # noqa: F401

    import nc_bench.api
    import nc_bench.train
    import nc_bench.training  # noqa: F401

    start, rows = time.monotonic(), []
    with tempfile.TemporaryDirectory() as folder:
        for row in campaign(Path(folder), long=arguments.long, only=arguments.only, cases=arguments.cases):
            rows.append(row)
            print(f"{time.monotonic() - start:6.0f} s  {row.attack}: {dict(row.outcomes)}", file=sys.stderr)
            for failure in row.failures:
                print(f"          {failure}", file=sys.stderr)
    print(as_markdown(rows))
    if arguments.json:
        content = [{"attack": row.attack, "outcomes": row.outcomes, "failures": row.failures} for row in rows]
        arguments.json.write_text(json.dumps(content, indent=2) + "\n")
    return int(any(row.failures for row in rows))


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main())
