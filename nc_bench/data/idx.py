"""Reads IDX, the file format of MNIST and its relatives."""

from __future__ import annotations

import struct
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nc_bench.errors import DataError

_UNSIGNED_BYTE = 8
_REMEDY = "delete it and fetch it again (data.download=true)"


def read_idx(path: Path, axes: int) -> NDArray[np.uint8]:
    """The array of unsigned bytes with so many axes that an uncompressed IDX file holds.

    The header is two zero bytes, the type of the entries, the number of axes, and the length of each axis
    as a big-endian 32-bit integer. Raises DataError if the file cannot be read, announces anything else, or
    is shorter or longer than it announces.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    start = 4 + 4 * axes
    if content[:4] != bytes((0, 0, _UNSIGNED_BYTE, axes)) or len(content) < start:
        raise DataError(f"{path}: not an IDX file of unsigned bytes with {axes} axes; {_REMEDY}")
    shape = struct.unpack(f">{axes}I", content[4:start])
    announced = start + prod(shape)
    if len(content) != announced:
        state = "truncated" if len(content) < announced else "corrupt"
        raise DataError(f"{path}: {state}, {len(content)} bytes where its header says {announced}; {_REMEDY}")
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)
