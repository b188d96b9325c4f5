from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dataset_files import folder_refusal as refusal
from dataset_files import load_folder as load
from dataset_files import write_image_folder, write_imagenet
from PIL import Image

from nc_bench.vision import torchvision


def theirs(folder: Path, *steps: Any) -> tuple[torch.Tensor, list[int]]:
    """The images as torchvision reads them, in 0..1."""
    transforms = torchvision.transforms
    images = torchvision.datasets.ImageFolder(folder, transforms.Compose([*steps, transforms.PILToTensor()]))
    return torch.stack([image for image, _ in images]).double() / 255, [label for _, label in images]


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_torchvision_reads_the_same(tmp_path: Path, suffix: str) -> None:
    write_image_folder(tmp_path, suffix=suffix)
    data = load(tmp_path)
    train, labels = theirs(tmp_path / "train")
    centre, spread = train.mean((0, 2, 3), keepdim=True), train.std((0, 2, 3), correction=0, keepdim=True)
    np.testing.assert_allclose(data.train_inputs, (train - centre) / spread, rtol=1e-5, atol=1e-6)
    assert data.train_labels.tolist() == labels
    test, labels = theirs(tmp_path / "test")
    np.testing.assert_allclose(data.test_inputs, (test - centre) / spread, rtol=1e-5, atol=1e-6)
    assert data.test_labels.tolist() == labels


def test_imagenet_is_resized_and_cropped_as_torchvision_does(tmp_path: Path) -> None:
    write_imagenet(tmp_path)
    means, stds = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    data = load(tmp_path, name="imagenet", image_size=12, channels=3, channel_means=means, channel_stds=stds)
    transforms = torchvision.transforms
    val, labels = theirs(tmp_path / "val", transforms.Resize(12), transforms.CenterCrop(12))
    expected = (val - torch.tensor(means).view(3, 1, 1)) / torch.tensor(stds).view(3, 1, 1)
    np.testing.assert_allclose(data.test_inputs, expected, rtol=1e-5, atol=1e-6)
    assert data.test_inputs.shape[1:] == (3, 12, 12) and data.test_labels.tolist() == labels


def test_gray_images_have_one_channel_unless_asked_otherwise(tmp_path: Path) -> None:
    splits = write_image_folder(tmp_path, shape=(1, 9, 9))
    gray, colour = load(tmp_path), load(tmp_path, channels=3)
    assert gray.train_inputs.shape[1:] == (1, 9, 9) and gray.train_labels.tolist() == splits["train"][1].tolist()
    assert torch.equal(colour.train_inputs, gray.train_inputs.expand(-1, 3, -1, -1))


def test_a_missing_folder_and_missing_classes(tmp_path: Path) -> None:
    assert f"looked for a folder of every class in {tmp_path / 'train'} and {tmp_path / 'test'}" in refusal(tmp_path)
    (tmp_path / "train").mkdir()
    (tmp_path / "test").mkdir()
    assert refusal(tmp_path).startswith(f"{tmp_path / 'train'}: holds no folders")


def test_an_empty_class_folder(tmp_path: Path) -> None:
    write_image_folder(tmp_path)
    empty = tmp_path / "train" / "class 2"
    for path in empty.iterdir():
        path.rename(path.with_suffix(".txt"))
    assert refusal(tmp_path).startswith(f"{empty}: holds no images; 10 files (.txt 10), and images end in ")
    for path in empty.iterdir():
        path.unlink()
    assert refusal(tmp_path) == f"{empty}: holds no images"


@pytest.mark.parametrize("split", ["train", "test"])
def test_different_classes(tmp_path: Path, split: str) -> None:
    write_image_folder(tmp_path)
    (tmp_path / split / "another").mkdir()
    place, has = (tmp_path / name for name in (("test", "train") if split == "train" else ("train", "test")))
    assert refusal(tmp_path) == f"{place}: has no class 'another', which {has} has"


@pytest.mark.parametrize(
    ("mode", "size", "settings", "message"),
    [
        ("RGB", (16, 17), {}, "has 16 x 17 pixels, {first} 16 x 16; set data.image_size"),
        ("L", (16, 16), {}, "has mode L, but {first} RGB; set data.channels to 1 or 3"),
        ("L", (9, 17), {"image_size": 16, "channels": 3}, None),
    ],
)
def test_mixed_sizes_and_modes(
    tmp_path: Path, mode: str, size: tuple[int, int], settings: dict[str, Any], message: str | None
) -> None:
    write_image_folder(tmp_path)
    first, odd = tmp_path / "train" / "class 0" / "0000.png", tmp_path / "test" / "class 3" / "0003.png"
    Image.new(mode, size).save(odd)
    if message is None:
        assert load(tmp_path, **settings).test_inputs.shape == (20, 3, 16, 16)
    else:
        assert refusal(tmp_path, **settings) == f"{odd}: {message.format(first=first)}"


def test_a_mode_that_is_neither_gray_nor_colour(tmp_path: Path) -> None:
    write_image_folder(tmp_path)
    for path in tmp_path.rglob("*.png"):
        Image.open(path).convert("P").save(path)
    assert "has mode P, neither L nor RGB; set data.channels to 1 or 3" in refusal(tmp_path)
    assert load(tmp_path, channels=3).train_inputs.shape == (40, 3, 16, 16)


@pytest.mark.parametrize("memory_gb", [1, 1e-9])
@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n"])
def test_an_unreadable_image_is_named(tmp_path: Path, content: bytes, memory_gb: float) -> None:
    write_image_folder(tmp_path)
    broken = tmp_path / "test" / "class 1" / "0005.png"
    broken.write_bytes(content)
    assert refusal(tmp_path, memory_gb=memory_gb).startswith(f"{broken}: cannot be read as an image (")


def test_an_image_whose_header_is_whole_is_named_when_it_is_decoded(tmp_path: Path) -> None:
    write_image_folder(tmp_path)
    broken = tmp_path / "train" / "class 1" / "0005.png"
    broken.write_bytes(broken.read_bytes()[:200])
    assert refusal(tmp_path).startswith(f"{broken}: cannot be read as an image (")


def test_stated_statistics_are_one_for_each_channel(tmp_path: Path) -> None:
    write_image_folder(tmp_path)
    message = refusal(tmp_path, channel_means=[0.5], channel_stds=[0.2])
    assert message == "data.channel_means: 1 given, but the images have 3 channels"
