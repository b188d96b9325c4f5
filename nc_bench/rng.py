"""Independent streams of random numbers, all derived from one seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

import numpy as np
import torch


class Stream(Enum):
    """What a stream of random numbers is for. The values are part of every run's identity: never renumber."""

    INITIALISATION = 0
    DATA_ORDER = 1
    LABELS = 2
    SYNTHETIC = 3
    SELECTION = 4
    MODEL_NOISE = 5
    AUGMENTATION = 6
    SWEEP = 100


def generator(seed: int, stream: Stream, *index: int) -> torch.Generator:
    """A fresh CPU generator for one purpose, and within it for one index.

    The state is a function of (seed, stream, index) alone, through NumPy's ``SeedSequence``: nothing is
    stored between calls, and drawing from one stream never moves another. The order of the data in epoch e
    is drawn from ``generator(seed, Stream.DATA_ORDER, e)``, whether or not epoch e - 1 was run in this
    process. torch's CPU generator keeps 32 bits of what it is seeded with, so any two streams coincide with
    probability 2^-32.

    Raises ValueError if seed or an index is negative.
    """
    if seed < 0 or any(position < 0 for position in index):
        raise ValueError(f"seed and stream index must be non-negative, got {seed} and {index}")
    sequence = np.random.SeedSequence(entropy=seed, spawn_key=(stream.value, *index))
    return torch.Generator().manual_seed(int(sequence.generate_state(1, np.uint64)[0]))


@contextmanager
def global_stream(seed: int, stream: Stream, *index: int, device: torch.device | None = None) -> Iterator[None]:
    """Inside the block torch's global generators, of the CPU and of the device, run on a stream of their own.

    For layers of libraries, which take no generator: their initialisation, their dropout. Afterwards the global
    generators are as they were, so nothing else is moved.
    """
    number = generator(seed, stream, *index).initial_seed()
    generators = [torch.default_generator, *_generator_of(device)]
    before = [own.get_state() for own in generators]
    for own in generators:
        own.manual_seed(number)
    try:
        yield
    finally:
        for own, state in zip(generators, before, strict=True):
            own.set_state(state)


@contextmanager
def kept_global_generators() -> Iterator[None]:
    """Afterwards the global generators of torch, of all its devices, of NumPy and of Python are as they were before."""
    python, legacy, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)  # noqa: NPY002
        torch.set_rng_state(cpu)
        if devices is not None:
            torch.cuda.set_rng_state_all(devices)


def _generator_of(device: torch.device | None) -> list[torch.Generator]:
    """The global generator of a device that has one of its own."""
    if device is None or device.type == "cpu":
        return []
    torch.cuda.init()
    return [torch.cuda.default_generators[torch.cuda.current_device() if device.index is None else device.index]]
