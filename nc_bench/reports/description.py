"""What was run, from the configuration: as a typed model, and as one line of text."""

from __future__ import annotations

from pydantic import ValidationError

from nc_bench.config import (
    Config,
    CountedBalance,
    Downloaded,
    ExponentialBalance,
    FolderOfImages,
    GaussianMixture,
    Noise,
    StepBalance,
)
from nc_bench.reports.numbers import percent
from nc_bench.runs import RunError, RunTables
from nc_bench.runs.directory import CONFIG

LOSSES = {"focal": "focal loss", "mse": "squared error", "exponential": "exponential loss"}
"""How a caption names the losses other than the usual one."""


def typed_config(run: RunTables) -> Config:
    """The run's configuration. RunError if this version of the software does not know one of its keys or values."""
    try:
        return Config.model_validate(run.config)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RunError(f"{run.path / CONFIG}: {where}: {first['msg']}") from None


def describe(run: RunTables) -> str:
    """Data, model, bounds, decay and optimiser in one line, for a caption."""
    config = typed_config(run)
    parts = (_data(config), config.model.sentence(), _bounds(config), _training(config))
    return "; ".join(part for part in parts if part)


def wrong_labels(config: Config) -> str:
    """A clause that says whether the training labels are random or partly wrong; empty if they are all true."""
    if config.data.labels != "original" or isinstance(config.data, Noise):
        return "the training labels are random"
    share = config.data.label_noise
    return f"{percent(share)} of the training labels are wrong" if share else ""


def _data(config: Config) -> str:
    data, said = config.data, []
    if isinstance(data, GaussianMixture | Noise):
        said.append(f"{data.classes} classes in {data.dimension} dimensions")
    elif data.keep_classes is not None:
        said.append(f"{len(data.keep_classes)} of its classes")
    match data.balance:
        case StepBalance(ratio=ratio, minority_classes=minority):
            said.append(f"{minority} minority classes {ratio:g} times smaller")
        case ExponentialBalance(ratio=ratio):
            said.append(f"classes of exponentially falling size, the last {ratio:g} times smaller")
        case CountedBalance():
            said.append("classes of stated sizes")
    if isinstance(data, Downloaded | FolderOfImages):
        said += ["flipped"] * data.augment.flip + ["cropped at random"] * (data.augment.crop_padding > 0)
    if wrong := wrong_labels(config):
        said.append(wrong)
    return f"{data.name} ({', '.join(said)})" if said else data.name


def _bounds(config: Config) -> str:
    said = config.constraints.sentences()
    if config.objective.loss != "cross_entropy":
        said.append(LOSSES[config.objective.loss])
    if (config.objective.mse_true_weight, config.objective.mse_target) != (1, 1):
        said.append(f"true class weighted {config.objective.mse_true_weight:g}, target {config.objective.mse_target:g}")
    if config.objective.class_weights:
        said.append("class weights")
    numbers = {
        "label smoothing": config.objective.label_smoothing,
        "weight decay": config.objective.weight_decay,
        "feature decay": config.objective.feature_decay,
    }
    given = {
        "gamma": config.objective.focal_gamma,
        "decay of the head": config.objective.head_decay,
    }
    said += [f"{name} {value:g}" for name, value in numbers.items() if value]
    said += [f"{name} {value:g}" for name, value in given.items() if value is not None]
    return ", ".join([*said, *config.optimizer.decay_sentences()])


def _training(config: Config) -> str:
    batch = config.training.batch_size
    batches = "full batch" if batch is None else f"batches of {batch}"
    start = f", from the weights of {config.training.warm_start}" if config.training.warm_start else ""
    return f"{config.optimizer.name}, learning rate {config.optimizer.lr:g}, {batches}, seed {config.seed}{start}"
