from __future__ import annotations

import gzip
import hashlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from dataset_files import idx_bytes, write_idx
from numpy.typing import NDArray

from nc_bench.config import Downloaded
from nc_bench.data import DataError, Dataset, load_dataset
from nc_bench.data.mnist import FILES, PUBLISHED, read_idx

TRAIN, TEST = 30, 7


def made_up(samples: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (samples, 28, 28), dtype=np.uint8)
    return images, random.integers(0, 10, samples, dtype=np.uint8)


ARRAYS = (*made_up(TRAIN, 0), *made_up(TEST, 1))


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "MNIST" / "raw"
    write_idx(folder, ARRAYS, monkeypatch)
    return folder


def load(name: str, root: Path | str, *, download: bool) -> Dataset:
    return load_dataset(Downloaded.model_validate({"name": name, "root": str(root), "download": download}))


def refusal(root: Path, *, name: str = "mnist", download: bool = False) -> str:
    with pytest.raises(DataError) as caught:
        load(name, root, download=download)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_pixels_are_standardised_by_the_training_split(tmp_path: Path, raw: Path) -> None:
    data = load("mnist", tmp_path, download=False)
    (train, train_labels), (test, test_labels) = made_up(TRAIN, 0), made_up(TEST, 1)
    centre, spread = (train / 255).mean(), (train / 255).std()
    assert data.train_inputs.shape == (TRAIN, 1, 28, 28) and data.test_inputs.shape == (TEST, 1, 28, 28)
    for inputs, images in ((data.train_inputs, train), (data.test_inputs, test)):
        assert inputs.dtype == torch.float32
        np.testing.assert_allclose(inputs[:, 0].numpy(), (images / 255 - centre) / spread, rtol=1e-6, atol=1e-7)
    assert data.train_labels.tolist() == train_labels.tolist()
    assert data.test_labels.tolist() == test_labels.tolist()
    assert data.class_counts == tuple(np.bincount(train_labels, minlength=10))


def test_constant_images_are_centred_only(tmp_path: Path, raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_idx(raw, [np.full((TRAIN, 28, 28), 51, dtype=np.uint8), *ARRAYS[1:]], monkeypatch)
    data = load("mnist", tmp_path, download=False)
    assert (data.train_inputs == 0).all()
    assert data.test_inputs.isfinite().all()


def test_a_tilde_is_the_home_folder(tmp_path: Path, raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(load("mnist", "~", download=False).train_labels) == TRAIN


def test_fashion_mnist_lies_in_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_idx(tmp_path / "FashionMNIST" / "raw", ARRAYS, monkeypatch)
    assert load("fashion_mnist", tmp_path, download=False).name == "fashion_mnist"
    assert str(tmp_path / "MNIST" / "raw") in refusal(tmp_path)


def test_missing_files_are_named_with_their_folder_and_the_way_out(tmp_path: Path, raw: Path) -> None:
    (raw / FILES[3]).unlink()
    message = refusal(tmp_path)
    assert all(file in message for file in FILES)
    assert f"in {raw}, 1 of them missing (first: {FILES[3]})" in message
    assert "data.root" in message and "data.download=true" in message


def flipped(content: bytes) -> bytes:
    """One bit of the last pixel or label."""
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize(
    "change",
    [
        flipped,
        lambda content: b"",
        lambda content: content[:-1],
        lambda content: content + b"\0",
        lambda content: gzip.compress(content),
    ],
)
def test_a_file_that_is_not_the_published_one_is_kept_and_told_apart(
    tmp_path: Path, raw: Path, file: str, change: Callable[[bytes], bytes]
) -> None:
    content = change((raw / file).read_bytes())
    (raw / file).write_bytes(content)
    published = PUBLISHED["MNIST"][FILES.index(file)]
    for download in (False, True):
        message = refusal(tmp_path, download=download)
        assert message.startswith(f"{raw / file}: not the published file of mnist ({len(content)} bytes, MD5 ")
        assert f"not {published})" in message and "data.name=image_folder" in message
        assert "delete" not in message and (raw / file).read_bytes() == content


def test_the_published_sums_are_known_for_every_file() -> None:
    sums = [md5 for md5s in PUBLISHED.values() for md5 in md5s]
    assert len(set(sums)) == 2 * len(FILES) and all(len(md5) == 32 for md5 in sums)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "not an IDX file"),
        (b"<html>" + bytes(20), "not an IDX file"),
        (idx_bytes(np.zeros(5, dtype=np.uint8))[:-1], "12 bytes where its header says 13"),
        (idx_bytes(np.zeros(5, dtype=np.uint8)) + b"\0", "14 bytes where its header says 13"),
        (idx_bytes(np.zeros((5, 1), dtype=np.uint8)), "not an IDX file"),
    ],
)
def test_a_file_that_contradicts_its_header_is_no_array(tmp_path: Path, content: bytes, word: str) -> None:
    (tmp_path / "labels").write_bytes(content)
    with pytest.raises(ValueError, match=word):
        read_idx(tmp_path / "labels", axes=1)


def test_a_folder_in_place_of_a_file_is_said(tmp_path: Path, raw: Path) -> None:
    (raw / FILES[0]).unlink()
    (raw / FILES[0]).mkdir()
    assert refusal(tmp_path).startswith(f"{raw / FILES[0]}: is a folder where a file is expected")


@pytest.mark.parametrize("download", [False, True])
def test_a_fifo_in_place_of_a_file_is_not_waited_for(tmp_path: Path, raw: Path, download: bool) -> None:
    (raw / FILES[0]).unlink()
    os.mkfifo(raw / FILES[0])
    assert refusal(tmp_path, download=download).startswith(f"{raw / FILES[0]}: is a FIFO where a file is expected")


def test_files_that_are_there_need_no_torchvision(tmp_path: Path, raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nc_bench.vision", None)
    assert len(load("mnist", tmp_path, download=True).train_labels) == TRAIN


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of compressed files, served on this machine as the only mirror torchvision knows."""
    from nc_bench.vision import torchvision

    served = tmp_path / "mirror"
    write_idx(served / "MNIST" / "raw", ARRAYS, monkeypatch)
    resources = []
    for file in FILES:
        content = gzip.compress((served / "MNIST" / "raw" / file).read_bytes())
        (served / f"{file}.gz").write_bytes(content)
        resources.append((f"{file}.gz", hashlib.md5(content).hexdigest()))
    handler = partial(QuietHandler, directory=str(served))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        monkeypatch.setenv("no_proxy", "*")
        monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
        monkeypatch.setattr(torchvision.datasets.MNIST, "resources", resources)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield served
        server.shutdown()


def test_download_fetches_what_is_missing(tmp_path: Path, mirror: Path) -> None:
    data = load("mnist", tmp_path / "new folder", download=True)
    assert data.train_labels.tolist() == made_up(TRAIN, 0)[1].tolist()
    assert data.test_labels.tolist() == made_up(TEST, 1)[1].tolist()


def test_a_missing_file_is_fetched_and_the_others_are_left_as_they_are(tmp_path: Path, mirror: Path, raw: Path) -> None:
    (raw / FILES[1]).unlink()
    before = {file: (raw / file).stat().st_mtime_ns for file in FILES if file != FILES[1]}
    assert len(load("mnist", tmp_path, download=True).train_labels) == TRAIN
    assert {file: (raw / file).stat().st_mtime_ns for file in before} == before
    assert sorted(path.name for path in raw.iterdir()) == sorted(FILES)
    assert not list(tmp_path.glob(".download-*"))


def test_nothing_is_downloaded_over_a_file_of_ones_own(tmp_path: Path, mirror: Path, raw: Path) -> None:
    (raw / FILES[0]).write_bytes(b"my own images")
    (raw / FILES[1]).unlink()
    assert refusal(tmp_path, download=True).startswith(f"{raw / FILES[0]}: not the published file of mnist (13 bytes")
    assert (raw / FILES[0]).read_bytes() == b"my own images" and not (raw / FILES[1]).exists()


def test_a_damaged_download_is_one_line(tmp_path: Path, mirror: Path) -> None:
    (mirror / f"{FILES[3]}.gz").write_bytes(b"not what was promised")
    message = refusal(tmp_path / "new folder", download=True)
    assert f"download into {tmp_path / 'new folder'} failed: " in message and FILES[3] in message


def test_no_network_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nc_bench.vision import torchvision

    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", ["http://127.0.0.1:1/"])
    message = refusal(tmp_path, download=True)
    assert f"download into {tmp_path} failed: " in message and "refused" in message


def test_a_download_into_a_file_is_one_line(tmp_path: Path, mirror: Path) -> None:
    (tmp_path / "occupied").write_text("not a folder")
    assert "occupied" in refusal(tmp_path / "occupied", download=True)
