"""CollapseMetric against the real library: alone, in a collection, copied, kept, and over two processes."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from copy import deepcopy
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nc_bench import collapse_metrics
from nc_bench.integrations.torchmetrics import CollapseMetric
from nc_bench.metrics import METRIC_NAMES

ROOT = Path(__file__).parents[2]

RANDOM = torch.Generator().manual_seed(0)
LABELS = torch.arange(20) % 4
MEANS, WEIGHT = torch.randn(2, 4, 6, generator=RANDOM, dtype=torch.float64)
FEATURES = MEANS[LABELS] + 0.3 * torch.randn(20, 6, generator=RANDOM, dtype=torch.float64)
WEIGHT += MEANS
BIAS = torch.randn(4, generator=RANDOM, dtype=torch.float64)
WHOLE = collapse_metrics(FEATURES, LABELS, WEIGHT, BIAS)


def a_head() -> nn.Linear:
    head = nn.Linear(6, 4).double()
    head.load_state_dict({"weight": WEIGHT, "bias": BIAS})
    return head


def filled(head: nn.Module | None = None, **keywords: Any) -> CollapseMetric:
    metric = CollapseMetric(4, head, **keywords)
    for features, labels in zip(FEATURES.split(7), LABELS.split(7), strict=True):
        metric.update(features, labels)
    return metric


def numbers(values: dict[str, Tensor]) -> dict[str, float]:
    assert all(value.dtype == torch.float64 and value.shape == () for value in values.values())
    return {name: float(value) for name, value in values.items()}


@pytest.mark.parametrize("budget", [0, 10**6])
def test_the_numbers_of_collapse_metrics(budget: int) -> None:
    metric = filled(a_head(), budget=budget)
    assert numbers(metric.compute()) == WHOLE and metric.measured.reasons == {}
    assert numbers(filled().compute()) == collapse_metrics(FEATURES, LABELS)
    assert list(filled(names=["nc1_pinv"]).compute()) == ["nc1_pinv"]
    metric.reset()
    assert metric.measured is None and metric.accumulator.samples == 0
    metric.update(FEATURES, LABELS)
    assert numbers(metric.compute()) == WHOLE


def test_forward_measures_the_batch_and_adds_it() -> None:
    metric, head = CollapseMetric(4, a_head(), absent="skip"), a_head()
    for features, labels in zip(FEATURES.split(10), LABELS.split(10), strict=True):
        expected = collapse_metrics(features, labels, head.weight, head.bias, absent="skip")
        assert numbers(metric(features, labels)) == expected
    assert numbers(metric.compute()) == WHOLE and metric.update_count == 2


def test_the_head_is_read_when_it_is_asked_and_shared_with_clones() -> None:
    head = a_head()
    metric = filled(head)
    assert list(metric.parameters()) == [] and list(metric.children()) == []
    copies = [metric.clone(), metric]
    together = deepcopy(nn.ModuleDict({"head": head, "metric": metric}))
    with torch.no_grad():
        head.weight.mul_(2)
    expected = collapse_metrics(FEATURES, LABELS, head.weight, head.bias)
    for copy in copies:
        assert repr(numbers(copy.compute())) == repr(dict(expected))  # some are NaN
    assert numbers(together["metric"].compute()) == WHOLE


def test_a_collection_with_other_metrics_and_prefixes() -> None:
    from torchmetrics import MetricCollection
    from torchmetrics.classification import MulticlassAccuracy

    head = a_head()
    metrics = MetricCollection(
        {"accuracy_of_logits": MulticlassAccuracy(4, average="micro"), "collapse": CollapseMetric(4, head)},
        prefix="test_",
    )
    for collection in (metrics, metrics.clone(prefix="other_")):
        for _ in range(2):
            logits = head(FEATURES)
            collection.update(preds=logits, target=LABELS, features=FEATURES, labels=LABELS)
            found = numbers_with_prefix(collection.compute())
            assert set(found) == {*WHOLE, "accuracy_of_logits"}
            assert {name: found[name] for name in WHOLE} == WHOLE
            assert found["accuracy_of_logits"] == pytest.approx(WHOLE["accuracy"])
            collection.reset()
    batch = metrics(preds=head(FEATURES), target=LABELS, features=FEATURES, labels=LABELS)
    assert numbers_with_prefix(batch)["nc1_pinv"] == WHOLE["nc1_pinv"]


def numbers_with_prefix(values: dict[str, Tensor]) -> dict[str, float]:
    return {re.sub("^(test|other)_", "", name): float(value) for name, value in values.items()}


def test_pickles_merges_and_states() -> None:
    metric = filled(a_head(), budget=0)
    assert numbers(pickle.loads(pickle.dumps(metric)).compute()) == WHOLE
    half, rest = CollapseMetric(4, a_head()), CollapseMetric(4, a_head())
    half.update(FEATURES[:9], LABELS[:9])
    half.compute()
    rest.update(FEATURES[9:], LABELS[9:])
    half.merge_state(rest)
    assert numbers(half.compute()) == WHOLE
    with pytest.raises(ValueError, match="only another CollapseMetric can be merged, got dict"):
        half.merge_state({})

    model = nn.ModuleDict({"metric": metric})
    assert dict(model.state_dict()) == {}
    metric.persistent(True)
    state = model.state_dict()
    assert list(state) == ["metric.features", "metric.labels"]
    fresh = nn.ModuleDict({"metric": CollapseMetric(4, a_head())})
    fresh["metric"].update(FEATURES[:3, :2], LABELS[:3])
    fresh.load_state_dict(state)
    assert numbers(fresh["metric"].compute()) == WHOLE


def test_what_is_wrong_is_one_line() -> None:
    for arguments, message in (
        ({"head": nn.ReLU()}, r"head must be a linear layer with a weight \(K, d\), got ReLU"),
        ({"names": ["nc1_pinvs"]}, "names: 'nc1_pinvs' is no metric; did you mean 'nc1_pinv'?"),
        ({"budget": -1}, "budget must be a whole number of bytes"),
        ({"unknown": 1}, "Unexpected keyword"),
    ):
        with pytest.raises(ValueError, match=message):
            CollapseMetric(4, **arguments)
    with pytest.raises(ValueError, match="names: risk needs a head"):
        filled(names=["risk"]).compute()
    with pytest.raises(ValueError, match=r"labels must lie in 0\.\.3"):
        filled().update(FEATURES, LABELS + 1)


def test_without_the_library_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    monkeypatch.delitem(sys.modules, "nc_bench.integrations.torchmetrics")
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'nc_bench\[torchmetrics\]'"):
        import_module("nc_bench.integrations.torchmetrics")


PROGRAM = """
import sys
import torch

from nc_bench import CollapseAccumulator, collapse_metrics
from nc_bench.distributed import current_group, process_group
from nc_bench.integrations.torchmetrics import CollapseMetric

features, labels, weight, bias = torch.load(sys.argv[1])
head = torch.nn.Linear(6, 4).double()
head.load_state_dict({"weight": weight, "bias": bias})
expected = collapse_metrics(features, labels, weight, bias)


def close(found):
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert abs(float(found[name]) - value) <= 1e-12 * (1 + abs(value)), (name, found[name], value)


with process_group() as group:
    for cut in (8, 20):  # at 20 the second process has seen nothing
        mine = slice(0, cut) if group.rank == 0 else slice(cut, 20)
        metric = CollapseMetric(4, head, absent="skip")
        accumulator = CollapseAccumulator(4, budget=100)
        if cut < 20 or group.rank == 0:
            value = metric(features[mine], labels[mine])  # of this process's batch alone
            assert float(value["feature_norm"]) == collapse_metrics(features[mine], labels[mine])["feature_norm"]
            accumulator.update(features[mine], labels[mine])
        else:
            metric.update(features[mine], labels[mine])
        for _ in range(2):  # what was brought together has not been added to what there is
            close(metric.compute())
            metric._computed = None
            close(accumulator.compute(weight, bias, gather=current_group().gather))
        assert metric.accumulator.samples == accumulator.samples == len(features[mine])
    local = CollapseMetric(4, head, sync_on_compute=False)
    local.update(features, labels)
    assert {name: float(value) for name, value in local.compute().items()} == expected
sys.stdout.write(f"rank {group.rank} agrees\\n")
"""


@pytest.mark.slow  # 12 s
def test_two_processes_measure_all_samples(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    torch.save((FEATURES, LABELS, WEIGHT, BIAS), tmp_path / "problem.pt")
    done = subprocess.run(
        [*torchrun, str(tmp_path / "program.py"), str(tmp_path / "problem.pt")],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == ["rank 0 agrees", "rank 1 agrees"]


@pytest.mark.slow  # 10 s
def test_the_example_runs() -> None:
    # Through our own import of torchvision, which torchmetrics needs, since not all builds of it go together.
    start = (
        "import runpy, sys, nc_bench.vision; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", start, str(ROOT / "examples" / "torchmetrics_metric.py"), "--epochs", "3"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[:3:2] for line in lines] == [["epoch", "accuracy"]] * 3
    cdnv = [float(line.split("nc1_cdnv ")[1].split()[0]) for line in lines]
    assert cdnv[2] < cdnv[0]


def test_all_metrics_have_a_name() -> None:
    assert set(WHOLE) == set(METRIC_NAMES)
