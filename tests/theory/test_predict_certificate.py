"""The bound on the loss of single samples from the norm of their outputs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp

from nc_bench.theory import predict
from nc_bench.theory.certificate import output_certificate


@settings(deadline=None, max_examples=100)
@given(st.integers(2, 20), st.floats(1e-3, 50.0), st.integers(0, 10**6))
def test_no_output_has_a_smaller_loss(classes: int, scale: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=50)
    noise = rng.standard_normal((50, classes)) * rng.choice([0.0, 1e-6, 1.0], size=(50, 1))
    outputs = scale * (np.eye(classes)[labels] + noise) + rng.standard_normal((50, 1))
    losses = logsumexp(outputs - outputs[np.arange(50), labels][:, None], axis=1)
    bound = output_certificate(np.linalg.norm(outputs - outputs.mean(1, keepdims=True), axis=1), classes)
    assert (losses >= bound - 1e-12 * (1 + losses)).all()


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_it_is_reached_at_the_vertices_and_is_the_risk_in_the_ball(classes: int) -> None:
    vertices = np.eye(classes) - 1 / classes
    vertices *= 2.0 / np.linalg.norm(vertices[0])
    losses = logsumexp(vertices, axis=1) - np.diag(vertices)
    bound = output_certificate(np.full((classes, 1), 2.0), classes)
    assert bound.shape == (classes, 1)
    assert losses == pytest.approx(bound[:, 0], rel=1e-14)
    assert bound[0, 0] == pytest.approx(predict("final_layer_ball", classes=classes, radius=2.0).values["risk"])
    assert output_certificate(0.0, classes) == pytest.approx(np.log(classes), rel=1e-15)
