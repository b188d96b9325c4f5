"""Arrays in files: every format, names of arrays in a file, and what is refused in one line without running code."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from nc_bench.data.array_files import read_array
from nc_bench.errors import DataError

ROWS = np.arange(60, dtype=np.float32).reshape(20, 3)
LABELS = np.arange(20) % 3


class Code:
    """What runs when a pickle of it is loaded."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise SystemExit('code of a file was run')",))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", ROWS)
    np.savez("x.npz", features=ROWS, labels=LABELS)
    save_file({"features": torch.tensor(ROWS), "labels": torch.tensor(LABELS)}, "x.safetensors")
    torch.save({"features": torch.tensor(ROWS), "model": {"fc.weight": torch.ones(2, 3)}, "epoch": 3}, "x.pt")
    torch.save(torch.tensor(ROWS), "old.pt", _use_new_zipfile_serialization=False)
    return tmp_path


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x.safetensors", "x.pt", "old.pt", "x.npz:features"])
def test_an_array_is_read_from_every_format(folder: Path, name: str) -> None:
    for given in (name, folder / name):
        assert np.array_equal(np.asarray(read_array(given, "--features", ("features",))), ROWS)


def test_arrays_in_a_file_have_names(folder: Path) -> None:
    assert np.array_equal(read_array("x.npz:labels", "--labels"), LABELS)
    assert read_array("x.pt:model.fc.weight", "--weight").shape == (2, 3)
    (folder / "odd.npz:1.npy").write_bytes((folder / "x.npy").read_bytes())
    assert read_array("odd.npz:1.npy", "--features").shape == (20, 3)


def test_a_large_array_is_mapped_and_not_read(folder: Path) -> None:
    assert isinstance(read_array("x.npy", "--features"), np.memmap)


def _spoilt(folder: Path) -> dict[str, str]:
    """Files that are refused, and a part of what is said."""
    np.save("objects.npy", np.array([1, "a", None], dtype=object))
    np.savez("objects.npz", a=np.array([None]))
    Path("pickle.npy").write_bytes(pickle.dumps(Code()))
    torch.save({"a": Code()}, "code.pt")
    torch.save(torch.nn.Linear(2, 2), "module.pt")
    pd.DataFrame(ROWS).to_pickle("frame.pkl")
    Path("empty.npy").touch()
    Path("table.csv").write_text("1,2\n")
    Path("page.pt").write_text("<html>")
    return {
        "objects.npy": "holds Python objects, which can run code",
        "objects.npz": "holds Python objects, which can run code",
        "pickle.npy": "is no file of NumPy, but a pickle or something else",
        "code.pt": "holds Python objects besides tensors, which can run code when they are loaded",
        "module.pt": "holds Python objects besides tensors, which can run code when they are loaded",
        "frame.pkl": "a pickle can run code when it is loaded, so it is not; load it yourself and save",
        "empty.npy": "the file is empty",
        "table.csv": "is of no known format; known are .npy, .npz, .safetensors, .pt and .pth",
        "page.pt": "is damaged, or no file of torch.save",
        "none.npy": "there is no such file",
        "x.npz": "holds features and labels; say which is meant as FILE:NAME",
        "x.npz:label": "holds no array 'label'; did you mean 'labels'?",
        "x.pt:zzz": "holds no array 'zzz'; it holds features and model.fc.weight",
        ".": "is a folder, not a file of arrays",
    }


def test_what_cannot_be_read_is_said_in_one_line(folder: Path) -> None:
    for given, said in _spoilt(folder).items():
        with pytest.raises(DataError) as refused:
            read_array(given, "--features")
        text = str(refused.value)
        assert text.startswith(f"--features: {given.partition(':')[0]}: ") and said in text and "\n" not in text, text


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x.safetensors", "x.pt", "old.pt"])
def test_a_file_that_is_cut_off_anywhere_is_refused_in_one_line(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    for length in (1, 7, 30, 100, len(content) // 2, len(content) - 1):
        (folder / f"cut_{name}").write_bytes(content[:length])
        with pytest.raises(DataError) as refused:
            read_array(f"cut_{name}", "--features", ("features",))
        assert "\n" not in str(refused.value)
