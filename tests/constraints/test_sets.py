"""What every set promises: a nearest point, a map for the forward pass, a residual; each trial for itself."""

from __future__ import annotations

import inspect
import math
import textwrap
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_runs import network, table
from torch import Tensor

from nc_bench.config import ConfigError, FeatureBound, HeadBound, OutputBound
from nc_bench.constraints import SETS, ConstraintSet, build_set


def documented_set() -> type[ConstraintSet]:
    """The set that ConstraintSet's docstring shows to users."""
    _, _, code = inspect.getdoc(ConstraintSet).partition("complete::\n\n")
    names = {"ConstraintSet": ConstraintSet}
    exec(textwrap.dedent(code), names)
    return names["Cube"]


KINDS = {**SETS, "cube": documented_set()}
ALL = [("ball", 1.5), ("ball", 2.0), ("ball", 4.0), *((name, 2.0) for name in KINDS if name != "ball")]
FORWARD = [(name, p) for name, p in ALL if KINDS[name].in_forward_pass]
every_set = pytest.mark.parametrize(("name", "p"), ALL)
every_forward_set = pytest.mark.parametrize(("name", "p"), FORWARD)
seeds = st.integers(0, 2**32 - 1)
scales = st.sampled_from([1e-6, 1e-2, 1.0, 30.0, 1e5])


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def matrices(seed: int, scale: float, trials: int = 1) -> Tensor:
    """(t, 5, 4), rows of different size."""
    return random(trials, 5, 4, seed=seed) * random(trials, 5, 1, seed=seed + 1).exp() * scale


def distance(x: Tensor, z: Tensor) -> Tensor:
    return (x - z).flatten(-2).norm(dim=-1)


def excess(constraint: ConstraintSet, x: Tensor) -> Tensor:
    return constraint.residual(constraint.statistics(x.detach().double()))


@every_set
@settings(max_examples=40, deadline=None)
@given(seed=seeds, scale=scales, radius=st.sampled_from([1e-3, 0.7, 20.0]))
def test_the_projection_is_feasible_idempotent_and_nearest(
    name: str, p: float, seed: int, scale: float, radius: float
) -> None:
    constraint, x = KINDS[name]([radius], p), matrices(seed, scale)
    z = constraint.project(x)
    assert float(excess(constraint, z)) <= 1e-13
    assert torch.equal(constraint.project(z), z)
    size = 1e-12 * (distance(x, torch.zeros_like(x)) + radius)
    for near in (1e-4, 1e-2, 1.0, 100.0):
        rivals = constraint.project((z + near * radius * random(20, 5, 4, seed=seed + 2)).unsqueeze(1).flatten(0, 1))
        assert bool((distance(x, z) <= distance(x, rivals) + size).all())


@every_set
@settings(max_examples=40, deadline=None)
@given(seed=seeds, factor=st.sampled_from([1.0 + 1e-9, 1.5, 1e6]))
def test_the_residual_is_zero_inside_and_the_excess_in_radii_outside(
    name: str, p: float, seed: int, factor: float
) -> None:
    """All norms are homogeneous, so a point of the boundary, scaled by c, is c - 1 radii too far out."""
    constraint = KINDS[name]([0.7], p)
    boundary = constraint.project(matrices(seed, 1e3))
    assert float(excess(constraint, boundary)) <= 1e-13
    assert float(excess(constraint, boundary * factor)) == pytest.approx(factor - 1, rel=1e-9, abs=1e-13)
    if KINDS[name] is not KINDS["sphere"]:
        assert float(excess(constraint, boundary / factor)) == 0 or factor < 1.1
        assert torch.equal(constraint.project(boundary / factor), boundary / factor)


@every_forward_set
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_forward_map_is_feasible_and_has_a_finite_gradient(name: str, p: float, dtype: torch.dtype) -> None:
    constraint = KINDS[name]([0.3, 5.0], p).to(dtype)
    x = matrices(0, 1.0, trials=2).to(dtype)
    x[:, 0] = 0
    x[:, 1] *= 1e6
    x.requires_grad_()
    y = constraint(x)
    assert y.dtype == dtype and bool((y[:, 0] == 0).all())
    if KINDS[name] is not KINDS["sphere"]:
        assert bool((excess(constraint, y) <= 8 * torch.finfo(dtype).eps).all())
        assert torch.equal(constraint(y * 0.5), y * 0.5)
    y.sum().backward()
    assert bool(x.grad.isfinite().all())


@pytest.mark.parametrize("p", [1.5, 2.0, 4.0])
def test_a_ball_shrinks_every_row_along_its_ray(p: float) -> None:
    """x min(1, R / |x|_p)."""
    radii = (0.3, 5.0)
    ball = KINDS["ball"](radii, p)
    scales = torch.tensor([1e-8, 0.01, 1.0, 100.0, 1e12], dtype=torch.float64)
    x = random(2, 5, 6, seed=0) * scales[:, None]
    y = ball(x)
    for trial, radius in enumerate(radii):
        norms = x[trial].abs().pow(p).sum(-1).pow(1 / p)
        inside = norms <= radius
        assert 0 < int(inside.sum()) < 5
        assert torch.equal(y[trial, inside], x[trial, inside])
        expected = x[trial] * (radius / norms).clamp(max=1)[:, None]
        torch.testing.assert_close(y[trial], expected, rtol=1e-13, atol=0)


def test_a_sphere_gives_every_row_its_trials_length() -> None:
    x = random(2, 5, 6, seed=0)
    for moved in (KINDS["sphere"]([0.3, 5.0])(x), KINDS["sphere"]([0.3, 5.0]).project(x)):
        expected = torch.tensor([[0.3], [5.0]], dtype=torch.float64).expand(2, 5)
        torch.testing.assert_close(moved.norm(dim=-1), expected, rtol=1e-14, atol=0)
        torch.testing.assert_close(moved / moved.norm(dim=-1, keepdim=True), x / x.norm(dim=-1, keepdim=True))


def test_the_gradient_at_a_zero_feature_is_one_inside_a_ball() -> None:
    x = torch.zeros(1, 2, 4, requires_grad=True)
    KINDS["ball"]([1.0]).float()(x).sum().backward()
    assert torch.equal(x.grad, torch.ones(1, 2, 4))


@every_set
def test_trials_do_not_see_each_other(name: str, p: float) -> None:
    radii = [0.2, 1.0, 30.0]
    together, x = KINDS[name](radii, p), matrices(0, 3.0, trials=3)
    broken = x.clone()
    broken[1, 0, 0], broken[1, 1, 1] = math.nan, math.inf
    maps = [together.project, lambda y: excess(together, y), *([together] if together.in_forward_pass else [])]
    for which, of_all in enumerate(maps):
        whole, hurt = of_all(x), of_all(broken)
        assert torch.equal(whole[0], hurt[0]) and torch.equal(whole[2], hurt[2])
        assert bool(hurt[1].isnan().any())
        for trial, radius in enumerate(radii):
            single = KINDS[name]([radius], p)
            alone = [single.project, lambda y, single=single: excess(single, y), single][which](x[trial : trial + 1])
            torch.testing.assert_close(whole[trial], alone[0], rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize(("name", "p"), [(name, p) for name, p in ALL if name != "spectral"])
def test_statistics_of_batches_come_together(name: str, p: float) -> None:
    constraint, x = KINDS[name]([0.5, 2.0], p), matrices(0, 2.0, trials=2)
    parts = torch.stack([constraint.statistics(batch) for batch in x.split([1, 3, 1], 1)])
    together = parts.amax(0) if constraint.combine == "max" else parts.sum(0)
    torch.testing.assert_close(constraint.residual(together), excess(constraint, x), rtol=1e-14, atol=0)


def test_radii_follow_the_model_but_are_not_saved_with_it() -> None:
    ball = KINDS["ball"]([1.0])
    assert ball.state_dict() == {}
    assert ball.to(torch.float32)(torch.full((1, 1, 4), 3.0)).dtype == torch.float32


def test_autocast_features_are_bounded_in_float32() -> None:
    bounded = KINDS["ball"]([1.0]).float()(torch.full((1, 1, 4), 3.0, dtype=torch.bfloat16))
    assert bounded.dtype == torch.float32 and float(bounded.norm()) == pytest.approx(1.0, rel=1e-6)


def test_every_set_of_the_configuration_has_a_class() -> None:
    # Of the two kinds of value, a name and the path of a plug-in, the names.
    kinds = [get_args(bound.model_fields["set"].annotation)[0] for bound in (FeatureBound, HeadBound)]
    features, head = (get_args(get_args(kind)[0]) for kind in kinds)
    assert {*features, *head, OutputBound.set} == set(SETS)
    assert all(SETS[name].in_forward_pass is not FeatureBound(set=name, radius=1).in_mean for name in features)
    assert all(SETS[name].on_parameters for name in (*features, *head))


def test_a_set_is_built_with_the_radii_of_all_trials() -> None:
    configs = [network(constraints={"features": {"radius": radius, "p": 3.0}, "head": None}) for radius in (0.5, 2.0)]
    built = build_set(configs, "features")
    assert type(built) is SETS["ball"] and built.p == 3.0 and built.radius.flatten().tolist() == [0.5, 2.0]
    assert build_set(configs, "head") is None and build_set(configs, "outputs") is None


def test_a_set_without_the_map_that_is_needed_is_refused() -> None:
    """As a user's own set may be; the configuration refuses those of the package before."""
    peeled = table(constraints={"features": {"radius": 1.0, "set": "mean_square"}})
    assert type(build_set([peeled], "features")) is SETS["mean_square"]
    moved = peeled.model_copy(update={"model": network().model})
    with pytest.raises(ConfigError, match=r"^constraints\.features\.set: mean_square has no map for a forward pass$"):
        build_set([moved], "features")
    with pytest.raises(NotImplementedError, match="MeanSquareBall has no map for a forward pass"):
        SETS["mean_square"]([1.0])(torch.ones(1, 2, 2))
    with pytest.raises(NotImplementedError, match="Ball has no projection"):
        ConstraintSet.project(SETS["ball"]([1.0]), torch.ones(1, 2, 2))
