"""Learning-rate schedules: the factor of the learning rate at a step, as a pure function of the step."""

from __future__ import annotations

import math

from nc_bench.config import CosineSchedule, MultiStepSchedule, Schedule


def learning_rate_factor(schedule: Schedule, step: int, total_steps: int) -> float:
    """Factor at step 0..total_steps-1; a milestone at a fraction f takes effect at step f * total_steps.

    constant: 1. multi_step: factor^(milestones passed). cosine: (1 + cos(pi step/total_steps))/2.
    """
    if isinstance(schedule, MultiStepSchedule):
        return schedule.factor ** sum(step >= round(m * total_steps) for m in schedule.milestones)
    if isinstance(schedule, CosineSchedule):
        return (1 + math.cos(math.pi * step / total_steps)) / 2
    return 1.0
