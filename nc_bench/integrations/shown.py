"""What an adapter hands to the loggers of the other library."""

from __future__ import annotations

import math
from collections.abc import Mapping

from nc_bench.metrics import CollapseMetrics


def logged(found: Mapping[str, CollapseMetrics]) -> dict[str, float]:
    """The finite metrics of both splits, by `collapse/train/nc1_pinv`."""
    return {
        f"collapse/{split}/{name}": value
        for split, metrics in found.items()
        for name, value in metrics.items()
        if math.isfinite(value)
    }
