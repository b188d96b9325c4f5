"""What measuring costs: all metrics against one float32 `features.T @ features`, a recording against a forward pass.

Command: python benchmarks/recording_cost.py [--threads N] [--repeats N]
Prints ratios of two times taken in the same process, each the best of several repeats that take turns, by the clock
on the wall and by processor time (which other programs on the machine disturb less). Targets: at most 3 times the
product, and at most twice the forward pass. Takes about two minutes on two cores.
"""

from __future__ import annotations

import argparse
import platform
from pathlib import Path

import torch
from timing import Cost, extra_memory, shown_memory, take_turns

from nc_bench import collapse_metrics
from nc_bench.config import Mlp, load_config
from nc_bench.models import build_classifier
from nc_bench.recording import Recorder
from nc_bench.recording.recorder import BATCH_ELEMENTS, Split
from nc_bench.training.device import device_name

MATRICES = ((50_000, 512, 10), (50_000, 512, 100), (20_000, 2048, 1000))
NETWORK, PIXELS, CLASSES, SPLITS = "mnist_mlp.yaml", (1, 28, 28), 10, (10_000, 60_000)
PRODUCT_TARGET, FORWARD_TARGET = 3.0, 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"{platform.node()}, {device_name(torch.device('cpu'))}, {torch.get_num_threads()} threads")
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
    memory = extra_memory(metrics)
    line = f"{samples:,} x {width}, K = {classes}"
    job, unit = take_turns((metrics, product), repeats)
    _print_ratio(line, job, unit, PRODUCT_TARGET, memory)


@torch.no_grad()
def measured_network(samples: int, repeats: int) -> None:
    """One line: recording a split of the bounded MLP of configs/mnist_mlp.yaml, on random images."""
    config = load_config(Path(__file__).resolve().parents[1] / "configs" / NETWORK)
    assert isinstance(config.model, Mlp)
    widths = config.model.widths
    model = build_classifier([config], input_shape=PIXELS, samples=samples, classes=CLASSES).eval()
    inputs = torch.randn(samples, *PIXELS, generator=torch.Generator().manual_seed(0))
    split = Split(inputs=inputs, labels=torch.arange(samples)[None] % CLASSES)
    recorder = Recorder(model, [config], CLASSES)
    rows = BATCH_ELEMENTS // inputs[0].numel()

    def forward() -> None:
        for part in inputs.split(rows):
            model(part[None])

    memory = extra_memory(lambda: recorder.record(split))
    line = f"{samples:,} images, {'-'.join(map(str, widths))}"
    job, unit = take_turns((lambda: recorder.record(split), forward), repeats)
    _print_ratio(line, job, unit, FORWARD_TARGET, memory)


def _print_ratio(line: str, job: Cost, unit: Cost, target: float, memory: int | None) -> None:
    wall, own = job.wall / unit.wall, job.processor / unit.processor
    print(f"  {line:<36}{wall:7.2f}  {own:9.2f}  {'<=':>4} {target:.0f}  {shown_memory(memory):>13}", flush=True)


if __name__ == "__main__":
    main()
