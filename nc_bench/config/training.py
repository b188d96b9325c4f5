"""How long a run trains, and when it is measured."""

from pydantic import Field

from nc_bench.config.section import Section
from nc_bench.config.values import Count, Flag, NonNegative, RecordedEpochs, RecordedLayers


class Training(Section):
    """How long, in which batches, and how often the state is saved."""

    epochs: Count = Field(description="Passes over the training data.")
    batch_size: Count | None = Field(description="Samples in a batch; null: all of them (full batch).")
    checkpoint_seconds: NonNegative = Field(
        default=10.0, description="Least time between two checkpoints; 0: one after every epoch."
    )


class Record(Section):
    """When and where in the network the metrics are measured."""

    every: RecordedEpochs = Field(
        default="epoch",
        description=(
            "epoch: after every epoch; log: at log-spaced epochs; or a strictly increasing list of epochs, "
            "where 0 is before training."
        ),
    )
    layers: RecordedLayers = Field(
        default=("penultimate",),
        description=(
            "Where features are measured besides the head's input, which always is: a list of modules of the backbone "
            "by name (layer1, layer2, .. of an mlp, each after its activation), whose outputs are measured without "
            "the head; or all: every direct stage of the backbone that is made of several layers, in the order in "
            "which they run, except one whose output is the head's input."
        ),
    )
    flatten: Flag = Field(
        default=False,
        description="Whether a feature map (c, h, w) is measured as c * h * w numbers; false: averaged over space.",
    )
