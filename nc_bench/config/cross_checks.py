"""Contradictions among the sections of a configuration, one `dotted.path: problem` each."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nc_bench.config.schema import Config


FOREIGN = "foreign"


def cross_checks(config: Config) -> list[str]:
    """All of them; those among the settings of one section are found by that section."""
    stop = config.training.stop
    return [
        *_of_foreign_loops(config),
        *config.data.problems(),
        *config.model.problems(),
        *_of_constraints(config),
        *config.objective.problems(),
        *config.optimizer.problems(),
        *_of_optimizer(config),
        *_of_decay(config),
        *(stop.problems() if stop is not None else []),
        *_of_inputs_and_training(config),
    ]


def _of_foreign_loops(config: Config) -> list[str]:
    """A foreign loop brings model, data and optimizer."""
    parts = {"data": config.data.name, "model": config.model.name, "optimizer": config.optimizer.name}
    others = [part for part, name in parts.items() if (name == FOREIGN) != config.model.is_foreign]
    problems = [
        f"{part}.name: {parts[part]} given together with model.name: {config.model.name}; {FOREIGN} goes with itself"
        for part in others
    ]
    if not config.objective.is_stated and not config.model.is_foreign:
        problems.append(f"objective.loss: {config.objective.loss} needs model.name: {FOREIGN}")
    if not config.model.has_head:
        bounds = {"head": config.constraints.head, "outputs": config.constraints.outputs}
        problems += [
            f"constraints.{part}: features are measured alone, without a last layer"
            for part, bound in bounds.items()
            if bound is not None
        ]
    return problems


def _of_constraints(config: Config) -> list[str]:
    features, head = config.constraints.features, config.constraints.head
    problems = [] if head is None else head.problems()
    if features is not None:
        problems += features.problems(table=config.model.is_feature_table, nonnegative=_nonnegative_table(config))
    return problems


def _of_decay(config: Config) -> list[str]:
    """Decay of what does not move, and the two kinds of decay at once."""
    problems: list[str] = []
    coupled = _given(config.objective, "weight_decay", "head_decay")
    decoupled = _given(config.optimizer, "decoupled_decay", "decoupled_head_decay")
    for name, value in coupled.items():
        if config.optimizer.decays_only_decoupled:
            kind = type(config.optimizer).__name__
            instead = {"weight_decay": "decoupled_decay", "head_decay": "decoupled_head_decay"}[name]
            problems.append(f"objective.{name}: {value} given, but {kind} decays decoupled: set optimizer.{instead}")
        elif decoupled:
            rival, other = next(iter(decoupled.items()))
            problems.append(
                f"objective.{name}: {value} (coupled) given together with optimizer.{rival}: {other}; "
                "set one of them to 0"
            )
    for path, own, rest in (
        ("objective.head_decay", config.objective.head_decay, "weight_decay" in coupled),
        ("optimizer.decoupled_head_decay", config.optimizer.own_head_decay, "decoupled_decay" in decoupled),
    ):
        if own is not None and not config.head.trainable:
            problems.append(f"{path}: {own} given, but head.trainable: false")
        elif own is not None and rest and config.model.is_feature_table:
            problems.append(f"{path}: replaces the decay of a feature table's only weights; set the other one to 0")
    return problems


def _of_optimizer(config: Config) -> list[str]:
    optimizer, features = config.optimizer, config.constraints.features
    name, table = optimizer.name, config.model.is_feature_table
    problems = []
    if optimizer.for_hidden_matrices and table:
        problems.append(
            f"optimizer.name: {name} is for the weights of hidden layers, and model.name: {config.model.name} has none"
        )
    if optimizer.full_batch_only and config.training.batch_size is not None:
        problems.append(f"training.batch_size: {name} needs null (full batch)")
    if not optimizer.allows_projection:
        projected = {
            "constraints.head": config.constraints.head is not None,
            "constraints.features": table and features is not None,
            "model.nonnegative": _nonnegative_table(config),
        }
        problems += [f"{key}: {name} cannot be projected after each step" for key, given in projected.items() if given]
    return problems


def _of_inputs_and_training(config: Config) -> list[str]:
    training, problems = config.training, []
    if config.objective.mixup is not None and not config.model.takes_indices:
        problems.append("objective.mixup: mixes free features only, needs model.name: unconstrained")
    if config.data.augments and config.model.takes_indices:
        problems.append("data.augment: needs a network; unconstrained features do not look at images")
    if training.autocast != "none" and config.dtype != "float32":
        problems.append(f"training.autocast: {training.autocast} needs dtype: float32")
    if training.channels_last and not config.model.takes_images:
        problems.append(f"training.channels_last: needs a model of images, not model.name: {config.model.name}")
    return problems


def _nonnegative_table(config: Config) -> bool:
    return config.model.is_feature_table and config.model.has_nonnegative_features


def _given(section: object, *names: str) -> dict[str, float]:
    """Those of the section's decays that are not zero."""
    return {name: value for name in names if (value := getattr(section, name, None))}
