"""Seal of a report: ``report.json`` holds the sha256 of each picture beside it, and the digest of its own content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from usvi_bench.core.sealed import DIGEST
from usvi_bench.core.settings import digest

FILES = "files"


def seal(folder: Path, content: Mapping[str, Any], files: Iterable[str]) -> dict[str, Any]:
    """Return the content of ``report.json`` with the checksums of the files, which must exist, and its digest."""
    sealed = {**content, FILES: {name: _checksum(folder / name) for name in sorted(files)}}
    return {**sealed, DIGEST: digest(sealed)}


def check_report_seal(folder: Path, content: Mapping[str, Any]) -> None:
    """Check the content of ``report.json`` and the files beside it; reports of older versions have no seal.

    Raises:
        ValueError: names the file that was changed since the report was written.
        OSError: a file cannot be read.
    """
    if FILES not in content and DIGEST not in content:
        return
    own = {name: value for name, value in content.items() if name != DIGEST}
    if content.get(DIGEST) != digest(own):
        raise ValueError(f"{folder / 'report.json'} is damaged: its content does not match its digest")
    for name, checksum in content[FILES].items():
        if _checksum(folder / name) != checksum:
            raise ValueError(f"{folder / name} is damaged: its content does not match the checksum in report.json")


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
