"""Entries of a data tree: files, folders, names of images, lines of lists; refuses what would block or mislead."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from usvi_bench.core.errors import UsageError
from usvi_bench.core.paths import is_file

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")
Row = tuple[str, int, int]
"""Path relative to the root, identity, camera."""


def image_names(folder: Path, suffixes: tuple[str, ...] = IMAGE_SUFFIXES) -> list[str]:
    """List the names of the images in a folder, without hidden files; empty if the folder does not exist.

    Args:
        folder: folder of the images.
        suffixes: endings of their names, in lower case.

    Raises:
        UsageError: the folder cannot be read, or an entry named like an image is not a file, or its name is not
            printable text in UTF-8.
    """
    found = [entry for entry in _scan(folder) if _is_image_name(entry.name, suffixes)]
    for entry in found:
        if not _is_file_entry(entry):
            raise UsageError(f"{entry.path} is named like an image but is not a file; remove it")
        if not entry.name.isprintable():
            raise UsageError(f"the name of {os.fsencode(entry.path)!r} is not UTF-8, or not printable; rename the file")
    return [entry.name for entry in found]


def person_rows(root: Path, folders: Mapping[int, str], identities: Sequence[int]) -> list[Row]:
    """List the images of people in folders ``<camera's folder>/<identity in four digits>``.

    A person has no folder in cameras that never saw them.

    Args:
        root: root of the tree.
        folders: folder of each camera, relative to the root.
        identities: the people.
    """
    rows: list[Row] = []
    for camera, parent in folders.items():
        present = names_in(root / parent)
        for identity in identities:
            if (person := f"{identity:04d}") in present:
                folder = f"{parent}/{person}"
                rows.extend((f"{folder}/{name}", identity, camera) for name in image_names(root / folder))
    return rows


def names_in(folder: Path) -> set[str]:
    """Return the names of all entries of a folder; empty if it does not exist.

    Raises:
        UsageError: the folder cannot be read.
    """
    return {entry.name for entry in _scan(folder)}


def files_in(folder: Path) -> dict[str, bool]:
    """Return the names of all files of a folder, and whether each is a link; empty if it does not exist.

    Raises:
        UsageError: the folder cannot be read.
    """
    return {entry.name: entry.is_symlink() for entry in _scan(folder) if _is_file_entry(entry)}


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:  # a Path for each of 45,000 names would take seconds
            return list(entries)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UsageError(f"cannot read the folder {folder}: {error.strerror}; restore it") from error


def _is_image_name(name: str, suffixes: tuple[str, ...]) -> bool:
    return name.lower().endswith(suffixes) and not name.startswith(".")


def _is_file_entry(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link that leads to itself
        return False


def read_lines(path: Path) -> list[str]:
    """Read the lines of a small text file.

    Raises:
        UsageError: the file is absent, not a regular file, or not text.
    """
    if not is_file(path):
        raise UsageError(f"no file {path}; restore it from the original data set")
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path} as text ({error}); restore it from the original data set") from error


def parse_number(word: str) -> int | None:
    """Parse an identity: at most nine decimal digits; None for anything else.

    >>> parse_number("0012"), parse_number("-1"), parse_number("1" * 10)
    (12, None, None)
    """
    return int(word) if re.fullmatch(r"[0-9]{1,9}", word) else None
