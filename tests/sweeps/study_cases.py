"""Made-up runs of the studies, on both sides of the border of every decision rule."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from nc_bench.sweeps import rehearsal
from nc_bench.sweeps.grid import Grid, load_grid
from nc_bench.sweeps.outcome import Outcome
from nc_bench.sweeps.rehearsal import Cell, Measured
from nc_bench.sweeps.studies.capacity import MARGIN
from nc_bench.sweeps.studies.clock import margin_after
from nc_bench.sweeps.studies.generalisation import MATCHED_RISKS
from nc_bench.sweeps.studies.width import BEST_OF_DESCENTS
from nc_bench.theory import predict
from nc_bench.theory.cyclic_orbits import best_cyclic_orbit

FOLDER = Path(__file__).parents[2] / "configs" / "studies"
FILES = sorted(FOLDER.glob("*.yaml"))

_loaded: dict[Path, Grid] = {}


def grid_of(path: Path) -> Grid:
    if path not in _loaded:
        _loaded[path] = load_grid(path)
    return _loaded[path]


def nothing(cell: Cell, epoch: int) -> Mapping[str, float]:
    return {}


def made_outcome(path: Path, measured: Measured = nothing) -> Outcome:
    return rehearsal.made_outcome(grid_of(path), measured)


def _labels_at_rate(late: float) -> Measured:
    """1 - efficiency falls as epochs^-0.5 up to 300, from there on at the given rate."""

    def measured(cell: Cell, epoch: int) -> Mapping[str, float]:
        t = cell["epochs"]
        deficit = 0.1 * (100 / min(t, 300)) ** 0.5 * (300 / max(t, 300)) ** late
        return {"simplex_efficiency": 1 - deficit}

    return measured


def _heads(gain: float, unseen: float = 0.005) -> Measured:
    def measured(cell: Cell, epoch: int) -> Mapping[str, float]:
        fixed = cell["arm"] == "fixed simplex"
        return {"simplex_efficiency": 0.9 + gain * fixed, "kernel_share": unseen if fixed else 0.005}

    return measured


def _exponents(share: float, change: float) -> Measured:
    def measured(cell: Cell, epoch: int) -> Mapping[str, float]:
        minimum = 0.3
        risk = minimum + share * (math.log(10) - minimum)
        return {"risk": risk, "predicted risk": minimum, "simplex_efficiency": 0.9 + change * (cell["p"] == 6.0)}

    return measured


def _clock(slope: float) -> Measured:
    return lambda cell, epoch: {"epoch of .95": 5 * math.exp(slope * cell["R"])}


def _everywhere(**values: float) -> Measured:
    usual = {"nc1_quotient": 0.05, "nc2_equiangular": 0.05, "simplex_efficiency": 0.95}
    return lambda cell, epoch: usual | values


def _dimensions(excess: float, at: int | None = None) -> Measured:
    """Risk over the least risk, at one width or at all."""

    def measured(cell: Cell, epoch: int) -> Mapping[str, float]:
        d = cell["d"]
        least = BEST_OF_DESCENTS.get(d) or predict("penultimate_ball", classes=10, radius=5.0, width=d).values["risk"]
        return {"risk": float(least) * (1 + (excess if at in (None, d) else 0.01))}

    return measured


def _codes(share: float, arm: str | None = None) -> Measured:
    """Share of the code's margin at the smaller temperature, in one arm or in all."""

    def measured(cell: Cell, epoch: int) -> Mapping[str, float]:
        classes, d = (int(number) for number in re.findall(r"= (\d+)", cell["arm"]))
        code = float(predict("softmax_code", classes=classes, width=d).values["margin"])
        reached = share if arm in (None, cell["arm"]) and cell["t"] == 0.1 else 1.0 if cell["t"] == 0.1 else 0.5
        return {"margin": reached * code / cell["t"]}

    return measured


def _orbits(excess: float, at: tuple[int, int] | None = None) -> Measured:
    """The objective over that of the best orbit, at one (K, L) or at all."""

    def measured(cell: Cell, epoch: int) -> Mapping[str, float]:
        place = (cell["K"], cell["L"])
        orbit = best_cyclic_orbit(classes=place[0], layers=place[1], decay=1e-3)
        return {"objective": orbit.objective * (1 + (excess if at in (None, place) else 0.0)), "effective rank": 3.0}

    return measured


def _frozen(change: float, spread: float = 0.5) -> Measured:
    """Efficiency in one frozen arm minus that of the trained one, and nc1_quotient in the last frozen layer."""

    def measured(cell: Cell, epoch: int) -> Mapping[str, float]:
        trained = 0.8 if cell["arm"].endswith("decay") else 0.95
        own = change * (cell["arm"] == "frozen, ball")
        return {"simplex_efficiency": trained + own, "nc1_quotient, layer3": spread}

    return measured


def _test_spread(last: float, early: float = 0.5) -> Measured:
    """nc1_quotient of correctly classified test images, 1 in the untrained network, at an eighth and at the end."""

    def measured(cell: Cell, epoch: int) -> Mapping[str, float]:
        its_last = last if cell["arm"] == "norm bounds" else 0.01
        return {"nc1_quotient, test": 1.0, "nc1_quotient, test, correct": its_last if epoch >= 1000 else early}

    return measured


def _merging(ratio: float, ball: float = 0.999) -> Measured:
    def measured(cell: Cell, epoch: int) -> Mapping[str, float]:
        return {"accuracy": 0.6 if cell["ratio"] > ratio else 1.0, "simplex_efficiency": ball}

    return measured


def _decoupled(times: float, arm: str = "SGDW") -> Measured:
    """NC3 three times as large under decoupled decay, but for one arm; it is least where NC1 does not match."""

    def measured(cell: Cell, epoch: int) -> Mapping[str, float]:
        within = cell["lr"] >= 1e-3
        lost = times if cell["arm"] == arm else 3.0 if cell["arm"].endswith("W") else 1.0
        return {"nc1_quotient": 0.01 if within else 0.5, "nc3_duality": 0.1 * lost if within else 1e-6}

    return measured


def _flow(stretch: float) -> Measured:
    """Margins on the clock from a margin of 1 at the start, the last one stretched."""

    @cache
    def on_clock(time: float) -> float:
        return margin_after(1.0, time, per_class=140)

    def measured(cell: Cell, epoch: int) -> Mapping[str, float]:
        reached = on_clock(cell["lr"] * epoch) * (stretch if epoch == 3000 else 1.0)
        return {"risk": math.log1p(9 * math.exp(-reached))}

    return measured


def _helping(*directions: int) -> Measured:
    """Efficiency rises with the decay, and test accuracy with it or against it: by one direction at every matched risk,
    and the other way round before the first."""

    def measured(cell: Cell, epoch: int) -> Mapping[str, float]:
        gain = 0.01 * math.log10(1e-5 + cell["decay"])
        stage = min(epoch // 10, len(MATCHED_RISKS))
        risk = 1.02 * MATCHED_RISKS[0] if stage == 0 else 0.98 * MATCHED_RISKS[stage - 1]
        direction = -directions[0] if stage == 0 else directions[stage - 1]
        return {"risk": risk, "simplex_efficiency": 0.9 + gain, "test accuracy": 0.9 + direction * gain}

    return measured


def _weights_matter(small: float, large: float) -> Measured:
    """How much weights change the balanced risk at the smallest width and at the largest."""

    def measured(cell: Cell, epoch: int) -> Mapping[str, float]:
        change = {3: small, 64: large}.get(cell["width"], 0.0)
        return {"risk_balanced": 0.1 + change * (cell["ratio"] == 100)}

    return measured


def _imbalance(ball: float, change: float, gain: float = 0.1) -> Measured:
    """In the longer twins; before, everything is as usual."""

    def measured(cell: Cell, epoch: int) -> Mapping[str, float]:
        if epoch <= 60:
            return {}
        worst, bounded = cell["ratio"] == 100, cell["arm"] == "ball"
        return {
            "simplex_efficiency": (ball if worst else 0.95) if bounded else 0.9 + change * worst,
            "minority test accuracy": 0.5 + gain * (worst and bounded),
        }

    return measured


CASES: dict[str, dict[str, list[Measured]]] = {
    "activations": {
        "supported": [_everywhere(), _everywhere(nc1_quotient=0.099)],
        "refuted": [
            _everywhere(nc1_quotient=0.101),
            _everywhere(nc2_equiangular=0.101),
            _everywhere(simplex_efficiency=0.898),
        ],
        "undecided": [_everywhere(nc1_quotient=0.1)],
    },
    "capacity": {
        "supported": [_weights_matter(0.047, 0.0), _weights_matter(0.3, 0.045)],
        "refuted": [_weights_matter(0.045, 0.0), _weights_matter(0.3, 0.047)],
        "undecided": [_weights_matter(0.3, MARGIN)],
    },
    "class_imbalance": {
        "supported": [_imbalance(0.901, -0.3), _imbalance(0.95, -0.201), _imbalance(0.95, -0.3, gain=0.001)],
        "refuted": [_imbalance(0.899, -0.3), _imbalance(0.95, -0.199), _imbalance(0.95, -0.3, gain=-0.001)],
        "undecided": [_imbalance(0.9, -0.3), _imbalance(0.95, -0.3, gain=0.0)],
    },
    "clock": {"supported": [_flow(1.0), _flow(1.049), _flow(0.951)], "refuted": [_flow(1.051), _flow(0.949)]},
    "class_weights": {
        "supported": [_merging(29), _merging(30), _merging(29, ball=0.991)],
        "refuted": [_merging(27), _merging(32), _merging(29, ball=0.989)],
        "undecided": [_merging(1000), _merging(0)],
    },
    "codes": {
        "supported": [_codes(0.981)],
        "refuted": [_codes(0.979), _codes(0.979, "K = 8, d = 2")],
        "undecided": [_codes(0.98)],
    },
    "depth_of_table": {
        "supported": [_orbits(0.0), _orbits(0.0008), _orbits(-0.0008), _orbits(-0.1, (10, 3))],
        "refuted": [_orbits(-0.0012), _orbits(-0.0012, (8, 4))],
        "undecided": [_orbits(0.0012), _orbits(0.1, (6, 5))],
    },
    "depth": {
        "supported": [_frozen(-0.049), _frozen(0.2)],
        "refuted": [_frozen(-0.051)],
        "undecided": [_frozen(-0.05), _frozen(0.0, spread=0.099), _frozen(-0.3, spread=0.1)],
    },
    "fixed_head": {
        "supported": [_heads(0.0), _heads(0.0099), _heads(-0.0099), _heads(0.0, unseen=0.0099)],
        "refuted": [_heads(0.0101), _heads(-0.0101), _heads(0.0, unseen=0.0101)],
        "undecided": [_heads(0.01), _heads(0.0, unseen=0.01)],
    },
    "generalisation": {
        "supported": [_helping(1, 1, 1, 1), _helping(1, -1, 1, 1)],
        "refuted": [_helping(-1, -1, -1, -1), _helping(-1, 1, -1, -1)],
        "undecided": [_helping(1, -1, 1, -1), lambda cell, epoch: {"risk": 0.051}],
    },
    "norms": {
        "supported": [_exponents(0.0099, 0.0), _exponents(0.005, 0.0199), _exponents(0.005, -0.0199)],
        "refuted": [_exponents(0.0101, 0.0), _exponents(0.005, 0.0201), _exponents(0.005, -0.0201)],
        "undecided": [_exponents(0.005, 0.02)],
    },
    "optimisers": {"supported": [_decoupled(2.01)], "refuted": [_decoupled(1.99), _decoupled(1.99, "AdamW")]},
    "radius": {
        "supported": [_clock(1.0), _clock(0.67), _clock(1.5)],
        "refuted": [_clock(0.66), _clock(1.51)],
        "undecided": [lambda cell, epoch: {"epoch of .95": math.nan}],
    },
    "random_labels": {"supported": [_labels_at_rate(0.11)], "refuted": [_labels_at_rate(0.09)]},
    "random_labels_resnet": {
        "supported": [_everywhere(nc1_quotient=0.099)],
        "refuted": [_everywhere(nc1_quotient=0.101)],
        "undecided": [_everywhere(nc1_quotient=0.1)],
    },
    "train_or_test": {
        "supported": [_test_spread(0.099), _test_spread(0.05, early=0.0505)],
        "refuted": [_test_spread(0.101), _test_spread(0.05, early=0.0495)],
        "undecided": [_test_spread(0.1), _test_spread(0.05, early=0.05)],
    },
    "width": {
        "supported": [_dimensions(0.049)],
        "refuted": [_dimensions(0.051), _dimensions(0.051, at=3), _dimensions(0.051, at=64)],
        "undecided": [_dimensions(0.05)],
    },
}
"""For every answer, by the verdict that it has to give: runs at the border of its rule and beyond."""
