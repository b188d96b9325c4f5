"""A file of another kind in place of a checkpoint is named as what it is, and nothing in it is run."""

from __future__ import annotations

import gzip
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from nc_bench.training.checkpoint import Checkpoint, DamagedCheckpoint, ForeignFile, encode, read_checkpoint


class Runs:
    """Unpickled, it would make a file."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch ran",)


def zip_of_text(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../evil.txt", "text")


LINEAR = nn.Linear(3, 2)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("write", "kind"),
    [
        (lambda path: torch.save(LINEAR.state_dict(), path), "a state dict (torch.save)"),
        (
            lambda path: torch.save(LINEAR.state_dict(), path, _use_new_zipfile_serialization=False),
            "a state dict (torch.save)",
        ),
        (lambda path: torch.save(LINEAR, path), "a pickled module or other Python objects (torch.save), which would"),
        (lambda path: torch.save({"model": Runs()}, path), "a pickled module or other Python objects (torch.save)"),
        (lambda path: torch.save([1, 2], path), "a list saved by torch.save"),
        (lambda path: torch.jit.script(LINEAR).save(str(path)), "a TorchScript model (torch.jit.save)"),
        (lambda path: save_file({"w": torch.ones(2)}, path), "a safetensors file"),
        (lambda path: path.write_bytes(gzip.compress(b"x")), "a gzip archive"),
        (lambda path: path.write_bytes(b"<!doctype html>"), "a text that begins with <"),
        (lambda path: path.write_bytes(b"version https://git-lfs.github.com/spec/v1\n"), "a pointer of Git LFS"),
        (lambda path: path.write_bytes(b"\x93NUMPY\1\0"), "a NumPy array"),
        (zip_of_text, "a zip archive, and not one of torch.save"),
    ],
)
def test_files_of_other_kinds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], None], kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model.pth"
    write(path)
    with pytest.raises(ForeignFile) as caught:
        read_checkpoint(path)
    assert str(caught.value).startswith(f"{path}: {kind}") and "\n" not in str(caught.value)
    assert str(caught.value).endswith(", and no checkpoint of nc_bench")
    assert [file.name for file in tmp_path.iterdir()] == ["model.pth"]


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"\x80\x02", pickle.dumps(Runs()), bytes(1000)])
def test_what_is_of_no_known_kind_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "checkpoint.pt").write_bytes(content)
    with pytest.raises(DamagedCheckpoint, match=r"checkpoint\.pt: cut off"):
        read_checkpoint(tmp_path / "checkpoint.pt")
    assert not (tmp_path / "ran").exists()


def test_a_checkpoint_without_its_last_bytes_is_cut_off_and_not_foreign(tmp_path: Path) -> None:
    content = encode(Checkpoint(meta={"step": 1}, state={"model": LINEAR.state_dict(), "optimizer": {}}))
    for missing in (1, 63, 64, 65, 70, 72, 80, 100):
        (tmp_path / "checkpoint.pt").write_bytes(content[:-missing])
        with pytest.raises(DamagedCheckpoint, match=r"checkpoint\.pt: cut off"):
            read_checkpoint(tmp_path / "checkpoint.pt")


def test_a_checkpoint_with_a_true_digest_runs_nothing_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    state = {"model": Runs(), "optimizer": {}}
    (tmp_path / "checkpoint.pt").write_bytes(encode(Checkpoint(meta={}, state=state)))
    with pytest.raises(DamagedCheckpoint, match="holds Python objects that would run code"):
        read_checkpoint(tmp_path / "checkpoint.pt")
    assert not (tmp_path / "ran").exists()
