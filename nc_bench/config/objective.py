"""What is minimised."""

from typing import Literal

from pydantic import Field

from nc_bench.config.base import Section
from nc_bench.config.values import ClassWeights, Flag, NonNegative, Positive, ZeroToOne


class Objective(Section):
    """What is minimised: the mean loss plus penalties."""

    loss: Literal["cross_entropy", "focal", "mse", "exponential"] = Field(
        default="cross_entropy",
        description="Mean over the samples of the softmax cross entropy -log p_y, or (focal) of -(1 - p_y)^g log p_y, "
        "or (mse) of half the squared distance between logits and one-hot labels, or (exponential, two classes only) "
        "of exp(-(z_y - z_other)/2): that is exp(-xi h) for the labels xi = -1, 1 of the classes 0, 1 and the logits "
        "(-h, h) of a binary classifier h, as in section 5.2 of E & Wojtowytsch. The metric risk is the plain cross "
        "entropy all the same.",
    )
    label_smoothing: ZeroToOne = Field(
        default=0.0, description="a in [0, 1): the targets are (1 - a) one-hot + a/K. Cross entropy only."
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
        description="Whether biases and batch-norm parameters are decayed too, as torch's optimisers do.",
    )
    feature_decay: NonNegative = Field(
        default=0.0,
        description="l_h: adds l_h/2 sum |h|^2 over a feature table, and for a network its batch mean "
        "times the number of samples.",
    )

    @property
    def decay_of_head(self) -> float:
        """The coupled weight decay that acts on the head."""
        return self.weight_decay if self.head_decay is None else self.head_decay
