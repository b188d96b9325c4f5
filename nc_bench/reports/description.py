"""What was run, from the configuration: as a typed model, and as one line of text."""

from __future__ import annotations

from pydantic import ValidationError

from nc_bench.config import (
    Config,
)
from nc_bench.config.problems import problems_of
from nc_bench.reports.numbers import percent
from nc_bench.runs import RunError, RunTables
from nc_bench.runs.directory import CONFIG


def typed_config(run: RunTables) -> Config:
    """The run's configuration. RunError if this version of the software does not know one of its keys or values."""
    try:
        return Config.model_validate(run.config)
    except ValidationError as error:
        first = problems_of(error)[0]
        raise RunError(f"{run.path / CONFIG}: {first.path}: {first.text}") from None


def describe(run: RunTables) -> str:
    """Data, model, bounds, decay and optimizer in one line, for a caption."""
    config = typed_config(run)
    parts = (_data(config), config.model.sentence(), _objective(config), _training(config))
    return "; ".join(part for part in parts if part)


def wrong_labels(config: Config) -> str:
    """A clause that says whether the training labels are random or partly wrong; empty if they are all true."""
    if config.data.has_random_labels:
        return "the training labels are random"
    share = config.data.label_noise
    return f"{percent(share)} of the training labels are wrong" if share else ""


def _data(config: Config) -> str:
    said = [*config.data.sentences(), *([wrong] if (wrong := wrong_labels(config)) else [])]
    return f"{config.data.name} ({', '.join(said)})" if said else config.data.name


def _objective(config: Config) -> str:
    parts = (config.constraints.sentences(), config.objective.sentences(), config.optimizer.decay_sentences())
    return ", ".join(said for part in parts for said in part)


def _training(config: Config) -> str:
    if config.model.is_foreign:
        return "trained by a loop of its author's" if config.training.epochs else "measured as it was given"
    batch = config.training.batch_size
    batches = "full batch" if batch is None else f"batches of {batch}"
    start = f", from the weights of {config.training.warm_start}" if config.training.warm_start else ""
    return f"{config.optimizer.name}, learning rate {config.optimizer.lr:g}, {batches}, seed {config.seed}{start}"
