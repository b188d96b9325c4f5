"""The typed configuration of one run: what may be said, its defaults, and what contradicts itself.

Every model is frozen, refuses unknown keys, and takes no number that is infinite or NaN.
"""

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from nc_bench.config.base import Section
from nc_bench.config.constraints import Constraints
from nc_bench.config.cross_checks import cross_checks
from nc_bench.config.data import DATA_BY_NAME, Data
from nc_bench.config.model import MODEL_BY_NAME, Head, Model
from nc_bench.config.objective import Objective
from nc_bench.config.optimizer import OPTIMIZER_BY_NAME, Optimizer
from nc_bench.config.schedule import ConstantSchedule, Schedule
from nc_bench.config.training import Record, Training
from nc_bench.config.values import Seed


class Config(Section):
    """One run of nc_bench: data, model, objective, optimizer and what is recorded."""

    per_trial: ClassVar[frozenset[str]] = frozenset({"seed"})
    not_in_hash: ClassVar[frozenset[str]] = frozenset({"device"})

    seed: Seed = Field(
        default=0,
        description="Source of the separate random streams of initialisation, data order and labels.",
    )
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|cuda(:(0|[1-9][0-9]?))?)$",
        description="auto (a GPU where there is one), cpu, cuda or cuda:N (N < 100); Apple's GPUs have no float64.",
    )
    dtype: Literal["float32", "float64"] = Field(
        default="float32", description="Precision of training; metrics are always taken in float64."
    )
    data: Data = Field(discriminator=DATA_BY_NAME, description="Which images are classified, and by which labels.")
    model: Model = Field(discriminator=MODEL_BY_NAME, description="The backbone, from input to features.")
    head: Head = Field(default=Head(), description="The last linear layer.")
    constraints: Constraints = Field(default=Constraints(), description="Bounds on features, head, outputs.")
    objective: Objective = Field(default=Objective(), description="Loss and penalties.")
    optimizer: Optimizer = Field(discriminator=OPTIMIZER_BY_NAME, description="How a step is taken.")
    schedule: Schedule = Field(
        default=ConstantSchedule(name="constant"),
        discriminator="name",
        description="The learning rate over the run.",
    )
    training: Training = Field(description="Epochs, batches, checkpoints.")
    record: Record = Field(default=Record(), description="When and where the metrics are measured.")

    @model_validator(mode="after")
    def _consistent(self) -> "Config":
        if problems := cross_checks(self):
            raise ValueError("\n".join(problems))
        return self

    @property
    def coupled_decays(self) -> tuple[float, float]:
        """Coupled decay of backbone and head."""
        return self.objective.weight_decay, self.objective.decay_of_head

    @property
    def acting_head_decay(self) -> float:
        """The l of l W = (1/N) (Y - P)^T H where the optimizer comes to rest."""
        return self.optimizer.acting_head_decay(self.objective.decay_of_head)

    @property
    def decoupled_decays(self) -> tuple[float, float]:
        """Decoupled decay of backbone and head; zero under an optimizer that has none."""
        return self.optimizer.decoupled_decays


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a configuration file, for editors that complete and check YAML."""
    return schema_of(Config)


def schema_of(file: type[Section]) -> dict[str, Any]:
    """The JSON Schema of a kind of file."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **file.model_json_schema()}
