"""docs/comparison.md: the formulas of other projects, written here once more, are what the page says of our values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.linalg import pinv

from nc_bench import collapse_metrics

Array = NDArray[np.float64]
PAGE = Path(__file__).parents[2] / "docs" / "comparison.md"
K, SAMPLES, WIDTH = 5, 7, 12
ROW = re.compile(r"^\| `([^`]+)`[^|]* \| `(\w+)` \| `([^`]+)` \|", re.MULTILINE)


def _formulas(h: Array, y: NDArray[np.int64], w: Array, b: Array) -> Mapping[str, Mapping[str, float]]:
    """The numbers of other projects as their code computes them, by the heading of the page and their names."""
    means = np.stack([h[y == c].mean(0) for c in range(K)])
    m = means - h.mean(0)
    residuals = h - means[y]
    within, between = residuals.T @ residuals / len(h), m.T @ m / K
    variances = np.array([(residuals[y == c] ** 2).sum(1).mean() for c in range(K)])
    one, two = np.triu_indices(K, 1)
    squares = ((means[one] - means[two]) ** 2).sum(1)
    cdnv = float(((variances[one] + variances[two]) / (2 * squares)).mean())
    directed = [
        (residuals[y == c] @ (means[k] - means[c])).var() / ((means[k] - means[c]) ** 2).sum() ** 2
        for c in range(K)
        for k in range(K)
        if k != c
    ]
    simplex = (np.eye(K) - 1 / K) / np.sqrt(K - 1)
    directions = m / np.linalg.norm(m, axis=1, keepdims=True)
    nearest = ((h[:, None] - means) ** 2).sum(2).argmin(1)

    def norms(v: Array) -> float:
        lengths = np.linalg.norm(v, axis=1)
        return float(lengths.std(ddof=1) / lengths.mean())

    def angles(v: Array) -> float:
        unit = v / np.linalg.norm(v, axis=1, keepdims=True)
        excess = unit @ unit.T + 1 / (K - 1)
        return float(np.abs(excess - np.diag(np.diag(excess))).sum() / (K * (K - 1)))

    def structure(one: Array, two: Array) -> float:
        gram = one @ two.T
        return float(np.linalg.norm(gram / np.linalg.norm(gram) - simplex))

    ratio = float(np.trace(within @ pinv(between, rtol=1e-10)))
    duality = float(np.linalg.norm(w / np.linalg.norm(w) - m / np.linalg.norm(m)))
    trace = float(np.trace(within) / np.trace(between))
    agreement = float(((h @ w.T + b).argmax(1) == nearest).mean())
    return {
        "Papyan, Han & Donoho": {
            "Sw_invSb": ratio,
            "norm_M_CoV": norms(m),
            "norm_W_CoV": norms(w),
            "cos_M": angles(m),
            "cos_W": angles(w),
            "W_M_dist": duality**2,
            "NCC_mismatch": 1 - agreement,
        },
        "Zhu et al. 2021": {
            "collapse_metric": ratio / K,
            "ETF_metric": structure(w, w),
            "WH_relation_metric": structure(w, m),
            "Wh_b_relation_metric": float(np.linalg.norm(w @ h.mean(0) + b)),
        },
        "Zhao et al. 2026": {
            "NC1": ratio / K,
            "NC2n": norms(m),
            "NC2a": angles(m),
            "NC2": structure(m, m),
            "NC2W": structure(w, w),
            "NC2Wn": norms(w),
            "NC2Wa": angles(w),
            "NC2M": structure(w, m),
            "NC3": duality,
            "norm(last_layer_rowsum)": float(np.linalg.norm(w.sum(0))),
            "NC4": agreement,
        },
        "NC-toolbox": {
            "nc1_strong": ratio / K,
            "nc1_weak": trace / (1 + trace),
            "nc1_cdnv": cdnv * SAMPLES / (SAMPLES - 1),
            "gnc2_hypershperical_uniformity": float(
                -np.log(np.linalg.norm(directions[one] - directions[two], axis=1)).mean()
            ),
            "nc3_self_duality": duality,
            "nc4_classifier_agreement": agreement,
        },
        "RepX": {"compute_cdnv": cdnv, "compute_directional_cdnv": float(np.mean(directed))},
        "Rangamani et al. 2023": {
            "NC1": float(np.trace(within / K @ pinv(between, rtol=1e-10))),
            "CDNV": cdnv,
            "Traces": float(variances.mean() / ((m**2).sum() / K)),
        },
    }


@pytest.fixture(scope="module")
def inputs() -> dict[str, Any]:
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(K), SAMPLES)
    features = random.normal(size=(K, WIDTH))[labels] + 0.5 * random.normal(size=(len(labels), WIDTH)) + 1.0
    return {"h": features, "y": labels, "w": random.normal(size=(K, WIDTH)), "b": random.normal(size=K)}


def test_the_page_says_what_their_formulas_give(inputs: dict[str, Any]) -> None:
    ours = collapse_metrics(inputs["h"], inputs["y"], inputs["w"], inputs["b"])
    sections = re.split(r"^## (.*)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    tables = {head: ROW.findall(text) for head, text in zip(sections[1::2], sections[2::2], strict=True)}
    formulas = _formulas(**inputs)
    assert {head: [name for name, _, _ in rows] for head, rows in tables.items() if rows} == {
        head: list(names) for head, names in formulas.items()
    }
    for head, names in formulas.items():
        for name, own, expression in tables[head]:
            assert own in expression and own in ours, (head, name)
            value = eval(expression, {"K": K, "n": SAMPLES}, dict(ours))
            assert value == pytest.approx(names[name], rel=1e-9), (head, name)
