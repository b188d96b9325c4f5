"""The table of classes on the page, by their names."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from small_runs import network, tiny_dataset

from nc_bench import Run, collapse_metrics, load_run
from nc_bench.recording.feature_files import write_classes
from nc_bench.reports.class_rows import COLUMNS, MOST_ROWS, class_rows
from nc_bench.reports.page import write_page
from nc_bench.runs import RunError

MakeRun = Callable[..., Run]


def kept(run: Run, classes: int, epoch: int = 300) -> dict[str, np.ndarray]:
    """A table of both splits, as training keeps it; the training risks rise with the label."""
    labels = np.arange(classes, dtype=np.float64)
    columns = {name: labels + number / 8 for number, name in enumerate(("class", *COLUMNS))}
    columns["accuracy"] = (columns["accuracy"] % 1) * 0 + 0.996
    of_test = {name: column.copy() for name, column in columns.items()} | {"risk": labels * math.nan}
    write_classes(run.path, epoch=epoch, tables={"train": columns, "test": of_test})
    return columns


def test_classes_stand_by_their_names_on_the_page(make_run: MakeRun) -> None:
    names = ["cat", "<b>dog</b> & co", "a\u202eb", "long " * 20]
    run = make_run(manifest={"classes": 4, "class_names": names})
    columns = kept(run, 4)
    table = class_rows(run, "train")
    assert table is not None and table.header == ("class", *COLUMNS.values()) and table.classes == 4
    first = table.rows[1]
    assert first[:3] == (names[1], "1", f"{columns['mean_norm'][1]:.4g}") and first[-1] == "99.6 %"
    assert [row[6] for row in class_rows(run, "test").rows] == ["-"] * 4
    page = write_page(run).read_text()
    assert '<th scope="row">&lt;b&gt;dog&lt;/b&gt; &amp; co</th>' in page and "<b>dog" not in page
    assert "\u202e" not in page and '<th scope="row">cat</th>' in page
    assert page.count("<p>Training samples.</p>") == page.count("<p>Test samples.</p>") == 1


def test_of_many_classes_the_worst_are_shown(make_run: MakeRun) -> None:
    run = make_run(manifest={"classes": 300})
    kept(run, 300)
    table = class_rows(run, "train")
    assert table is not None and [row[0] for row in table.rows] == [str(label) for label in range(299, 199, -1)]
    assert f"the {MOST_ROWS} of 300 classes with the largest risk" in write_page(run).read_text()


def test_a_table_of_another_epoch_is_not_shown(make_run: MakeRun) -> None:
    run = make_run()
    assert class_rows(run, "train") is None and "Class by class" not in write_page(run).read_text()
    kept(run, 10, epoch=200)
    assert class_rows(run, "train") is None


def test_a_damaged_table_is_named(make_run: MakeRun) -> None:
    run = make_run()
    kept(run, 10)
    (path,) = (run.path / "features").glob("classes-*")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"classes-00300\.safetensors: damaged \(its SHA-256 does not match\)"):
        class_rows(run, "train")


def test_training_keeps_the_last_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nc_bench.training import run_training

    monkeypatch.setattr("nc_bench.training.run.load_dataset", lambda _: tiny_dataset())
    run_training(network(training={"epochs": 2, "batch_size": 8}), tmp_path / "run")
    run = load_run(tmp_path / "run")
    assert [path.name for path in (run.path / "features").glob("classes-*")] == ["classes-00002.safetensors"]
    table = class_rows(run, "train")
    last = run.rows[run.rows["split"] == "train"].iloc[-1]
    assert table is not None and len(table.rows) == run.manifest["classes"]
    assert [int(row[1]) for row in table.rows] == run.manifest["class_counts"]
    assert np.mean([float(row[6]) for row in table.rows]) == pytest.approx(last["risk_balanced"], rel=1e-3)


def test_names_stand_in_the_table_of_collapse_metrics() -> None:
    random = np.random.default_rng(0)
    features, labels = random.standard_normal((9, 4)), np.array([0, 0, 0, 0, 1, 2, 2, 2, 2])
    metrics = collapse_metrics(features, labels, class_names=["a", "b", "c"], minimum_samples=2)
    assert metrics.per_class["name"].tolist() == ["a", "c"] and list(metrics.per_class)[:2] == ["class", "name"]
    assert "name" not in collapse_metrics(features, labels).per_class
    with pytest.raises(ValueError, match=r"class_names holds 2 names for 3 classes"):
        collapse_metrics(features, labels, class_names=["a", "b"])
