"""Which folders are classes and which of their files are images; whatever is left out is counted and said."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nc_bench.data.files import check_regular, is_folder, status
from nc_bench.errors import DataError
from nc_bench.paths import printable
from nc_bench.text import listed

EXTENSIONS = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""Ends of the names of image files, in small or capital letters; the same as torchvision's."""

Identity = tuple[int, int]
"""Device and inode: the same for every path that leads to one folder."""


@dataclass(kw_only=True)
class Split:
    """Image files of one split and their labels, class by class; `notes` say what was left out."""

    paths: list[Path] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(kw_only=True)
class _LeftOut:
    """What one class folder holds besides images, by the ends of the names."""

    hidden: int = 0
    links: int = 0
    extensions: Counter[str] = field(default_factory=Counter)

    def listed(self) -> str:
        """The files whose names do not end as those of images do: `6 files (.gif 5, .txt 1)`."""
        kinds = ", ".join(f"{end} {count}" for end, count in self.extensions.most_common())
        total = self.extensions.total()
        return f"{total} {'file' if total == 1 else 'files'} ({kinds})"


def scan(name: str, folders: Sequence[Path]) -> tuple[tuple[str, ...], list[Split]]:
    """Class names in the order of their labels, and the images of each of the folders, which have the same classes.

    A class is a folder whose name does not begin with a dot, and its images are the files in it, and in folders in it,
    whose names do not begin with a dot and end in one of EXTENSIONS. Classes are sorted as text; where all names are
    whole numbers, as numbers (1, 2, 10). The images of a class are sorted by folder, then by name, as text.
    Links are followed; a folder that several links lead to counts once.

    Raises DataError, one line: a folder that is missing, cannot be read or has no classes, classes that the folders do
    not share or that hold the same folder, a class without images, and an image that is no regular file.
    """
    if missing := [folder for folder in folders if not is_folder(folder)]:
        wanted = listed([printable(folder) for folder in folders])
        raise DataError(
            f"data.name={name}: looked for a folder of every class in {wanted}; {printable(missing[0])} is missing, "
            "set data.root to the folder that holds both"
        )
    names, found = [], []
    for folder in folders:
        entries = _entries(folder)
        names.append({entry.name for entry in entries if not entry.name.startswith(".") and _leads_to_folder(entry)})
        found.append(Split(notes=_beside_classes(folder, entries)))
    if not names[0]:
        raise DataError(f"{printable(folders[0])}: holds no folders, but there should be one of images for every class")
    if different := sorted(names[0] ^ names[1]):
        without, having = (folders[1], folders[0]) if different[0] in names[0] else (folders[0], folders[1])
        raise DataError(f"{printable(without)}: has no class {different[0]!r}, which {printable(having)} has")
    classes = class_order(names[0])
    for folder, split in zip(folders, found, strict=True):
        _add_images(split, folder, classes)
    if len({_identity(folder) for folder in folders}) < len(folders):
        found[1].notes.append(f"{printable(folders[1])}: is the same folder as {printable(folders[0])}")
    return classes, found


def class_order(names: set[str]) -> tuple[str, ...]:
    """Sorted as text, or as numbers where all of them are whole numbers; 1 comes before 01."""
    if all(name.isascii() and name.isdecimal() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), len(name))))
    return tuple(sorted(names))


def _add_images(split: Split, folder: Path, classes: Sequence[str]) -> None:
    """Take in the images of every class, and a line for each kind of thing that was left out."""
    # A link to the split's own folder, or to one above it, leads to no images of its class.
    held = {_identity(above): "" for above in (folder.resolve(), *folder.resolve().parents)}
    left_out, counts = [], []
    for label, name in enumerate(classes):
        images, rest = _images(folder / name, name, held)
        if not images:
            instead = f"; {rest.listed()}, and images end in {listed(EXTENSIONS, ' or ')}" if rest.extensions else ""
            raise DataError(f"{printable(folder / name)}: holds no images{instead}")
        split.paths += images
        split.labels += [label] * len(images)
        left_out.append(rest)
        counts.append(len(images))
    split.notes += _notes(folder, classes, left_out, counts)


def _images(top: Path, name: str, held: dict[Identity, str]) -> tuple[list[Path], _LeftOut]:
    """The images below the folder of a class, sorted by folder, then by name; and what else there is."""
    found: dict[str, list[str]] = {}
    rest, waiting = _LeftOut(), [top]
    while waiting:
        folder = waiting.pop()
        identity = _identity(folder)
        if (holder := held.get(identity)) is not None:
            if holder not in ("", name):
                raise DataError(f"{printable(folder)}: also lies in class {holder!r}, so its images have two labels")
            rest.links += 1
            continue
        held[identity] = name
        own = found[str(folder)] = []
        for entry in sorted(_entries(folder), key=lambda entry: entry.name, reverse=True):
            if entry.name.startswith("."):
                rest.hidden += 1
            elif _leads_to_folder(entry):
                # Folders themselves come before links to them.
                waiting.insert(0 if entry.is_symlink() else len(waiting), Path(entry.path))
            elif entry.name.lower().endswith(EXTENSIONS):
                if not entry.is_file(follow_symlinks=False):
                    check_regular(Path(entry.path))
                own.append(entry.name)
            else:
                rest.extensions[printable(os.path.splitext(entry.name)[1].lower()) or "no extension"] += 1
    return [Path(folder, file) for folder in sorted(found) for file in sorted(found[folder])], rest


def _notes(folder: Path, classes: Sequence[str], left_out: Sequence[_LeftOut], counts: Sequence[int]) -> list[str]:
    total = _LeftOut()
    for rest in left_out:
        total.hidden, total.links = total.hidden + rest.hidden, total.links + rest.links
        total.extensions += rest.extensions
    notes, place = [], printable(folder)
    if total.extensions:
        totals = [rest.extensions.total() for rest in left_out]
        most = max(range(len(classes)), key=lambda label: totals[label] / (totals[label] + counts[label]))
        of_class = totals[most]
        notes.append(
            f"{place}: left out {total.listed()}, as images end in {listed(EXTENSIONS, ' or ')}; of class "
            f"{classes[most]!r} {of_class} of {of_class + counts[most]} files"
        )
    if total.hidden:
        notes.append(f"{place}: left out {total.hidden} hidden files and folders in classes (their names begin with .)")
    if total.links:
        notes.append(
            f"{place}: left out {total.links} links to folders that are counted already or that lie above the link"
        )
    return notes


def _beside_classes(folder: Path, entries: Sequence[os.DirEntry[str]]) -> list[str]:
    hidden = sorted(entry.name for entry in entries if entry.name.startswith(".") and _leads_to_folder(entry))
    files = [entry.name for entry in entries if not _leads_to_folder(entry)]
    images = [name for name in files if name.lower().endswith(EXTENSIONS) and not name.startswith(".")]
    notes, place = [], printable(folder)
    if hidden:
        notes.append(f"{place}: hidden folders are no classes: {listed([repr(name) for name in hidden])}")
    if images:
        notes.append(f"{place}: left out {len(images)} images that lie in no class folder (first: {min(images)!r})")
    return notes


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise DataError(f"{printable(folder)}: the folder cannot be read ({error.strerror})") from None


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    """`entry.is_dir()`, also for a link to itself."""
    return is_folder(Path(entry.path)) if entry.is_symlink() else entry.is_dir()


def _identity(folder: Path) -> Identity:
    found = status(folder)
    assert found is not None
    return found.st_dev, found.st_ino
