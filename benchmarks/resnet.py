"""How fast a ResNet18 trains on 32x32 images: nc_bench against a loop written by hand, and the share of recording.

Command: python benchmarks/resnet.py [--device NAME] [--repeats N] [--samples N] [--precision NAME ...]
An epoch in batches of 128 over random images that lie on the device, SGD with momentum and weight decay, in
  float32   convolutions in TF32 where torch takes it, as on GPUs by default
  bfloat16  autocast, channels innermost
and of
  by hand     torchvision's ResNet18 with a 3x3 stem, torch.randperm, torch.optim.SGD
  open order  nc_bench without recording, sums in whatever order torch takes
  bare        nc_bench without recording, as runs are trained: repeatable to the last bit
  recorded    the same with all metrics of both splits after the epoch, the second split a fifth of the first
timed in one process in turns, each the best of several repeats, after one that does not count. For a GPU: about a
minute on an H200.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from loop import train_and_record, train_only
from timing import Cost, take_turns
from torch import Tensor, nn
from torch.nn import functional as F

from nc_bench.config import Config
from nc_bench.data import Dataset
from nc_bench.training.device import deterministic, device_name, resolve_device
from nc_bench.training.ensemble import Ensemble
from nc_bench.vision import torchvision

CLASSES, BATCH, SIDE = 10, 128, 32
RATE, MOMENTUM, DECAY = 0.05, 0.9, 5e-4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--samples", type=int, default=50_000)
    parser.add_argument("--precision", nargs="+", choices=("float32", "bfloat16"), default=("float32", "bfloat16"))
    arguments = parser.parse_args()
    device = resolve_device(arguments.device)
    print(f"{device_name(device)}, torch {torch.__version__}, best of {arguments.repeats} repeats")
    data = random_images(arguments.samples)
    for precision in arguments.precision:
        low = precision == "bfloat16"
        jobs = {
            "by hand": by_hand(data, device, low=low),
            "open order": ours(data, device, train_only, low=low, order=nullcontext),
            "bare": ours(data, device, train_only, low=low, order=lambda: deterministic(device)),
            "recorded": ours(data, device, train_and_record, low=low, order=lambda: deterministic(device)),
        }
        for job in jobs.values():
            job()
        report(
            precision,
            dict(zip(jobs, take_turns(list(jobs.values()), arguments.repeats), strict=True)),
            len(data.train_labels),
        )


def report(precision: str, costs: Mapping[str, Cost], samples: int) -> None:
    print(f"\n{precision:<14}   wall s   images/s   time / by hand")
    for name, cost in costs.items():
        print(f"  {name:<12}{cost.wall:9.3f}  {samples / cost.wall:9,.0f}{cost.wall / costs['by hand'].wall:17.2f}")
    share = 1 - costs["bare"].wall / costs["recorded"].wall
    print(f"  recording takes {share:.0%} of an epoch that is recorded", flush=True)


def random_images(samples: int) -> Dataset:
    """Noise with labels: the time of an epoch does not depend on what is seen."""
    random = torch.Generator().manual_seed(0)
    sizes = (samples, samples // 5)
    inputs = [torch.randn(size, 3, SIDE, SIDE, generator=random) for size in sizes]
    labels = [torch.arange(size) % CLASSES for size in sizes]
    return Dataset(
        name="random images",
        classes=CLASSES,
        train_inputs=inputs[0],
        train_labels=labels[0],
        test_inputs=inputs[1],
        test_labels=labels[1],
    )


def by_hand(data: Dataset, device: torch.device, *, low: bool) -> Callable[[], None]:
    assert isinstance(data.train_inputs, Tensor)
    inputs, labels = data.train_inputs.to(device), data.train_labels.to(device)
    model: Any = torchvision.models.resnet18(num_classes=CLASSES)
    model.conv1, model.maxpool = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.Identity()
    model = model.to(device, memory_format=torch.channels_last if low else torch.contiguous_format)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM, weight_decay=DECAY)

    def step(images: Tensor, its_labels: Tensor) -> Tensor:
        optimizer.zero_grad()
        if low:
            images = images.to(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=low):
            loss = F.cross_entropy(model(images), its_labels)
        loss.backward()
        optimizer.step()
        return loss.detach()

    def epoch() -> None:
        total = torch.zeros((), device=device)
        for batch in torch.randperm(len(inputs), device=device).split(BATCH):
            total += step(inputs[batch], labels[batch])
        assert total.isfinite(), "training diverged"

    return epoch


def ours(
    data: Dataset,
    device: torch.device,
    job: Callable[[Ensemble], None],
    *,
    low: bool,
    order: Callable[[], AbstractContextManager[None]],
) -> Callable[[], None]:
    fast = {"autocast": "bfloat16", "channels_last": True} if low else {}
    config = Config.model_validate(
        {
            "device": str(device),
            "data": {"name": "cifar10"},
            "model": {"name": "resnet18"},
            "optimizer": {"name": "sgd", "lr": RATE, "momentum": MOMENTUM},
            "objective": {"weight_decay": DECAY},
            "training": {"epochs": 1, "batch_size": min(BATCH, len(data.train_labels)), **fast},
        }
    )
    with order():
        ensemble = Ensemble([config], data, device)

    def epoch() -> None:
        with order():
            job(ensemble)

    return epoch


if __name__ == "__main__":
    main()
