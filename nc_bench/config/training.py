"""How long a run trains, and when it is measured."""

import math
from bisect import bisect_left
from collections.abc import Collection, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from nc_bench.config.base import Section
from nc_bench.config.plugin import PluginPath, PluginSection
from nc_bench.config.values import (
    ClassColumns,
    Count,
    Flag,
    KeptFeatures,
    LoggerNames,
    NonNegative,
    NonNegativeInteger,
    PathText,
    Positive,
    RecordedEpochs,
    RecordedLayers,
)

PER_DECADE = 10
"""Log-spaced recordings while the number of epochs grows tenfold."""

PICTURES = 24
"""Epochs of a run of which a picture is kept and shown."""


class Stop(Section):
    """When training ends before its last epoch, going by the training split at recorded epochs; the first rule wins."""

    simplex_efficiency: Positive | None = Field(
        default=None, description="Stop where simplex_efficiency has reached this value, null: never for that reason."
    )
    terminal_epochs: NonNegativeInteger | None = Field(
        default=None,
        description="Stop this many epochs after the first recorded epoch of zero training error (the terminal phase "
        "of training); null: never for that reason.",
    )

    def problems(self) -> list[str]:
        """Contradictions among its settings, one `dotted.path: problem` each."""
        if self.simplex_efficiency is None and self.terminal_epochs is None:
            return ["training.stop: should name a rule: simplex_efficiency or terminal_epochs"]
        return []


class Training(Section):
    """How long, in which batches, and how often the state is saved."""

    not_in_hash: ClassVar[frozenset[str]] = frozenset({"checkpoint_seconds", "epochs", "stop"})

    epochs: NonNegativeInteger = Field(
        description="Passes over the training data; with 0 the model is measured and judged as it is."
    )
    batch_size: Count | None = Field(description="Samples in a batch; null: all of them (full batch).")
    checkpoint_seconds: NonNegative = Field(
        default=10.0, description="Least time between two checkpoints; 0: one after every epoch."
    )
    autocast: Literal["none", "bfloat16"] = Field(
        default="none",
        description="bfloat16: the layers for which torch's autocast takes it run in bfloat16 while training; "
        "parameters, update and every measurement keep dtype.",
    )
    channels_last: Flag = Field(
        default=False,
        description="Whether images have their channels innermost in memory while training; for convolutions.",
    )
    compile: Flag = Field(
        default=False,
        description="Whether the forward pass of training goes through torch.compile, which needs a C++ compiler. "
        "Measurements go through the plain module.",
    )
    stop: Stop | None = Field(default=None, description="Rules that end training early; null: none.")
    warm_start: PathText | None = Field(
        default=None,
        description="A run directory (its newest checkpoint) or a checkpoint file, whose weights the model starts "
        "from, with a fresh optimizer and at step 0; null: a new model.",
    )


def log_spaced(epochs: Sequence[int], most: int) -> list[int]:
    """About `most` of these increasing epochs, evenly spaced in log(1 + epoch), the first and the last among them."""
    if len(epochs) <= most:
        return list(epochs)
    low, high = math.log1p(epochs[0]), math.log1p(epochs[-1])
    chosen: set[int] = set()
    for points in range(most, 8 * most):
        places = (math.expm1(low + (high - low) * point / (points - 1)) for point in range(points))
        finer = {epochs[min(bisect_left(epochs, round(place)), len(epochs) - 1)] for place in places}
        if len(finer) > most:
            break
        chosen = finer | {epochs[0], epochs[-1]}
    return sorted(chosen)


class PluginMetric(PluginSection):
    """A metric of the user's own."""

    name: PluginPath = Field(
        description="import:<module>:<name>, a function that is given features (n, d), labels (n,), weight (K, d), "
        "bias (K,) and classes, as far as its signature has them, and returns a number."
    )
    column: str | None = Field(default=None, pattern=r"^[A-Za-z_]\w*$", description="Its column; null: its own name.")

    @property
    def column_name(self) -> str:
        """Its column in the rows."""
        return self.column or self.name.rpartition(":")[2].rpartition(".")[2]


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


class Record(Section):
    """When and where in the network the metrics are measured, and where the rows go."""

    not_in_hash: ClassVar[frozenset[str]] = frozenset({"log"})

    every: RecordedEpochs = Field(
        default="epoch",
        description=(
            "epoch: after every epoch; log: at log-spaced epochs and where the last tenth begins; or a strictly "
            "increasing list of epochs, where 0 is before training."
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
    stable_ranks: Flag = Field(
        default=False,
        description="Whether the stable ranks |A|_F^2/|A|_op^2 of the features' deviations from their class means and "
        "of the weight that reads them are measured too, at every recorded layer.",
    )
    per_class: ClassColumns = Field(
        default=(),
        description="Numbers of every class that become columns, as accuracy_class_0, accuracy_class_1, ..: a list of "
        "accuracy, cosine, mean_norm, risk, variance and weight_norm.",
    )
    correct_only: Flag = Field(
        default=False,
        description="Whether the metrics of the samples that the model classifies correctly are measured too, as rows "
        "of the splits train_correct and test_correct.",
    )
    kernel_share: Flag = Field(
        default=False,
        description="Whether the share of the features that lies in the kernel of the head's weight is measured too.",
    )
    hull_overlap: Count | None = Field(
        default=None,
        description="If given, the share of the pairs of classes whose convex hulls meet is measured too, at every "
        "recorded layer, on so many training samples of each class, the first ones, after the last epoch; a linear "
        "programme for each pair.",
    )
    metrics: tuple[Annotated[PluginMetric, BeforeValidator(_named)], ...] = Field(
        default=(),
        description="Metrics of your own at the penultimate layer: a list of import:<module>:<name>, or of mappings "
        "with name, arguments and column.",
    )
    features: KeptFeatures = Field(
        default=False,
        description="Whether the features of all recorded layers and epochs are kept in the run's folder features/, "
        "a safetensors file per epoch and split; or a list of the splits, of train and test.",
    )

    log: LoggerNames = Field(
        default=(),
        description="Loggers that get every row besides the run directory, a list: csv (DIR/log.csv), tensorboard "
        "(DIR/tensorboard), wandb (offline in DIR/wandb unless WANDB_MODE says otherwise), mlflow (DIR/mlflow unless "
        "MLFLOW_TRACKING_URI says otherwise). One that fails does not end the run.",
    )
    picture: Flag = Field(
        default=True,
        description="Whether what the page draws of about 24 of the recorded epochs, log-spaced, is kept in the run's "
        "folder features/: coordinates of at most 1,000 samples a split, of class means and of the rows of W.",
    )

    def recorded_epochs(self, last: int) -> Collection[int]:
        """The epochs after which a run of `last` epochs is measured; 0 is before training. Every epoch is a range.

        "log": the integers nearest to 10^(i/10), and the epoch with which the last tenth of training begins. The
        last epoch always counts: verdicts are passed there.
        """
        if self.every == "epoch":
            return range(min(1, last), last + 1)
        if self.every == "log":
            chosen, power = {min(last, max(1, 9 * last // 10))}, 0
            while (epoch := round(10 ** (power / PER_DECADE))) <= last:
                chosen.add(epoch)
                power += 1
        else:
            chosen = {epoch for epoch in self.every if epoch <= last}
        return frozenset(chosen | {last})

    def pictured_epochs(self, last: int) -> Collection[int]:
        """The recorded epochs of which a picture is kept, the first and the last among them."""
        return log_spaced(sorted(self.recorded_epochs(last)), PICTURES) if self.picture else ()

    @property
    def kept_splits(self) -> tuple[str, ...]:
        """The splits whose features are kept."""
        if isinstance(self.features, bool):
            return ("train", "test") if self.features else ()
        return self.features
