from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nc_bench.config import ConstantSchedule, CosineSchedule, MultiStepSchedule
from nc_bench.training.optimizers import learning_rate_factor


def torch_factors(kind: type[torch.optim.lr_scheduler.LRScheduler], steps: int, **keywords: object) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = kind(optimizer, **keywords)
    factors = []
    for _ in range(steps):
        factors.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return factors


def test_cosine_is_torchs() -> None:
    schedule = CosineSchedule(name="cosine")
    ours = [learning_rate_factor(schedule, step, 50) for step in range(50)]
    theirs = torch_factors(torch.optim.lr_scheduler.CosineAnnealingLR, 50, T_max=50)
    assert ours == pytest.approx(theirs, abs=1e-12)
    assert ours[0] == 1.0 and 0 < ours[-1] < 0.001


def test_multi_step_is_torchs() -> None:
    schedule = MultiStepSchedule(name="multi_step", milestones=(0.5, 0.75), factor=0.2)
    ours = [learning_rate_factor(schedule, step, 40) for step in range(40)]
    theirs = torch_factors(torch.optim.lr_scheduler.MultiStepLR, 40, milestones=[20, 30], gamma=0.2)
    assert ours == pytest.approx(theirs, rel=1e-12)


@pytest.mark.parametrize(("fraction", "steps", "first"), [(0.29, 100, 29), (1 / 3, 9, 3), (0.7, 10, 7), (0.5, 3, 2)])
def test_a_milestone_takes_effect_at_its_step_whatever_its_rounding(fraction: float, steps: int, first: int) -> None:
    schedule = MultiStepSchedule(name="multi_step", milestones=(fraction,), factor=0.5)
    factors = [learning_rate_factor(schedule, step, steps) for step in range(steps)]
    assert factors == [1.0] * first + [0.5] * (steps - first)


@given(step=st.integers(0, 10**6), more=st.integers(1, 10**6))
def test_constant(step: int, more: int) -> None:
    assert learning_rate_factor(ConstantSchedule(name="constant"), step, step + more) == 1.0


@given(total=st.integers(1, 10**5), data=st.data())
def test_cosine_falls_and_is_symmetric(total: int, data: st.DataObject) -> None:
    step = data.draw(st.integers(0, total - 1))
    schedule = CosineSchedule(name="cosine")
    factor = learning_rate_factor(schedule, step, total)
    assert factor >= learning_rate_factor(schedule, min(step + 1, total - 1), total) > 0
    mirrored = learning_rate_factor(schedule, total - step, total)
    assert math.isclose(factor + mirrored, 1.0, abs_tol=1e-12)


@pytest.mark.parametrize("warmup", [0.1, 0.5])
def test_warm_up_is_torchs(warmup: float) -> None:
    steps = round(40 * warmup)
    rise = {"start_factor": 1 / steps, "total_iters": steps - 1}
    theirs = torch_factors(torch.optim.lr_scheduler.LinearLR, 40, **rise)
    constant = ConstantSchedule(name="constant", warmup=warmup)
    assert [learning_rate_factor(constant, step, 40) for step in range(40)] == pytest.approx(theirs, rel=1e-12)
    drops = MultiStepSchedule(name="multi_step", milestones=(0.75,), factor=0.2, warmup=warmup)
    dropped = [factor * (0.2 if step >= 30 else 1) for step, factor in enumerate(theirs)]
    assert [learning_rate_factor(drops, step, 40) for step in range(40)] == pytest.approx(dropped, rel=1e-12)
    cosine = CosineSchedule(name="cosine", warmup=warmup)
    fall = torch_factors(torch.optim.lr_scheduler.CosineAnnealingLR, 40 - steps, T_max=40 - steps)
    ours = [learning_rate_factor(cosine, step, 40) for step in range(40)]
    assert ours == pytest.approx(theirs[:steps] + fall, abs=1e-12)


def test_warm_up_of_a_run_of_few_steps_ends_before_its_last() -> None:
    for schedule in (ConstantSchedule(name="constant", warmup=0.9), CosineSchedule(name="cosine", warmup=0.9)):
        assert learning_rate_factor(schedule, 0, 1) == 1.0
        assert learning_rate_factor(schedule, 1, 2) == 1.0
