"""The typed configuration of one run: what may be said, its defaults, and what contradicts itself.

Every model is frozen, refuses unknown keys, and takes no number that is infinite or NaN.
"""

from typing import Literal

from pydantic import Field, model_validator

from nc_bench.config.constraints import Constraints
from nc_bench.config.data import Data
from nc_bench.config.model import Head, Mlp, Model
from nc_bench.config.objective import Objective
from nc_bench.config.optimizer import AdamW, ConstantSchedule, Optimizer, Schedule, Sgd
from nc_bench.config.section import Section
from nc_bench.config.training import Record, Training
from nc_bench.config.values import NonNegativeInteger


class Config(Section):
    """One run of nc_bench: data, model, objective, optimiser and what is recorded."""

    seed: NonNegativeInteger = Field(
        default=0,
        description="Source of the separate random streams of initialisation, data order and labels.",
    )
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|mps|cuda(:[0-9]+)?)$",
        description="auto (a GPU where there is one), cpu, cuda, cuda:N or mps.",
    )
    dtype: Literal["float32", "float64"] = Field(
        default="float32", description="Precision of training; metrics are always taken in float64."
    )
    data: Data = Field(description="Which images are classified, and by which labels.")
    model: Model = Field(discriminator="name", description="The backbone, from input to features.")
    head: Head = Field(default=Head(), description="The last linear layer.")
    constraints: Constraints = Field(default=Constraints(), description="Bounds on features, head, outputs.")
    objective: Objective = Field(default=Objective(), description="Loss and penalties.")
    optimizer: Optimizer = Field(discriminator="name", description="How a step is taken.")
    schedule: Schedule = Field(
        default=ConstantSchedule(name="constant"),
        discriminator="name",
        description="The learning rate over the run.",
    )
    training: Training = Field(description="Epochs, batches, checkpoints.")
    record: Record = Field(default=Record(), description="When and where the metrics are measured.")

    @model_validator(mode="after")
    def _consistent(self) -> "Config":
        if problems := _contradictions(self):
            raise ValueError("\n".join(problems))
        return self


def _contradictions(config: Config) -> list[str]:
    """What the fields say against each other, one `dotted.path: problem` each."""
    problems = []
    if config.objective.loss != "cross_entropy" and config.objective.label_smoothing > 0:
        problems.append("objective.label_smoothing: needs objective.loss: cross_entropy")
    features = config.constraints.features
    if features is not None and features.set == "mean_square":
        if isinstance(config.model, Mlp):
            problems.append("constraints.features.set: mean_square needs model.name: unconstrained")
        if features.p != 2:
            problems.append(f"constraints.features.p: {features.p:g} given, but mean_square needs 2")
    optimizer, coupled = config.optimizer, config.objective.weight_decay
    if isinstance(optimizer, Sgd) and optimizer.nesterov and optimizer.momentum == 0:
        problems.append("optimizer.nesterov: needs optimizer.momentum > 0")
    if coupled > 0 and isinstance(optimizer, AdamW):
        problems.append(
            f"objective.weight_decay: {coupled} given, but AdamW decays decoupled: set optimizer.decoupled_decay"
        )
    elif coupled > 0 and isinstance(optimizer, Sgd) and optimizer.decoupled_decay > 0:
        problems.append(
            f"objective.weight_decay: {coupled} (coupled) given together with optimizer.decoupled_decay: "
            f"{optimizer.decoupled_decay}; set one of them to 0"
        )
    return problems
