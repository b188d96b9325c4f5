from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from nc_bench.training.checkpoint import DamagedCheckpoint, decode, encode

CPU = torch.device("cpu")
STATE: dict[str, Any] = {
    "seconds": 0.1 + 0.2,
    "ensemble": {"step": 7, "model": {"w": torch.arange(6.0).view(2, 3)}, "optimizer": {"step": 7, "state": {}}},
}


def test_what_was_encoded_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(encode(STATE))
    state = decode(path, CPU)
    assert state["seconds"] == 0.1 + 0.2
    assert torch.equal(state["ensemble"]["model"].pop("w"), torch.arange(6.0).view(2, 3))
    assert state["ensemble"] == {"step": 7, "model": {}, "optimizer": {"step": 7, "state": {}}}


def test_cut_off_anywhere_is_damaged(tmp_path: Path) -> None:
    path, content = tmp_path / "checkpoint.pt", encode(STATE)
    for length in [*range(0, len(content), 37), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(DamagedCheckpoint, match=rf"checkpoint\.pt: damaged or cut off \({length} bytes\)$"):
            decode(path, CPU)


def test_any_flipped_bit_is_damage(tmp_path: Path) -> None:
    path, content = tmp_path / "checkpoint.pt", encode(STATE)
    for place in range(0, len(content), 29):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        with pytest.raises(DamagedCheckpoint):
            decode(path, CPU)
    path.write_bytes(content + b"\0")
    with pytest.raises(DamagedCheckpoint):
        decode(path, CPU)
