"""Images in folders, one for every class: any image set, and ImageNet as torchvision unpacks it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nc_bench.config import FolderOfImages
from nc_bench.data.dataset import Dataset
from nc_bench.data.folder_scan import scan
from nc_bench.data.image_files import MODES, Header, ImageFiles, headers
from nc_bench.data.images import Images, levels_from_images, levels_from_statistics
from nc_bench.errors import DataError
from nc_bench.paths import expanded, printable

STATISTICS_SAMPLES = 20_000
"""Most training images by which pixels are standardised; of more, so many at even distances are taken."""


def load_folders(settings: FolderOfImages) -> Dataset:
    """`root`/train and `root`/test (ImageNet: val), each with one folder of images for every class.

    Classes and images, their order, and what is left out: see `scan`; how files become pixels: see `ImageFiles`.
    `Dataset.notes` counts what is left out or changed. The header of every file is read once (about 0.1 ms a file from
    a local disk) before anything else. Pixels are standardised channel by channel (see `levels_from_images`): by the
    stated means and standard deviations, else by the training images: all, or STATISTICS_SAMPLES of them at even
    distances.

    Raises DataError, one line that names the folder or file: as `scan` does, for an image that cannot be read, would
    take more memory than Pillow allows, or is transparent where no `background` is set, and for images of different
    modes or sizes that no setting makes equal.
    """
    root = expanded(settings.root, key="data.root", error=DataError)
    class_names, splits = scan(settings.name, [root / "train", root / settings.test_folder])
    found = headers([path for split in splits for path in split.paths])
    _check_transparency(found, settings.background)
    channels = settings.channels or _common_channels(found)
    width, height = (settings.image_size,) * 2 if settings.image_size else _common_size(found)
    sources = [
        ImageFiles(
            paths=split.paths,
            channels=channels,
            size=settings.image_size,
            shape=(channels, height, width),
            background=settings.background,
        )
        for split in splits
    ]
    levels = _levels(settings, sources[0])
    train, test = (
        Images(source=source, levels=levels, chosen=torch.arange(len(source)), workers=settings.workers)
        for source in sources
    )
    return Dataset(
        name=settings.name,
        classes=len(class_names),
        train_inputs=train,
        train_labels=torch.tensor(splits[0].labels),
        test_inputs=test,
        test_labels=torch.tensor(splits[1].labels),
        class_names=class_names,
        notes=(*splits[0].notes, *splits[1].notes, *_changes(found)),
    )


def _check_transparency(found: Sequence[Header], background: float | None) -> None:
    if background is None and (first := next((header for header in found if header.transparent), None)):
        raise DataError(
            f"{printable(first.path)}: has mode {first.mode} with transparency; set data.background to the gray level "
            "on which such images are laid (0 black, 1 white)"
        )


def _common_channels(found: Sequence[Header]) -> int:
    first = found[0]
    first_mode = _opaque_mode(first)
    for header in found:
        if (mode := _opaque_mode(header)) != first_mode:
            raise DataError(
                f"{printable(header.path)}: has mode {mode}, but {printable(first.path)} {first_mode}; set "
                "data.channels to 1 or 3"
            )
    if first_mode not in MODES.values():
        raise DataError(
            f"{printable(first.path)}: has mode {first_mode}, neither L nor RGB; set data.channels to 1 or 3"
        )
    return next(channels for channels, mode in MODES.items() if mode == first_mode)


def _opaque_mode(header: Header) -> str:
    """The mode of the image once it is laid on a background, and of 8 bits."""
    if header.deep or header.mode in ("LA", "La"):
        return "L"
    return "RGB" if header.transparent and header.mode != "L" else header.mode


def _common_size(found: Sequence[Header]) -> tuple[int, int]:
    first = found[0]
    for header in found:
        if header.size != first.size:
            mine, other = (f"{width} x {height}" for width, height in (header.size, first.size))
            raise DataError(
                f"{printable(header.path)}: has {mine} pixels, {printable(first.path)} {other}; set data.image_size"
            )
    return first.size


def _levels(settings: FolderOfImages, source: ImageFiles) -> Tensor:
    means, stds = settings.channel_means, settings.channel_stds
    if means is not None and stds is not None:
        for key, numbers in (("channel_means", means), ("channel_stds", stds)):
            if len(numbers) != source.channels:
                raise DataError(f"data.{key}: {len(numbers)} given, but the images have {source.channels} channels")
        levels = levels_from_statistics(means, stds)
        if not levels.isfinite().all():
            raise DataError("data.channel_stds: too small, (x/255 - mean) / std is not finite as a float32 number")
        return levels
    count = min(len(source), STATISTICS_SAMPLES)
    taken = torch.arange(count) * len(source) // count
    raw = Images(source=source, levels=torch.zeros(source.channels, 256), chosen=taken, workers=settings.workers)
    return levels_from_images(raw.pixels())


def _changes(found: Sequence[Header]) -> list[str]:
    """A line for everything that is done to images besides resizing and converting them."""
    counted = {
        "images have 16 bits a pixel, of which 8 are kept (x/257, rounded)": [h.path for h in found if h.deep],
        "images are turned or mirrored as their EXIF orientation says": [h.path for h in found if h.turned],
        "images have an alpha channel or transparent pixels and are laid on data.background": [
            h.path for h in found if h.transparent
        ],
        "files hold several images, of which the first is taken": [h.path for h in found if h.frames > 1],
    }
    return [f"{len(paths)} {what} (first: {printable(paths[0])})" for what, paths in counted.items() if paths]
