"""The SHA-256 of a data set's contents: names of its classes, labels, and every bit of its inputs."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from nc_bench.data.dataset import Dataset
from nc_bench.data.image_files import ImageFiles
from nc_bench.data.images import Images, PixelArray

CACHE = "NC_BENCH_CACHE"
"""Environment variable: the folder that remembers digests of image folders; by default ~/.cache/nc_bench."""


def data_digest(data: Dataset, *, made: bool = False) -> str:
    """SHA-256 in hexadecimal digits; the same wherever the data lie and however much of them is held in memory.

    Files of images are read once: the digest of all of them is remembered for their names, sizes and times of change.
    Inputs that are `made` by the configuration do not enter it: their last bits may differ between machines.
    """
    whole = hashlib.sha256(json.dumps([data.classes, list(data.class_names or ())]).encode())
    for inputs, labels in ((data.train_inputs, data.train_labels), (data.test_inputs, data.test_labels)):
        if not made:
            whole.update((_of_images(inputs) if isinstance(inputs, Images) else _of_tensor(inputs)).encode())
        whole.update(_of_tensor(labels).encode())
    return whole.hexdigest()


def _of_tensor(tensor: Tensor) -> str:
    array = np.ascontiguousarray(tensor.detach().cpu().numpy())
    found = hashlib.sha256(f"{array.dtype.str} {array.shape}".encode())
    found.update(array.reshape(-1).view(np.uint8).data)
    return found.hexdigest()


def _of_images(images: Images) -> str:
    """Of the chosen images; of files the bytes, not the pixels decoded from them.

    How they are standardised follows from the images and the configuration, and may differ in the last bit between
    machines.
    """
    source = images.source
    if isinstance(source, ImageFiles):
        return _of_files([source.paths[index] for index in images.chosen.tolist()], source)
    if isinstance(source, PixelArray):
        return _of_tensor(source.pixels[images.chosen])
    return _of_blocks(images)


def _of_blocks(images: Images) -> str:
    found = hashlib.sha256()
    for block in images.pixels():
        found.update(_of_tensor(block).encode())
    return found.hexdigest()


def _of_files(paths: Sequence[Path], source: ImageFiles) -> str:
    if not paths:
        return ""
    root = os.path.commonpath([path.parent for path in paths])
    names = [os.path.relpath(path, root) for path in paths]
    found = [path.stat() for path in paths]
    listing = [[name, stat.st_size, stat.st_mtime_ns] for name, stat in zip(names, found, strict=True)]
    key = hashlib.sha256(json.dumps([os.path.abspath(root), listing]).encode()).hexdigest()
    contents = _remembered(key, lambda: _of_contents(paths, names))
    return f"{contents} {source.channels} {source.size} {source.background}"


def _of_contents(paths: Sequence[Path], names: Sequence[str]) -> str:
    whole = hashlib.sha256()
    for path, name in zip(paths, names, strict=True):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        whole.update(json.dumps([name, content]).encode())
    return whole.hexdigest()


def _remembered(key: str, compute: Callable[[], str]) -> str:
    """The digest for this listing of files; a cache that cannot be read or written is done without."""
    place = os.environ.get(CACHE)
    folder = Path(place) if place else Path(os.path.expanduser("~")) / ".cache" / "nc_bench"
    path = folder / f"files-{key}"
    try:
        kept = path.read_text()
        if len(kept) == 64 + 64 and kept[64:] == hashlib.sha256(kept[:64].encode()).hexdigest():
            return kept[:64]
    except (OSError, ValueError):
        pass
    found = compute()
    _remember(path, found)
    return found


def _remember(path: Path, found: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
            file.write(found + hashlib.sha256(found.encode()).hexdigest())
        Path(file.name).replace(path)
    except OSError:
        pass


def what_differs(held: dict[str, Any], now: dict[str, Any]) -> str:
    """What tells the data of a run from those at hand, by the facts of two manifests."""
    before, after = held.get("class_names", []), now["class_names"]
    if before and before != after:
        gone, new = [name for name in before if name not in after], [name for name in after if name not in before]
        changes = [f"without the class {name!r}" for name in gone] + [f"with a class {name!r}" for name in new]
        return ", ".join(changes) or "with the classes in another order"
    for key, what in (("classes", "classes"), ("samples", "samples"), ("class_counts", "samples of each class")):
        if held.get(key) is not None and held[key] != now[key]:
            return f"with {what} {_plain(now[key])} instead of {_plain(held[key])}"
    return "with the same names and numbers, but other contents"


def _plain(value: Any) -> str:
    return ", ".join(f"{key} {number}" for key, number in value.items()) if isinstance(value, dict) else str(value)
