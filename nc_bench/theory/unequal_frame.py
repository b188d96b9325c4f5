"""The best head on an orthogonal frame of class means, which non-negative features are, under unequal class weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nc_bench.theory.unequal_ball import Array, Groups, Optimum, groups_of

NEWTON_STEPS = 50


def nonnegative(weights: Sequence[float], radius: float, head_norm: float, *, bias: bool) -> Optimum:
    """min over |W|_op <= S (and b) of sum_c pi_c Phi_c(R W e_c + b), a convex programme.

    On vectors that sum to 0 over a group of equal weights W is S times the identity (that only helps); on the spans of
    the groups it is a matrix A with |A|_op <= S, of which softmax does not see the part along (sqrt m_g)_g. The rest B
    is S times an isometry wherever the slope in B has full rank. What is lacking is bounded as Frank and Wolfe do,
    by <slope, B> + S |slope|_nuclear, and for the bias as in `signed_with_bias`.
    """
    programme = Programme(groups=groups_of(weights), radius=radius, head_norm=head_norm, bias=bias)
    block, offset = programme.solve()
    value, slope, bias_slope = programme.evaluate(block, offset)
    lacking = float((slope * block).sum()) + head_norm * float(np.linalg.norm(slope, "nuc"))
    reach = 2 * radius * head_norm + float(np.abs(offset).max()) + math.log(max(weights) / min(weights))
    risks, _ = programme.softmax(block, offset)
    return Optimum(
        objective=value,
        class_risks=tuple(float(risks[group]) for group in programme.groups.member),
        gap=max(lacking, 0.0) + float(np.abs(bias_slope).sum()) * reach * bias,
    )


@dataclass(frozen=True, kw_only=True)
class Programme:
    """In B (groups - 1, groups) and one bias per group, that of the first 0."""

    groups: Groups
    radius: float
    head_norm: float
    bias: bool

    @cached_property
    def complement(self) -> Array:
        """An orthonormal basis, as columns, of what is orthogonal to (sqrt m_g)_g."""
        return np.linalg.svd(np.sqrt(self.groups.sizes)[:, None], full_matrices=True)[0][:, 1:]

    @cached_property
    def entries(self) -> Array:
        """How far an entry of A moves the logits of its row's group."""
        root = np.sqrt(self.groups.sizes)
        return self.radius / (root[:, None] * root)

    def softmax(self, block: Array, offset: Array) -> tuple[Array, Array]:
        """Risk of a class of each group, and probabilities: columns the true group, rows that of wrong classes."""
        count, budget = len(offset), self.radius * self.head_norm
        logits = self.entries * (self.complement @ block) + offset[:, None]
        logits -= np.eye(count) * budget / self.groups.sizes
        with np.errstate(divide="ignore"):
            odds = np.log(self.groups.wrong.T) + logits - (np.diag(logits) + budget)
        risks = np.logaddexp(0.0, np.logaddexp.reduce(odds, axis=0))
        return risks, np.exp(odds - risks)

    def evaluate(self, block: Array, offset: Array) -> tuple[float, Array, Array]:
        """Weighted risk, its slope in B and in the biases; differences of probabilities from 1 are never formed."""
        risks, probability = self.softmax(block, offset)
        flow = self.groups.shares * probability * (1 - np.eye(len(offset)))
        flow -= np.diag(flow.sum(0))
        return float(self.groups.shares @ risks), self.complement.T @ (self.entries * flow), flow.sum(1)

    def solve(self) -> tuple[Array, Array]:
        """L-BFGS over matrices X and biases, B = S X (X^T X)^(-1/2); then the best biases for this B."""
        from scipy.optimize import minimize  # slow to load

        count = len(self.groups.sizes)
        shape, cut = (count - 1, count), count * (count - 1)
        scale = self.evaluate(self.head_norm * self.complement.T, np.zeros(count))[0]

        def objective(x: Array) -> tuple[float, Array]:
            left, singular, right = np.linalg.svd(x[:cut].reshape(shape), full_matrices=False)
            offset = np.concatenate([[0.0], x[cut:] * self.bias])
            value, slope, bias_slope = self.evaluate(self.head_norm * left @ right, offset)
            inside = left.T @ slope @ right.T
            turned = left @ ((inside - inside.T) / (singular[:, None] + singular)) @ right
            outside = (left / singular) @ (left.T @ (slope - slope @ right.T @ right))
            by_matrix = self.head_norm * (turned + outside)
            return value / scale, np.concatenate([by_matrix.ravel(), bias_slope[1:] * self.bias]) / scale

        start = np.concatenate([self.complement.T.ravel(), np.zeros(count - 1)])
        options = {"maxiter": 20_000, "maxfun": 20_000, "ftol": 0.0, "gtol": 1e-11, "maxcor": 30}
        found = minimize(objective, start, jac=True, method="L-BFGS-B", options=options).x
        left, _, right = np.linalg.svd(found[:cut].reshape(shape), full_matrices=False)
        block, offset = self.head_norm * left @ right, np.concatenate([[0.0], found[cut:]])
        return block, self._best_bias(block, offset) if self.bias else np.zeros(count)

    def _best_bias(self, block: Array, offset: Array) -> Array:
        """Newton's method from nearby, as long as the slope falls."""
        slope = self.evaluate(block, offset)[2]
        for _ in range(NEWTON_STEPS):
            _, probability = self.softmax(block, offset)
            apart = probability * (1 - np.eye(len(offset)))
            whole = apart + np.diag(1 - apart.sum(0))
            curvature = np.diag(whole @ self.groups.shares) - (whole * self.groups.shares) @ whole.T
            step = np.concatenate([[0.0], np.linalg.solve(curvature[1:, 1:], slope[1:])])
            following = self.evaluate(block, offset - step)[2]
            if np.abs(following).sum() >= np.abs(slope).sum():
                break
            offset, slope = offset - step, following
        return offset
