"""How the learning rate changes over a run."""

import math
from typing import Literal

from pydantic import Field

from nc_bench.config.base import Section
from nc_bench.config.values import Milestones, Positive, ZeroToOne


class _Schedule(Section):
    warmup: ZeroToOne = Field(
        default=0.0,
        description="w in [0, 1): over this fraction of the run the learning rate first rises linearly, from 1/steps "
        "of what it would be to all of it.",
    )

    def after_warmup(self, step: int, warmup: int, total_steps: int) -> float:
        """Factor of the learning rate at step 0..total_steps-1, apart from its rise over the first `warmup` steps."""
        return 1.0


class ConstantSchedule(_Schedule):
    """The learning rate stays."""

    name: Literal["constant"] = Field(description="No change of the learning rate.")


class MultiStepSchedule(_Schedule):
    """The learning rate drops by a factor at given fractions of the run."""

    name: Literal["multi_step"] = Field(description="Drops at given fractions of the run.")
    milestones: Milestones = Field(description="Fractions of the run, strictly increasing in (0, 1).")
    factor: Positive = Field(default=0.1, description="What the learning rate is multiplied by at each.")

    def after_warmup(self, step: int, warmup: int, total_steps: int) -> float:
        """A fraction f of the run is step round(f total_steps)."""
        return self.factor ** sum(step >= round(m * total_steps) for m in self.milestones)


class CosineSchedule(_Schedule):
    """The learning rate falls to zero along half a cosine over the whole run."""

    name: Literal["cosine"] = Field(
        description="Half a cosine from lr to zero over what warm-up leaves of training.epochs; extending a run "
        "stretches it."
    )

    def after_warmup(self, step: int, warmup: int, total_steps: int) -> float:
        """(1 + cos(pi (step - w)/(total_steps - w)))/2 after the w steps of warm-up, 1 before."""
        return (1 + math.cos(math.pi * max(0, step - warmup) / (total_steps - warmup))) / 2


Schedule = ConstantSchedule | MultiStepSchedule | CosineSchedule
