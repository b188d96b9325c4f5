"""What was run, from the configuration: as a typed model, and as one line of text."""

from __future__ import annotations

from pydantic import ValidationError

from nc_bench.config import Config, Mlp
from nc_bench.runs import Run, RunError
from nc_bench.runs.directory import CONFIG

LOSSES = {"focal": "focal loss", "mse": "squared error", "exponential": "exponential loss"}
"""How a caption names the losses other than the usual one."""


def typed_config(run: Run) -> Config:
    """The run's configuration. RunError if this version of the software does not know one of its keys or values."""
    try:
        return Config.model_validate(run.config)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RunError(f"{run.path / CONFIG}: {where}: {first['msg']}") from None


def describe(run: Run) -> str:
    """Data, model, bounds, decay and optimiser in one line, for a caption."""
    config = typed_config(run)
    labels = " with random training labels" if config.data.labels == "random" else ""
    return "; ".join(
        part for part in (config.data.name + labels, _model(config), _bounds(config), _training(config)) if part
    )


def _model(config: Config) -> str:
    widths = "-".join(str(width) for width in config.model.widths)
    if not isinstance(config.model, Mlp):
        return f"unconstrained features of width {widths}{', non-negative' if config.model.nonnegative else ''}"
    norm = ", batch norm" if config.model.batch_norm else ""
    ending = config.model.activation if config.model.final_activation else "linear"
    return f"network {widths}{norm}, {ending} features"


def _bounds(config: Config) -> str:
    bounds = config.constraints
    said = []
    if bounds.features:
        norm = "rms |f(x)|" if bounds.features.set == "mean_square" else f"|f(x)|{_exponent(bounds.features.p)}"
        said.append(f"{norm} {'=' if bounds.features.set == 'sphere' else '<='} {bounds.features.radius:g}")
    if bounds.head:
        norm = "rms |w_k|" if bounds.head.set == "mean_square" else "|W|"
        said.append(f"{norm} <= {bounds.head.radius:g}")
    if bounds.outputs:
        said.append(f"|h(x)|{_exponent(bounds.outputs.p)} <= {bounds.outputs.radius:g}")
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
        "decoupled decay": getattr(config.optimizer, "decoupled_decay", 0.0),
    }
    given = {
        "gamma": config.objective.focal_gamma,
        "decay of the head": config.objective.head_decay,
        "decoupled decay of the head": getattr(config.optimizer, "decoupled_head_decay", None),
    }
    said += [f"{name} {value:g}" for name, value in numbers.items() if value]
    return ", ".join([*said, *(f"{name} {value:g}" for name, value in given.items() if value is not None)])


def _exponent(p: float) -> str:
    return "" if p == 2 else f"_{p:g}"


def _training(config: Config) -> str:
    batch = config.training.batch_size
    batches = "full batch" if batch is None else f"batches of {batch}"
    return f"{config.optimizer.name}, learning rate {config.optimizer.lr:g}, {batches}, seed {config.seed}"
