from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from dataset_files import WRITERS

from nc_bench.config import Downloaded
from nc_bench.data import DataError, Dataset, load_dataset
from nc_bench.data.archives import load_archive
from nc_bench.data.load import DOWNLOADED

CHANNELS = (0, 2, 3)
READERS = {name: reader for name, (load, reader, _) in DOWNLOADED.items() if load is load_archive}


def load(name: str, root: Path, **chosen: Any) -> Dataset:
    return load_dataset(Downloaded.model_validate({"name": name, "root": str(root), **chosen}))


def refusal(name: str, root: Path, **chosen: Any) -> str:
    with pytest.raises(DataError) as caught:
        load(name, root, **chosen)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_set_of_torchvision_can_be_read() -> None:
    assert DOWNLOADED.keys() == set(get_args(Downloaded.model_fields["name"].annotation))


@pytest.mark.parametrize("name", READERS)
def test_images_are_standardised_by_channel_and_labels_are_their_own(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = WRITERS[name](tmp_path, monkeypatch)
    data = load(name, tmp_path)
    train = written["train"][0] / 255
    centre, spread = (statistic(train, axis=CHANNELS, keepdims=True) for statistic in (np.mean, np.std))
    for inputs, labels, split in (
        (data.train_inputs, data.train_labels, "train"),
        (data.test_inputs, data.test_labels, "test"),
    ):
        images, targets = written[split]
        assert isinstance(inputs, torch.Tensor) and inputs.dtype == torch.float32
        np.testing.assert_allclose(inputs.numpy(), (images / 255 - centre) / spread, rtol=1e-5, atol=1e-6)
        assert labels.tolist() == targets.tolist()


@pytest.mark.parametrize("name", READERS)
def test_torchvision_reads_the_same(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nc_bench.vision import torchvision

    WRITERS[name](tmp_path, monkeypatch)
    data = load(name, tmp_path)
    split = {"train": False} if name.startswith("cifar") else {"split": "test"}
    theirs = getattr(torchvision.datasets, READERS[name])(tmp_path, **split)
    assert data.test_labels.tolist() == [label for _, label in theirs]
    for image, (picture, _) in zip(data.test_inputs, theirs, strict=True):
        for mine, channel in zip(image, np.asarray(picture).transpose(2, 0, 1), strict=True):
            # Standardising keeps the order of the bytes, and equal bytes equal.
            assert np.array_equal(*(np.unique(a, return_inverse=True)[1] for a in (mine.numpy(), channel)))


@pytest.mark.parametrize("name", READERS)
def test_a_missing_file_is_named_and_a_damaged_one_too(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    WRITERS[name](tmp_path, monkeypatch)
    file = next(path for path in sorted(tmp_path.rglob("*")) if path.is_file() and "test" in path.name)
    content = file.read_bytes()
    file.write_bytes(content[:-1])
    assert refusal(name, tmp_path).startswith(f"{file}: damaged")
    file.unlink()
    message = refusal(name, tmp_path)
    assert message.startswith(f"data.name={name}: looked for ") and f"1 of them missing (first: {file.name})" in message
    assert str(file.parent) in message and "data.root" in message and "data.download=true" in message


@pytest.mark.parametrize("name", READERS)
def test_a_failed_download_is_one_line(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nc_bench.vision import torchvision

    def unreachable(*arguments: object, **keywords: object) -> None:
        raise OSError("no route\nto host")

    monkeypatch.setattr(getattr(torchvision.datasets, READERS[name]), "download", unreachable)
    assert f"download into {tmp_path} failed: no route to host; put the files" in refusal(name, tmp_path, download=True)


def test_samples_are_selected_before_images_are_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    WRITERS["cifar10"](tmp_path, monkeypatch)
    whole, chosen = load("cifar10", tmp_path), load("cifar10", tmp_path, keep_classes=[3, 1], samples_per_class=2)
    assert chosen.class_counts == (2, 2) and chosen.train_inputs.shape == (4, 3, 32, 32)
    for image, label in zip(chosen.train_inputs, chosen.train_labels, strict=True):
        (place,) = torch.nonzero((whole.train_inputs == image).flatten(1).all(1)).flatten().tolist()
        assert int(whole.train_labels[place]) == (3, 1)[int(label)]
