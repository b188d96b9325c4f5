"""The runs that the fault campaign attacks: how they are trained, and the numbers that a reader finds in them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

BASE: dict[str, Any] = {
    "device": "cpu",
    "data": {"name": "digits", "samples_per_class": 12, "test_samples_per_class": 4},
    "model": {"name": "mlp", "widths": [8, 4], "batch_norm": True, "final_activation": False},
    "head": {"bias": False},
    "constraints": {"features": {"radius": 5.0}, "head": {"radius": 1.0}},
    "optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9},
    "schedule": {"name": "constant"},
    "training": {"epochs": 4, "batch_size": 60, "checkpoint_seconds": 0},
}
EARLY = {"training": {**BASE["training"], "epochs": 9, "stop": {"simplex_efficiency": 0.02}}}
RARE = {"training": {**BASE["training"], "checkpoint_seconds": 1000}}


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is attacked: runs that are trained as one program, each in a folder of its own."""

    name: str
    configs: list[dict[str, Any]]

    def folders(self, place: Path) -> list[Path]:
        return [place / str(index) for index in range(len(self.configs))]

    def work(self, place: Path) -> int:
        """Start or resume, as the command does but without its report; the exit status of the command."""
        from nc_bench.commands import EXIT_OF_STATUS, EXIT_OK, run_command
        from nc_bench.config import Config
        from nc_bench.training import run_ensemble, run_training

        def train() -> int:
            configs = [Config.model_validate(config) for config in self.configs]
            if len(configs) > 1:
                statuses = run_ensemble(configs, self.folders(place))
            else:
                statuses = [run_training(configs[0], self.folders(place)[0], resume=True)]
            return max((EXIT_OF_STATUS[status] for status in statuses), default=EXIT_OK)

        return run_command(train)

    def numbers(self, place: Path) -> list[list[str]]:
        return [measured(folder) for folder in self.folders(place)]


JOBS = (
    Job(name="one run", configs=[BASE]),
    Job(name="one run, few checkpoints", configs=[BASE | RARE]),
    Job(name="a run that stops early", configs=[BASE | EARLY]),
    Job(name="a stack of three", configs=[BASE | EARLY | {"seed": seed} for seed in range(3)]),
)


def measured(folder: Path) -> list[str]:
    """Lines of metrics.csv without the seconds, then what was judged."""
    table = (folder / "metrics.csv").read_text().splitlines()
    return [line.rpartition(",")[0] for line in table] + [(folder / "predictions.json").read_text()]


def as_read(folder: Path) -> str:
    """What a reader gets, as text: the numbers, or the one line that says what is damaged."""
    from nc_bench import load_run
    from nc_bench.errors import UserError
    from nc_bench.reports.pictures import pictures

    try:
        run = load_run(folder)
        manifest = {key: value for key, value in run.manifest.items() if key != "run"}
        weights = {name: tensor.tolist() for name, tensor in run.load_model().state_dict().items()}
        shown = [asdict(picture) for picture in pictures(run)]
    except UserError as error:
        return f"RunError {error}" if "\n" not in str(error) else "more than one line"
    tables = (run.rows.to_csv(), run.predictions.to_csv(), str(run.reasons))
    return json.dumps([*tables, run.config, manifest, weights, shown], default=lambda array: array.tolist())
