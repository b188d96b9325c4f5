"""The classifier of a run: its backbone and its head."""

from typing import Literal

from pydantic import Field

from nc_bench.config.section import Section
from nc_bench.config.values import Count, Flag, Positive


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


Model = Mlp | Unconstrained
