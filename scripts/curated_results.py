"""Makes results/digits/: the digits configurations over three seeds, as a table, with figures and animation of seed 0.

Command: .venv/bin/python scripts/curated_results.py        (about five minutes on two cores)

Runs go to results/runs/curated/ and are resumed, or left as they are, when the script is called again.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import sys
from pathlib import Path

import pandas as pd

from nc_bench import Run, load_run
from nc_bench.reports.animation import write_animation
from nc_bench.train import main as train

ROOT = Path(__file__).resolve().parents[1]
SEEDS = (0, 1, 2)
RUNS = {
    "digits_ball": ("digits_ball.yaml", []),
    "digits_ball, random labels": ("digits_ball.yaml", ["data.labels=random"]),
    "digits_ball_relu": ("digits_ball_relu.yaml", []),
    "digits_ufm_ball": ("digits_ufm_ball.yaml", []),
    "digits_weight_decay": ("digits_weight_decay.yaml", []),
    "digits_no_collapse": ("digits_no_collapse.yaml", []),
}
PICTURED = ("digits_ball", "digits_weight_decay")
MEASURED = ("simplex_efficiency", "nc1_quotient", "nc2_equiangular", "nc3_duality_centred")


def main() -> None:
    """Train what is missing, then write the table and the pictures."""
    folder = ROOT / "results" / "digits"
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for title, (config, overrides) in RUNS.items():
        runs = [_run(title, config, [*overrides, f"seed={seed}"]) for seed in SEEDS]
        rows.append({"configuration": title, **_summary(runs)})
        if title in PICTURED:
            for figure in (runs[0].path / "figures").glob("*.png"):
                shutil.copyfile(figure, folder / f"{title}_{figure.name}")
        if title == "digits_ball":
            (film, *_), _ = write_animation(runs[0])
            shutil.copyfile(film, folder / film.name)
    first = runs[0].manifest
    table = pd.DataFrame(rows)
    lines = [
        f"# The digits configurations, {len(SEEDS)} seeds: mean and, behind +-, the standard deviation over seeds",
        "",
        "Last epoch, training split but for the test accuracy. `risk/minimum - 1`: excess over the predicted risk.",
        "",
        _markdown(table),
        "",
        f"Machine: {first['device_name']}, {first['threads']} threads, torch {first['versions']['torch']}. "
        "Command: `.venv/bin/python scripts/curated_results.py`.",
    ]
    (folder / "table.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def _run(title: str, config: str, overrides: list[str]) -> Run:
    name = title.replace(", ", "_").replace(" ", "_")
    path = ROOT / "results" / "runs" / "curated" / f"{name}_{overrides[-1].replace('=', '')}"
    with contextlib.redirect_stdout(io.StringIO()):
        status = train(["--config", str(ROOT / "configs" / config), "--out", str(path), "--resume", *overrides])
    if status != 0:
        sys.exit(f"{path}: ended with status {status}")
    return load_run(path)


def _summary(runs: list[Run]) -> dict[str, str]:
    last = [run.rows[run.rows["split"] == "train"].iloc[-1] for run in runs]
    tests = [run.rows[run.rows["split"] == "test"] for run in runs]
    risks = [run.predictions.set_index("name").loc["risk"] for run in runs]
    columns = {"risk/minimum - 1": [risk["deviation"] for risk in risks]}
    columns |= {name: [row[name] for row in last] for name in MEASURED}
    columns["test accuracy"] = [float("nan") if test.empty else test.iloc[-1]["accuracy"] for test in tests]
    return {name: _spread(values) for name, values in columns.items()}


def _spread(values: list[float]) -> str:
    numbers = pd.Series(values, dtype="float64")
    return "-" if numbers.isna().any() else f"{numbers.mean():.3g} +- {numbers.std():.1g}"


def _markdown(table: pd.DataFrame) -> str:
    rows = [table.columns, ["---"] * len(table.columns), *table.itertuples(index=False)]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)


if __name__ == "__main__":
    main()
