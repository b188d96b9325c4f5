from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
import torch

from nc_bench.runs import RunError
from nc_bench.training.checkpoint import FIRST_FORMAT, Checkpoint, DamagedCheckpoint, encode, read_checkpoint

WEIGHT = torch.arange(6.0).view(2, 3)
CHECKPOINT = Checkpoint(
    meta={"config_hash": "0123", "epoch": 3, "step": 7, "seconds": 0.1 + 0.2},
    state={"model": {"w": WEIGHT}, "optimizer": {"step": 7, "state": {"momentum_buffer": {"w": -WEIGHT}}}},
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "checkpoint.pt").write_bytes(encode(CHECKPOINT))
    return tmp_path / "checkpoint.pt"


def test_what_was_encoded_is_read(path: Path) -> None:
    found = read_checkpoint(path)
    assert found.meta == CHECKPOINT.meta
    assert torch.equal(found.state["model"]["w"], WEIGHT)
    assert found.state["optimizer"]["step"] == 7
    assert torch.equal(found.state["optimizer"]["state"]["momentum_buffer"]["w"], -WEIGHT)


@pytest.mark.parametrize("mmap", [False, True])
def test_torch_opens_the_file_and_so_does_any_reader_of_zip_files(path: Path, mmap: bool) -> None:
    content = torch.load(path, weights_only=True, mmap=mmap)
    assert set(content) == {"format", "meta", "model", "optimizer"} and torch.equal(content["model"]["w"], WEIGHT)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None and archive.comment.startswith(b"sha256:")


def test_cut_off_anywhere_is_damaged(path: Path) -> None:
    content = path.read_bytes()
    for length in [*range(0, len(content), 37), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(DamagedCheckpoint, match=rf"checkpoint\.pt: cut off \({length} bytes without a SHA-256"):
            read_checkpoint(path)


def test_any_flipped_bit_is_damage(path: Path) -> None:
    content = path.read_bytes()
    for place in [*range(0, len(content), 29), *range(len(content) - 80, len(content))]:
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        with pytest.raises(DamagedCheckpoint):
            read_checkpoint(path)
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(DamagedCheckpoint, match=r"checkpoint\.pt: damaged \(its SHA-256 does not match\)$"):
        read_checkpoint(path)
    path.write_bytes(content + b"\0")
    with pytest.raises(DamagedCheckpoint):
        read_checkpoint(path)


def test_other_formats_are_refused_and_not_taken_for_damage(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = io.BytesIO()
    torch.save({"ensemble": {}}, old)
    path.write_bytes(FIRST_FORMAT + bytes(32) + old.getvalue())
    with pytest.raises(
        RunError, match=r"checkpoint\.pt: a checkpoint of format 1, which is no longer read; train"
    ) as one:
        read_checkpoint(path)
    monkeypatch.setattr("nc_bench.training.checkpoint.FORMAT", 4)
    path.write_bytes(encode(CHECKPOINT))
    monkeypatch.undo()
    with pytest.raises(RunError, match=r"a checkpoint of format 4, but this nc_bench reads format 3$") as three:
        read_checkpoint(path)
    assert not isinstance(one.value, DamagedCheckpoint) and not isinstance(three.value, DamagedCheckpoint)
