"""All metrics of features in a file larger than memory should be: time, and memory that is not the file's.

Command: python benchmarks/memory_mapped.py [--samples N] [--width N] [--classes N] [--threads N] [--folder DIR]
Makes a file of float32 features, class means and noise, and removes it at the end. The defaults, 1,281,167 samples of
1,000 classes, 2,048 wide, are those of a ResNet-50 on ImageNet: 10.5 GB. The file is mapped into memory; then come, in
this order, one pass through it that adds up X^T X, `collapse_metrics` with a weight, and the product again.
Memory is RssAnon, the highest value seen every 50 ms: pages of the file, which the system drops when it wants, do not
count. Targets on two cores: at most 3 times the time of the product (the mean of both), and below 4 GB. Takes four
minutes on two free cores. Where the two products took very different times, the machine had other work, and only the
ratio of processor times says something.
Measured on two cores of an Intel Xeon, torch 2.13.0, nothing else running: at the defaults the products take 37 and
46 s, collapse_metrics 87 s, 2.11 times the product (2.10 in processor time), and 0.59 GB; with 200,000 samples 18 s
against 9 s, 2.03 times (2.13 in processor time), and 0.67 GB.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
from pathlib import Path

import numpy as np
import torch
from many_classes import SHOWN
from timing import Cost, anonymous_memory, take_turns
from torch import Tensor

from nc_bench import collapse_metrics
from nc_bench.metrics import CollapseMetrics
from nc_bench.training.device import device_name

BLOCK = 8192


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=1_281_167)
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--folder", type=Path, default=None, help="where the features' file is made, then removed")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(
        f"{platform.node()}, {device_name(torch.device('cpu'))}, {arguments.threads} threads, torch {torch.__version__}"
    )
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        random = torch.Generator().manual_seed(0)
        labels = torch.arange(arguments.samples) % arguments.classes
        labels = labels[torch.randperm(arguments.samples, generator=random)]
        means = torch.randn(arguments.classes, arguments.width, generator=random)
        path = Path(folder) / "features.npy"
        write_features(path, means, labels, random)
        features = torch.from_numpy(np.load(path, mmap_mode="r+"))
        print(f"{arguments.samples:,} samples, {features.nbytes / 1e9:.2f} GB on disk", flush=True)
        report(features, labels, means / arguments.width**0.5)


def write_features(path: Path, means: Tensor, labels: Tensor, random: torch.Generator) -> None:
    """By write calls: a file that is written through a mapping would hold its pages until they are on the disk."""
    shape = (len(labels), means.shape[1])
    with path.open("wb") as file:
        header = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.float32)), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_2_0(file, header)
        for own in labels.split(BLOCK):
            block = torch.randn(len(own), shape[1], generator=random) + means[own]
            file.write(block.numpy().data)


def report(features: Tensor, labels: Tensor, weight: Tensor) -> None:
    found: list[CollapseMetrics] = []
    peaks: list[tuple[int, int] | None] = []

    def product() -> None:
        total = torch.zeros(features.shape[1], features.shape[1])
        for block in features.split(BLOCK):
            total += block.T @ block

    def metrics() -> None:
        peaks.append(anonymous_memory(lambda: found.append(collapse_metrics(features, labels, weight))))

    before, measured, after = (take_turns([job], 1)[0] for job in (product, metrics, product))
    once = Cost(wall=(before.wall + after.wall) / 2, processor=(before.processor + after.processor) / 2)
    print(f"X^T X: {before.wall:.0f} and {after.wall:.0f} s, {once.processor:.0f} s of processor time")
    print(
        f"collapse_metrics: {measured.wall:.0f} s, {measured.processor:.0f} s of processor time; over the product "
        f"{measured.wall / once.wall:.2f} and {measured.processor / once.processor:.2f}"
    )
    peak = peaks[0]
    print(f"highest RssAnon: {'not known' if peak is None else f'{peak[1] / 1e9:.2f} GB'}")
    print("  ".join(f"{name} {found[0][name]:.4g}" for name in SHOWN))
    assert not found[0].reasons, found[0].reasons


if __name__ == "__main__":
    main()
