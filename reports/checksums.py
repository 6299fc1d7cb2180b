"""Checksums of the pictures of a report, in ``report.json``."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

FILES = "files"
"""Key of ``report.json`` that holds the sha256 of each picture, by its path below the folder of the report."""


def checksums(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the sha256 of files in a folder, by name."""
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in sorted(names)}


def check_content(name: str, content: bytes, report: Mapping[str, Any]) -> None:
    """Check the content of a picture against the checksums of ``report.json``; reports of older versions have none.

    Raises:
        ValueError: the file was changed since the report was written.
    """
    expected = report.get(FILES, {}).get(name)
    if expected is not None and hashlib.sha256(content).hexdigest() != expected:
        raise ValueError(f"{name} is damaged: its content does not match the checksum in report.json")
