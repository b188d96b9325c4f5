"""The classifier of a run: its backbone and its head."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from nc_bench.config.base import Section
from nc_bench.config.values import Count, Flag, Positive


class Mlp(Section):
    """A fully connected backbone; the last entry of widths is the width of the penultimate features.

    With activation identity it is a linear network, and with one width a network of two layers (the head is one).
    """

    name: Literal["mlp"] = Field(description="Fully connected network.")
    widths: tuple[Count, ...] = Field(
        min_length=1, description="Hidden and feature widths; neither the input nor the classes are listed."
    )
    activation: Literal["relu", "leaky_relu", "gelu", "tanh", "sigmoid", "hard_tanh", "identity"] = Field(
        default="relu",
        description="Nonlinearity after every layer of the backbone; identity: none, a linear network.",
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


class ResNet(Section):
    """A residual network (He et al. 2016) of torchvision's blocks; features are means over space after a ReLU.

    Their width is 512 times the multiplier, four times that for resnet50.
    """

    name: Literal["resnet18", "resnet34", "resnet50"] = Field(description="Residual network of so many layers.")
    stem: Literal["small", "imagenet"] = Field(
        default="small",
        description="First layer. small: 3x3 convolution, for small images; imagenet: 7x7 convolution of stride 2 and "
        "max-pooling.",
    )
    width_multiplier: Positive = Field(
        default=1.0, description="Factor of all numbers of channels, which are 64 to 512 before the expansion."
    )


class Library(Section):
    """A model of torchvision or timm, untrained, with its own last linear layer replaced by the head."""

    name: str = Field(
        pattern=r"^(torchvision|timm):[A-Za-z0-9_.]+$",
        description="torchvision:<name> or timm:<name>, as the library calls it.",
    )


class Head(Section):
    """The last linear layer, logits = W h + b."""

    bias: Flag = Field(default=True, description="Whether the head has a bias b.")
    init: Literal["default", "simplex"] = Field(
        default="default",
        description="default: torch's initialisation of a linear layer; simplex: rows at simplex vertices.",
    )
    trainable: Flag = Field(default=True, description="false: the head keeps its initial value.")


def _tag(value: Any) -> str | None:
    name = value.get("name") if isinstance(value, dict) else getattr(value, "name", None)
    if name is None:
        return None
    library, colon, _ = str(name).partition(":")
    return f"{library}:<name>" if colon else str(name)


Model = (
    Annotated[Mlp, Tag("mlp")]
    | Annotated[Unconstrained, Tag("unconstrained")]
    | Annotated[ResNet, Tag("resnet18")]
    | Annotated[ResNet, Tag("resnet34")]
    | Annotated[ResNet, Tag("resnet50")]
    | Annotated[Library, Tag("torchvision:<name>")]
    | Annotated[Library, Tag("timm:<name>")]
)
MODEL_BY_NAME = Discriminator(_tag)
