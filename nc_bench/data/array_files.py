"""Arrays in files of other programs: .npy (mapped into memory), .npz, .safetensors and .pt. No file is run as code."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib.npyio import NpzFile
from safetensors import SafetensorError, safe_open
from torch import Tensor

from nc_bench.errors import DataError
from nc_bench.paths import expanded
from nc_bench.text import did_you_mean, listed, one_line

Arrays = Mapping[str, Callable[[], Any]]
"""What reads each array of a file, by its name; a file of one nameless array has it under ""."""

OBJECTS = (
    "holds Python objects besides tensors, which can run code when they are loaded; save a plain dict of tensors, such "
    "as model.state_dict()"
)

PICKLES = (".pkl", ".pickle", ".joblib", ".p")


def read_array(given: Any, key: str, names: Sequence[str] = ()) -> Any:
    """The array that `given` means: a file, or FILE:NAME for one of several arrays in it. A tensor or NumPy array.

    key: what the array is for, as errors call it. names: the names to look for where none is given and the file holds
    several arrays; one array alone needs no name. Arrays of .npy files are mapped, not read into memory, and those of
    .pt files where torch can. Names of nested mappings in a .pt file are joined by dots.

    Raises DataError, one line that begins with `key`: the file is missing, damaged, of another kind or a pickle, the
    array holds Python objects, or it has no array of this name.
    """
    path, name = _file_and_name(expanded(given, key=key, error=DataError))
    place = f"{key}: {path}"
    try:
        arrays = _arrays(path, place)
        return arrays[_chosen(arrays, name, names, place)]()
    except FileNotFoundError:
        raise DataError(f"{place}: there is no such file") from None
    except OSError as error:
        raise DataError(f"{place}: cannot be read: {error.strerror or one_line(error)}") from None
    except DataError:
        raise
    except (ValueError, EOFError, RuntimeError, SafetensorError, zipfile.BadZipFile, KeyError) as error:
        raise DataError(f"{place}: {_explained(error)}") from None


def _file_and_name(given: Path) -> tuple[Path, str]:
    """The file, and the name of an array in it, "" where none is given. A colon may be part of a file's name."""
    text = os.fspath(given)
    for position in (index for index, character in enumerate(text) if character == ":"):
        if Path(text[:position]).suffix in READERS and not given.exists():
            return Path(text[:position]), text[position + 1 :]
    return given, ""


def _arrays(path: Path, place: str) -> Arrays:
    if path.is_dir():
        raise DataError(f"{place}: is a folder, not a file of arrays")
    if path.suffix in PICKLES:
        raise DataError(
            f"{place}: a pickle can run code when it is loaded, so it is not; load it yourself and save the array with "
            "numpy.save"
        )
    if path.suffix not in READERS:
        raise DataError(f"{place}: is of no known format; known are {listed(list(READERS), ' and ')}")
    if path.stat().st_size == 0:
        raise DataError(f"{place}: the file is empty")
    return READERS[path.suffix](path)


def _chosen(arrays: Arrays, name: str, names: Sequence[str], place: str) -> str:
    """The name of the array that is wanted."""
    if name:
        if name not in arrays:
            hint = did_you_mean(name, arrays) or f"it holds {listed(list(arrays)[:20]) or 'none'}"
            raise DataError(f"{place}: holds no array {name!r}; {hint}")
        return name
    if len(arrays) == 1:
        return next(iter(arrays))
    found = next((known for known in names if known in arrays), None)
    if found is None:
        held = listed(list(arrays)[:20]) or "no arrays"
        raise DataError(f"{place}: holds {held}; say which is meant as FILE:NAME")
    return found


def _npy(path: Path) -> Arrays:
    return {"": partial(np.load, path, mmap_mode="r", allow_pickle=False)}


def _npz(path: Path) -> Arrays:
    def read(name: str) -> Any:
        with path.open("rb") as file:
            return np.load(file, allow_pickle=False)[name]

    with path.open("rb") as file:
        archive = np.load(file, allow_pickle=False)
        if not isinstance(archive, NpzFile):
            raise ValueError("is no archive of numpy.savez")
        return {name: partial(read, name) for name in archive.files}


def _safetensors(path: Path) -> Arrays:
    file = safe_open(path, framework="pt")
    return {name: partial(file.get_tensor, name) for name in file.keys()}  # noqa: SIM118


def _torch(path: Path) -> Arrays:
    # Files of before torch 1.6 cannot be mapped.
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except OSError:
        raise
    except pickle.UnpicklingError as error:
        if "GLOBAL" in str(error):
            raise ValueError(OBJECTS) from None
        raise ValueError("is damaged, or no file of torch.save") from None
    except Exception:  # whatever torch makes of a damaged file
        raise ValueError("is damaged or cut off, or no file of torch.save") from None
    return {name: partial(Tensor.detach, tensor) for name, tensor in _tensors(content, "")}


def _tensors(content: Any, above: str) -> list[tuple[str, Tensor]]:
    """Every tensor of nested mappings, by its dotted name."""
    if isinstance(content, Tensor):
        return [(above, content)]
    if not isinstance(content, Mapping):
        return []
    dot = "." if above else ""
    return [found for name, inner in content.items() for found in _tensors(inner, f"{above}{dot}{name}")]


READERS: dict[str, Callable[[Path], Arrays]] = {
    ".npy": _npy,
    ".npz": _npz,
    ".safetensors": _safetensors,
    ".pt": _torch,
    ".pth": _torch,
}
"""What finds the arrays of a file, by its suffix."""


def _explained(error: BaseException) -> str:
    """What is wrong with the file, in plain words where they are known."""
    text = one_line(error)
    if "Object arrays" in text or "Python objects in dtype" in text:
        return "holds Python objects, which can run code when they are loaded; save numbers (array.astype(float))"
    if "allow_pickle" in text:
        return "is no file of NumPy, but a pickle or something else"
    if any(part in text for part in ("mmap length", "EOF", "No data left", "reshape", "not fully covered")):
        return "is cut off: shorter than its header says"
    return text if text.startswith(("is ", "holds ")) else f"is damaged or of another kind: {text}"
