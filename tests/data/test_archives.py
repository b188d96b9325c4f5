from __future__ import annotations

import hashlib
import os
import pickle
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from dataset_files import WRITERS, write_cifar10

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
def test_a_missing_file_is_named_and_one_that_is_not_published_too(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    WRITERS[name](tmp_path, monkeypatch)
    file = next(path for path in sorted(tmp_path.rglob("*")) if path.is_file() and "test" in path.name)
    content = file.read_bytes()
    file.write_bytes(content[:-1])
    for download in (False, True):
        message = refusal(name, tmp_path, download=download)
        assert message.startswith(f"{file}: not the published file of {name} ({len(content) - 1} bytes, MD5 ")
        assert "delete" not in message and file.read_bytes() == content[:-1]
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


class Runs:
    """What a pickle from outside may hold: unpickled, it would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.path}'",)


@pytest.mark.parametrize("file", ["test_batch", "batches.meta"])
def test_no_pickle_of_cifar_runs_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    from nc_bench.vision import torchvision

    write_cifar10(tmp_path, monkeypatch)
    path, ran = tmp_path / "cifar-10-batches-py" / file, tmp_path / "ran"
    path.write_bytes(pickle.dumps({"data": Runs(ran), "labels": [1], "label_names": Runs(ran)}))
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    reader = torchvision.datasets.CIFAR10
    monkeypatch.setattr(reader, "test_list", [["test_batch", md5 if file == "test_batch" else reader.test_list[0][1]]])
    if file == "batches.meta":
        monkeypatch.setattr(reader, "meta", {**reader.meta, "md5": md5})
    assert refusal("cifar10", tmp_path).startswith(f"{path}: cannot be read (it would run posix.system, ")
    assert not ran.exists()


def outside_link(archive: tarfile.TarFile) -> None:
    link = tarfile.TarInfo("cifar-10-batches-py/way-out")
    link.type, link.linkname = tarfile.SYMTYPE, "../../.."
    archive.addfile(link)


def outside_name(archive: tarfile.TarFile) -> None:
    archive.addfile(tarfile.TarInfo("../evil"))


def outside_path(archive: tarfile.TarFile) -> None:
    archive.addfile(tarfile.TarInfo("cifar-10-batches-py/../../../evil"))


@pytest.mark.parametrize("evil", [outside_link, outside_name, outside_path])
def test_an_archive_is_not_unpacked_beyond_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, evil: Callable[[tarfile.TarFile], None]
) -> None:
    from nc_bench.vision import torchvision

    archive = serve_cifar10(tmp_path, monkeypatch)
    with tarfile.open(archive, "a") as opened:
        evil(opened)
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())
    root = tmp_path / "new" / "root"
    assert f"download into {root} failed: " in refusal("cifar10", root, download=True)
    assert list(root.iterdir()) == [] and not list(tmp_path.rglob("evil"))
    assert "extraction_filter" not in vars(tarfile.TarFile)


def serve_cifar10(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archive of CIFAR-10, which torchvision downloads from this folder."""
    from nc_bench.vision import torchvision

    reader = torchvision.datasets.CIFAR10
    write_cifar10(folder / "files", monkeypatch)
    archive = folder / "cifar.tar"
    with tarfile.open(archive, "w") as opened:
        opened.add(folder / "files" / reader.base_folder, reader.base_folder)
    monkeypatch.setattr(reader, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())
    monkeypatch.setattr(reader, "url", "http://localhost/cifar.tar")
    monkeypatch.setattr(reader, "filename", archive.name)
    utils = torchvision.datasets.utils
    monkeypatch.setattr(utils, "_get_redirect_url", lambda url, max_hops: url)
    monkeypatch.setattr(utils, "_urlretrieve", lambda url, file: shutil.copy(archive, file))
    return archive


def test_a_download_brings_what_is_missing_and_the_names_of_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_cifar10(tmp_path, monkeypatch)
    data = load("cifar10", tmp_path / "new" / "root", download=True)
    assert data.class_names == tuple(f"class {label}" for label in range(10)) and len(data.train_labels) == 40
    kept = [path.name for path in (tmp_path / "new" / "root" / "cifar-10-batches-py").iterdir()]
    assert sorted(kept) == ["batches.meta", *(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]
    assert [path.name for path in (tmp_path / "new" / "root").iterdir()] == ["cifar-10-batches-py"]
