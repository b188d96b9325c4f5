"""Three neurons: the flow against its closed forms, the network against the flow, the claims against wrong limits."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nc_bench.claims import figures, three_neurons
from nc_bench.claims.claim import check
from nc_bench.claims.three_neurons import CASES, STARTS, ThreeNeurons, descent, flow

AMPLITUDE = st.floats(-5, 5)


@given(a1=AMPLITUDE, a2=AMPLITUDE, a3=AMPLITUDE)
def test_the_network_is_that_of_the_paper(a1: float, a2: float, a3: float) -> None:
    model = ThreeNeurons(torch.tensor([[0.0, 0.0, 0.0], [a1, a2, a3]], dtype=torch.float64))
    found = model(torch.tensor([-1.0, 0.0, 1.0, 0.5], dtype=torch.float64))[1].tolist()
    assert found == pytest.approx([a1, -a2, a3 - a2, a3 / 2 - a2], abs=1e-12)
    assert model.amplitudes[1].tolist() == [a1, a2, a3]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("start", STARTS)
def test_the_first_neuron_follows_its_closed_form(case: str, start: three_neurons.Start) -> None:
    path = flow(CASES[case], start)
    wanted = np.log(math.exp(start[0]) + CASES[case][0] * np.expm1(path.log_time))
    np.testing.assert_allclose(path.amplitudes[:, 0], wanted, atol=1e-8)


@pytest.mark.parametrize("case", CASES)
def test_a_start_on_the_limit_stays_there(case: str) -> None:
    _, p2, p3 = CASES[case]
    start = (0.0, 0.7, 1.4 - math.log(2 * p2 / (3 * p3)))
    path = flow(CASES[case], start)
    np.testing.assert_allclose(path.exponential, 2 * p2 / (3 * p3), rtol=1e-7)
    wanted = np.log(math.exp(0.7) + p2 / 3 * np.expm1(path.log_time))
    np.testing.assert_allclose(path.amplitudes[:, 1], wanted, atol=1e-7)


@pytest.mark.parametrize("case", CASES)
def test_gradient_descent_keeps_near_the_flow(case: str) -> None:
    network = descent()[case]
    for index, start in enumerate(STARTS):
        path = flow(CASES[case], start)
        inside = network.log_time[:, index] < path.log_time[-1]
        expected = np.interp(network.log_time[inside, index].numpy(), path.log_time, path.gap)
        # The first steps, long against the flow's own time there, are the coarsest.
        late = slice(100, None)
        np.testing.assert_allclose(network.gap[inside, index].numpy()[late], expected[late], atol=0.1)


@pytest.mark.parametrize("way", ["flow", "descent"])
def test_the_gap_without_the_factor_two_fails(way: str) -> None:
    claims = {claim.name: claim for claim in three_neurons.claims()}
    for case, (p1, _, p3) in CASES.items():
        wrong = replace(claims[f"three_neurons_gap_{way}_{case}"], predicted=partial(math.log, p3 / p1))
        assert not check(wrong).holds


def test_the_figure_shows_every_path_and_every_limit() -> None:
    (axes,) = figures.three_neurons_figure().axes
    ends = [float(np.asarray(line.get_ydata())[-1]) for line in axes.lines if len(line.get_ydata()) > 2]
    limits = [float(line.get_ydata()[0]) for line in axes.lines if len(line.get_ydata()) == 2]
    assert limits == pytest.approx([math.log(p3 / (2 * p1)) for p1, _, p3 in CASES.values()], abs=1e-12)
    assert len(ends) == 2 * len(STARTS) * len(CASES)
    assert ends == pytest.approx([limit for limit in limits for _ in range(2 * len(STARTS))], abs=1e-8)
