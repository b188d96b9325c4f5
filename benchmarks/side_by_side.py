"""The metrics of nc_bench beside those of rhubarbwu/neural-collapse, on the same features: values, and time.

Command: python benchmarks/side_by_side.py CLONE [--samples N] [--width N] [--classes N] [--spread S] [--offset O]
CLONE is a folder with a clone of https://github.com/rhubarbwu/neural-collapse, whose package is imported from there.
Features are class means (normal numbers, and the offset), and noise of the given spread, float32, labels balanced; the
head is the means and noise, without a bias. Theirs are taken as in their README: accumulators over batches of 1,024, in
two passes, then the measures. docs/comparison.md says which name of theirs is which of ours, and has the figures. Ten
seconds on a free core.
"""

from __future__ import annotations

import argparse
import math
import platform
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from timing import take_turns
from torch import Tensor

from nc_bench import collapse_metrics
from nc_bench.training.device import device_name

BATCH = 1024

PAIRS = {
    "nc1_pinv": "nc1_pinv",
    "nc1_svd": "nc1_pinv",
    "nc1_quot": "nc1_quotient",
    "nc1_cdnv": "nc1_cdnv",
    "nc2_etf_err": "nc2_etf",
    "nc2g_log average": "gnc2_log_kernel",
    "nc2g_log variance": "gnc2_log_kernel_std",
    "nc3_dual_err": "nc3_etf",
    "nc3u cosine variance": "gnc3_similarity_std",
    "nc4_agree": "nc4_mismatch",
}
"""By the name in their README: our name."""


def in_their_definition(name: str, value: float, classes: int) -> float:
    """Our value of the metric as they define it: variances for standard deviations, agreement for mismatch."""
    pairs = classes * (classes - 1) // 2
    return {
        "gnc2_log_kernel_std": value**2 * (pairs - 1) / pairs,
        "gnc3_similarity_std": value**2,
        "nc4_mismatch": 1 - value,
    }.get(name, value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clone", type=Path)
    parser.add_argument("--samples", type=int, default=20_000)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("--spread", type=float, default=1.0)
    parser.add_argument("--offset", type=float, default=1.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    random = torch.Generator().manual_seed(0)
    labels = torch.arange(arguments.samples) % arguments.classes
    means = torch.randn(arguments.classes, arguments.width, generator=random)
    noise = torch.randn(arguments.samples, arguments.width, generator=random)
    features = arguments.offset + means[labels] + arguments.spread * noise
    weight = (means + 0.3 * torch.randn(means.shape, generator=random)) / arguments.width**0.5
    sys.path.insert(0, str(arguments.clone))
    print(
        f"{platform.node()}, {device_name(torch.device('cpu'))}, {arguments.threads} threads, torch {torch.__version__}"
    )
    print(f"{arguments.samples:,} samples, width {arguments.width:,}, {arguments.classes:,} classes, float32")
    found: dict[str, dict[str, float]] = {}

    def ours() -> None:
        found["ours"] = collapse_metrics(features, labels, weight)

    def peers() -> None:
        found["theirs"] = peer_metrics(features, labels, weight)

    costs = take_turns([ours, peers], arguments.repeats)
    exact = collapse_metrics(features.double(), labels, weight.double())
    report(found["ours"], found["theirs"], exact, arguments.classes)
    print(f"{'seconds':44}{costs[0].wall:>15.2f}{costs[1].wall:>25.2f}")
    print(f"{'processor time':44}{costs[0].processor:>15.2f}{costs[1].processor:>25.2f}")
    print(f"{len(found['ours'])} metrics of ours, {len(found['theirs'])} of theirs")


def peer_metrics(features: Tensor, labels: Tensor, weight: Tensor) -> dict[str, float]:
    accumulate: Any = import_module("neural_collapse.accumulate")
    kernels: Any = import_module("neural_collapse.kernels")
    measure: Any = import_module("neural_collapse.measure")
    size = (len(weight), features.shape[1])
    batches = list(zip(features.split(BATCH), labels.split(BATCH), strict=True))
    by_class = accumulate.MeanAccumulator(*size)
    for batch, own in batches:
        by_class.accumulate(batch, own)
    means, centre = by_class.compute()
    within = accumulate.CovarAccumulator(*size, M=means)
    variances = accumulate.VarNormAccumulator(*size, M=means)
    decisions = accumulate.DecAccumulator(*size, M=means, W=weight)
    for batch, own in batches:
        within.accumulate(batch, own, means)
        variances.accumulate(batch, own, means)
        decisions.accumulate(batch, own, weight, means)
    covariance, norms = within.compute(), variances.compute()[0]
    logarithm, its_variance = kernels.kernel_stats(means, centre, kernel=kernels.log_kernel)
    return {
        "nc1_pinv": measure.covariance_ratio(covariance, means, centre),
        "nc1_svd": measure.covariance_ratio(covariance, means, centre, "svd"),
        "nc1_quot": measure.covariance_ratio(covariance, means, centre, "quotient"),
        "nc1_cdnv": measure.variability_cdnv(norms, means),
        "nc2_etf_err": measure.simplex_etf_error(means, centre),
        "nc2g_log average": logarithm,
        "nc2g_log variance": its_variance,
        "nc3_dual_err": measure.self_duality_error(weight, means, centre),
        "nc3u cosine variance": measure.similarities(weight, means, centre, cos=True).var().item(),
        "nc4_agree": measure.clf_ncc_agreement(decisions),
    }


def report(ours: dict[str, float], theirs: dict[str, float], exact: dict[str, float], classes: int) -> None:
    """Values, and how far each is from ours of the same numbers in float64."""
    print(f"{'theirs':22}{'ours':22}{'our value':>15}{'error':>10}{'their value':>15}{'error':>10}")
    for name, our_name in PAIRS.items():
        truth, mine = (in_their_definition(our_name, found[our_name], classes) for found in (exact, ours))
        cells = "".join(f"{value:>15.7g}{relative(value, truth):>10.1e}" for value in (mine, theirs[name]))
        print(f"{name:22}{our_name:22}{cells}")


def relative(value: float, truth: float) -> float:
    return abs(value - truth) / abs(truth) if truth else math.inf if value else 0.0


if __name__ == "__main__":
    main()
