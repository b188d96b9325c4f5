"""How long a run trains, and when it is measured."""

from pydantic import Field

from nc_bench.config.section import Section
from nc_bench.config.values import Count, NonNegative, RecordedEpochs


class Training(Section):
    """How long, in which batches, and how often the state is saved."""

    epochs: Count = Field(description="Passes over the training data.")
    batch_size: Count | None = Field(description="Samples in a batch; null: all of them (full batch).")
    checkpoint_seconds: NonNegative = Field(
        default=10.0, description="Least time between two checkpoints; 0: one after every epoch."
    )


class Record(Section):
    """When the metrics are measured."""

    every: RecordedEpochs = Field(
        default="epoch",
        description=(
            "epoch: after every epoch; log: at log-spaced epochs; or a strictly increasing list of epochs, "
            "where 0 is before training."
        ),
    )
