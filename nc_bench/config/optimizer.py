"""How a step is taken, and how long the steps are."""

from typing import Literal

from pydantic import Field

from nc_bench.config.section import Section
from nc_bench.config.values import Flag, Milestones, NonNegative, Positive, ZeroToOne


class _Optimizer(Section):
    name: str = Field(description="Which optimiser.")
    lr: Positive = Field(description="Learning rate, before the schedule.")
    backbone_lr_factor: Positive = Field(
        default=1.0,
        description="Learning rate of the backbone in units of lr; a feature table wants the sample count.",
    )


class DecoupledDecay(_Optimizer):
    """What the optimisers share that can decay decoupled: every step first takes parameter *= 1 - lr * l."""

    decoupled_decay: NonNegative = Field(
        default=0.0, description="Decoupled decay l: every step first takes parameter *= 1 - lr * l."
    )
    decoupled_head_decay: NonNegative | None = Field(
        default=None,
        description="Decoupled decay of the head in the place of decoupled_decay, which is then the backbone's alone; "
        "null: the same for both.",
    )

    @property
    def decoupled_decay_of_head(self) -> float:
        """The decoupled decay that acts on the head."""
        return self.decoupled_decay if self.decoupled_head_decay is None else self.decoupled_head_decay


class Sgd(DecoupledDecay):
    """Gradient descent on batches, with momentum; with decoupled decay this is SGDW (Loshchilov & Hutter 2019)."""

    name: Literal["sgd"] = Field(description="Stochastic gradient descent.")
    momentum: ZeroToOne = Field(default=0.0, description="Momentum, in [0, 1).")
    nesterov: Flag = Field(default=False, description="Nesterov's momentum; needs momentum > 0.")


class _Adaptive(_Optimizer):
    betas: tuple[ZeroToOne, ZeroToOne] = Field(
        default=(0.9, 0.999), description="Decay rates of the first and second moment, each in [0, 1)."
    )
    eps: Positive = Field(default=1e-8, description="Added to the root of the second moment.")


class Adam(_Adaptive):
    """Adam; objective.weight_decay enters its gradient, so its moments."""

    name: Literal["adam"] = Field(description="Adam.")


class AdamW(_Adaptive, DecoupledDecay):
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


Optimizer = Sgd | Adam | AdamW
Schedule = ConstantSchedule | MultiStepSchedule | CosineSchedule
