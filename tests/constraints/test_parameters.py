"""Projections of parameters: what is outside comes in, what is inside stays bit for bit, trial by trial."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from small_runs import network, table
from torch import Tensor

from nc_bench.config import Config
from nc_bench.constraints import ParameterConstraints
from nc_bench.geometry.balls import project_ball
from nc_bench.models import Classifier, build_classifier


def built(*configs: Config, dtype: torch.dtype = torch.float64) -> Classifier:
    return build_classifier(configs, input_shape=(5,), samples=7, classes=4).to(dtype)


def constraints(model: Classifier, *configs: Config) -> ParameterConstraints:
    return ParameterConstraints(configs, model.head.weight, model.table)


def balls(features: float | None, head: float | None, **more: Any) -> dict[str, Any]:
    return {
        "features": None if features is None else {"radius": features, **more},
        "head": None if head is None else {"radius": head},
    }


def test_singular_values_of_the_head_are_clipped_at_each_trials_radius() -> None:
    configs = [network(constraints=balls(None, radius)) for radius in (0.5, 2.0)]
    model = built(*configs)
    with torch.no_grad():
        model.head.weight.mul_(3)
    left, before, right = torch.linalg.svd(model.head.weight.detach(), full_matrices=False)
    constraints(model, *configs).project()
    limits = torch.tensor([[0.5], [2.0]], dtype=torch.float64)
    assert bool((before > limits).any(1).all())
    expected = left @ torch.diag_embed(torch.minimum(before, limits)) @ right
    torch.testing.assert_close(model.head.weight.detach(), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("p", [2.0, 3.0])
def test_projecting_twice_moves_nothing(dtype: torch.dtype, p: float) -> None:
    model_settings = {"name": "unconstrained", "widths": [6], "nonnegative": True}
    config = table(model=model_settings, constraints=balls(1.0, 0.3, p=p))
    model = built(config, dtype=dtype)
    sets = constraints(model, config)
    sets.project()
    once = [parameter.detach().clone() for parameter in model.parameters()]
    sets.project()
    assert all(map(torch.equal, once, model.parameters()))
    norms = torch.linalg.vector_norm(once[0], p, dim=-1)
    assert float(norms.max()) == pytest.approx(1.0, rel=1e-6)
    assert float(torch.linalg.matrix_norm(once[1][0], 2)) == pytest.approx(0.3, rel=1e-6)


def test_the_table_is_projected_on_the_non_negative_part_of_the_ball() -> None:
    model_settings = {"name": "unconstrained", "widths": [3], "nonnegative": True}
    config = table(model=model_settings, constraints=balls(0.8, None))
    model = built(config)
    free = model.backbone.features.detach()[0].clone()
    constraints(model, config).project()
    projected = model.backbone.features.detach()[0]
    assert bool((projected >= 0).all()) and bool((projected.norm(dim=1) <= 0.8 * (1 + 1e-14)).all())
    random = torch.Generator().manual_seed(0)
    for _ in range(200):
        rival = torch.rand(free.shape, generator=random, dtype=torch.float64)
        rival = rival * (0.8 / rival.norm(dim=1, keepdim=True)).clamp(max=1)
        assert bool(((free - projected).norm(dim=1) <= (free - rival).norm(dim=1) + 1e-14).all())


def test_networks_have_their_feature_ball_in_the_forward_pass_only() -> None:
    config = network(constraints=balls(0.01, None))
    model = built(config)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    constraints(model, config).project()
    assert all(map(torch.equal, before, model.parameters()))


def not_finite(values: Tensor) -> Tensor:
    broken = values.clone()
    broken.view(-1)[0] = math.nan
    broken.view(-1)[1] = math.inf
    return broken


@pytest.mark.parametrize("p", [2.0, 3.0])
def test_a_diverged_trial_keeps_its_nan_and_disturbs_no_neighbour(p: float) -> None:
    configs = [table(seed=seed, constraints=balls(0.5, 0.3, p=p)) for seed in range(3)]
    model, expected = built(*configs), built(*configs)
    constraints(expected, *configs).project()
    with torch.no_grad():
        model.head.weight[1] = not_finite(model.head.weight[1])
        model.backbone.features[1] = not_finite(model.backbone.features[1])
    constraints(model, *configs).project()
    for mine, whole in zip(model.parameters(), expected.parameters(), strict=True):
        assert torch.equal(mine[0], whole[0]) and torch.equal(mine[2], whole[2])
        assert bool(mine[1].isnan().any())


def test_radii_belong_to_trials() -> None:
    configs = [table(constraints=balls(radius, None)) for radius in (0.2, 1.5)]
    model = built(*configs)
    free = model.backbone.features.detach().clone()
    constraints(model, *configs).project()
    for trial, radius in enumerate((0.2, 1.5)):
        assert torch.equal(model.backbone.features[trial], project_ball(free[trial], radius))


def mean_square(features: float, head: float) -> dict[str, Any]:
    return {"features": {"radius": features, "set": "mean_square"}, "head": {"radius": head, "set": "mean_square"}}


def test_a_mean_square_set_scales_all_rows_alike() -> None:
    configs = [table(seed=seed, constraints=mean_square(*radii)) for seed, radii in enumerate(((0.5, 9.0), (9.0, 0.1)))]
    model = built(*configs)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    constraints(model, *configs).project()
    for free, bounded, radii in zip(before, model.parameters(), ((0.5, 9.0), (9.0, 0.1)), strict=True):
        for trial, radius in enumerate(radii):
            size = free[trial].square().sum(-1).mean().sqrt()
            if size <= radius:
                assert torch.equal(bounded[trial], free[trial])
            else:
                torch.testing.assert_close(bounded[trial], free[trial] * (radius / size), rtol=1e-13, atol=0)
    sizes = torch.stack([p.detach().square().sum(-1).mean(-1).sqrt() for p in model.parameters()])
    torch.testing.assert_close(sizes.diagonal(), torch.tensor([0.5, 0.1], dtype=torch.float64), rtol=1e-13, atol=0)


def test_a_diverged_trial_disturbs_no_mean_square_of_a_neighbour() -> None:
    configs = [table(seed=seed, constraints=mean_square(0.5, 0.1)) for seed in range(2)]
    model, expected = built(*configs), built(*configs)
    constraints(expected, *configs).project()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter[0] = not_finite(parameter[0])
    constraints(model, *configs).project()
    for mine, whole in zip(model.parameters(), expected.parameters(), strict=True):
        assert torch.equal(mine[1], whole[1]) and bool(mine[0].isnan().any())


def test_a_table_on_a_sphere_is_normalized_at_each_trials_radius() -> None:
    configs = [table(constraints=balls(radius, None, set="sphere")) for radius in (0.2, 50.0)]
    model = built(*configs)
    free = model.backbone.features.detach().clone()
    constraints(model, *configs).project()
    for trial, radius in enumerate((0.2, 50.0)):
        expected = free[trial] * (radius / free[trial].norm(dim=1, keepdim=True))
        torch.testing.assert_close(model.backbone.features.detach()[trial], expected, rtol=1e-14, atol=0)


def test_a_network_on_a_sphere_normalizes_in_its_forward_pass() -> None:
    configs = [network(constraints=balls(radius, None, set="sphere")) for radius in (0.2, 50.0)]
    model = built(*configs)
    features = model.backbone(torch.randn(2, 7, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    expected = torch.tensor([[0.2], [50.0]], dtype=torch.float64).expand(2, 7)
    torch.testing.assert_close(features.norm(dim=-1), expected, rtol=1e-14, atol=0)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    constraints(model, *configs).project()
    assert all(map(torch.equal, before, model.parameters()))
