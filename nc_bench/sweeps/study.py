"""The `study:` section of a sweep file: a question, what is expected, and how runs become tables, figure and answer."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from nc_bench.config.base import Section
from nc_bench.config.plugin import PluginSection
from nc_bench.config.values import Flag, NonNegativeInteger, Number

PREDICTED_RISK = "predicted_risk"
"""A measure of a whole run: the risk that theory predicts for it (predictions.json)."""


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

    @property
    def is_recorded(self) -> bool:
        """Whether every recorded epoch has it, and not the run alone."""
        return self.metric != PREDICTED_RISK and self.stays_above is None


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
    measures: tuple[str, ...] = Field(
        default=(), description="Names in study.measures, one panel or row each; by default all of them."
    )
    x: str | None = Field(default=None, description="Column along the horizontal axis of lines and heat maps.")
    y: str | None = Field(default=None, description="Column along the vertical axis of heat maps.")
    log_x: Flag = Field(default=False, description="A logarithmic horizontal axis.")
    log_y: tuple[str, ...] = Field(
        default=(), description="Measures with a logarithmic vertical axis, or logarithmic colours in heat maps."
    )


Sentence = Annotated[str, Field(min_length=1)]

COMPARISON = "comparison"
"""The answer that needs no code: every other value of study.compare's column against the reference, in one measure."""

USUAL_MEASURES = {
    "nc1_quotient": Measure(metric="nc1_quotient"),
    "nc2_equiangular": Measure(metric="nc2_equiangular"),
    "simplex_efficiency": Measure(metric="simplex_efficiency"),
    "test accuracy": Measure(metric="accuracy", split="test"),
}


class Study(PluginSection):
    """What is put into the tables and the figure of a sweep, and the question that its runs are to answer, if any."""

    plugin_key: ClassVar[str] = "answer"

    question: Sentence | None = Field(default=None, description="What is asked, in one plain sentence.")
    hypothesis: Sentence | None = Field(default=None, description="The answer that is put to the test.")
    prediction: Sentence | None = Field(
        default=None, description="The numbers expected, and the theorem they follow from, if any."
    )
    matched: Sentence | None = Field(default=None, description="What is the same in all that is compared.")
    refuted_if: Sentence | None = Field(
        default=None, description="What the runs would have to show for the hypothesis to fall."
    )
    rule: Sentence | None = Field(default=None, description="How the table decides: supported, refuted or undecided.")
    answer: str | None = Field(
        default=None,
        description="What decides: comparison, with its arguments; a function of nc_bench.sweeps.studies; or "
        "import:<module>:<name>. null: nothing is decided.",
    )
    expected_time: Sentence | None = Field(default=None, description="How long the runs take, and on what.")
    limits: Sentence | None = Field(default=None, description="What the answer does not say, in one plain sentence.")
    measures: dict[str, Measure] = Field(
        default=USUAL_MEASURES, min_length=1, description="The columns of results, by the name tables show."
    )
    rows: tuple[str, ...] = Field(
        default=(), description="Columns of the grid that a row of the table stands for; by default all of them."
    )
    match: Matched | None = Field(
        default=None, description="Which settings of the other columns count; null: there are no others."
    )
    compare: Comparison | None = Field(
        default=None, description="Which differences are taken; by default those from the first arm, if there are arms."
    )
    figure: Figure | None = Field(default=None, description="What is drawn; by default curves, or lines of many rows.")

    @property
    def statements(self) -> dict[str, str | None]:
        """What is said before the runs, by its key."""
        return {key: getattr(self, key) for key in STATEMENTS}

    @property
    def before_the_runs(self) -> dict[str, str]:
        """Of the statements those that stand below the answer, where they are made."""
        apart = ("question", "limits")
        return {key: said for key, said in self.statements.items() if said is not None and key not in apart}

    @property
    def drawn(self) -> Figure:
        """The figure, which every study of a grid has."""
        assert self.figure is not None
        return self.figure

    def plugin_problems(self, place: str) -> list[str]:
        return [] if self.answer == COMPARISON and self.source is None else super().plugin_problems(place)


STATEMENTS = ("question", "hypothesis", "prediction", "matched", "refuted_if", "rule", "limits")
