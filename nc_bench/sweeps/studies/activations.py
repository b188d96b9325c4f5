"""Which activations let the features collapse, with and without one on the feature layer itself?"""

from __future__ import annotations

from nc_bench.sweeps.studies.evidence import Evidence, plus_minus
from nc_bench.sweeps.tables import digits
from nc_bench.text import listed


def activations(evidence: Evidence) -> str:
    """Efficiencies with and without a final activation, in falling order."""
    parts = []
    for final, words in ((False, "Without a final activation"), (True, "with one")):
        reached = {name: evidence.at("simplex_efficiency", activation=name, final=final) for name in _names(evidence)}
        ranked = sorted(reached, key=lambda name: -reached[name].mean)
        values = listed([f"{name} {plus_minus(reached[name])}" for name in ranked])
        parts.append(f"{words} simplex_efficiency is {values}")
    losses = {
        name: evidence.mean("simplex_efficiency", activation=name, final=False)
        - evidence.mean("simplex_efficiency", activation=name, final=True)
        for name in _names(evidence)
    }
    most = max(losses, key=lambda name: losses[name])
    return f"{'; '.join(parts)}; a final {most} costs most ({digits(losses[most])}), over {evidence.seeds()}."


def _names(evidence: Evidence) -> list[str]:
    return evidence.labels("activation")
