"""All claims, in the order in which they are checked."""

from __future__ import annotations

from nc_bench.claims import (
    ball_losses,
    ball_variants,
    certificate,
    codes,
    cross_entropy,
    decay,
    deep_linear,
    feature_sets,
    final_layer,
    frozen_head,
    gradient_flow,
    hulls,
    imbalance,
    laws,
    least_head,
    mean_field,
    mixup,
    narrow,
    nonnegative,
    output_sets,
    penultimate,
    seli,
    squared_error,
    three_neurons,
    two_layer,
    unequal_weights,
)
from nc_bench.claims.claim import Claim


def claims() -> list[Claim]:
    """The claims of every topic. Listing them solves nothing."""
    topics = (
        cross_entropy,
        final_layer,
        output_sets,
        least_head,
        penultimate,
        nonnegative,
        ball_variants,
        ball_losses,
        narrow,
        unequal_weights,
        feature_sets,
        decay,
        squared_error,
        deep_linear,
        gradient_flow,
        frozen_head,
        mixup,
        codes,
        certificate,
        imbalance,
        seli,
        two_layer,
        mean_field,
        three_neurons,
        hulls,
        laws,
    )
    return [claim for topic in topics for claim in topic.claims()]
