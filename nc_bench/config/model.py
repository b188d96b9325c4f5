"""The classifier of a run, its backbone and its head, and what is known of each model."""

import math
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from nc_bench.config.base import Section
from nc_bench.config.model_facts import EVERYTHING, NONNEGATIVE, ModelFacts, Range
from nc_bench.config.plugin import PLUGIN_TAG, tag_of
from nc_bench.config.unknown_models import ExternalModel, ForeignModel, LiveModel, PluginModel
from nc_bench.config.values import Count, Flag, Positive, Width

ACTIVATION_RANGE: dict[str, Range] = {
    "relu": NONNEGATIVE,
    "leaky_relu": EVERYTHING,
    "gelu": (-0.16997, math.inf),
    "tanh": (-1.0, 1.0),
    "sigmoid": (0.0, 1.0),
    "hard_tanh": (-1.0, 1.0),
    "identity": EVERYTHING,
}
"""Infimum and supremum of what each activation returns."""

MAX_LAYERS = 1000

RESNET_CHANNELS, BOTTLENECK_EXPANSION = (64, 128, 256, 512), 4


class Mlp(ModelFacts):
    """A fully connected backbone; the last entry of widths is the width of the penultimate features.

    With activation identity it is a linear network, and with one width a network of two layers (the head is one).
    """

    name: Literal["mlp"] = Field(description="Fully connected network.")
    widths: tuple[Width, ...] = Field(
        min_length=1,
        max_length=MAX_LAYERS,
        description="Hidden and feature widths; neither the input nor the classes are listed.",
    )
    activation: Literal["relu", "leaky_relu", "gelu", "tanh", "sigmoid", "hard_tanh", "identity"] = Field(
        default="relu",
        description="Nonlinearity after every layer of the backbone; identity: none, a linear network.",
    )
    batch_norm: Flag = Field(default=False, description="Batch normalization before each activation.")
    final_activation: Flag = Field(
        default=True,
        description=(
            "Whether the feature layer itself ends in (batch norm and) the activation; "
            "false: a purely linear feature layer."
        ),
    )
    frozen_layers: Count | None = Field(
        default=None, description="How many layers, from the first on, keep their initial weights; null: none."
    )

    @model_validator(mode="after")
    def _has_as_many_layers(self) -> "Mlp":
        if (self.frozen_layers or 0) > len(self.widths):
            raise ValueError(f"frozen_layers: {self.frozen_layers} given, but widths has {len(self.widths)} layers")
        return self

    @property
    def features_range(self) -> Range:
        return ACTIVATION_RANGE[self.activation] if self.final_activation else EVERYTHING

    @property
    def is_linear(self) -> bool:
        return self.activation == "identity" or (len(self.widths) == 1 and not self.final_activation)

    @property
    def uses_batch_statistics(self) -> bool:
        return self.batch_norm

    def sentence(self) -> str:
        norm = ", batch norm" if self.batch_norm else ""
        if self.activation == "identity":
            return f"linear network {_dashed(self.widths)}{norm}"
        ending = self.activation if self.final_activation else "linear"
        frozen = f", the first {self.frozen_layers} of its layers frozen" if self.frozen_layers else ""
        return f"network {_dashed(self.widths)}{norm}, {ending} features{frozen}"


class _SampleTable(ModelFacts):
    """A table of free vectors, one for every training sample, in the place of the inputs."""

    takes_indices: ClassVar[bool] = True

    @property
    def is_linear(self) -> bool:
        return False

    @property
    def uses_batch_statistics(self) -> bool:
        return False


class Unconstrained(_SampleTable):
    """A free feature vector per training sample instead of a network (unconstrained features)."""

    is_feature_table: ClassVar[bool] = True

    name: Literal["unconstrained"] = Field(description="Unconstrained features: a table, one row a sample.")
    widths: tuple[Width, ...] = Field(
        min_length=1, max_length=1, description="Exactly one entry, the width of the features."
    )
    init_scale: Positive = Field(
        default=1.0, description="Standard deviation of the entries of the features at the start."
    )
    nonnegative: Flag = Field(
        default=False, description="Whether features are kept in the non-negative orthant by projection."
    )

    @property
    def features_range(self) -> Range:
        return NONNEGATIVE if self.nonnegative else EVERYTHING

    def sentence(self) -> str:
        return f"unconstrained features of width {_dashed(self.widths)}{', non-negative' if self.nonnegative else ''}"


class DeepLinear(_SampleTable):
    """Linear layers without bias on a table of free vectors, one a sample: deep linear unconstrained features.

    Logits W_L .. W_2 H with the table H, the layers between, and the head W_L; objective.weight_decay acts on all of
    them, the table included. Dang et al. 2023 (arXiv:2301.00437).
    """

    name: Literal["deep_linear"] = Field(description="Linear layers on a table, one row a sample.")
    widths: tuple[Width, ...] = Field(
        min_length=2,
        max_length=MAX_LAYERS,
        description="Width of the table, then what each linear layer returns; the last is that of the features.",
    )
    init_scale: Positive = Field(
        default=1.0, description="Standard deviation of the entries of the table at the start."
    )

    @property
    def features_range(self) -> Range:
        return EVERYTHING

    @property
    def linear_widths(self) -> tuple[int, ...]:
        return self.widths

    def sentence(self) -> str:
        return f"linear layers {_dashed(self.widths)} on free vectors"


class ResNet(ModelFacts):
    """A residual network (He et al. 2016) of torchvision's blocks; features are means over space after a ReLU.

    Their width is 512 times the multiplier, four times that for resnet50.
    """

    not_stacked: ClassVar[str] = "it is trained one trial at a time"
    takes_images: ClassVar[bool] = True

    name: Literal["resnet18", "resnet34", "resnet50"] = Field(description="Residual network of so many layers.")
    stem: Literal["small", "imagenet"] = Field(
        default="small",
        description="First layer. small: 3x3 convolution, for small images; imagenet: 7x7 convolution of stride 2 and "
        "max-pooling.",
    )
    width_multiplier: Positive = Field(
        default=1.0, le=1000, description="Factor of all numbers of channels, which are 64 to 512 before the expansion."
    )

    @property
    def features_range(self) -> Range:
        return NONNEGATIVE

    @property
    def is_linear(self) -> bool:
        return False

    @property
    def uses_batch_statistics(self) -> bool:
        return True

    @property
    def has_bottlenecks(self) -> bool:
        """Whether its blocks are torchvision's bottlenecks, whose outputs have four times their channels."""
        return self.name == "resnet50"

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels inside the blocks of the four stages."""
        return tuple(max(1, round(channels * self.width_multiplier)) for channels in RESNET_CHANNELS)

    @property
    def features_width(self) -> int:
        return self.channels[-1] * (BOTTLENECK_EXPANSION if self.has_bottlenecks else 1)

    def sentence(self) -> str:
        thin = "" if self.width_multiplier == 1 else f", {self.width_multiplier:g} times as wide"
        return f"{self.name} with {'a 3x3' if self.stem == 'small' else 'the ImageNet'} stem{thin}"


class Head(Section):
    """The last linear layer, logits = W h + b."""

    bias: Flag = Field(default=True, description="Whether the head has a bias b.")
    init: Literal["default", "simplex"] = Field(
        default="default",
        description="default: torch's initialisation of a linear layer; simplex: rows at simplex vertices.",
    )
    trainable: Flag = Field(default=True, description="false: the head keeps its initial value.")


def _dashed(widths: Sequence[int]) -> str:
    return "-".join(str(width) for width in widths)


Model = (
    Annotated[Mlp, Tag("mlp")]
    | Annotated[Unconstrained, Tag("unconstrained")]
    | Annotated[DeepLinear, Tag("deep_linear")]
    | Annotated[ResNet, Tag("resnet18")]
    | Annotated[ResNet, Tag("resnet34")]
    | Annotated[ResNet, Tag("resnet50")]
    | Annotated[ExternalModel, Tag("torchvision:<name>")]
    | Annotated[ExternalModel, Tag("timm:<name>")]
    | Annotated[ForeignModel, Tag("foreign")]
    | Annotated[PluginModel, Tag(PLUGIN_TAG)]
    | Annotated[LiveModel, Tag("live:<name>")]
)
MODEL_BY_NAME = Discriminator(tag_of)
