"""The summary of a measurement: values beside random directions and collapse, and why others are undefined."""

from __future__ import annotations

import numpy as np
import torch

from nc_bench import collapse_metrics, predict
from nc_bench.metrics.null import null_baseline
from nc_bench.metrics.summary import AT_COLLAPSE


def rows_of(text: str) -> dict[str, list[str]]:
    return {line.split()[0]: line.split()[1:] for line in text.splitlines() if line}


def test_the_values_at_collapse_are_those_of_the_theory() -> None:
    values = predict("penultimate_ball", classes=4, radius=3.0).values
    fixed = {name: value for name, value in AT_COLLAPSE.items() if value is not None}
    assert fixed == {name: values[name] for name in fixed} and len(fixed) >= 16


def test_each_value_stands_beside_random_directions_and_collapse() -> None:
    draw = np.random.default_rng(0)
    means = np.eye(5) - 0.2
    features = np.repeat(means, 6, 0) + 0.01 * draw.normal(size=(30, 5))
    metrics = collapse_metrics(features, np.repeat(np.arange(5), 6), means)
    text = metrics.summary()
    assert text.startswith("30 samples of 5 classes, 6 each, features of width 5\n")
    row, null = rows_of(text), null_baseline(5, 5)
    for name in ("nc2_etf", "nc3_alignment_centred", "isometry_defect"):
        assert row[name][:3] == [f"{metrics[name]:.4g}", f"{null[name]:.4g}", "0"]
        assert row[name][3:] == [f"{100 * metrics[name] / null[name]:.3g}", "%", "of", "random"]
    assert row["accuracy"] == ["1", "-", "1"] and row["risk"][1:] == ["-", "-"] and "undefined" not in text


def test_what_is_no_better_than_random_and_what_cannot_tell() -> None:
    noise = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    text = collapse_metrics(noise, torch.arange(40) % 10).summary()
    assert "no simplex of 10 classes fits below 9" in text and "no nearer to collapse than random" in text
    row = rows_of(collapse_metrics(noise, torch.arange(40) % 2).summary())
    assert row["nc2_equiangular"][-3:] == ["it", "cannot", "tell"] and "accuracy" not in row


def test_reasons_are_told_once_with_their_number() -> None:
    features, labels = torch.eye(4).repeat(2, 1), torch.arange(8) % 4
    metrics = collapse_metrics(features, labels, classes=5)
    (line,) = [line for line in metrics.summary().splitlines() if line.startswith("undefined (")]
    why = set(metrics.reasons.values())
    assert line == f"undefined ({len(metrics.reasons)} metrics): {why.pop()}" and not why
    assert "0 to 2 each" in metrics.summary()


def test_the_short_form_is_short() -> None:
    text = repr(collapse_metrics(torch.eye(4).repeat(2, 1), torch.arange(8) % 4, torch.eye(4)))
    assert text.startswith("CollapseMetrics(nc1_pinv=0, ") and text.endswith(" metrics)") and len(text) < 150
