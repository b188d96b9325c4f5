"""Files that others have put there: whether they are files, and whether they are the published ones."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nc_bench.errors import DataError
from nc_bench.paths import printable
from nc_bench.text import one_line

KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}

DOWNLOAD_FAILS = (RuntimeError, OSError, HTTPException, EOFError, tarfile.TarError, zipfile.BadZipFile, zlib.error)


def status(path: Path) -> os.stat_result | None:
    """What a path leads to; None where there is nothing, as for a link that leads nowhere or to itself.

    DataError, one line, where the file system does not say.
    """
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            return None
        raise DataError(f"{printable(path)}: cannot be read ({error.strerror})") from None


def is_folder(path: Path) -> bool:
    found = status(path)
    return found is not None and stat.S_ISDIR(found.st_mode)


def check_regular(path: Path) -> None:
    """DataError, one line, unless this is a regular file: to open a FIFO would wait for ever."""
    found = status(path)
    if found is None:
        leads = f"a link to {printable(os.readlink(path))}, which leads nowhere" if path.is_symlink() else "is missing"
        raise DataError(f"{printable(path)}: {leads}")
    if not stat.S_ISREG(found.st_mode):
        kind = KINDS.get(stat.S_IFMT(found.st_mode), "no regular file")
        raise DataError(f"{printable(path)}: is {kind} where a file is expected; move it out of the data set")


def check_published(name: str, digests: Mapping[Path, str]) -> None:
    """DataError, one line, for the first of these files whose MD5 is not the published one."""
    for path, published in digests.items():
        check_regular(path)
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        except OSError as error:
            raise DataError(f"{printable(path)}: cannot be read ({error.strerror})") from None
        if found != published:
            raise DataError(
                f"{printable(path)}: not the published file of {name} ({path.stat().st_size} bytes, MD5 {found}, not "
                f"{published}). If it is your own variant, keep it and read it as a folder of images "
                "(data.name=image_folder). If it should be the published file, move it away and set data.download=true"
            )


def fetch(name: str, root: Path, digests: Mapping[Path, str], download: Callable[[str], Any]) -> None:
    """Add the missing ones of these files, which lie under `root`; `download(folder)` puts all of them under a folder.

    They arrive in a folder of their own under `root` and are moved when all is there, so a download that is stopped
    leaves no half file, and no file that was there is changed: DataError, one line, if one of them is not the published
    one, or the download fails.
    """
    missing = [path for path in digests if status(path) is None]
    check_published(name, {path: md5 for path, md5 in digests.items() if path not in missing})
    if not missing:
        return
    try:
        root.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".download-", dir=root) as fresh, _unpacking_stays_inside():
            download(fresh)
            for path in missing:
                path.parent.mkdir(parents=True, exist_ok=True)
                (fresh / path.relative_to(root)).replace(path)
    except DOWNLOAD_FAILS as error:
        raise DataError(
            f"data.name={name}: download into {printable(root)} failed: {one_line(error)}; put the files there by "
            "hand, or set data.root to a folder that has them"
        ) from error


@contextmanager
def _unpacking_stays_inside() -> Iterator[None]:
    """Archives with names or links that lead out of their folder, or with devices, are refused by `tarfile` itself."""
    before = tarfile.TarFile.__dict__.get("extraction_filter")
    tarfile.TarFile.extraction_filter = staticmethod(tarfile.data_filter)
    try:
        yield
    finally:
        if before is None:
            del tarfile.TarFile.extraction_filter
        else:
            tarfile.TarFile.extraction_filter = before
