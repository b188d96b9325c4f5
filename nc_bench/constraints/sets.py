"""The sets: l^p ball, sphere, ball in the mean square, ball of the spectral norm."""

from __future__ import annotations

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from nc_bench.constraints.base import ConstraintSet
from nc_bench.geometry.balls import (
    ball_residual,
    project_ball,
    project_mean_square,
    project_sphere,
    radial_ball,
    radial_sphere,
    sphere_residual,
)
from nc_bench.geometry.spectral import clip_spectral, spectral_residual


class Ball(ConstraintSet):
    """|x_i|_p <= R for every row x_i, 1 <= p <= infinity: the bounds |f(x)| <= R and |h(x)| <= R of the paper.

    In a forward pass x_i -> x_i min(1, R / |x_i|_p), on parameters the nearest point, which for p = 2 is the same. The
    residual is max_i max(0, |x_i|_p / R - 1). E & Wojtowytsch 2021, sections 3 and 4.
    """

    in_forward_pass, on_parameters, combine = True, True, "max"

    def bound(self, x: Float[Tensor, "t n d"]) -> Float[Tensor, "t n d"]:
        return radial_ball(x, self.radius[..., 0], self.p)

    def project(self, x: Float[Tensor, "t n d"]) -> Float[Tensor, "t n d"]:
        return project_ball(x, self.radius[..., 0], self.p)

    def statistics(self, x: Float64[Tensor, "t n d"]) -> Float64[Tensor, "t"]:
        return ball_residual(x, self.radius[..., 0], self.p)

    def residual(self, statistics: Float64[Tensor, "t"]) -> Float64[Tensor, "t"]:
        return statistics


class Sphere(ConstraintSet):
    """|x_i| = R for every row x_i: normalized features. The map and the projection are x_i -> x_i R / |x_i|.

    A row that is zero has no direction and stays zero. The residual is max_i | |x_i| / R - 1 |.
    """

    in_forward_pass, on_parameters, combine = True, True, "max"

    def bound(self, x: Float[Tensor, "t n d"]) -> Float[Tensor, "t n d"]:
        return radial_sphere(x, self.radius[..., 0])

    def project(self, x: Float[Tensor, "t n d"]) -> Float[Tensor, "t n d"]:
        return project_sphere(x, self.radius[..., 0])

    def statistics(self, x: Float64[Tensor, "t n d"]) -> Float64[Tensor, "t"]:
        return sphere_residual(x, self.radius[..., 0])

    def residual(self, statistics: Float64[Tensor, "t"]) -> Float64[Tensor, "t"]:
        return statistics


class MeanSquareBall(ConstraintSet):
    """(1/n) sum_i |x_i|^2 <= R^2 over all n rows: the bounds of the layer-peeled model (Fang et al. 2021).

    It couples all rows, which a forward pass over a batch does not see, so it is for parameters: a feature table or a
    head, all rows of which are scaled alike. The residual is max(0, sqrt(mean |x_i|^2) / R - 1).
    """

    in_forward_pass, on_parameters, combine = False, True, "sum"

    def project(self, x: Float[Tensor, "t n d"]) -> Float[Tensor, "t n d"]:
        return project_mean_square(x, self.radius[:, 0, 0])

    def statistics(self, x: Float64[Tensor, "t n d"]) -> Float64[Tensor, "t 2"]:
        squares = x.square().sum((1, 2))
        return torch.stack([squares, torch.full_like(squares, x.shape[1])], 1)

    def residual(self, statistics: Float64[Tensor, "t 2"]) -> Float64[Tensor, "t"]:
        squares, rows = statistics.unbind(1)
        return ((squares / rows).sqrt() / self.radius[:, 0, 0] - 1).clamp(min=0)


class SpectralBall(ConstraintSet):
    """|W|_op <= R for the matrix of all rows: the bound of the paper's section 4 for the head.

    The projection clips singular values. The residual is max(0, |W|_op / R - 1), and needs all rows in one batch.
    """

    in_forward_pass, on_parameters, combine = False, True, "max"

    def project(self, x: Float[Tensor, "t k d"]) -> Float[Tensor, "t k d"]:
        return clip_spectral(x, self.radius[:, 0, 0])

    def statistics(self, x: Float64[Tensor, "t k d"]) -> Float64[Tensor, "t"]:
        return spectral_residual(x, self.radius[:, 0, 0])

    def residual(self, statistics: Float64[Tensor, "t"]) -> Float64[Tensor, "t"]:
        return statistics
