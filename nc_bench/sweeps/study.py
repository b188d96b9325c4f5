"""The `study:` section of a sweep file: a question, what is expected, and how runs become tables, figure and answer."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from nc_bench.config.base import Section
from nc_bench.config.plugin import PluginSection
from nc_bench.config.values import Flag, NonNegativeInteger, Number


class Measure(Section):
    """A column of the results: a number per run, at its last recorded epoch."""

    metric: str = Field(description="Name in metrics.csv, or predicted_risk: what theory predicts for the run.")
    split: Literal["train", "test", "train_correct", "test_correct"] = Field(
        default="train", description="Which split; *_correct: its correctly classified samples (record.correct_only)."
    )
    layer: str = Field(default="penultimate", description="Which layer's features.")
    classes: tuple[NonNegativeInteger, ...] | None = Field(
        default=None,
        description="If given, the measure is the mean over these classes of a number per class (record.per_class).",
    )
    stays_above: Number | None = Field(
        default=None,
        description="If given, the measure is the first recorded epoch from which on the metric stays at this value or "
        "above, nothing where it never does; it is known up to the step of the record grid, which tables state.",
    )


class Comparison(Section):
    """Differences between rows of the table: on the same seeds, and on the same values of all other columns."""

    column: str = Field(default="arm", description="The column whose values are compared.")
    against: Any = Field(description="The value of that column that all others are compared with.")


class Matched(Section):
    """Which settings of the columns that the table does not show a row stands for: those alike in one measure.

    They are matched by what the question holds fixed, never chosen by what it asks. A row's value for a seed is the
    median over its settings.
    """

    measure: str = Field(description="Name in study.measures that is matched, in every seed of a setting.")
    at_most: Number | None = Field(default=None, description="Its largest value.")
    at_least: Number | None = Field(default=None, description="Its smallest value.")


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


class Study(PluginSection):
    """A question put to the runs of a sweep, and what is said about it before they run."""

    plugin_key: ClassVar[str] = "answer"

    question: str = Field(min_length=1, description="What is asked, in one plain sentence.")
    hypothesis: str = Field(min_length=1, description="The answer that is put to the test.")
    prediction: str = Field(min_length=1, description="The numbers expected, and the theorem they follow from, if any.")
    matched: str = Field(min_length=1, description="What is the same in all that is compared.")
    refuted_if: str = Field(min_length=1, description="What the runs would have to show for the hypothesis to fall.")
    rule: str = Field(min_length=1, description="How the table decides: supported, refuted or undecided.")
    answer: str = Field(
        description="Which function of nc_bench.sweeps.studies applies the rule, or import:<module>:<name>."
    )
    expected_time: str = Field(min_length=1, description="How long the runs take, and on what.")
    limits: str = Field(min_length=1, description="What the answer does not say, in one plain sentence.")
    measures: dict[str, Measure] = Field(min_length=1, description="The columns of results, by the name tables show.")
    rows: tuple[str, ...] = Field(min_length=1, description="Columns of the grid that a row of the table stands for.")
    match: Matched | None = Field(
        default=None, description="Which settings of the other columns count; null: there are no others."
    )
    compare: Comparison | None = Field(default=None, description="Which differences are taken.")
    figure: Figure = Field(description="What is drawn.")
