"""What may be done to labels before training."""

from __future__ import annotations

import torch
from jaxtyping import Int64
from torch import Tensor


def random_labels(labels: Int64[Tensor, "n"], generator: torch.Generator) -> Int64[Tensor, "n"]:
    """The same labels in random order, so that every class keeps its size and says nothing of the inputs.

    The permutation is drawn on the generator's device and is the same wherever the labels lie.
    """
    order = torch.randperm(len(labels), generator=generator, device=generator.device)
    return labels[order.to(labels.device)]
