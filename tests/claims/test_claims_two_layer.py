"""The two-layer networks: what they start from, what is read off them, that their descent is the gradient flow."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nc_bench.claims import figures, two_layer
from nc_bench.claims.claim import check
from nc_bench.claims.problems import unconstrained
from nc_bench.claims.two_layer import Trained, initial, limits, log_risk, margins, outputs, points, ratios, trained
from nc_bench.training.objective import Objective

WIDTH, STEPS = 40, 300


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> Trained:
    """A short run of narrow networks, and the parameters that it started from at step 0."""
    monkeypatch.setattr(two_layer, "STEPS", STEPS)
    monkeypatch.setattr(two_layer, "SHOWN", (0, STEPS))
    return trained.__wrapped__(WIDTH, "cross_entropy")


def maximum_margin_network(b: float) -> torch.Tensor:
    return torch.tensor([[[1.0, -1.0], [1.0, -1.0], [b, b]]], dtype=torch.float64)


@given(b=st.floats(0, 1))
def test_the_family_has_margin_one_half_and_its_ratio(b: float) -> None:
    network = maximum_margin_network(b)
    found = outputs(network, points())
    assert float(margins(found, network)) == pytest.approx(0.5, rel=1e-12)
    assert ratios(found)[0].tolist() == pytest.approx([(2 + b) / (1 + b)] * 2, rel=1e-12)


@given(seed=st.integers(0, 2**20), width=st.integers(2, 30))
def test_no_network_has_a_larger_margin(seed: int, width: int) -> None:
    network = initial(width, (seed,))
    network[:, 0] = network[:, 0].abs() * network[:, 1].sign()
    assert float(margins(outputs(network, points()), network)) <= 0.5


def test_a_start_depends_on_its_seed_alone_and_is_what_the_theorem_asks() -> None:
    start = initial(500, (3, 8))
    assert torch.equal(start[1], initial(500, (8,))[0]) and not torch.equal(start[0], start[1])
    a, w, b = start.unbind(1)
    assert (a.square() <= w.square() + b.square()).all()
    assert all((sign_w * w > 0).logical_and(sign_b * b > 0).any() for sign_w in (-1, 1) for sign_b in (-1, 1))


def test_the_risk_is_that_of_logits_minus_f_and_f_at_any_size() -> None:
    f = torch.tensor([[-0.3, 0.2, 1.5, 20.0]], dtype=torch.float64)
    logits = torch.stack([-f, f], -1)[0]
    wanted = torch.nn.functional.cross_entropy(logits, torch.ones(4, dtype=torch.long))
    assert float(log_risk(f, "cross_entropy")) == pytest.approx(math.log(wanted), rel=1e-12)
    huge = torch.full((1, 4), 2500.0, dtype=torch.float64)
    assert float(log_risk(huge, "cross_entropy")) == pytest.approx(-5000.0, rel=1e-14)
    assert float(log_risk(huge, "exponential")) == pytest.approx(-2500.0, rel=1e-14)


@pytest.mark.parametrize("loss", ["cross_entropy", "exponential"])
def test_the_risk_is_the_objective_of_the_runs(loss: two_layer.Loss) -> None:
    """With the outputs (-f, f) as logits and classes 0 and 1 for xi = -1 and 1."""
    x = points()
    f = outputs(initial(30, (0,)), x)
    labels = (x > 0).long()[None]
    objective = Objective([unconstrained(1, objective={"loss": loss})], labels, 2, torch.float64)
    wanted = objective.loss(torch.stack([-f, f], -1), labels).log()
    torch.testing.assert_close(log_risk(x.sign() * f, loss), wanted, rtol=1e-12, atol=1e-14)


def test_descent_follows_the_gradient_flow(brief: Trained) -> None:
    assert (brief.log_risk.diff(dim=0) < 0).all()
    start, end = brief.snapshots[0], brief.snapshots[STEPS]
    kept = [p[:, 0].square() - p[:, 1].square() - p[:, 2].square() for p in (start, end)]
    assert float((kept[1] - kept[0]).abs().max()) < 0.01 * float(end.square().sum(1).mean())
    # At the Euclidean maximum margin q = -log(risk) obeys q' = 2 sqrt(2) q e^-q, so that t = e^q / (2 sqrt(2) q).
    q = -brief.log_risk[-1]
    assert (q - (2 * math.sqrt(2) * q).log() - brief.log_time[-1]).abs().max() < 1


def test_the_implicit_norm_is_euclidean(brief: Trained) -> None:
    a, w, b = brief.snapshots[STEPS].unbind(1)
    found = (points().sign() * outputs(brief.snapshots[STEPS], points())).amin(-1)
    euclidean = found / (a.abs() * (w.square() + b.square()).sqrt()).mean(-1)
    assert float(euclidean.max()) <= math.sqrt(0.5)
    assert float(euclidean.min()) > 0.99 * math.sqrt(0.5)


def test_the_time_of_the_first_step_is_its_length_over_the_risk(brief: Trained) -> None:
    start = brief.snapshots[0]
    risk = log_risk(points().sign() * outputs(start, points()), "cross_entropy")
    length = (two_layer.STEP / start.square().sum(1).mean(-1)).clamp(max=two_layer.LARGEST_STEP)
    torch.testing.assert_close(brief.log_time[0], length.log() - risk)


def test_limits_are_exact_where_the_distance_is_a_power_of_log_time() -> None:
    log_time = torch.linspace(1, 1600, 3199, dtype=torch.float64)[:, None]
    ratio = torch.stack([1.7 + 0.3 * log_time**-0.5, 1.2 - 2 * log_time**-1.0], -1)
    path = Trained(log_time=log_time, ratio=ratio, margin=log_time, log_risk=-log_time, snapshots={})
    np.testing.assert_allclose(limits(path), [[1.7, 1.2]], atol=1e-5)


@pytest.mark.slow
def test_every_claim_holds_and_none_by_construction() -> None:
    claims = two_layer.claims()
    assert [outcome.name for outcome in map(check, claims) if not outcome.holds] == []
    # Collapsed classes would have the ratio 1 and no scatter; the maximum margin may not be another number either.
    wrong = {
        "two_layer_ratio": 1.0,
        "two_layer_ratio_limit_largest": 1.51,
        "two_layer_ratio_limit_smallest": 1.49,
        "two_layer_margin": math.sqrt(0.5),
    }
    held = [
        c.name
        for c in claims
        if c.name in wrong and check(replace(c, predicted=partial(wrong.__getitem__, c.name))).holds
    ]
    assert held == []


@pytest.mark.slow
def test_the_ratio_falls_as_the_root_of_log_time() -> None:
    path = trained(two_layer.WIDTHS[0], "cross_entropy")
    late = path.log_time[:, 0] > path.log_time[-1, 0] / two_layer.TAIL
    distance = (path.ratio[late][:, 0, 0] - 1.5).log().numpy()
    slope = np.polyfit(path.log_time[late][:, 0].log().numpy(), distance, 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.03)


@pytest.mark.slow
def test_the_figure_shows_the_family_and_every_network() -> None:
    functions, ratio = figures.two_layer_figure().axes
    assert len(functions.lines) == 5 + len(two_layer.SHOWN)
    assert all(float(np.interp(1.0, line.get_xdata(), line.get_ydata())) == 1.0 for line in functions.lines)
    assert len(ratio.lines) == 2 * 2 * len(two_layer.WIDTHS) * len(two_layer.SEEDS) + 2
