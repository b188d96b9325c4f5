"""How fast training is: an epoch of an MLP on data shaped as MNIST, against two loops that people write themselves.

Command: python benchmarks/throughput.py [--threads N] [--repeats N] [--samples N]
An epoch of 784-256-256-64-10 with batch norm in batches of 128, SGD with momentum, float32, on random images:
  images   torchvision's MNIST from files in its own format, a transform for every image, a DataLoader
  tensors  hand-written: all images on the device, torch.randperm, torch.nn, torch.optim.SGD
  bare     nc_bench without recording
  recorded nc_bench with all metrics of both splits after the epoch, the second split a sixth of the first
All are timed in the same process, each the best of several repeats that take turns, by the clock on the wall and by
processor time (which other programs on the machine disturb less). Targets: bare at least 5 times as fast as images,
and at most 1.1 times the time of tensors. The extra memory is the peak of an epoch over what was resident before it.
Takes about two minutes on two cores.
"""

from __future__ import annotations

import argparse
import platform
import struct
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from loop import train_and_record, train_only
from timing import Cost, extra_memory, shown_memory, take_turns
from torch import Tensor, nn
from torch.nn import functional as F

from nc_bench.config import Config
from nc_bench.data import Dataset
from nc_bench.training.device import device_name
from nc_bench.training.ensemble import Ensemble
from nc_bench.vision import torchvision

WIDTHS, CLASSES, BATCH, SIDE = (256, 256, 64), 10, 128, 28
RATE, MOMENTUM = 0.05, 0.9
MEAN, DEVIATION = 0.1307, 0.3081
SPEEDUP_TARGET, OVERHEAD_TARGET = 5.0, 1.1
CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True)
class Images:
    """Grey images (N, 28, 28) of bytes and labels (N,) of both splits."""

    train: Tensor
    train_labels: Tensor
    test: Tensor
    test_labels: Tensor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--samples", type=int, default=60_000)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"{platform.node()}, {device_name(CPU)}, {torch.get_num_threads()} threads")
    print(f"Python {platform.python_version()}, torch {torch.__version__}, best of {arguments.repeats} repeats\n")
    images = random_images(arguments.samples)
    with tempfile.TemporaryDirectory() as folder:
        write_idx(images, Path(folder))
        jobs: dict[str, Callable[[], object]] = {
            "images": from_images(Path(folder)),
            "tensors": from_tensors(images),
            "bare": partial(train_only, ensemble_of(images)),
            "recorded": partial(train_and_record, ensemble_of(images)),
        }
        memory = {name: extra_memory(job) for name, job in jobs.items()}
        costs = dict(zip(jobs, take_turns(list(jobs.values()), arguments.repeats), strict=True))
    print_epochs(costs, memory, arguments.samples)
    print_ratios(costs)


def print_epochs(costs: Mapping[str, Cost], memory: Mapping[str, int | None], samples: int) -> None:
    print(f"An epoch of {samples:,} images   wall s  processor s  images/s  extra memory")
    for name, cost in costs.items():
        line = f"  {name:<26}{cost.wall:9.3f}  {cost.processor:11.3f}  {samples / cost.wall:8,.0f}"
        print(f"{line}  {shown_memory(memory[name]):>12}", flush=True)


def print_ratios(costs: Mapping[str, Cost]) -> None:
    print("\nRatio of times                 wall  processor   target")
    for first, second, target in (
        ("images", "bare", f">= {SPEEDUP_TARGET:g}"),
        ("bare", "tensors", f"<= {OVERHEAD_TARGET:g}"),
        ("recorded", "bare", "none"),
    ):
        wall = costs[first].wall / costs[second].wall
        own = costs[first].processor / costs[second].processor
        print(f"  {first + ' / ' + second:<24}{wall:9.2f}  {own:9.2f}  {target:>7}")


def random_images(samples: int) -> Images:
    """Noise with labels: the time of an epoch does not depend on what is seen."""
    random = torch.Generator().manual_seed(0)
    sizes = (samples, samples // 6)
    pixels = [torch.randint(256, (n, SIDE, SIDE), generator=random, dtype=torch.uint8) for n in sizes]
    labels = [torch.arange(n) % CLASSES for n in sizes]
    return Images(train=pixels[0], train_labels=labels[0], test=pixels[1], test_labels=labels[1])


def write_idx(images: Images, root: Path) -> None:
    """The four files of MNIST where torchvision looks for them."""
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    splits = (("train", images.train, images.train_labels), ("t10k", images.test, images.test_labels))
    for name, pixels, labels in splits:
        header = struct.pack(">IIII", 0x803, *pixels.shape)
        (folder / f"{name}-images-idx3-ubyte").write_bytes(header + pixels.numpy().tobytes())
        header = struct.pack(">II", 0x801, len(labels))
        (folder / f"{name}-labels-idx1-ubyte").write_bytes(header + labels.to(torch.uint8).numpy().tobytes())


def by_hand() -> tuple[nn.Module, torch.optim.Optimizer]:
    """The network and the optimizer that both hand-written loops train."""
    layers: list[nn.Module] = [nn.Flatten()]
    widths = (SIDE * SIDE, *WIDTHS)
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(WIDTHS[-1], CLASSES))
    return model, torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM)


def take_step(model: nn.Module, optimizer: torch.optim.Optimizer, inputs: Tensor, labels: Tensor) -> None:
    optimizer.zero_grad()
    F.cross_entropy(model(inputs), labels).backward()
    optimizer.step()


def from_images(root: Path) -> Callable[[], None]:
    """An epoch as tutorials write it: every image is read, converted and normalized on its own."""
    transforms = torchvision.transforms
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((MEAN,), (DEVIATION,))])
    dataset: Any = torchvision.datasets.MNIST(root, train=True, transform=transform)
    loader: Any = torch.utils.data.DataLoader(dataset, batch_size=BATCH, shuffle=True)
    model, optimizer = by_hand()

    def epoch() -> None:
        for inputs, labels in loader:
            take_step(model, optimizer, inputs, labels)

    return epoch


def normalized(pixels: Tensor) -> Tensor:
    return pixels[:, None].float().div_(255).sub_(MEAN).div_(DEVIATION)


def from_tensors(images: Images) -> Callable[[], None]:
    """An epoch over tensors that are resident."""
    inputs, labels = normalized(images.train), images.train_labels
    model, optimizer = by_hand()

    def epoch() -> None:
        for batch in torch.randperm(len(inputs)).split(BATCH):
            take_step(model, optimizer, inputs[batch], labels[batch])

    return epoch


def ensemble_of(images: Images) -> Ensemble:
    config = Config.model_validate(
        {
            "device": "cpu",
            "data": {"name": "mnist"},
            "model": {"name": "mlp", "widths": list(WIDTHS), "batch_norm": True},
            "optimizer": {"name": "sgd", "lr": RATE, "momentum": MOMENTUM},
            "training": {"epochs": 1, "batch_size": BATCH},
        }
    )
    dataset = Dataset(
        name="random images",
        classes=CLASSES,
        train_inputs=normalized(images.train),
        train_labels=images.train_labels,
        test_inputs=normalized(images.test),
        test_labels=images.test_labels,
    )
    return Ensemble([config], dataset, CPU)


if __name__ == "__main__":
    main()
