"""The `study:` section of a sweep file: a question, and how tables, figure and sentence are made from the runs."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from nc_bench.config.base import Section
from nc_bench.config.values import Count, Flag


class Measure(Section):
    """A column of the results: a number per run."""

    metric: str = Field(description="Name in metrics.csv, or collapse_epoch (see nc_bench.sweeps.collect).")
    split: Literal["train", "test"] = Field(default="train", description="Which split.")
    layer: str = Field(default="penultimate", description="Which layer's features.")


class Comparison(Section):
    """Paired differences on the same seeds, and on the same values of all other columns of the table."""

    column: str = Field(default="arm", description="The column whose values are compared.")
    against: Any = Field(description="The value of that column that all others are compared with.")


class Best(Section):
    """Which of the settings that the table does not show a row stands for.

    Where many settings are nearly as good, chance decides which is best and what else it measures: take several.
    """

    measure: str = Field(description="Name in study.measures whose mean over the seeds decides.")
    of: Literal["max", "min"] = Field(default="max", description="Whether large or small is best.")
    number: Count = Field(default=1, description="How many of the best settings a row stands for together.")


class Figure(Section):
    """What is drawn."""

    kind: Literal["curves", "lines", "heat_map"] = Field(
        description="curves: measures over the epochs with a band over seeds; lines: measures over a column of "
        "numbers, a band over seeds; heat_map: means over the seeds on two columns, a panel for every table row."
    )
    measures: tuple[str, ...] = Field(min_length=1, description="Names in study.measures, one panel or row each.")
    x: str | None = Field(default=None, description="Column along the horizontal axis of lines and heat maps.")
    y: str | None = Field(default=None, description="Column along the vertical axis of heat maps.")
    log_x: Flag = Field(default=False, description="A logarithmic horizontal axis.")
    log_y: tuple[str, ...] = Field(
        default=(), description="Measures with a logarithmic vertical axis, or logarithmic colours in heat maps."
    )


class Study(Section):
    """A question put to the runs of a sweep."""

    question: str = Field(min_length=1, description="What is asked, in one plain sentence.")
    answer: str = Field(description="Which function of nc_bench.sweeps.studies answers it.")
    expected_time: str = Field(min_length=1, description="How long the runs take, and on what.")
    limits: str = Field(min_length=1, description="What the answer does not say, in one plain sentence.")
    measures: dict[str, Measure] = Field(min_length=1, description="The columns of results, by the name tables show.")
    rows: tuple[str, ...] = Field(min_length=1, description="Columns of the grid that a row of the table stands for.")
    best: Best | None = Field(
        default=None, description="The other columns are set to what is best for each row; null: there are no others."
    )
    compare: Comparison | None = Field(default=None, description="Which differences are taken.")
    figure: Figure = Field(description="What is drawn.")
