"""What a file is that is no checkpoint of nc_bench, so that nobody takes it for a damaged one."""

from __future__ import annotations

import io
import pickle
import zipfile

import torch

OTHERS = {
    b"\x1f\x8b": "a gzip archive",
    b"\x89HDF": "an HDF5 file, as Keras writes it",
    b"\x93NUMPY": "a NumPy array",
    b"<": "a text that begins with <, as the page of a failed download does",
    b"version https://git-lfs": "a pointer of Git LFS, whose file was not fetched",
}
"""What a file is, by its first bytes."""

LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""How files of torch.save begin that are no zip files."""


def foreign_file(raw: bytes) -> str:
    """What kind of file this is, in words; "" for none that is known, such as a checkpoint that was cut off.

    Nothing that a pickle names is run.
    """
    if zipfile.is_zipfile(io.BytesIO(raw)):
        return _archive(raw)
    if raw.startswith(LEGACY):
        return _saved(raw)
    if raw[8:10] == b'{"' and int.from_bytes(raw[:8], "little") < len(raw):
        return "a safetensors file"
    return next((kind for start, kind in OTHERS.items() if raw.startswith(start)), "")


def _archive(raw: bytes) -> str:
    names = zipfile.ZipFile(io.BytesIO(raw)).namelist()
    if any("/code/" in name for name in names):
        return "a TorchScript model (torch.jit.save)"
    if any(name.endswith("data.pkl") for name in names):
        return _saved(raw)
    return "a zip archive, and not one of torch.save"


def _saved(raw: bytes) -> str:
    try:
        content = torch.load(io.BytesIO(raw), map_location="meta", weights_only=True)
    except pickle.UnpicklingError:
        return "a pickled module or other Python objects (torch.save), which would run code when loaded"
    except Exception:  # whatever torch makes of a damaged file
        return ""
    if isinstance(content, dict) and {"format", "meta"} <= content.keys():
        return ""  # a checkpoint of nc_bench without its last bytes
    if isinstance(content, dict) and any(isinstance(value, torch.Tensor) for value in content.values()):
        return "a state dict (torch.save)"
    return f"a {type(content).__name__} saved by torch.save"
