"""Pure functions from features, labels and a last linear layer to named values; docs/metrics.md defines each name.

Two passes over the features: the first counts and sums classes, which gives `ClassTables`; the second gives
`SampleSums`; `assembly` makes the metrics of both and `undefined` says which of them are NaN and why.
"""

from nc_bench.metrics.accumulator import CollapseAccumulator
from nc_bench.metrics.collapse import collapse_metrics, measure_features
from nc_bench.metrics.head import Head
from nc_bench.metrics.names import HEAD_NAMES, METRIC_NAMES
from nc_bench.metrics.null import NULL_NAMES, null_baseline, why_no_null
from nc_bench.metrics.precision import full_precision
from nc_bench.metrics.result import CollapseMetrics
from nc_bench.metrics.two_pass import Measurement, TwoPassMetrics

__all__ = [
    "HEAD_NAMES",
    "METRIC_NAMES",
    "NULL_NAMES",
    "CollapseAccumulator",
    "CollapseMetrics",
    "Head",
    "Measurement",
    "TwoPassMetrics",
    "collapse_metrics",
    "full_precision",
    "measure_features",
    "null_baseline",
    "why_no_null",
]
