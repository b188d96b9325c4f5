"""Files that are more than an image of bytes: 16 bits, transparency, turned, bombs, and what only looks like a file."""

from __future__ import annotations

import os
import socket
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dataset_files import folder_refusal as refusal
from dataset_files import load_folder as load
from dataset_files import write_image_folder
from numpy.typing import NDArray
from PIL import Image

from nc_bench.data import Dataset
from nc_bench.data.image_files import ImageFiles, headers

RAMP = np.linspace(0, 65535, 16 * 16).round().astype(np.uint16).reshape(16, 16)


def decoded(path: Path, **settings: Any) -> NDArray[np.uint8]:
    shape = settings.pop("shape", (3, 16, 16))
    source = ImageFiles(paths=[path], channels=shape[0], size=None, shape=shape, **settings)
    pixels: NDArray[np.uint8] = source.read([0])[0].numpy()
    return pixels


def with_every_image(root: Path, change: Callable[[Path], None], **settings: Any) -> Dataset:
    write_image_folder(root)
    for path in root.rglob("*.png"):
        change(path)
    return load(root, **settings)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
@pytest.mark.parametrize("channels", [1, 3])
def test_16_bits_are_scaled_and_not_cut(tmp_path: Path, suffix: str, channels: int) -> None:
    path = tmp_path / f"ramp{suffix}"
    if suffix == ".pgm":
        path.write_bytes(b"P5 16 16 65535\n" + RAMP.astype(">u2").tobytes())
    else:
        Image.fromarray(RAMP).save(path)
    pixels = decoded(path, shape=(channels, 16, 16))
    expected = np.round(RAMP.astype(np.float64) / 65535 * 255).astype(np.uint8)
    assert all(np.array_equal(channel, expected) for channel in pixels)


def test_16_bits_are_said(tmp_path: Path) -> None:
    data = with_every_image(tmp_path, lambda path: Image.fromarray(RAMP).save(path))
    assert data.train_inputs.shape == (40, 1, 16, 16) and data.train_inputs[0].std() > 0.9
    assert [note.split(" (first")[0] for note in data.notes] == [
        "60 images have 16 bits a pixel, of which 8 are kept (x/257, rounded)"
    ]


@pytest.mark.parametrize("mode", ["I", "F"])
def test_32_bits_are_refused(tmp_path: Path, mode: str) -> None:
    write_image_folder(tmp_path)
    odd = tmp_path / "train" / "class 0" / "0000.tif"
    Image.fromarray(RAMP.astype(np.int32 if mode == "I" else np.float32)).save(odd)
    assert refusal(tmp_path, channels=1).startswith(f"{odd}: has 32 bits a pixel (mode {mode})")


def draw_in_alpha(path: Path) -> None:
    """A drawing whose colour is black all over: only its alpha channel has it."""
    alpha = np.asarray(Image.open(path).convert("L"))
    Image.fromarray(np.dstack([np.zeros((16, 16, 3), dtype=np.uint8), alpha])).save(path)


@pytest.mark.parametrize("background", [0.0, 0.4, 1.0])
def test_transparent_pixels_are_laid_on_the_stated_background(tmp_path: Path, background: float) -> None:
    path = tmp_path / "drawing.png"
    Image.fromarray(RAMP.astype(np.uint8)).save(path)
    draw_in_alpha(path)
    alpha = np.asarray(Image.open(path))[..., 3] / 255
    expected = (1 - alpha) * round(255 * background)
    for channel in decoded(path, background=background):
        np.testing.assert_allclose(channel, expected, atol=1)


def test_transparency_is_refused_until_a_background_is_set_and_then_said(tmp_path: Path) -> None:
    write_image_folder(tmp_path)
    odd = tmp_path / "test" / "class 1" / "0001.png"
    draw_in_alpha(odd)
    message = refusal(tmp_path, channels=3)
    assert message.startswith(f"{odd}: has mode RGBA with transparency; set data.background ")
    (note,) = load(tmp_path, background=1).notes
    assert (
        note == f"1 images have an alpha channel or transparent pixels and are laid on data.background (first: {odd})"
    )


def test_a_transparent_colour_of_a_palette_is_transparency(tmp_path: Path) -> None:
    write_image_folder(tmp_path)
    odd = tmp_path / "train" / "class 0" / "0000.png"
    Image.open(odd).convert("P").save(odd, transparency=3)
    assert refusal(tmp_path, channels=3).startswith(f"{odd}: has mode P with transparency; set data.background ")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_turned_upright(tmp_path: Path, suffix: str, orientation: int) -> None:
    upright = np.zeros((24, 16), dtype=np.uint8)
    upright[:12, :8] = 255
    inverse = {1: [], 2: [2], 3: [3], 4: [4], 5: [5], 6: [8], 7: [7], 8: [6]}[orientation]
    stored = Image.fromarray(upright)
    for turn in inverse:
        names = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_270"}
        names |= {7: "TRANSVERSE", 8: "ROTATE_90"}
        stored = stored.transpose(Image.Transpose[names[turn]])
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned{suffix}"
    stored.save(path, exif=exif, **({"compression": "tiff_lzw"} if suffix == ".tif" else {}))
    (header,) = headers([path])
    assert header.size == (16, 24) and header.turned == (orientation > 1)
    np.testing.assert_allclose(decoded(path, shape=(1, 24, 16))[0], upright, atol=40)


def test_an_uncompressed_tiff_that_pillow_would_scramble_is_refused(tmp_path: Path) -> None:
    write_image_folder(tmp_path)
    odd, exif = tmp_path / "train" / "class 0" / "0000.tif", Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (16, 16)).save(odd, exif=exif)
    assert refusal(tmp_path) == f"{odd}: an uncompressed TIFF that is to be turned by a quarter; save it upright"


def test_a_turned_image_has_the_size_it_has_upright(tmp_path: Path) -> None:
    write_image_folder(tmp_path, shape=(3, 24, 16), suffix=".jpg")
    odd = tmp_path / "train" / "class 0" / "0000.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(odd).transpose(Image.Transpose.ROTATE_90).save(odd, exif=exif)
    data = load(tmp_path)
    assert data.train_inputs.shape == (40, 3, 24, 16)
    assert data.notes == (f"1 images are turned or mirrored as their EXIF orientation says (first: {odd})",)


def test_exif_data_that_cannot_be_read_turn_nothing(tmp_path: Path) -> None:
    path = tmp_path / "odd.jpg"
    Image.fromarray(np.full((16, 16), 77, dtype=np.uint8)).save(path, exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert (decoded(path, shape=(1, 16, 16)) == 77).all()


def chunk(name: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + name + content + zlib.crc32(name + content).to_bytes(4, "big")


def test_frames_that_are_announced_wrongly_leave_the_first(tmp_path: Path) -> None:
    """Pillow warns of both files, and a warning is an error here."""
    gray = Image.fromarray(np.full((16, 16), 77, dtype=np.uint8))
    png, jpeg = tmp_path / "odd.png", tmp_path / "odd.jpg"
    gray.save(png)
    whole = png.read_bytes()
    png.write_bytes(whole[:33] + chunk(b"acTL", bytes(8)) + whole[33:])
    gray.save(jpeg)
    whole = jpeg.read_bytes()
    jpeg.write_bytes(whole[:2] + b"\xff\xe2\x00\x10MPF\0" + b"MM\0*" + bytes(6) + whole[2:])
    for path in (png, jpeg):
        with pytest.warns(UserWarning, match="Invalid APNG|malformed MPO|Corrupt EXIF"):
            Image.open(path).close()
        assert headers([path])[0].frames == 1 and (decoded(path, shape=(1, 16, 16)) == 77).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_palette_with_levels_of_transparency_is_laid_on_the_background(tmp_path: Path, channels: int) -> None:
    path = tmp_path / "levels.png"
    image = Image.new("P", (16, 16), 0)
    image.putpalette([200, 200, 200] * 256)
    image.save(path, transparency=bytes([51] * 256))
    pixels = decoded(path, shape=(channels, 16, 16), background=0.0)
    assert np.abs(pixels.astype(int) - 40).max() <= 1


def test_a_warning_that_nobody_knows_is_not_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, opened = tmp_path / "gray.png", Image.open
    Image.fromarray(np.full((16, 16), 77, dtype=np.uint8)).save(path)

    def warning(*arguments: Any, **keywords: Any) -> Any:
        warnings.warn_explicit("something new", UserWarning, "Image.py", 1, module="PIL.Image")
        return opened(*arguments, **keywords)

    monkeypatch.setattr(Image, "open", warning)
    with pytest.warns(UserWarning, match="something new"):
        decoded(path, shape=(1, 16, 16))


def test_further_frames_are_said(tmp_path: Path) -> None:
    write_image_folder(tmp_path)
    odd = tmp_path / "train" / "class 0" / "0000.tif"
    pages = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    pages[0].save(odd, save_all=True, append_images=pages[1:])
    assert load(tmp_path).notes == (f"1 files hold several images, of which the first is taken (first: {odd})",)
    assert decoded(odd)[0].min() == 255 and decoded(odd)[2].max() == 0


def png_that_claims(width: int, height: int) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return len(content).to_bytes(4, "big") + name + content + zlib.crc32(name + content).to_bytes(4, "big")

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    pixels = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [10_000, 40_000])
def test_image_bombs_are_refused_before_they_are_decoded(tmp_path: Path, side: int) -> None:
    write_image_folder(tmp_path)
    bomb = tmp_path / "train" / "class 0" / "0000.png"
    bomb.write_bytes(png_that_claims(side, side))
    message = refusal(tmp_path, image_size=16)
    assert message.startswith(f"{bomb}: would take more than {Image.MAX_IMAGE_PIXELS} pixels, Pillow's limit")


def test_no_reader_that_starts_programs_is_used(tmp_path: Path) -> None:
    write_image_folder(tmp_path)
    odd = tmp_path / "train" / "class 0" / "0000.png"
    odd.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 16 16\n%%EndComments\nshowpage\n%%EOF\n")
    assert refusal(tmp_path).startswith(f"{odd}: cannot be read as an image (cannot identify image file")


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        os.chdir(path.parent)  # the whole path is too long for a socket
        bound.bind(path.name)


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (make_fifo, "is a FIFO where a file is expected"),
        (make_socket, "is a socket where a file is expected"),
        (lambda path: path.symlink_to("/dev/zero"), "is a device where a file is expected"),
        (lambda path: path.symlink_to("gone"), "a link to gone, which leads nowhere"),
        (lambda path: path.symlink_to(path.name), "a link to odd.png, which leads nowhere"),
    ],
)
def test_what_is_no_regular_file_is_refused_without_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None], kind: str
) -> None:
    write_image_folder(tmp_path)
    odd = tmp_path / "train" / "class 2" / "odd.png"
    monkeypatch.chdir(tmp_path)
    make(odd)
    assert refusal(tmp_path).startswith(f"{odd}: {kind}")


def test_an_image_that_becomes_a_fifo_or_changes_its_size_is_named(tmp_path: Path) -> None:
    write_image_folder(tmp_path)
    changed = tmp_path / "test" / "class 1" / "0001.png"
    images = load(tmp_path, memory_gb=1e-9).test_inputs
    Image.new("RGB", (16, 17)).save(changed)
    with pytest.raises(ValueError, match=r"0001.png: has 16 x 17 pixels, not 16 x 16"):
        images[:20]
    changed.unlink()
    os.mkfifo(changed)
    with pytest.raises(ValueError, match=r"0001.png: is a FIFO"):
        images[:20]


def test_a_background_changes_nothing_where_nothing_is_transparent(tmp_path: Path) -> None:
    write_image_folder(tmp_path)
    assert torch.equal(load(tmp_path).train_inputs, load(tmp_path, background=0.5).train_inputs)


@pytest.mark.parametrize("padding", [16, 17, 10**4])
def test_a_shift_that_leaves_nothing_of_an_image_is_refused(tmp_path: Path, padding: int) -> None:
    write_image_folder(tmp_path)
    message = refusal(tmp_path, augment={"crop_padding": padding})
    assert message.startswith(f"data.augment.crop_padding: {padding}, but images have 16 x 16 pixels")


def test_standard_deviations_whose_quotient_is_not_finite_are_refused(tmp_path: Path) -> None:
    write_image_folder(tmp_path)
    message = refusal(tmp_path, channel_means=[0.5] * 3, channel_stds=[0.2, 1e-60, 0.2])
    assert message.startswith("data.channel_stds: too small")
