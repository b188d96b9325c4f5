"""How a step is taken, and how long the steps are."""

from typing import Literal

from pydantic import Field

from nc_bench.config.base import Section
from nc_bench.config.values import Count, Flag, Milestones, NonNegative, Positive, ZeroToOne


class _Optimizer(Section):
    name: str = Field(description="Which optimiser.")
    lr: Positive = Field(description="Learning rate, before the schedule.")


class FirstOrder(_Optimizer):
    """What the optimisers share that take one gradient a step."""

    backbone_lr_factor: Positive = Field(
        default=1.0,
        description="Learning rate of the backbone in units of lr; a feature table wants the sample count.",
    )
    clip_norm: Positive | None = Field(
        default=None,
        description="C: the gradient g of the loss and of feature decay is first multiplied by min(1, C/(|g| + 1e-6)), "
        "with |g| over all parameters, as torch's clip_grad_norm_ does; null: never.",
    )


class DecoupledDecay(FirstOrder):
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


class _Adaptive(FirstOrder):
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


class Signum(DecoupledDecay):
    """Steps of one size along the signs of the momentum (Bernstein et al. 2018, Algorithm 2)."""

    name: Literal["signum"] = Field(description="Signs of the momentum; with decoupled decay SignumW.")
    momentum: ZeroToOne = Field(default=0.9, description="b of m <- b m + (1 - b) g, in [0, 1); 0 is signSGD.")


class Muon(_Adaptive, DecoupledDecay):
    """Orthogonalised momentum (Jordan et al. 2024), as in torch.optim.Muon, for the weights of hidden layers."""

    name: Literal["muon"] = Field(
        description="Orthogonalised momentum for the weight matrices of the backbone's linear layers, AdamW for the "
        "rest: head, biases, batch norm, convolutions. It decays decoupled."
    )
    momentum: ZeroToOne = Field(default=0.95, description="Momentum of the matrices, in [0, 1).")
    nesterov: Flag = Field(default=True, description="Nesterov's momentum for the matrices.")
    adamw_lr: Positive = Field(description="Learning rate of AdamW, which has betas and eps, for the rest.")


class Lbfgs(_Optimizer):
    """Limited-memory BFGS with a strong Wolfe line search: one iteration a step, on the full batch."""

    name: Literal["lbfgs"] = Field(
        description="L-BFGS (torch.optim.LBFGS): full batch only, and no constraint that acts after a step."
    )
    lr: Positive = Field(default=1.0, description="First step length that the line search tries.")
    history: Count = Field(default=10, description="Pairs of steps and gradient changes that are kept.")


class _Schedule(Section):
    warmup: ZeroToOne = Field(
        default=0.0,
        description="w in [0, 1): over this fraction of the run the learning rate first rises linearly, from 1/steps "
        "of what it would be to all of it.",
    )


class ConstantSchedule(_Schedule):
    """The learning rate stays."""

    name: Literal["constant"] = Field(description="No change of the learning rate.")


class MultiStepSchedule(_Schedule):
    """The learning rate drops by a factor at given fractions of the run."""

    name: Literal["multi_step"] = Field(description="Drops at given fractions of the run.")
    milestones: Milestones = Field(description="Fractions of the run, strictly increasing in (0, 1).")
    factor: Positive = Field(default=0.1, description="What the learning rate is multiplied by at each.")


class CosineSchedule(_Schedule):
    """The learning rate falls to zero along half a cosine over the whole run."""

    name: Literal["cosine"] = Field(
        description="Half a cosine from lr to zero over what warm-up leaves of training.epochs; extending a run "
        "stretches it."
    )


Optimizer = Sgd | Adam | AdamW | Signum | Muon | Lbfgs
Schedule = ConstantSchedule | MultiStepSchedule | CosineSchedule
