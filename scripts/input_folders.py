"""Folders of images that the input campaign draws, and the pixels that are to be read from them."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from input_outcomes import RIGHT
from numpy.typing import NDArray
from PIL import Image

from nc_bench.config import FolderOfImages
from nc_bench.data import load_dataset

KINDS = ["L", "RGB", "RGBA", "I;16", "P", "cut", "empty", "fifo", "other", "hidden", "loop", "subfolder"]


@st.composite
def folders(draw: st.DrawFn) -> tuple[list[str], list[list[tuple[str, int]]], dict[str, Any]]:
    pool = draw(st.sampled_from([["1", "2", "10", "011"], ["a", "b", "2", "10", "é", ".hidden", "x\ny"]]))
    names = draw(st.lists(st.sampled_from(pool), min_size=1, max_size=4, unique=True))
    # Mostly what is good, or hardly a folder would be read.
    kind = st.one_of(st.sampled_from(["L", "RGB", "I;16"]), st.sampled_from(["L", "RGB"]), st.sampled_from(KINDS))
    files = [draw(st.lists(st.tuples(kind, st.sampled_from([4, 4, 4, 6])), min_size=1, max_size=4)) for _ in names]
    channels = draw(st.sampled_from([None, 1, 3]))
    chosen: dict[str, Any] = {
        "channels": channels,
        "image_size": draw(st.sampled_from([None, 4])),
        "background": draw(st.sampled_from([None, 0.5])),
    }
    if channels:
        chosen |= {"channel_means": [0.0] * channels, "channel_stds": [1.0] * channels}
    return names, files, chosen


def write(path: Path, kind: str, side: int, random: np.random.Generator) -> NDArray[Any] | None:
    """Put one thing into a class; what of it is to be read, None if nothing is said of it here."""
    deep = random.integers(0, 2**16, (side, side), dtype=np.uint16)
    shape = (side, side, {"RGB": 3, "RGBA": 4}.get(kind, 1))
    pixels = random.integers(0, 256, shape, dtype=np.uint8).squeeze(-1 if shape[2] == 1 else ())
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "loop":
        path.with_suffix("").symlink_to("..")
    elif kind == "empty":
        path.touch()
    elif kind == "subfolder":
        path.mkdir()
    else:
        place = {"other": path.with_suffix(".gif"), "hidden": path.with_name(f".{path.name}")}.get(kind, path)
        image = Image.fromarray(deep if kind == "I;16" else pixels)
        (image.convert("P") if kind in ("P", "other") else image).save(place)
    if kind == "cut":
        path.write_bytes(path.read_bytes()[:60])
    return np.round(deep / 257.0) if kind == "I;16" else pixels.astype(np.float64)


def check_folder(case: tuple[list[str], list[list[tuple[str, int]]], dict[str, Any]]) -> str:
    names, files, chosen = case
    random, written = np.random.default_rng(0), dict[str, list[tuple[str, NDArray[Any] | None]]]()
    with tempfile.TemporaryDirectory() as folder:
        for split in ("train", "test"):
            for name, its_files in zip(names, files, strict=True):
                place = Path(folder, split, name)
                place.mkdir(parents=True)
                content = [
                    (kind, write(place / f"{i}.png", kind, side, random)) for i, (kind, side) in enumerate(its_files)
                ]
                if split == "train" and not name.startswith("."):
                    written[name] = [(kind, array) for kind, array in content if kind in KINDS[:5]]
        given = {"name": "image_folder", "root": folder, "workers": 0, **chosen}
        data = load_dataset(FolderOfImages.model_validate(given))
        assert data.class_names is not None and set(data.class_names) == set(written)
        numbers = all(name.isdecimal() for name in written)
        assert list(data.class_names) == sorted(written, key=int if numbers else str)
        expected = [part for name in data.class_names for part in written[name]]
        counts = [len(written[name]) for name in data.class_names]
        assert list(data.class_counts) == counts, f"{data.class_counts} images, should be {counts}"
        left_out = sum(kind in ("other", "hidden", "loop") for part in files for kind, _ in part)
        assert left_out == 0 or data.notes, "left out without a word"
        if chosen["channels"]:
            assert isinstance(data.train_inputs, torch.Tensor)
            for image, (kind, array) in zip(data.train_inputs, expected, strict=True):
                compare_image(image.numpy(), kind, array, chosen)
    return RIGHT


def compare_image(image: NDArray[Any], kind: str, array: NDArray[Any] | None, chosen: dict[str, Any]) -> None:
    if array is None or kind == "P" or array.shape[0] != image.shape[1]:
        return
    if kind == "RGBA":
        alpha = array[..., 3:] / 255
        array = array[..., :3] * alpha + round(255 * chosen["background"]) * (1 - alpha)
    if array.ndim == 3 and chosen["channels"] == 1:
        array = array @ np.array([0.299, 0.587, 0.114])
    wanted = np.broadcast_to(array[..., None] if array.ndim == 2 else array, (*array.shape[:2], len(image)))
    error = np.abs(255 * image.transpose(1, 2, 0) - wanted).max()
    assert error <= (1e-4 if kind != "RGBA" and array.dtype == np.float64 and chosen["channels"] == 3 else 2), (
        f"a pixel of {kind} is off by {error}"
    )
