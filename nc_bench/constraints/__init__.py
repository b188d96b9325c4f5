"""Each norm-bounded set in one place: its map in a forward pass, its projection, its residual."""

from nc_bench.constraints.base import ConstraintSet
from nc_bench.constraints.build import SETS, build_set
from nc_bench.constraints.parameters import ParameterConstraints
from nc_bench.constraints.residuals import ConstraintResiduals

__all__ = ["SETS", "ConstraintResiduals", "ConstraintSet", "ParameterConstraints", "build_set"]
