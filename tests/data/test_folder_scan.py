"""Which folders are classes and which files are images; what is left out is said."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dataset_files import folder_refusal as refusal
from dataset_files import load_folder as load
from dataset_files import write_image_folder
from PIL import Image
from small_runs import network

from nc_bench.data.folder_scan import class_order
from nc_bench.errors import UserError
from nc_bench.paths import expanded
from nc_bench.training import run_training


def put(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (16, 16)).save(path)


def test_names_of_classes_are_kept_with_their_labels(tmp_path: Path) -> None:
    write_image_folder(tmp_path)
    data = load(tmp_path)
    assert data.class_names == ("class 0", "class 1", "class 2", "class 3") and data.notes == ()
    assert load(tmp_path, keep_classes=[3, 1]).class_names == ("class 3", "class 1")


@pytest.mark.parametrize(
    ("names", "order"),
    [
        ({"10", "2", "1"}, ("1", "2", "10")),
        ({"010", "10", "9"}, ("9", "10", "010")),
        ({"n10", "n2", "n1"}, ("n1", "n10", "n2")),
        ({"10", "2", "two"}, ("10", "2", "two")),
        ({"²", "1"}, ("1", "²")),
    ],
)
def test_whole_numbers_are_sorted_as_numbers_and_all_else_as_text(names: set[str], order: tuple[str, ...]) -> None:
    assert class_order(names) == order


def test_numbered_classes_have_their_numbers_as_labels(tmp_path: Path) -> None:
    write_image_folder(tmp_path, classes=12)
    for folder in [*(tmp_path / "train").iterdir(), *(tmp_path / "test").iterdir()]:
        folder.rename(folder.with_name(folder.name.removeprefix("class ")))
    data = load(tmp_path)
    assert data.class_names == tuple(str(number) for number in range(12))
    assert data.class_counts == (4, 4, 4, 4, 3, 3, 3, 3, 3, 3, 3, 3)


def test_hidden_folders_are_no_classes_and_hidden_files_no_images(tmp_path: Path) -> None:
    write_image_folder(tmp_path)
    expected = load(tmp_path).train_inputs
    put(tmp_path / "train" / ".ipynb_checkpoints" / "0000.png")
    put(tmp_path / "train" / "class 1" / ".thumbnails" / "0000.png")
    (tmp_path / "train" / "class 1" / "._0001.png").write_bytes(b"\0\5\x16\7")
    data = load(tmp_path)
    assert np.array_equal(data.train_inputs, expected)
    assert data.notes == (
        f"{tmp_path / 'train'}: hidden folders are no classes: '.ipynb_checkpoints'",
        f"{tmp_path / 'train'}: left out 2 hidden files and folders in classes (their names begin with .)",
    )


def test_files_with_other_names_are_counted(tmp_path: Path) -> None:
    write_image_folder(tmp_path)
    for path in sorted((tmp_path / "train" / "class 2").iterdir())[:6]:
        path.rename(path.with_suffix(".GIF"))
    (tmp_path / "train" / "class 0" / "README").touch()
    put(tmp_path / "test" / "stray.png")
    assert load(tmp_path).notes == (
        f"{tmp_path / 'train'}: left out 7 files (.gif 6, no extension 1), as images end in .bmp, .jpeg, .jpg, .pgm, "
        ".png, .ppm, .tif, .tiff or .webp; of class 'class 2' 6 of 10 files",
        f"{tmp_path / 'test'}: left out 1 images that lie in no class folder (first: 'stray.png')",
    )


def test_a_class_of_other_names_only_is_told_which_names_images_have(tmp_path: Path) -> None:
    write_image_folder(tmp_path)
    folder = tmp_path / "test" / "class 1"
    for path in folder.iterdir():
        path.rename(path.with_suffix(".jfif"))
    assert refusal(tmp_path).startswith(f"{folder}: holds no images; 5 files (.jfif 5), and images end in .bmp, ")


@pytest.mark.parametrize("target", [".", "..", "../..", "/", "sub"])
def test_a_link_that_loops_counts_nothing_twice(tmp_path: Path, target: str) -> None:
    write_image_folder(tmp_path)
    put(tmp_path / "train" / "class 1" / "sub" / "0001.png")
    (tmp_path / "train" / "class 1" / "loop").symlink_to(target)
    data = load(tmp_path)
    assert data.class_counts == (10, 11, 10, 10)
    (note,) = data.notes
    assert note.startswith(f"{tmp_path / 'train'}: left out 1 links to folders that are counted already")


def test_links_that_loop_among_each_other_end(tmp_path: Path) -> None:
    write_image_folder(tmp_path)
    one, two = tmp_path / "train" / "class 1" / "one", tmp_path / "train" / "class 1" / "two"
    one.mkdir()
    two.mkdir()
    put(one / "0.png")
    (one / "there").symlink_to(two)
    (two / "back").symlink_to(one)
    assert load(tmp_path).class_counts == (10, 11, 10, 10)


def test_a_link_to_images_elsewhere_is_followed(tmp_path: Path) -> None:
    write_image_folder(tmp_path / "real")
    (tmp_path / "linked").mkdir()
    for split in ("train", "test"):
        (tmp_path / "linked" / split).symlink_to(tmp_path / "real" / split)
    data = load(tmp_path / "linked")
    assert data.class_counts == (10, 10, 10, 10) and data.notes == ()


def test_one_folder_under_two_labels_is_refused(tmp_path: Path) -> None:
    write_image_folder(tmp_path)
    for split in ("train", "test"):
        (tmp_path / split / "copy").symlink_to("class 1")
    assert refusal(tmp_path).endswith("also lies in class 'class 1', so its images have two labels")


def test_a_test_split_that_is_the_training_split_is_said(tmp_path: Path) -> None:
    write_image_folder(tmp_path)
    (tmp_path / "test").rename(tmp_path / "gone")
    (tmp_path / "test").symlink_to("train")
    assert load(tmp_path).notes == (f"{tmp_path / 'test'}: is the same folder as {tmp_path / 'train'}",)


def test_a_folder_that_cannot_be_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_image_folder(tmp_path)
    closed, opened = tmp_path / "train" / "class 2", os.scandir

    def refused(folder: Any) -> Any:
        if Path(folder) == closed:
            raise PermissionError(13, "Permission denied")
        return opened(folder)

    monkeypatch.setattr(os, "scandir", refused)
    assert refusal(tmp_path) == f"{closed}: the folder cannot be read (Permission denied)"


def test_a_name_that_would_break_the_line_is_escaped(tmp_path: Path) -> None:
    write_image_folder(tmp_path)
    (tmp_path / "train" / "class 0" / "a\nb.png").write_bytes(b"")
    (tmp_path / "train" / "class 0" / "c.x\ny").touch()
    assert "a\\nb.png: cannot be read as an image" in refusal(tmp_path)


@pytest.mark.parametrize("root", ["~nobody-of-this-name/data", "  "])
def test_a_root_that_is_no_path_is_one_line(root: str) -> None:
    assert refusal(root).startswith("data.root: ")


@pytest.mark.parametrize("path", ["a\0b", "", " ", 3, None, b"a\0b"])
def test_what_is_no_path_is_one_line(path: Any) -> None:
    with pytest.raises(UserError, match=r"^key: should be a path, not \S.*$"):
        expanded(path, key="key")


def test_a_run_says_what_its_data_leave_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_image_folder(tmp_path / "data")
    (tmp_path / "data" / "train" / "class 0" / "notes.txt").touch()
    config = network(
        data={"name": "image_folder", "root": str(tmp_path / "data"), "workers": 0},
        model={"name": "mlp", "widths": [4]},
        training={"epochs": 1, "batch_size": 40},
    )
    assert run_training(config, tmp_path / "run") == "complete"
    said = f"{tmp_path / 'data' / 'train'}: left out 1 file (.txt 1)"
    assert said in capsys.readouterr().err
    (note,) = json.loads((tmp_path / "run" / "manifest.json").read_text())["data_notes"]
    assert note.startswith(said)
