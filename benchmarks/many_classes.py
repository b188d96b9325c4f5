"""All metrics of features of very many classes: time, and memory beyond the features.

Command: python benchmarks/many_classes.py [--classes N] [--width N] [--samples N] [--threads N] [--folder DIR]
Class sizes are unequal, from 1 to 10,000 samples of a class as a power of its rank; features are class means and noise,
float32, in a file that is mapped into memory; the weight is the class means and noise. The defaults, 50,000 classes,
768 wide, of 500,000 samples, are two products of 2 N K d = 3.8e13 floating-point operations in float32 and five of
2 K^2 d = 3.8e12 in float64 (pairs of classes). Target: below 3 GB beyond the features. Measured on one thread of an
Intel Xeon, torch 2.13.0, beside other work: 3,305 s of processor time, and with --samples 150000 1,355 s. The most
memory, when W is compared with the means, does not depend on the samples: 2,904 MiB beyond the features (measured
with 150,000, after a change that the run with 500,000 did not have). --classes 10000 --samples 100000 takes a
twenty-fifth of that time.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from timing import anonymous_memory, shown_memory

from nc_bench import collapse_metrics
from nc_bench.metrics import CollapseMetrics
from nc_bench.training.device import device_name

LARGEST_CLASS = 10_000
BLOCK = 10_000
SHOWN = ("nc1_pinv", "nc1_cdnv", "nc2_equiangular", "nc3_duality_centred", "nc4_mismatch", "risk", "simplex_efficiency")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", type=int, default=50_000)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--samples", type=int, default=500_000)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--folder", type=Path, default=None, help="where the features' file is made, then removed")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(
        f"{platform.node()}, {device_name(torch.device('cpu'))}, {arguments.threads} threads, torch {torch.__version__}"
    )
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        random = np.random.default_rng(0)
        counts = class_sizes(arguments.classes, arguments.samples)
        labels = random.permutation(np.repeat(np.arange(arguments.classes), counts))
        means = random.standard_normal((arguments.classes, arguments.width), dtype=np.float32)
        features = features_in_file(Path(folder) / "features.npy", means, labels, random)
        weight = means / np.sqrt(arguments.width, dtype=np.float32)
        del means
        print(
            f"{arguments.classes:,} classes of {counts.min():,} to {counts.max():,} samples, {len(labels):,} in all, "
            f"width {arguments.width:,}: features of {features.nbytes / 2**20:,.0f} MiB",
            flush=True,
        )
        report(features, labels, weight)


def class_sizes(classes: int, samples: int) -> NDArray[np.int64]:
    """Sizes c^-a times the largest, at least 1, with the a that makes `samples` in all, as nearly as it goes."""
    rank = np.arange(1, classes + 1, dtype=np.float64)
    largest = max(1, min(LARGEST_CLASS, samples // 10))
    low, high = 0.0, 10.0
    for _ in range(60):
        middle = (low + high) / 2
        sizes = np.maximum(1, np.floor(largest * rank**-middle))
        low, high = (middle, high) if sizes.sum() > samples else (low, middle)
    return np.maximum(1, np.floor(largest * rank**-high)).astype(np.int64)


def features_in_file(
    path: Path, means: NDArray[np.float32], labels: NDArray[np.int64], random: np.random.Generator
) -> NDArray[np.float32]:
    shape = (len(labels), means.shape[1])
    features = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    for start in range(0, len(labels), BLOCK):
        own = labels[start : start + BLOCK]
        features[start : start + BLOCK] = means[own] + random.standard_normal((len(own), shape[1]), dtype=np.float32)
    features.flush()
    return features


def report(features: NDArray[np.float32], labels: NDArray[np.int64], weight: NDArray[np.float32]) -> None:
    found: list[CollapseMetrics] = []
    wall, processor = time.perf_counter(), time.process_time()
    seen = anonymous_memory(lambda: found.append(collapse_metrics(features, labels, weight)))
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    memory = None if seen is None else seen[1] - seen[0]
    print(f"{wall:.0f} s, {processor:.0f} s of processor time, {shown_memory(memory)} beyond the features")
    print("  ".join(f"{name} {found[0][name]:.4g}" for name in SHOWN))
    if found[0].reasons:
        print("undefined:", "; ".join(f"{name}: {why}" for name, why in found[0].reasons.items()))


if __name__ == "__main__":
    main()
