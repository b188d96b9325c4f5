"""Sets that features, head and outputs are kept in. What each set does is said in `nc_bench.constraints`."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from nc_bench.config.base import Section
from nc_bench.config.plugin import PLUGIN_TAG, PluginPath, PluginSection
from nc_bench.config.values import Exponent, Positive, Temperature
from nc_bench.plugins import is_plugin


def _named_or_plugin(value: Any) -> str:
    return PLUGIN_TAG if is_plugin(value) else "named"


_Plugin = Annotated[PluginPath, Tag(PLUGIN_TAG)]
FeatureSet = Annotated[
    Annotated[Literal["ball", "sphere", "mean_square"], Tag("named")] | _Plugin, Discriminator(_named_or_plugin)
]
HeadSet = Annotated[
    Annotated[Literal["spectral", "mean_square", "unit_rows"], Tag("named")] | _Plugin, Discriminator(_named_or_plugin)
]


class _LpBall(Section):
    """|x|_p <= radius for every row x."""

    per_trial: ClassVar[frozenset[str]] = frozenset({"radius"})

    radius: Positive = Field(description="Radius of the ball.")
    p: Exponent = Field(default=2.0, description="Exponent of the l^p norm, at least 1; .inf: the largest entry.")

    @property
    def norm(self) -> float:
        """What the norm that the set is about may be, or is."""
        return self.radius


class OutputBound(_LpBall):
    """|h(x)|_p <= radius for the logits of every x."""

    set: ClassVar[str] = "ball"

    def sentence(self) -> str:
        """The bound in a caption."""
        return f"{_lp_norm('h(x)', self.p)} <= {self.radius:g}"


class FeatureBound(_LpBall, PluginSection):
    """What features may not leave: a ball or (normalized features) a sphere for each, or a ball for all in the mean."""

    plugin_key: ClassVar[str] = "set"

    set: FeatureSet = Field(
        default="ball",
        description="ball: |f(x)|_p <= radius for every x; sphere (p = 2): |f(x)| = radius for every x; mean_square "
        "(feature tables, p = 2): the mean of |f(x)|^2 over the samples is at most radius^2; "
        "import:<module>:<name>: a class derived from nc_bench.constraints.ConstraintSet.",
    )

    @property
    def has_known_minimizer(self) -> bool:
        """Whether theory knows the least risk of features in this set, with a bounded head: False for a new set."""
        return self.set in ("ball", "sphere", "mean_square")

    @property
    def in_mean(self) -> bool:
        """Whether the mean over all samples is bounded, and not every sample: not possible in a forward pass."""
        return self.set == "mean_square"

    @property
    def on_surface(self) -> bool:
        """Whether norms are fixed, and not only bounded."""
        return self.set == "sphere"

    def sentence(self) -> str:
        """The bound in a caption."""
        if is_plugin(self.set):
            return f"features in {self.set} of radius {self.radius:g}"
        norm = "rms |f(x)|" if self.in_mean else _lp_norm("f(x)", self.p)
        return f"{norm} {'=' if self.on_surface else '<='} {self.radius:g}"

    def problems(self, *, table: bool, nonnegative: bool) -> list[str]:
        """What this set cannot be combined with: a network, or features that are kept non-negative by projection."""
        path = "constraints.features"
        problems = self.plugin_problems(path)
        if self.in_mean and not table:
            problems.append(f"{path}.set: {self.set} needs model.name: unconstrained")
        if self.on_surface and nonnegative:
            problems.append(f"{path}.set: {self.set} needs model.nonnegative: false")
        if self.set != "ball" and self.p != 2 and not is_plugin(self.set):
            problems.append(f"{path}.p: {self.p:g} given, but {self.set} needs 2")
        return problems


class HeadBound(PluginSection):
    """What the last layer may not leave: a bound of its singular values or of its rows, or rows of one length."""

    plugin_key: ClassVar[str] = "set"
    per_trial: ClassVar[frozenset[str]] = frozenset({"radius", "temperature"})

    radius: Positive | None = Field(
        default=None, description="Bound of the spectral norm, or of the rows' root mean square."
    )
    set: HeadSet = Field(
        default="spectral",
        description="spectral: |W|_op <= radius; mean_square: the mean of |w_k|^2 over the K classes is at most "
        "radius^2, which is the Frobenius ball |W|_F <= radius sqrt(K); unit_rows: unit rows divided by a temperature, "
        "|w_k| = 1/temperature for every k (with features on a sphere of radius 1: normalized softmax); "
        "import:<module>:<name>: a class derived from nc_bench.constraints.ConstraintSet.",
    )
    temperature: Temperature | None = Field(
        default=None, description="t of unit rows, whose logits are <w_k, f(x)>/t. Only for unit_rows, without radius."
    )
    p: ClassVar[float] = 2.0

    @property
    def norm(self) -> float:
        """What the norm that the set is about may be, or is."""
        if self.temperature is not None:
            return 1 / self.temperature
        assert self.radius is not None, "found by problems()"
        return self.radius

    @property
    def has_known_minimizer(self) -> bool:
        """Whether theory knows the least risk of a head in this set, with bounded features: False for a new set."""
        return self.set in ("spectral", "mean_square", "unit_rows")

    @property
    def in_mean(self) -> bool:
        """Whether the mean over all rows is bounded."""
        return self.set == "mean_square"

    @property
    def has_unit_rows(self) -> bool:
        """Whether every row is a unit vector over a temperature."""
        return self.set == "unit_rows"

    def sentence(self) -> str:
        """The bound in a caption."""
        if is_plugin(self.set):
            return f"head in {self.set} of radius {self.radius:g}"
        if self.has_unit_rows:
            return f"|w_k| = 1/{self.temperature:g}"
        return f"{'rms |w_k|' if self.in_mean else '|W|'} <= {self.radius:g}"

    def problems(self) -> list[str]:
        """Which of radius and temperature is missing or too much, one `dotted.path: problem` each."""
        needed, other = ("temperature", "radius") if self.has_unit_rows else ("radius", "temperature")
        path = "constraints.head"
        problems = self.plugin_problems(path)
        if getattr(self, needed) is None:
            meaning = (type(self).model_fields[needed].description or "").rstrip(".")
            problems.append(f"{path}.{needed}: missing ({meaning})")
        if (given := getattr(self, other)) is not None:
            problems.append(f"{path}.{other}: {given:g} given, but {self.set} has a {needed}")
        return problems


class Constraints(Section):
    """Sets that features, head and outputs may not leave; null where there is no bound."""

    features: FeatureBound | None = Field(
        default=None,
        description="The set of the features: radially in a network's forward pass, by projection for a table.",
    )
    head: HeadBound | None = Field(
        default=None, description="The set of the head's weight, by projection after each step."
    )
    outputs: OutputBound | None = Field(
        default=None, description="|h(x)|_p <= radius for the logits, radially in the forward pass."
    )

    @property
    def plugin(self) -> str:
        """The path of a set that is the user's own, empty if there is none."""
        sets = [bound.set for bound in (self.features, self.head) if bound is not None and is_plugin(bound.set)]
        return sets[0] if sets else ""

    def sentences(self) -> list[str]:
        """All bounds in a caption, those of features, head and outputs."""
        return [bound.sentence() for bound in (self.features, self.head, self.outputs) if bound is not None]


def _lp_norm(vector: str, p: float) -> str:
    return f"|{vector}|" if p == 2 else f"|{vector}|_{p:g}"
