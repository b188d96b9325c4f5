"""How a step is taken, and what is known of each optimizer."""

from typing import Annotated, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from nc_bench.config.base import Section
from nc_bench.config.plugin import PLUGIN_TAG, PluginPath, PluginSection, tag_of
from nc_bench.config.values import Flag, NonNegative, Positive, SmallCount, ZeroToOne


class _Optimizer(Section):
    """What the rest of the code asks of an optimizer; one that differs from what stands here says so itself."""

    not_stacked: ClassVar[str] = ""
    """Why trials under this optimizer cannot be stacked into one batched program; empty if they can."""

    per_trial: ClassVar[frozenset[str]] = frozenset({"lr"})

    full_batch_only: ClassVar[bool] = False
    """Whether every step needs the loss over all samples."""

    allows_projection: ClassVar[bool] = True
    """Whether parameters may be projected after a step."""

    decays_only_decoupled: ClassVar[bool] = False
    """Whether coupled decay, through the gradient, is refused."""

    for_hidden_matrices: ClassVar[bool] = False
    """Whether it is made for the weight matrices of the backbone's linear layers, and moves the rest otherwise."""

    rests_at_zero_gradient: ClassVar[bool | None] = False
    """Whether it comes to rest where the gradient of the head vanishes, with the decay `acting_head_decay`. None: not
    known."""

    name: str = Field(description="Which optimizer.")
    lr: Positive = Field(description="Learning rate, before the schedule.")

    @property
    def max_gradient_norm(self) -> float | None:
        """Norm to which gradients are clipped, None where they never are."""
        return None

    @property
    def decoupled_decays(self) -> tuple[float, float]:
        """Decoupled decay of backbone and head."""
        return 0.0, 0.0

    @property
    def own_head_decay(self) -> float | None:
        """Decoupled decay that the head was given for itself, None if none was."""
        return None

    def acting_head_decay(self, coupled: float) -> float:
        """The l of l W = (1/N) (Y - P)^T H at rest, given the coupled decay of the head."""
        return coupled

    def learning_rate(self, *, in_backbone: bool, is_hidden_matrix: bool) -> float:
        """Learning rate of a parameter, before the schedule."""
        return self.lr

    def decay_sentences(self) -> list[str]:
        """Its decoupled decays in a caption, those that are given."""
        decay, own = self.decoupled_decays[0], self.own_head_decay
        return [f"decoupled decay {decay:g}"] * (decay != 0) + [
            f"decoupled decay of the head {head:g}" for head in (own,) if head is not None
        ]

    def problems(self) -> list[str]:
        """Contradictions among its settings, one `dotted.path: problem` each."""
        return []


class FirstOrder(_Optimizer):
    """What the optimizers share that take one gradient a step."""

    per_trial: ClassVar[frozenset[str]] = _Optimizer.per_trial | {"backbone_lr_factor", "clip_norm"}

    backbone_lr_factor: Positive = Field(
        default=1.0,
        description="Learning rate of the backbone in units of lr; a feature table wants the sample count.",
    )
    clip_norm: Positive | None = Field(
        default=None,
        description="C: the gradient g of the loss and of feature decay is first multiplied by min(1, C/(|g| + 1e-6)), "
        "with |g| over all parameters, as torch's clip_grad_norm_ does; null: never.",
    )

    @property
    def max_gradient_norm(self) -> float | None:
        return self.clip_norm

    def learning_rate(self, *, in_backbone: bool, is_hidden_matrix: bool) -> float:
        return self.lr * self.backbone_lr_factor if in_backbone else self.lr


class DecoupledDecay(FirstOrder):
    """What the optimizers share that can decay decoupled: every step first takes parameter *= 1 - lr * l."""

    per_trial: ClassVar[frozenset[str]] = FirstOrder.per_trial | {"decoupled_decay", "decoupled_head_decay"}

    decoupled_decay: NonNegative = Field(
        default=0.0, description="Decoupled decay l: every step first takes parameter *= 1 - lr * l."
    )
    decoupled_head_decay: NonNegative | None = Field(
        default=None,
        description="Decoupled decay of the head in the place of decoupled_decay, which is then the backbone's alone; "
        "null: the same for both.",
    )

    @property
    def own_head_decay(self) -> float | None:
        return self.decoupled_head_decay

    @property
    def decoupled_decays(self) -> tuple[float, float]:
        head = self.decoupled_decay if self.decoupled_head_decay is None else self.decoupled_head_decay
        return self.decoupled_decay, head


class Sgd(DecoupledDecay):
    """Gradient descent on batches, with momentum; with decoupled decay this is SGDW (Loshchilov & Hutter 2019)."""

    per_trial: ClassVar[frozenset[str]] = DecoupledDecay.per_trial | {"momentum"}
    rests_at_zero_gradient: ClassVar[bool | None] = True

    name: Literal["sgd"] = Field(description="Stochastic gradient descent.")
    momentum: ZeroToOne = Field(default=0.0, description="Momentum, in [0, 1).")
    nesterov: Flag = Field(default=False, description="Nesterov's momentum; needs momentum > 0.")

    def acting_head_decay(self, coupled: float) -> float:
        """Momentum lengthens the steps of the gradient by 1 / (1 - momentum), and those of decoupled decay not."""
        return coupled + (1 - self.momentum) * self.decoupled_decays[1]

    def problems(self) -> list[str]:
        return _nesterov_without_momentum(self.momentum, nesterov=self.nesterov)


class _Adaptive(FirstOrder):
    per_trial: ClassVar[frozenset[str]] = FirstOrder.per_trial | {"betas", "eps"}

    betas: tuple[ZeroToOne, ZeroToOne] = Field(
        default=(0.9, 0.999), description="Decay rates of the first and second moment, each in [0, 1)."
    )
    eps: Positive = Field(default=1e-8, description="Added to the root of the second moment.")


class Adam(_Adaptive):
    """Adam; objective.weight_decay enters its gradient, so its moments."""

    rests_at_zero_gradient: ClassVar[bool | None] = True

    name: Literal["adam"] = Field(description="Adam.")


class AdamW(_Adaptive, DecoupledDecay):
    """Adam with decoupled decay."""

    per_trial: ClassVar[frozenset[str]] = _Adaptive.per_trial | DecoupledDecay.per_trial
    decays_only_decoupled: ClassVar[bool] = True

    name: Literal["adamw"] = Field(description="Adam with decoupled decay.")
    decoupled_decay: NonNegative = Field(
        description="Decoupled decay l: every step first takes parameter *= 1 - lr * l. It has no default."
    )


class Signum(DecoupledDecay):
    """Steps of one size along the signs of the momentum (Bernstein et al. 2018, Algorithm 2)."""

    per_trial: ClassVar[frozenset[str]] = DecoupledDecay.per_trial | {"momentum"}

    name: Literal["signum"] = Field(description="Signs of the momentum; with decoupled decay SignumW.")
    momentum: ZeroToOne = Field(default=0.9, description="b of m <- b m + (1 - b) g, in [0, 1); 0 is signSGD.")


class Muon(_Adaptive, DecoupledDecay):
    """Orthogonalised momentum (Jordan et al. 2024), as in torch.optim.Muon, for the weights of hidden layers."""

    per_trial: ClassVar[frozenset[str]] = _Adaptive.per_trial | DecoupledDecay.per_trial | {"adamw_lr", "momentum"}
    decays_only_decoupled: ClassVar[bool] = True
    for_hidden_matrices: ClassVar[bool] = True

    name: Literal["muon"] = Field(
        description="Orthogonalised momentum for the weight matrices of the backbone's linear layers, AdamW for the "
        "rest: head, biases, batch norm, convolutions. It decays decoupled."
    )
    momentum: ZeroToOne = Field(default=0.95, description="Momentum of the matrices, in [0, 1).")
    nesterov: Flag = Field(default=True, description="Nesterov's momentum for the matrices.")
    adamw_lr: Positive = Field(description="Learning rate of AdamW, which has betas and eps, for the rest.")

    def learning_rate(self, *, in_backbone: bool, is_hidden_matrix: bool) -> float:
        rate = self.lr if is_hidden_matrix else self.adamw_lr
        return rate * self.backbone_lr_factor if in_backbone else rate

    def problems(self) -> list[str]:
        return _nesterov_without_momentum(self.momentum, nesterov=self.nesterov)


class Lbfgs(_Optimizer):
    """Limited-memory BFGS with a strong Wolfe line search: one iteration a step, on the full batch."""

    not_stacked: ClassVar[str] = "its line search is for one trial"
    full_batch_only: ClassVar[bool] = True
    allows_projection: ClassVar[bool] = False
    rests_at_zero_gradient: ClassVar[bool | None] = True

    name: Literal["lbfgs"] = Field(
        description="L-BFGS (torch.optim.LBFGS): full batch only, and no constraint that acts after a step."
    )
    lr: Positive = Field(default=1.0, description="First step length that the line search tries.")
    history: SmallCount = Field(default=10, description="Pairs of steps and gradient changes that are kept.")


def _nesterov_without_momentum(momentum: float, *, nesterov: bool) -> list[str]:
    return ["optimizer.nesterov: needs optimizer.momentum > 0"] if nesterov and momentum == 0 else []


class PluginOptimizer(DecoupledDecay, PluginSection):
    """Any optimizer of torch's kind. It is given lr and gradients; decay, clipping and the schedule are the bench's."""

    not_stacked: ClassVar[str] = "a plug-in sees one trial at a time"
    rests_at_zero_gradient: ClassVar[bool | None] = None

    name: PluginPath = Field(
        description="import:<module>:<name>, a class derived from torch.optim.Optimizer whose step needs no closure."
    )

    def problems(self) -> list[str]:
        decay = "optimizer.arguments.weight_decay: set objective.weight_decay (coupled) or optimizer.decoupled_decay"
        return [decay] if "weight_decay" in self.arguments else []


class ForeignOptimizer(_Optimizer):
    """How a loop of its author's takes its steps, which is not known; decay is stated in `objective`."""

    not_stacked: ClassVar[str] = "its steps are not known"
    rests_at_zero_gradient: ClassVar[bool | None] = None

    name: Literal["foreign"] = Field(
        description="That of a loop that is not the bench's, as nc_bench.RunRecorder writes it."
    )
    lr: Positive = Field(default=1.0, description="Stands for a learning rate that is not known.")


Optimizer = (
    Annotated[Sgd, Tag("sgd")]
    | Annotated[Adam, Tag("adam")]
    | Annotated[AdamW, Tag("adamw")]
    | Annotated[Signum, Tag("signum")]
    | Annotated[Muon, Tag("muon")]
    | Annotated[Lbfgs, Tag("lbfgs")]
    | Annotated[ForeignOptimizer, Tag("foreign")]
    | Annotated[PluginOptimizer, Tag(PLUGIN_TAG)]
)
OPTIMIZER_BY_NAME = Discriminator(tag_of)
