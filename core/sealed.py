"""Sealed files: a checksum of the content, so that damage is noticed.

A binary file ends with a line that holds the sha256 of the bytes before it. ``torch.load`` and ``numpy.load`` read such
files as they are, because readers of zip archives and of NumPy arrays ignore what follows the content. A JSON object
holds its digest under the key ``digest``.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from usvi_bench.core.errors import DamagedFileError
from usvi_bench.core.files import read_json, write_atomically, write_json
from usvi_bench.core.settings import digest

DIGEST = "digest"
"""Key of a JSON object that holds the digest of all other keys."""
SHA256 = re.compile(r"[0-9a-f]{64}")
"""A sha256 as text."""
_MARK = b"\nsha256:"
_LENGTH = len(_MARK) + 64 + 1


def write_sealed(path: Path, write: Callable[[BinaryIO], None], remedy: str | None = None) -> None:
    """Write a sealed file atomically; see :func:`~usvi_bench.core.files.write_atomically`."""

    def seal(file: BinaryIO) -> None:
        write(file)
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        checksum = _hash(file, size)
        file.seek(0, os.SEEK_END)
        file.write(_seal(checksum))

    write_atomically(path, seal, remedy)


def check_seal(path: Path, remedy: str) -> None:
    """Check that the content of a sealed file matches its checksum.

    Args:
        path: file written by :func:`write_sealed`.
        remedy: end of the error message.

    Raises:
        DamagedFileError: the content differs from its checksum, or there is no checksum.
        OSError: the file cannot be read.
    """
    if path.exists() and not path.is_file():  # reading a device might never end
        raise DamagedFileError(f"{path} is not a file; {remedy}")
    with path.open("rb") as file:
        checksum = _hash(file, max(path.stat().st_size - _LENGTH, 0))
        seal = file.read()
    if not seal.startswith(_MARK):
        raise DamagedFileError(f"{path} is cut short, or was written by another version (no checksum); {remedy}")
    if seal != _seal(checksum):
        raise DamagedFileError(f"{path} is damaged: its content does not match its checksum; {remedy}")


def _seal(checksum: str) -> bytes:
    return _MARK + checksum.encode() + b"\n"


def _hash(file: BinaryIO, size: int) -> str:
    """Hash the next ``size`` bytes of a file."""
    found = hashlib.sha256()
    while size and (block := file.read(min(size, 2**20))):
        found.update(block)
        size -= len(block)
    return found.hexdigest()


def write_sealed_json(path: Path, content: Mapping[str, Any], remedy: str | None = None) -> None:
    """Write a JSON object atomically, with the digest of its content."""
    write_json(path, {**content, DIGEST: digest(content)}, remedy)


def read_sealed_json(path: Path, remedy: str) -> dict[str, Any]:
    """Read a JSON object and check its digest.

    Args:
        path: file written by :func:`write_sealed_json`.
        remedy: end of the error message.

    Raises:
        DamagedFileError: the file is not JSON, has no digest, or has another content than its digest.
        OSError: the file cannot be read.
    """
    try:
        return check_digest(read_json(path), path, remedy)
    except ValueError as error:
        raise DamagedFileError(f"{path} is damaged ({error}); {remedy}") from error


def check_digest(parsed: Any, path: Path, remedy: str) -> dict[str, Any]:
    """Return a parsed JSON object without its digest, after checking it; see :func:`read_sealed_json`."""
    if not isinstance(parsed, dict) or DIGEST not in parsed:
        raise DamagedFileError(f"{path} is damaged (no digest); {remedy}")
    content = {name: value for name, value in parsed.items() if name != DIGEST}
    if parsed[DIGEST] != digest(content):
        raise DamagedFileError(f"{path} is damaged: its content does not match its digest; {remedy}")
    return content
