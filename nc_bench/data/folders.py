"""Images in folders, one for every class: any image set, and ImageNet as torchvision unpacks it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from nc_bench.config import FolderOfImages
from nc_bench.data.dataset import Dataset
from nc_bench.data.images import Images, levels_from_images, levels_from_statistics
from nc_bench.errors import DataError
from nc_bench.text import listed, one_line

STATISTICS_SAMPLES = 20_000
"""Most training images by which pixels are standardised; of more, so many at even distances are taken."""

MODES = {1: "L", 3: "RGB"}
"""How PIL calls gray and colour images."""

HEADERS_AT_ONCE = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageFiles:
    """Image files, decoded when read: converted to `channels`, and brought to `size` where that is set.

    Resizing takes the shorter side to `size` (bilinear, antialiased), then the centre is cropped.
    """

    paths: Sequence[Path]
    channels: int
    size: int | None
    shape: tuple[int, int, int]

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, indices: Sequence[int]) -> UInt8[Tensor, "n c h w"]:
        return torch.stack([self._decoded(self.paths[index]) for index in indices])

    def _decoded(self, path: Path) -> UInt8[Tensor, "c h w"]:
        from nc_bench.vision import torchvision

        functional = torchvision.transforms.functional
        try:
            with Image.open(path) as image:
                converted = image.convert(MODES[self.channels])
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise _unreadable(path, error) from None
        if self.size is not None:
            converted = functional.center_crop(functional.resize(converted, self.size), self.size)
        pixels: Tensor = functional.pil_to_tensor(converted)
        return pixels


def load_folders(settings: FolderOfImages) -> Dataset:
    """`root`/train and `root`/test (ImageNet: val), each with one folder of images for every class, in sorted order.

    The header of every file is read once (about 0.1 ms a file from a local disk) before anything else. Pixels are
    standardised channel by channel (see `levels_from_images`): by the stated means and standard deviations, else by the
    training images: all, or STATISTICS_SAMPLES of them at even distances.

    Raises DataError, one line that names the folder or file, for a folder that is missing or has no classes, classes
    without images or other than those of the training folder, an image that cannot be read, and images of different
    modes or sizes that no setting makes equal.
    """
    root = Path(settings.root).expanduser()
    folders = [root / "train", root / settings.test_folder]
    classes, (train, train_labels), (test, test_labels) = _scanned(settings.name, folders)
    modes_and_sizes = _headers([*train, *test])
    channels = settings.channels or _common_channels(modes_and_sizes)
    width, height = (settings.image_size,) * 2 if settings.image_size else _common_size(modes_and_sizes)
    sources = [
        ImageFiles(paths=paths, channels=channels, size=settings.image_size, shape=(channels, height, width))
        for paths in (train, test)
    ]
    levels = _levels(settings, sources[0])
    inputs = [
        Images(source=source, levels=levels, chosen=torch.arange(len(source)), workers=settings.workers)
        for source in sources
    ]
    return Dataset(
        name=settings.name,
        classes=len(classes),
        train_inputs=inputs[0],
        train_labels=torch.tensor(train_labels),
        test_inputs=inputs[1],
        test_labels=torch.tensor(test_labels),
    )


def _scanned(name: str, folders: Sequence[Path]) -> tuple[list[str], Any, Any]:
    """Class names, and for each folder its files and their labels."""
    from nc_bench.vision import torchvision

    tools = torchvision.datasets.folder
    if missing := [folder for folder in folders if not folder.is_dir()]:
        wanted = listed([str(folder) for folder in folders])
        raise DataError(
            f"data.name={name}: looked for a folder of every class in {wanted}; {missing[0]} is missing, set data.root "
            "to the folder that holds both"
        )
    names = [sorted(path.name for path in folder.iterdir() if path.is_dir()) for folder in folders]
    if not names[0]:
        raise DataError(f"{folders[0]}: holds no folders, but there should be one of images for every class")
    if different := sorted(set(names[0]) ^ set(names[1])):
        place = next(folder for folder, found in zip(folders, names, strict=True) if different[0] not in found)
        raise DataError(f"{place}: has no class '{different[0]}', which {_other(folders, place)} has")
    numbers = {label: number for number, label in enumerate(names[0])}
    splits = []
    for folder in folders:
        found = tools.make_dataset(str(folder), numbers, extensions=tools.IMG_EXTENSIONS, allow_empty=True)
        if empty := sorted(set(numbers.values()) - {label for _, label in found}):
            raise DataError(f"{folder / names[0][empty[0]]}: holds no images")
        splits.append(([Path(path) for path, _ in found], [label for _, label in found]))
    return names[0], splits[0], splits[1]


def _other(folders: Sequence[Path], place: Path) -> Path:
    return folders[1] if place == folders[0] else folders[0]


def _headers(paths: Sequence[Path]) -> list[tuple[Path, str, tuple[int, int]]]:
    def header(path: Path) -> tuple[Path, str, tuple[int, int]]:
        try:
            with Image.open(path) as image:
                return path, image.mode, image.size
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise _unreadable(path, error) from None

    with ThreadPoolExecutor(HEADERS_AT_ONCE) as pool:
        return list(pool.map(header, paths))


def _common_channels(headers: Sequence[tuple[Path, str, tuple[int, int]]]) -> int:
    first_path, first_mode, _ = headers[0]
    for path, mode, _ in headers:
        if mode != first_mode:
            raise DataError(f"{path}: has mode {mode}, but {first_path} {first_mode}; set data.channels to 1 or 3")
    if first_mode not in MODES.values():
        raise DataError(f"{first_path}: has mode {first_mode}, neither L nor RGB; set data.channels to 1 or 3")
    return next(channels for channels, mode in MODES.items() if mode == first_mode)


def _common_size(headers: Sequence[tuple[Path, str, tuple[int, int]]]) -> tuple[int, int]:
    first_path, _, first_size = headers[0]
    for path, _, size in headers:
        if size != first_size:
            mine, other = (f"{width} x {height}" for width, height in (size, first_size))
            raise DataError(f"{path}: has {mine} pixels, {first_path} {other}; set data.image_size")
    return first_size


def _levels(settings: FolderOfImages, source: ImageFiles) -> Tensor:
    means, stds = settings.channel_means, settings.channel_stds
    if means is not None and stds is not None:
        for key, numbers in (("channel_means", means), ("channel_stds", stds)):
            if len(numbers) != source.channels:
                raise DataError(f"data.{key}: {len(numbers)} given, but the images have {source.channels} channels")
        return levels_from_statistics(means, stds)
    count = min(len(source), STATISTICS_SAMPLES)
    taken = torch.arange(count) * len(source) // count
    raw = Images(source=source, levels=torch.zeros(source.channels, 256), chosen=taken, workers=settings.workers)
    return levels_from_images(raw.pixels())


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(f"{path}: cannot be read as an image ({one_line(error)})")
