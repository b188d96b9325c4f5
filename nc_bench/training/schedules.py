"""Learning-rate schedules: the factor of the learning rate at a step, as a pure function of the step."""

from __future__ import annotations

import math

from nc_bench.config import CosineSchedule, MultiStepSchedule, Schedule


def learning_rate_factor(schedule: Schedule, step: int, total_steps: int) -> float:
    """Factor at step 0..total_steps-1; what happens at a fraction f of the run happens at step round(f total_steps).

    constant: 1. multi_step: factor^(milestones passed). cosine: (1 + cos(pi (step - w)/(total_steps - w)))/2 after the
    w steps of warm-up, 1 before. During warm-up all is multiplied by (step + 1)/w.
    """
    warmup = min(round(schedule.warmup * total_steps), total_steps - 1)
    rise = min(1.0, (step + 1) / warmup) if warmup else 1.0
    if isinstance(schedule, MultiStepSchedule):
        return rise * schedule.factor ** sum(step >= round(m * total_steps) for m in schedule.milestones)
    if isinstance(schedule, CosineSchedule):
        return rise * (1 + math.cos(math.pi * max(0, step - warmup) / (total_steps - warmup))) / 2
    return rise
