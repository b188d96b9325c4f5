"""Gives the package thousands of inputs that nobody would plan, and counts what it makes of them.

    python scripts/input_campaign.py [--cases N] [--seed S]

Hypothesis draws features, arguments of the public functions, configurations, sweep files and folders of images. Each
case has to end in one of three ways, within a minute and without a warning: a right result (metrics agree with
plain NumPy in extended precision, images with the arrays they were written from), NaN with a reason, or one line for
every problem (a ValueError). Prints a table; exit status 1 if a case ended otherwise, with the smallest such case.
"""

from __future__ import annotations

import argparse
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from time import perf_counter
from typing import Any

import torch
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from input_arguments import calls, check_call
from input_documents import CONFIGS, check_config, check_sweep, documents
from input_features import check_features, problems
from input_folders import check_folder, folders
from input_outcomes import REFUSED, RIGHT, UNDEFINED, Hang, outcome

SHARES = {"features": 0.5, "arguments": 0.2, "configurations": 0.12, "sweep files": 0.08, "folders": 0.1}

AREAS: dict[str, tuple[st.SearchStrategy[Any], Callable[[Any], str], int]] = {
    "features": (problems(), check_features, 1),
    "arguments": (calls(), check_call, 50),
    "configurations": (documents(sorted(CONFIGS.glob("*.yaml"))), check_config, 50),
    "sweep files": (documents(sorted((CONFIGS / "sweeps").glob("*.yaml"))), check_sweep, 50),
    "folders": (folders(), check_folder, 1),
}
"""What is drawn, how it is checked, and how many lines a refusal may have (one for each problem)."""


def run(area: str, cases: int, start: int) -> tuple[Counter[str], float, str]:
    """How the cases of an area ended, the seconds of the slowest, and what went wrong ("" if nothing did)."""
    drawn, check, lines = AREAS[area]
    ends: Counter[str] = Counter()
    slowest = 0.0

    @seed(start)
    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(drawn)
    def campaign(case: Any) -> None:
        nonlocal slowest
        began = perf_counter()
        ends[outcome(lambda: check(case), lines=lines)] += 1
        slowest = max(slowest, perf_counter() - began)

    try:
        campaign()
    except (Exception, Hang) as error:
        return ends, slowest, "".join(traceback.format_exception(error))
    return ends, slowest, ""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Unplanned inputs: right, NaN with a reason, or one line.")
    parser.add_argument("--cases", type=int, default=2000, help="in all (2000)")
    parser.add_argument("--seed", type=int, default=0, help="of the cases (0)")
    parser.add_argument("--only", choices=sorted(AREAS), help="one area, with all of the cases")
    chosen = parser.parse_args(arguments)
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    shares = {chosen.only: 1.0} if chosen.only else SHARES
    print("| area | cases | right | NaN with a reason | one line | wrong | slowest |")
    print("|---|---|---|---|---|---|---|")
    problems_found = []
    for area, share in shares.items():
        ends, slowest, problem = run(area, round(share * chosen.cases), chosen.seed)
        numbers = [ends.total(), *(ends[end] for end in (RIGHT, UNDEFINED, REFUSED)), int(bool(problem))]
        print(f"| {area} | {' | '.join(map(str, numbers))} | {slowest:.2f} s |", flush=True)
        problems_found += [f"{area}:\n{problem}"] if problem else []
    print("\n".join(problems_found), file=sys.stderr)
    return 1 if problems_found else 0


if __name__ == "__main__":
    sys.exit(main())
