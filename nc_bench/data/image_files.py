"""Image files: what their headers say, and their pixels as bytes, turned and laid on a background as they ask for."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps
from torch import Tensor

from nc_bench.data.files import check_regular
from nc_bench.errors import DataError
from nc_bench.paths import printable
from nc_bench.text import one_line

MODES = {1: "L", 3: "RGB"}
"""How Pillow calls gray and colour images."""

FORMATS = ("BMP", "DIB", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""Pillow's readers that are used, whatever a file is called; among the others are some that start programs."""

HEADERS_AT_ONCE = 8

ORIENTATION = 0x0112
"""EXIF tag: 1 upright, 2 to 8 mirrored or turned, from 5 on by a quarter."""

WITHOUT_EFFECT = (
    # Tags that cannot be read, which turn nothing; those that a TIFF's pixels need are missed when it is decoded.
    "Possibly corrupt EXIF|Corrupt EXIF|Metadata Warning|Tag offset too large|Tag data larger than file",
    # Further frames that are announced wrongly, of which none is taken.
    "Invalid APNG|Image appears to be a malformed MPO file",
)
"""Pillow's warnings of which nothing has to be said: the pixels that are taken are the same."""

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Header:
    """What an image file says before its pixels are decoded. `size` is (width, height) after turning."""

    path: Path
    mode: str
    size: tuple[int, int]
    transparent: bool
    deep: bool
    turned: bool
    frames: int


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageFiles:
    """Image files, decoded when read: turned upright, converted to `channels`, brought to `size` where that is set.

    Images turn as their EXIF orientation says. Transparent pixels are laid on gray of the level `background` (0 black,
    1 white). 16 bits become 8: x/257, rounded. Of several frames the first is taken. Resizing takes the shorter side
    to `size` (bilinear, antialiased), then the centre is cropped.
    """

    paths: Sequence[Path]
    channels: int
    size: int | None
    shape: tuple[int, int, int]
    background: float | None = None

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, indices: Sequence[int]) -> UInt8[Tensor, "n c h w"]:
        with _handled_warnings():
            return torch.stack([self._decoded(self.paths[index]) for index in indices])

    def _decoded(self, path: Path) -> UInt8[Tensor, "c h w"]:
        from nc_bench.vision import torchvision

        functional = torchvision.transforms.functional
        converted = _read(path, lambda image: _eight_bits(_upright(image), MODES[self.channels], self.background))
        if self.size is not None:
            converted = functional.center_crop(functional.resize(converted, self.size), self.size)
        pixels: Tensor = functional.pil_to_tensor(converted)
        if tuple(pixels.shape) != self.shape:
            _, height, width = pixels.shape
            raise DataError(
                f"{printable(path)}: has {width} x {height} pixels, not {self.shape[2]} x {self.shape[1]} as the others"
            )
        return pixels


def headers(paths: Sequence[Path]) -> list[Header]:
    """Those of all files, in their order; DataError, one line, for the first that is no image that can be used."""
    with _handled_warnings(), ThreadPoolExecutor(HEADERS_AT_ONCE) as pool:
        return list(pool.map(lambda path: _read(path, lambda image: _header(path, image)), paths))


def _header(path: Path, image: Image.Image) -> Header:
    transparent = image.has_transparency_data
    if image.mode == "F" or (image.mode == "I" and image.format != "PPM"):
        raise DataError(
            f"{printable(path)}: has 32 bits a pixel (mode {image.mode}), which say not what is black and white; "
            "convert it to 8 or 16 bits"
        )
    deep = image.mode.startswith("I")
    if deep and transparent:
        raise DataError(f"{printable(path)}: has 16 bits a pixel and transparent ones; convert it to 8 bits")
    orientation = _orientation(image) if image.format != "PNG" or "exif" in image.info else 1
    if orientation >= 5 and image.info.get("compression") == "raw":
        # Pillow maps such a file into memory by the size that it has after turning, and scrambles it.
        raise DataError(f"{printable(path)}: an uncompressed TIFF that is to be turned by a quarter; save it upright")
    width, height = image.size  # a TIFF's is the one after turning
    return Header(
        path=path,
        mode=image.mode,
        size=(height, width) if orientation >= 5 and image.format != "TIFF" else (width, height),
        transparent=transparent,
        deep=deep,
        turned=orientation != 1,
        frames=getattr(image, "n_frames", 1),
    )


def _orientation(image: Image.Image) -> int:
    """1 where the image states none, or none that exists."""
    try:
        found = image.getexif().get(ORIENTATION, 1)
    except Exception:  # EXIF data come from anywhere, and whoever cannot read them leaves the image as it is
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def _upright(image: Image.Image) -> Image.Image:
    # Pillow itself turns a TIFF when it decodes it.
    upright = image.format == "TIFF" or _orientation(image) == 1
    return image if upright else ImageOps.exif_transpose(image)


def _eight_bits(image: Image.Image, mode: str, background: float | None) -> Image.Image:
    if image.mode.startswith("I"):
        levels = np.asarray(image).astype(np.int64)
        image = Image.fromarray(((levels + 128) // 257).astype(np.uint8))
    elif image.has_transparency_data:
        if background is None:
            raise ValueError("it has transparent pixels; set data.background")
        level = round(255 * background)
        ground = Image.new("RGBA", image.size, (level, level, level, 255))
        image = Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")
    return image.convert(mode)


def _read(path: Path, work: Callable[[Image.Image], T]) -> T:
    check_regular(path)
    try:
        with Image.open(path, formats=FORMATS) as image:
            return work(image)
    except (DataError, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DataError(
            f"{printable(path)}: would take more than {Image.MAX_IMAGE_PIXELS} pixels, Pillow's limit against files "
            "that fill the memory; make it smaller, or leave it out"
        ) from None
    except Exception as error:  # a damaged file can make a decoder raise anything
        raise DataError(f"{printable(path)}: cannot be read as an image ({one_line(error)})") from None


@contextmanager
def _handled_warnings() -> Iterator[None]:
    """Pillow warns of images beyond its limit, which are refused, and of what has no effect here; others pass."""
    with warnings.catch_warnings():
        for message in WITHOUT_EFFECT:
            warnings.filterwarnings("ignore", message, UserWarning)
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield
