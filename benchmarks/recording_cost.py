"""What measuring costs: all metrics against one float32 `features.T @ features`, a recording against a forward pass.

Command: python benchmarks/recording_cost.py [--threads N] [--repeats N]
Prints ratios of two times taken in the same process, each the best of several repeats that take turns, by the clock
on the wall and by processor time (which other programs on the machine disturb less). Targets: at most 3 times the
product, and at most twice the forward pass. Takes about two minutes on two cores.
"""

from __future__ import annotations

import argparse
import ctypes
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from nc_bench import collapse_metrics
from nc_bench.config import load_config
from nc_bench.models import build_classifier
from nc_bench.recording import Recorder
from nc_bench.recording.recorder import BATCH_ELEMENTS, Split

MATRICES = ((50_000, 512, 10), (50_000, 512, 100), (20_000, 2048, 1000))
NETWORK, PIXELS, CLASSES, SPLITS = "mnist_mlp.yaml", (1, 28, 28), 10, (10_000, 60_000)
PRODUCT_TARGET, FORWARD_TARGET = 3.0, 2.0


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Best wall-clock and processor time of a job, in seconds."""

    wall: float
    processor: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"{platform.node()}, {_processor()}, {torch.get_num_threads()} threads")
    print(f"Python {platform.python_version()}, torch {torch.__version__}, best of {arguments.repeats} repeats\n")
    print("All metrics / features.T @ features     wall  processor   target  extra memory")
    for samples, width, classes in MATRICES:
        measured_matrix(samples, width, classes, arguments.repeats)
    print("\nRecording a split / bare forward pass   wall  processor   target  extra memory")
    for samples in SPLITS:
        measured_network(samples, arguments.repeats)


def measured_matrix(samples: int, width: int, classes: int, repeats: int) -> None:
    """One line: collapse_metrics with weight and bias on class-structured float32 features."""
    random = torch.Generator().manual_seed(0)
    labels = torch.arange(samples) % classes
    means, weight = torch.randn(2, classes, width, generator=random)
    bias = torch.randn(classes, generator=random)
    features = torch.randn(samples, width, generator=random).mul_(0.3).add_(means[labels])
    product = lambda: features.T @ features  # noqa: E731
    metrics = lambda: collapse_metrics(features, labels, weight, bias)  # noqa: E731
    memory = _extra_memory(metrics)
    line = f"{samples:,} x {width}, K = {classes}"
    _print_ratio(line, *_take_turns(metrics, product, repeats), PRODUCT_TARGET, memory)


@torch.no_grad()
def measured_network(samples: int, repeats: int) -> None:
    """One line: recording a split of the bounded MLP of configs/mnist_mlp.yaml, on random images."""
    config = load_config(Path(__file__).resolve().parents[1] / "configs" / NETWORK)
    model = build_classifier([config], input_shape=PIXELS, samples=samples, classes=CLASSES).eval()
    inputs = torch.randn(samples, *PIXELS, generator=torch.Generator().manual_seed(0))
    split = Split(inputs=inputs, labels=torch.arange(samples)[None] % CLASSES)
    recorder = Recorder(model, [config], CLASSES)
    rows = BATCH_ELEMENTS // inputs[0].numel()

    def forward() -> None:
        for part in inputs.split(rows):
            model(part[None])

    memory = _extra_memory(lambda: recorder.record(split))
    line = f"{samples:,} images, {'-'.join(map(str, config.model.widths))}"
    _print_ratio(line, *_take_turns(lambda: recorder.record(split), forward, repeats), FORWARD_TARGET, memory)


def _take_turns(first: Callable[[], object], second: Callable[[], object], repeats: int) -> tuple[Cost, Cost]:
    times: tuple[list[Cost], list[Cost]] = ([], [])
    for _ in range(repeats):
        for job, taken in zip((first, second), times, strict=True):
            wall, processor = time.perf_counter(), time.process_time()
            job()
            taken.append(Cost(wall=time.perf_counter() - wall, processor=time.process_time() - processor))
    best = [Cost(wall=min(c.wall for c in t), processor=min(c.processor for c in t)) for t in times]
    return best[0], best[1]


def _print_ratio(line: str, job: Cost, unit: Cost, target: float, memory: int | None) -> None:
    wall, processor = job.wall / unit.wall, job.processor / unit.processor
    extra = "not known" if memory is None else f"{memory / 2**20:.0f} MiB"
    print(f"  {line:<36}{wall:7.2f}  {processor:9.2f}  {'<=':>4} {target:.0f}  {extra:>13}", flush=True)


def _extra_memory(job: Callable[[], object]) -> int | None:
    """Bytes by which the process grows while the job runs, where Linux tells: its peak can be reset and read."""
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
        before = _status("VmRSS")
        job()
        return max(0, _status("VmHWM") - before)
    except OSError:
        return None


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(key))


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    main()
