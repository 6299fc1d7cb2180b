"""Reading of ``.npz`` files of unknown origin: arrays of numbers and text, each checked before it is read."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from usvi_bench.core.errors import UsageError, did_you_mean, printable, show
from usvi_bench.core.host import GIB, memory_available
from usvi_bench.core.paths import is_file

COPIES = 3
"""Copies of the largest array in memory while a file is read: in the file, in its entry, and without its header."""
_END = ".npy"


def read_npz(
    path: Path, needed: Mapping[str, str], optional: Mapping[str, str]
) -> tuple[dict[str, NDArray[Any]], bytes]:
    """Read the arrays of a file that ``numpy.savez`` wrote. Nothing is unpickled.

    Args:
        path: the file.
        needed: types of the arrays that must be there, by name: ``float32``, ``str``; ``uint8 uint16`` is either.
        optional: types of further arrays that may be there.

    Returns:
        The arrays by name, and the content of the file.

    Raises:
        UsageError: the file cannot be read, is compressed or damaged, or an array is missing, unknown, or of another
            type or size than its header states.
    """
    content = _content(path)
    return parse_npz(content, path, needed, optional), content


def parse_npz(
    content: bytes, path: Path, needed: Mapping[str, str], optional: Mapping[str, str]
) -> dict[str, NDArray[Any]]:
    """Parse the content of a file as :func:`read_npz` does; ``path`` is for messages."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _arrays(archive, needed, optional)
    except UsageError as error:
        raise UsageError(f"{path}: {error}; write it with numpy.savez") from error
    except Exception as error:  # a damaged archive can raise anything
        reason = printable(" ".join(str(error).split()))
        raise UsageError(f"{path}: not a readable .npz file ({reason:.100}); write it with numpy.savez") from error


def _content(path: Path) -> bytes:
    if not is_file(path):  # reading a device might never end
        raise UsageError(f"{path!s:.300}: no such file; give a .npz file")
    try:
        needed, free = COPIES * path.stat().st_size, memory_available()
        if needed > free:
            raise UsageError(
                f"{path}: reading it needs {needed / GIB:.1f} GiB of memory, and {free / GIB:.1f} GiB are available; "
                "split it by modality or fold"
            )
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; make it readable") from error


def _arrays(
    archive: zipfile.ZipFile, needed: Mapping[str, str], optional: Mapping[str, str]
) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {}
    kinds = {**needed, **optional}
    for entry in archive.infolist():
        name = entry.filename.removesuffix(_END)
        if name not in kinds or not entry.filename.endswith(_END):
            raise UsageError(f"unknown array '{show(entry.filename)}': {did_you_mean(name, kinds)}")
        if name in found:
            raise UsageError(f"the array '{name}' occurs twice")
        if entry.compress_type != zipfile.ZIP_STORED:
            raise UsageError(f"the array '{name}' is compressed")
        found[name] = _array(archive.read(entry), name, kinds[name])
    if missing := sorted(needed.keys() - found.keys()):
        names, plural = ", ".join(f"'{name}'" for name in missing), "s" if len(missing) > 1 else ""
        raise UsageError(f"the array{plural} {names} {'are' if plural else 'is'} missing")
    return found


def _array(content: bytes, name: str, kind: str) -> NDArray[Any]:
    """Parse an array; its size must be that of its header, so that no header can cause a larger allocation."""
    file = io.BytesIO(content)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    version = np.lib.format.read_magic(file)
    if version not in readers:
        raise UsageError(f"the array '{name}' has the format {version}")
    shape, fortran, dtype = readers[version](file)
    kinds = kind.split()
    if not (dtype.kind == "U" if kind == "str" else any(dtype == np.dtype(each) for each in kinds)):
        raise UsageError(
            f"the array '{name}' is {dtype}, expected {' or '.join(kinds)}: convert it with "
            f"{name}.astype({kinds[-1]!r})"
        )
    data = content[file.tell() :]
    count = math.prod(map(int, shape))
    if len(data) != count * dtype.itemsize or (not dtype.itemsize and count):
        raise UsageError(f"the array '{name}' has {len(data)} bytes, which its shape {show(shape)} contradicts")
    flat = np.frombuffer(data, dtype) if dtype.itemsize else np.zeros(0, dtype)
    return flat.reshape(shape, order="F" if fortran else "C")
