"""Does normalized softmax reach the softmax code where classes outnumber the dimensions?"""

from __future__ import annotations

from nc_bench.config import Config, flatten
from nc_bench.statistics import summarise
from nc_bench.sweeps.studies.evidence import Answer, Evidence, above, all_of, interval
from nc_bench.sweeps.tables import digits
from nc_bench.theory import predict

REACHED = 0.98
"""Share of the code's margin from which on a run counts as having reached it."""


def codes(evidence: Evidence) -> Answer:
    """Margin times temperature over the margin of the softmax code; the rule looks at the smallest temperature."""
    temperatures = evidence.labels("t")
    rows, parts, lowest = [], [], None
    for arm in evidence.labels("arm"):
        code = code_margin(evidence.config(arm=arm))
        for t in temperatures:
            shares = evidence.values("margin", arm=arm, t=t) * t / code
            found = summarise(shares.to_numpy())
            verdict = above(found, REACHED)
            rows.append(
                (arm, digits(t), digits(code), interval(found), f"{(shares >= REACHED).sum()} of {found.runs}", verdict)
            )
            if t == min(temperatures):
                parts.append(verdict)
                lowest = found if lowest is None or found.mean < lowest.mean else lowest
    assert lowest is not None
    return Answer(
        verdict=all_of(parts),
        headline=f"that training reaches the softmax code from random starts; the least share of its margin is "
        f"{interval(lowest)}, n = {lowest.runs}.",
        header=("arm", "t", "margin of the code", "share reached", "runs that reach it", "as expected"),
        rows=tuple(rows),
    )


def code_margin(config: Config) -> float:
    """The margin of the softmax code for the classes and the width of this configuration."""
    settings = flatten(config)
    widths = settings["model.widths"]
    assert isinstance(widths, tuple), "a table of features has a width"
    return float(str(predict("softmax_code", classes=settings["data.classes"], width=widths[-1]).values["margin"]))
