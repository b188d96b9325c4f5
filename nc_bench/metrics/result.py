"""What a measurement returns: values by name, reasons, and tables over classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nc_bench.metrics import class_geometry as geometry
from nc_bench.metrics.class_tables import ClassTables
from nc_bench.metrics.sample_sums import SampleSums
from nc_bench.metrics.summary import summary_text

MOST_CLASSES = 1000
"""Classes up to which tables of all pairs are made."""

SHOWN = 4
"""Values in the short form of a measurement."""

Table = NDArray[Any]


class CollapseMetrics(dict[str, float]):
    """Metric values by name; `reasons` says for every NaN why the metric is undefined.

    per_class: columns by name, one entry per class: class (its label), name (if given), count, mean_norm |mu_c - mu|,
    variance V_c, and with a head weight_norm |w_c|, cosine cos(w_c, mu_c - mu), risk and accuracy; NaN where a class
    has no value.
    left_out: the classes that were left out, with their number of samples.
    """

    def __init__(
        self,
        values: dict[str, float],
        reasons: dict[str, str],
        per_class: Mapping[str, Table] | None = None,
        rows: Mapping[str, Any] | None = None,
        width: int | None = None,
    ) -> None:
        super().__init__(values)
        self.reasons = reasons
        self.per_class: dict[str, Table] = dict(per_class or {})
        self.left_out: dict[int, int] = {}
        self._rows, self._width = dict(rows or {}), width

    def __repr__(self) -> str:
        """How many values there are and the first of them; `print(metrics.summary())` has the important ones."""
        shown = ", ".join(f"{name}={value:.4g}" for name, value in list(self.items())[:SHOWN])
        undefined = f", {len(self.reasons)} undefined" if self.reasons else ""
        return f"CollapseMetrics({shown}, ... {len(self)} metrics{undefined})"

    def summary(self) -> str:
        """A table for printing: the important metrics beside random directions and exact collapse, and the reasons.

        random: the mean for Gaussian class means and weights of this K and d (the null baseline of docs/metrics.md),
        which an NC2 or NC3 value has to be below before it says anything. collapsed: the value on a simplex with W =
        its vertices. No verdict: that needs the bounds of a training run.
        """
        counts = self.per_class.get("count", np.zeros(1)).tolist()
        return summary_text(self, self.reasons, counts, self._width)

    def with_names(self, class_names: Sequence[str] | None) -> CollapseMetrics:
        """Itself, with the names of the classes, if there are any, in `per_class["name"]`, after their labels."""
        if class_names is not None:
            labels = self.per_class["class"]
            names = np.array([class_names[label] for label in labels])
            self.per_class = {"class": labels, "name": names, **self.per_class}
        return self

    @property
    def cosines(self) -> dict[str, Table]:
        """(K, K) cosines between the rows of M ("means") and, with a head, of Wc ("weight").

        -1/(K-1) off the diagonal for a simplex; NaN for a row of zeros. ValueError for more than 1000 classes.
        """
        classes = len(self.per_class["class"])
        if classes > MOST_CLASSES:
            raise ValueError(f"tables of cosines are made for up to {MOST_CLASSES} classes, and there are {classes}")
        units = {name: geometry.unit_rows(rows[None])[0] for name, rows in self._rows.items()}
        return {name: (rows @ rows.mT).cpu().numpy() for name, rows in units.items()}


def class_columns(tables: ClassTables, sums: SampleSums) -> list[dict[str, Table]]:
    """`CollapseMetrics.per_class` of every trial."""
    unit = tables.unit[:, None]
    columns = {
        "count": tables.counts,
        "mean_norm": geometry.row_norms(tables.centred_means) * unit,
        "variance": sums.squared_deviation / tables.counts * unit * unit,
    }
    head = tables.head
    if head is not None:
        columns |= {
            "weight_norm": geometry.row_norms(head.weight) * head.unit[:, None],
            "cosine": 1 - geometry.misalignments(head.directions, tables.centred_means),
            "risk": sums.loss / tables.counts,
            "accuracy": sums.correct / tables.counts,
        }
    known = {name: torch.ones_like(tables.counts, dtype=torch.bool) for name in columns}
    for name in known.keys() - {"count", "weight_norm"}:
        known[name] &= (tables.counts > 0) & tables.measurable[:, None]
    if head is not None:
        for name in ("weight_norm", "cosine", "risk", "accuracy"):
            known[name] &= head.usable[:, None]
    columns = {name: torch.where(known[name], column, torch.nan) for name, column in columns.items()}
    arrays = {name: column.cpu().numpy() for name, column in columns.items()}
    labels = np.arange(tables.classes)
    return [
        {"class": labels} | {name: column[trial] for name, column in arrays.items()}
        for trial in range(len(tables.counts))
    ]
