from __future__ import annotations

import gzip
import hashlib
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nc_bench.config import Downloaded
from nc_bench.data import DataError, Dataset, load_dataset
from nc_bench.data.mnist import TEST_FILES, TRAIN_FILES

TRAIN, TEST = 30, 7


def idx_bytes(array: NDArray[np.uint8]) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def made_up(samples: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (samples, 28, 28), dtype=np.uint8)
    return images, random.integers(0, 10, samples, dtype=np.uint8)


def write_files(raw: Path) -> None:
    raw.mkdir(parents=True, exist_ok=True)
    for files, arrays in ((TRAIN_FILES, made_up(TRAIN, 0)), (TEST_FILES, made_up(TEST, 1))):
        for file, array in zip(files, arrays, strict=True):
            (raw / file).write_bytes(idx_bytes(array))


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    folder = tmp_path / "MNIST" / "raw"
    write_files(folder)
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


def test_constant_images_are_centred_only(tmp_path: Path, raw: Path) -> None:
    (raw / TRAIN_FILES[0]).write_bytes(idx_bytes(np.full((TRAIN, 28, 28), 51, dtype=np.uint8)))
    data = load("mnist", tmp_path, download=False)
    assert (data.train_inputs == 0).all()
    assert data.test_inputs.isfinite().all()


def test_a_tilde_is_the_home_folder(tmp_path: Path, raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(load("mnist", "~", download=False).train_labels) == TRAIN


def test_fashion_mnist_lies_in_its_own_folder(tmp_path: Path) -> None:
    write_files(tmp_path / "FashionMNIST" / "raw")
    assert load("fashion_mnist", tmp_path, download=False).name == "fashion_mnist"
    assert str(tmp_path / "MNIST" / "raw") in refusal(tmp_path)


def test_missing_files_are_named_with_their_folder_and_the_way_out(tmp_path: Path, raw: Path) -> None:
    (raw / TEST_FILES[1]).unlink()
    message = refusal(tmp_path)
    assert all(file in message for file in TRAIN_FILES + TEST_FILES)
    assert f"in {raw}, 1 of them missing (first: {TEST_FILES[1]})" in message
    assert "data.root" in message and "data.download=true" in message


@pytest.mark.parametrize("file", TRAIN_FILES + TEST_FILES)
@pytest.mark.parametrize(
    ("damage", "word"),
    [
        (lambda content: b"", "not an IDX file"),
        (lambda content: content[:7], "not an IDX file"),
        (lambda content: content[:-1], "truncated"),
        (lambda content: content + b"\0", "corrupt"),
        (lambda content: b"<html>" + content[6:], "not an IDX file"),
        (lambda content: content[:2] + b"\x0d" + content[3:], "not an IDX file"),
        (lambda content: gzip.compress(content), "not an IDX file"),
    ],
)
def test_a_damaged_file_is_named(
    tmp_path: Path, raw: Path, file: str, damage: Callable[[bytes], bytes], word: str
) -> None:
    (raw / file).write_bytes(damage((raw / file).read_bytes()))
    message = refusal(tmp_path)
    assert message.startswith(f"{raw / file}: ") and word in message


@pytest.mark.parametrize(
    ("file", "array", "word"),
    [
        (TRAIN_FILES[1], np.full(TRAIN, 10, dtype=np.uint8), "label 10 is outside 0..9"),
        (TEST_FILES[1], np.zeros(TEST + 1, dtype=np.uint8), f"{TEST + 1} labels for {TEST} images"),
        (TRAIN_FILES[0], np.zeros((TRAIN, 14, 14), dtype=np.uint8), r"not 28 x 28"),
        (TRAIN_FILES[0], np.zeros((0, 28, 28), dtype=np.uint8), "holds no images"),
    ],
)
def test_contents_that_are_not_mnist_are_refused(
    tmp_path: Path, raw: Path, file: str, array: NDArray[np.uint8], word: str
) -> None:
    (raw / file).write_bytes(idx_bytes(array))
    message = refusal(tmp_path)
    assert message.startswith(f"{raw / file}: ") and word in message


def test_a_folder_in_place_of_a_file_is_missing(tmp_path: Path, raw: Path) -> None:
    (raw / TRAIN_FILES[0]).unlink()
    (raw / TRAIN_FILES[0]).mkdir()
    assert f"first: {TRAIN_FILES[0]}" in refusal(tmp_path)


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
    write_files(served)
    resources = []
    for file in TRAIN_FILES + TEST_FILES:
        content = gzip.compress((served / file).read_bytes())
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


def test_a_file_missing_among_damaged_ones_is_fetched_with_them(tmp_path: Path, mirror: Path, raw: Path) -> None:
    (raw / TRAIN_FILES[0]).write_bytes(b"half a download")
    (raw / TRAIN_FILES[1]).unlink()
    assert len(load("mnist", tmp_path, download=True).train_labels) == TRAIN


def test_a_damaged_download_is_one_line(tmp_path: Path, mirror: Path) -> None:
    (mirror / f"{TEST_FILES[1]}.gz").write_bytes(b"not what was promised")
    message = refusal(tmp_path / "new folder", download=True)
    assert str(tmp_path / "new folder" / "MNIST" / "raw") in message and TEST_FILES[1] in message


def test_no_network_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nc_bench.vision import torchvision

    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", ["http://127.0.0.1:1/"])
    message = refusal(tmp_path, download=True)
    assert str(tmp_path / "MNIST" / "raw") in message and "refused" in message


def test_a_download_into_a_file_is_one_line(tmp_path: Path, mirror: Path) -> None:
    (tmp_path / "occupied").write_text("not a folder")
    assert "occupied" in refusal(tmp_path / "occupied", download=True)
