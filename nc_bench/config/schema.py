"""The typed configuration of one run: what may be said, its defaults, and what contradicts itself.

Every model is frozen, refuses unknown keys, and takes no number that is infinite or NaN.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from nc_bench.config.values import (
    AboveOne,
    ClassWeights,
    Count,
    Flag,
    Milestones,
    NonNegative,
    NonNegativeInteger,
    Positive,
    RecordedEpochs,
    ZeroToOne,
)


class Section(BaseModel):
    """What all parts of a configuration share: frozen, no unknown keys, finite numbers only."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Data(Section):
    """Which images are classified, and by which labels."""

    name: Literal["digits", "mnist", "fashion_mnist"] = Field(
        description="The data set. digits comes with scikit-learn; the others are read from root."
    )
    root: str = Field(
        default="~/.cache/nc_bench/data",
        min_length=1,
        description="Folder of the downloaded data sets; ~ is the home folder. digits does not use it.",
    )
    download: Flag = Field(default=False, description="Whether files missing in root are downloaded.")
    labels: Literal["original", "random"] = Field(
        default="original",
        description="random: a fixed permutation of the training labels; the test labels stay true.",
    )


class Mlp(Section):
    """A fully connected backbone; the last entry of widths is the width of the penultimate features."""

    name: Literal["mlp"] = Field(description="Fully connected network.")
    widths: tuple[Count, ...] = Field(
        min_length=1, description="Hidden and feature widths; neither the input nor the classes are listed."
    )
    activation: Literal["relu", "leaky_relu", "gelu", "tanh", "sigmoid", "hard_tanh"] = Field(
        default="relu", description="Nonlinearity after every layer of the backbone."
    )
    batch_norm: Flag = Field(default=False, description="Batch normalisation before each activation.")
    final_activation: Flag = Field(
        default=True,
        description=(
            "Whether the feature layer itself ends in (batch norm and) the activation; "
            "false: a purely linear feature layer."
        ),
    )


class Unconstrained(Section):
    """A free feature vector per training sample instead of a network (unconstrained features)."""

    name: Literal["unconstrained"] = Field(description="Unconstrained features: a table, one row a sample.")
    widths: tuple[Count, ...] = Field(
        min_length=1, max_length=1, description="Exactly one entry, the width of the features."
    )
    init_scale: Positive = Field(
        default=1.0, description="Standard deviation of the entries of the features at the start."
    )
    nonnegative: Flag = Field(
        default=False, description="Whether features are kept in the non-negative orthant by projection."
    )


class Head(Section):
    """The last linear layer, logits = W h + b."""

    bias: Flag = Field(default=True, description="Whether the head has a bias b.")
    init: Literal["default", "simplex"] = Field(
        default="default",
        description="default: torch's initialisation of a linear layer; simplex: rows at simplex vertices.",
    )
    trainable: Flag = Field(default=True, description="false: the head keeps its initial value.")


class LpBall(Section):
    """|x|_p <= radius for every row x."""

    radius: Positive = Field(description="Radius of the ball.")
    p: AboveOne = Field(default=2.0, description="Exponent of the l^p norm, 1 < p < infinity.")


class FeatureBound(LpBall):
    """What features may not leave: a ball for every feature, or a ball for their root mean square."""

    set: Literal["ball", "mean_square"] = Field(
        default="ball",
        description="ball: |f(x)|_p <= radius for every x; mean_square (feature tables, p = 2): the mean of |f(x)|^2 "
        "over the samples is at most radius^2.",
    )


class HeadBound(Section):
    """What the last layer may not leave: a bound of its singular values, or of its rows' root mean square."""

    radius: Positive = Field(description="Bound of the spectral norm, or of the rows' root mean square.")
    set: Literal["spectral", "mean_square"] = Field(
        default="spectral",
        description="spectral: |W|_op <= radius; mean_square: the mean of |w_k|^2 over the classes is at most "
        "radius^2.",
    )


class Constraints(Section):
    """Sets that features, head and outputs may not leave; null where there is no bound."""

    features: FeatureBound | None = Field(
        default=None,
        description="|f(x)|_p <= radius: radially in a network's forward pass, by projection for a table.",
    )
    head: HeadBound | None = Field(
        default=None, description="|W|_op <= radius, by clipping singular values after each step."
    )
    outputs: LpBall | None = Field(
        default=None, description="|h(x)|_p <= radius for the logits, radially in the forward pass."
    )


class Objective(Section):
    """What is minimised: the mean loss plus penalties."""

    loss: Literal["cross_entropy", "mse"] = Field(
        default="cross_entropy",
        description="Mean over the samples of the softmax cross entropy, or (mse) of half the squared distance "
        "between logits and one-hot labels. The metric risk is the plain cross entropy all the same.",
    )
    label_smoothing: ZeroToOne = Field(
        default=0.0, description="a in [0, 1): the targets are (1 - a) one-hot + a/K. Cross entropy only."
    )
    class_weights: ClassWeights | None = Field(
        default=None,
        description="A positive number per class: the loss is sum_i w(y_i) l_i / sum_i w(y_i), the denominator taken "
        "over all training samples; null: all equal.",
    )
    weight_decay: NonNegative = Field(
        default=0.0,
        description="Coupled weight decay l: adds l/2 |parameters|^2 to the objective, so l * parameter to "
        "the gradient. A feature table is not a weight; see feature_decay.",
    )
    decay_biases: Flag = Field(
        default=True,
        description="Whether biases and batch-norm parameters are decayed too, as torch's optimisers do.",
    )
    feature_decay: NonNegative = Field(
        default=0.0,
        description="l_h: adds l_h/2 sum |h|^2 over a feature table, and for a network its batch mean "
        "times the number of samples.",
    )


class _Optimizer(Section):
    name: str = Field(description="Which optimiser.")
    lr: Positive = Field(description="Learning rate, before the schedule.")
    backbone_lr_factor: Positive = Field(
        default=1.0,
        description="Learning rate of the backbone in units of lr; a feature table wants the sample count.",
    )


class Sgd(_Optimizer):
    """Gradient descent on batches, with momentum."""

    name: Literal["sgd"] = Field(description="Stochastic gradient descent.")
    momentum: ZeroToOne = Field(default=0.0, description="Momentum, in [0, 1).")
    nesterov: Flag = Field(default=False, description="Nesterov's momentum; needs momentum > 0.")
    decoupled_decay: NonNegative = Field(
        default=0.0, description="Decoupled decay l: every step first takes parameter *= 1 - lr * l."
    )


class _Adaptive(_Optimizer):
    betas: tuple[ZeroToOne, ZeroToOne] = Field(
        default=(0.9, 0.999), description="Decay rates of the first and second moment, each in [0, 1)."
    )
    eps: Positive = Field(default=1e-8, description="Added to the root of the second moment.")


class Adam(_Adaptive):
    """Adam; objective.weight_decay enters its gradient, so its moments."""

    name: Literal["adam"] = Field(description="Adam.")


class AdamW(_Adaptive):
    """Adam with decoupled decay."""

    name: Literal["adamw"] = Field(description="Adam with decoupled decay.")
    decoupled_decay: NonNegative = Field(
        description="Decoupled decay l: every step first takes parameter *= 1 - lr * l. It has no default."
    )


class ConstantSchedule(Section):
    """The learning rate stays."""

    name: Literal["constant"] = Field(description="No change of the learning rate.")


class MultiStepSchedule(Section):
    """The learning rate drops by a factor at given fractions of the run."""

    name: Literal["multi_step"] = Field(description="Drops at given fractions of the run.")
    milestones: Milestones = Field(description="Fractions of the run, strictly increasing in (0, 1).")
    factor: Positive = Field(default=0.1, description="What the learning rate is multiplied by at each.")


class CosineSchedule(Section):
    """The learning rate falls to zero along half a cosine over the whole run."""

    name: Literal["cosine"] = Field(
        description="Half a cosine from lr to zero over training.epochs; extending a run stretches it."
    )


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


Model = Mlp | Unconstrained
Optimizer = Sgd | Adam | AdamW
Schedule = ConstantSchedule | MultiStepSchedule | CosineSchedule


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
    record: Record = Field(default=Record(), description="When the metrics are measured.")

    @model_validator(mode="after")
    def _consistent(self) -> "Config":
        if problems := _contradictions(self):
            raise ValueError("\n".join(problems))
        return self


def _contradictions(config: Config) -> list[str]:
    """What the fields say against each other, one `dotted.path: problem` each."""
    problems = []
    if config.objective.loss == "mse" and config.objective.label_smoothing > 0:
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
