"""Folders that reports are written to: links in them are not followed, and files of others are not removed."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path

from usvi_bench.core.errors import StorageError

REPORT = "report.json"
"""File that marks a folder as a report."""


def report_folder(run: Path) -> Path:
    """Return the folder for the report of a run in the folder of the run.

    Raises:
        StorageError: it is a link or a file. A run of others could thus have a report written to any place.
    """
    folder = run / "report"
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise StorageError(f"{folder}: is not a folder but a link or a file; remove it, or choose --output DIR")
    return folder


def remove_link(path: Path) -> Path:
    """Remove a link that takes the place of a file or folder to write; return the path."""
    if path.is_symlink():
        path.unlink()
    return path


def remove_old(folder: Path, pattern: str, kept: Collection[str]) -> None:
    """Remove files or folders of an earlier report that match a pattern; nothing in a folder that is not a report.

    Args:
        folder: folder of the report, before the new ``report.json`` is written.
        pattern: pattern of paths relative to the folder.
        kept: names to keep.
    """
    if not (folder / REPORT).is_file():
        return
    for old in folder.glob(pattern):
        if old.name in kept:
            continue
        if old.is_symlink() or not old.is_dir():
            old.unlink()
        else:
            shutil.rmtree(old)


def unused(name: str, taken: Collection[str]) -> str:
    """Return a name that is not taken: the name itself, or with a number from 2.

    >>> unused("run", {"run", "run-2"})
    'run-3'
    """
    number, found = 2, name
    while found in taken:
        found, number = f"{name}-{number}", number + 1
    return found
