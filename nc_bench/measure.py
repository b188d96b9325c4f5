"""nc-bench measure --features FILE --labels FILE [--weight FILE [--bias FILE]] | --config FILE | --run DIR"""

from __future__ import annotations

import argparse
import csv
import io
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nc_bench.commands import EXIT_DIVERGED, EXIT_OF_STATUS, EXIT_OK, run_command
from nc_bench.errors import DataError, UserError
from nc_bench.parsing import CommandParser, parse_with_config
from nc_bench.paths import default_folder, expanded, new_directory
from nc_bench.telling import tell
from nc_bench.text import one_line

if TYPE_CHECKING:
    from nc_bench.api import Run
    from nc_bench.config import Config

EXAMPLES = (
    "nc-bench measure --features features.npy --labels labels.npy",
    "nc-bench measure --features all.npz --labels all.npz --weight model.pt:fc.weight --bias model.pt:fc.bias",
    "nc-bench measure --run results/runs/digits_ball/DIR                       a trained run, measured again",
    "nc-bench measure --run DIR --config other_data.yaml data.labels=random    its weights on other data",
)

FILES = """files:
  .npy (mapped into memory, so that it may be larger), .npz, .safetensors and .pt; FILE:NAME is one of several arrays in
  a file. features (N, d), labels (N,) whole numbers from 0, weight (K, d) and bias (K,) of the last linear layer."""

MEASURED = Path("measured")
"""What gives the folder of a run its name where no configuration does."""

ARRAYS = ("features", "labels", "weight", "bias")


def main(argv: list[str] | None = None) -> int:
    """Measure the collapse of features on disk, or of a trained model, and show it.

    Exit status: 0, 1 memory or disk failed, 2 refused, 3 the features or the model's outputs are not finite.
    """
    return run_command(lambda: _measure(parse_with_config(parser(), argv)))


def _measure(arguments: argparse.Namespace) -> int:
    has_arrays = any(getattr(arguments, name) is not None for name in (*ARRAYS, "classes"))
    has_model = arguments.config is not None or arguments.run is not None or bool(arguments.overrides)
    if has_arrays == has_model:
        raise UserError("nc-bench measure: give --features and --labels, or --config or --run; --help has examples")
    return _measure_model(arguments) if has_model else _measure_arrays(arguments)


def _measure_arrays(arguments: argparse.Namespace) -> int:
    # Imported here, like all that takes time, so that Ctrl-C meanwhile ends in one line.
    from nc_bench.data.array_files import read_array
    from nc_bench.metrics import collapse_metrics
    from nc_bench.reports import render_run

    given = {name: path for name in ARRAYS if (path := getattr(arguments, name)) is not None}
    for name in ("features", "labels"):
        if name not in given:
            raise UserError(f"--{name}: is missing; --help has examples")
    arrays = {name: read_array(path, f"--{name}", (name,)) for name, path in given.items()}
    try:
        metrics = collapse_metrics(**arrays, classes=arguments.classes)
    except ValueError as error:  # as it raises for arrays that it cannot measure
        raise DataError(f"{', '.join(given.values())}: {one_line(error)}") from None
    classes = len(metrics.per_class["count"])
    shown = _write_numbers(arguments, _rows_of("train", metrics, metrics.reasons, classes, arrays["features"].shape[1]))
    if undefined := metrics.reasons.get("feature_norm", metrics.reasons.get("risk")):
        if shown:
            print(metrics.summary())
        tell(f"no run directory is made: {undefined}")
        return EXIT_DIVERGED
    directory = _record_arrays(arguments, arrays, classes)
    if shown:
        render_run(directory)
    return EXIT_OK


def _record_arrays(arguments: argparse.Namespace, arrays: Mapping[str, Any], classes: int) -> Path:
    """Make the run directory of features, and of the last layer if it is given, as of a model that is measured."""
    import torch

    from nc_bench.geometry.arrays import tensor_of
    from nc_bench.run_recorder import RunRecorder

    features, labels = tensor_of("features", arrays["features"]), tensor_of("labels", arrays["labels"])
    model: torch.nn.Module = torch.nn.Identity()
    found: dict[str, Any] = {"layer": "", "classes": classes}
    if "weight" in arrays:
        weight, found = tensor_of("weight", arrays["weight"]), {}
        model = torch.nn.Linear(weight.shape[1], weight.shape[0], bias="bias" in arrays, dtype=features.dtype)
        with torch.no_grad():
            model.weight.copy_(weight)
            if "bias" in arrays:
                model.bias.copy_(tensor_of("bias", arrays["bias"]))
    directory: Path = arguments.out or new_directory(default_folder(MEASURED))
    data = features, labels.long()
    with RunRecorder(directory, model, train=data, epochs=0, device="cpu", **found) as recorder:
        recorder.record(0)
    return directory


def _measure_model(arguments: argparse.Namespace) -> int:
    config, name = _model_config(arguments)

    from nc_bench.api import default_directory, load_run, train_and_show
    from nc_bench.reports import render_run

    directory = arguments.out or default_directory(config, default_folder(name), resume=False)
    shown = not {arguments.json, arguments.csv} & {"-"}
    status = train_and_show(config, directory, lambda path, _: render_run(path) if shown else load_run(path).report())
    _write_numbers(arguments, _rows_of_run(load_run(directory)))
    return EXIT_OF_STATUS[status]


def _model_config(arguments: argparse.Namespace) -> tuple[Config, Path]:
    """The configuration that only measures, and what names the folder of its run."""
    from nc_bench.config import config_of, load_config

    source, name = arguments.config, arguments.config
    changes: dict[str, Any] = {"training.epochs": 0, "training.stop": None}
    if arguments.run is not None:
        from nc_bench.api import load_run
        from nc_bench.runs.directory import CONFIG

        run = load_run(expanded(arguments.run, key="--run")).path.resolve()
        source, name = source or run / CONFIG, name or MEASURED
        changes["training.warm_start"] = run
    config = config_of(load_config(source, arguments.overrides), changes)
    if config.training.warm_start is None and config.model.weights_file is None and not config.model.is_pretrained:
        raise UserError("nc-bench measure: an untrained model says nothing; say --run DIR, or model.weights=FILE")
    return config, name


def _rows_of(
    split: str, values: Mapping[str, float], reasons: Mapping[str, str], classes: int, width: int
) -> list[dict[str, Any]]:
    """A row for each metric: its value, what random directions score, and why it is undefined."""
    from nc_bench.metrics import null_baseline

    nulls = null_baseline(classes, width)
    return [
        {
            "split": split,
            "name": name,
            "value": value,
            "null": nulls.get(name, math.nan),
            "reason": reasons.get(name, ""),
        }
        for name, value in values.items()
    ]


def _rows_of_run(run: Run) -> list[dict[str, Any]]:
    from nc_bench.metrics.names import METRIC_NAMES
    from nc_bench.reports.queries import last_row
    from nc_bench.runs.directory import PENULTIMATE

    rows = []
    for split in ("train", "test"):
        last = last_row(run, split)
        values = {name: float(last[name]) for name in METRIC_NAMES if name in last}
        reasons = {name: run.reasons.get((last["epoch"], split, PENULTIMATE, name), "") for name in values}
        rows += _rows_of(split, values, reasons, run.manifest["classes"], run.manifest["feature_width"])
    return rows


def _write_numbers(arguments: argparse.Namespace, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Write --json and --csv; whether the standard output is still free for the table."""
    from nc_bench.runs.files import json_text, write_text

    table = io.StringIO()
    writer = csv.DictWriter(table, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: "" if _is_nan(value) else value for key, value in row.items()} for row in rows)
    for path, text in ((arguments.json, json_text(rows)), (arguments.csv, table.getvalue())):
        if path == "-":
            print(text, end="")
        elif path is not None:
            write_text(expanded(path), text)
    return "-" not in (arguments.json, arguments.csv)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def parser() -> CommandParser:
    """What the command line may say."""
    parser = CommandParser(
        "measure",
        "Measure the collapse of features on disk, or of a trained model, without training.",
        examples=EXAMPLES,
        notes=FILES,
    )
    arrays = parser.add_argument_group("features on disk")
    for name in ARRAYS:
        arrays.add_argument(f"--{name}", metavar="FILE")
    arrays.add_argument("--classes", type=int, metavar="K", help="number of classes (default: rows of the weight)")
    model = parser.add_argument_group("a trained model")
    model.add_argument("--config", type=Path, help="model and data: a YAML file or a shipped name, as for train")
    model.add_argument("--run", metavar="DIR", help="run directory whose newest checkpoint has the weights")
    model.add_argument("overrides", nargs="*", metavar="dotted.key=value", help="for example data.labels=random")
    parser.add_argument("--out", type=Path, metavar="DIR", help="run directory to make (default: in results/runs)")
    parser.add_argument("--json", metavar="FILE", help="write every number as JSON too; - prints them alone")
    parser.add_argument("--csv", metavar="FILE", help="the same as CSV")
    return parser


if __name__ == "__main__":
    sys.exit(main())
