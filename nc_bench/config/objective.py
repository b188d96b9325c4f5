"""What is minimised."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from nc_bench.config.plugin import PLUGIN_TAG, PluginPath, PluginSection
from nc_bench.config.values import ClassWeights, Flag, NonNegative, Positive, Share, ZeroToOne
from nc_bench.plugins import is_plugin

CAPTIONS = {
    "focal": "focal loss",
    "mse": "squared error",
    "exponential": "exponential loss",
    "not_stated": "loss not stated",
}
"""How a caption names the losses other than the usual one."""


def _named_or_plugin(value: Any) -> str:
    return PLUGIN_TAG if is_plugin(value) else "named"


Loss = Annotated[
    Annotated[Literal["cross_entropy", "focal", "mse", "exponential", "not_stated"], Tag("named")]
    | Annotated[PluginPath, Tag(PLUGIN_TAG)],
    Discriminator(_named_or_plugin),
]


class Objective(PluginSection):
    """What is minimised: the mean loss plus penalties."""

    plugin_key: ClassVar[str] = "loss"

    per_trial: ClassVar[frozenset[str]] = frozenset(
        {
            "class_weights",
            "feature_decay",
            "focal_gamma",
            "head_decay",
            "label_smoothing",
            "mixup",
            "mse_target",
            "mse_true_weight",
            "weight_decay",
        }
    )

    loss: Loss = Field(
        default="cross_entropy",
        description="Mean over the samples of the softmax cross entropy -log p_y, or (focal) of -(1 - p_y)^g log p_y, "
        "or (mse) of half the squared distance between logits and one-hot labels, or (exponential, two classes only) "
        "of exp(-(z_y - z_other)/2): that is exp(-xi h) for the labels xi = -1, 1 of the classes 0, 1 and the logits "
        "(-h, h) of a binary classifier h, as in section 5.2 of E & Wojtowytsch; or import:<module>:<name>, a function "
        "of logits (n, K) and labels (n,) that returns a number for each sample, or a class of such functions; or "
        "(not_stated) that of a foreign loop whose author has stated neither loss nor bounds. The "
        "metric risk is the plain cross entropy all the same.",
    )
    label_smoothing: ZeroToOne = Field(
        default=0.0, description="a in [0, 1): the targets are (1 - a) one-hot + a/K. Cross entropy only."
    )
    mixup: Share | None = Field(
        default=None,
        description="lam in [0, 1]: every sample is a mixture of its class c and the next one, c + 1 (of the last: 0), "
        "with the target lam e_c + (1 - lam) e_(c+1). Free features and cross entropy only; null: none.",
    )
    focal_gamma: NonNegative | None = Field(
        default=None,
        description="g of the focal loss, 2 in Lin et al. 2017; null for the other losses.",
    )
    mse_true_weight: Positive = Field(
        default=1.0,
        description="k of the rescaled squared error (k (z_y - M)^2 + sum over j != y of z_j^2)/2, which is K/2 times "
        "that of Hui & Belkin 2021, section 2. Only for mse.",
    )
    mse_target: Positive = Field(
        default=1.0, description="M, what the logit of the true class should be; see mse_true_weight. Only for mse."
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
    head_decay: NonNegative | None = Field(
        default=None,
        description="Coupled weight decay of the head in the place of weight_decay, which is then the backbone's "
        "alone; null: the same for both.",
    )
    decay_biases: Flag = Field(
        default=True,
        description="Whether biases and batch-norm parameters are decayed too, as torch's optimizers do.",
    )
    feature_decay: NonNegative = Field(
        default=0.0,
        description="l_h: adds l_h/2 sum |h|^2 over a feature table, and for a network its batch mean "
        "times the number of samples.",
    )

    @property
    def not_stacked(self) -> str:
        """Why trials with this loss cannot be stacked into one batched program; empty if they can."""
        return "a plug-in sees one trial at a time" if self.is_plugin else ""

    @property
    def is_plugin(self) -> bool:
        """Whether the loss is the user's own; nothing is known of it."""
        return is_plugin(self.loss)

    @property
    def decay_of_head(self) -> float:
        """The coupled weight decay that acts on the head."""
        return self.weight_decay if self.head_decay is None else self.head_decay

    @property
    def is_cross_entropy(self) -> bool:
        """Whether the loss is the softmax cross entropy, smoothed and weighted or not."""
        return self.loss == "cross_entropy"

    @property
    def is_plain(self) -> bool:
        """Whether the loss is the softmax cross entropy on one-hot targets, weighted or not."""
        return self.is_cross_entropy and self.label_smoothing == 0 and self.mixup is None

    @property
    def is_stated(self) -> bool:
        """Whether it is known what is minimised."""
        return self.loss != "not_stated"

    @property
    def is_for_two_classes(self) -> bool:
        """Whether the loss is defined for two classes only."""
        return self.loss == "exponential"

    @property
    def is_squared_error(self) -> bool:
        """Whether the loss is the squared error, rescaled or not."""
        return self.loss == "mse"

    @property
    def is_rescaled(self) -> bool:
        """Whether the squared error is not the plain one."""
        return (self.mse_true_weight, self.mse_target) != (1, 1)

    @property
    def has_known_minimizer(self) -> bool:
        """Whether theory knows where free features and head minimise this loss with decay."""
        return self.loss in ("cross_entropy", "mse", "focal")

    def sentences(self) -> list[str]:
        """Loss and penalties in a caption, as far as they are not the usual ones."""
        said = [] if self.is_cross_entropy else [CAPTIONS.get(self.loss, f"loss {self.loss}")]
        if self.is_rescaled:
            said.append(f"true class weighted {self.mse_true_weight:g}, target {self.mse_target:g}")
        if self.class_weights:
            said.append("class weights")
        numbers = {
            "label smoothing": self.label_smoothing or None,
            "mixup": self.mixup,
            "weight decay": self.weight_decay or None,
            "feature decay": self.feature_decay or None,
            "gamma": self.focal_gamma,
            "decay of the head": self.head_decay,
        }
        return said + [f"{name} {value:g}" for name, value in numbers.items() if value is not None]

    def problems(self) -> list[str]:
        """Contradictions among its settings, one `dotted.path: problem` each."""
        problems, focal = self.plugin_problems("objective"), self.loss == "focal"
        if self.label_smoothing > 0 and not self.is_cross_entropy:
            problems.append("objective.label_smoothing: needs objective.loss: cross_entropy")
        if self.mixup is not None:
            if not self.is_cross_entropy:
                problems.append("objective.mixup: needs objective.loss: cross_entropy")
            if self.label_smoothing > 0:
                problems.append(f"objective.mixup: {self.mixup:g} given together with label_smoothing; choose one")
        if focal and self.focal_gamma is None:
            problems.append("objective.focal_gamma: missing (2 in Lin et al. 2017)")
        if self.focal_gamma is not None and not focal:
            problems.append("objective.focal_gamma: needs objective.loss: focal")
        if not self.is_squared_error:
            for name, value in (("mse_true_weight", self.mse_true_weight), ("mse_target", self.mse_target)):
                problems += [f"objective.{name}: needs objective.loss: mse"] * (value != 1)
        return problems
