"""Writing files so that a reader sees the old content or the new, never half of it."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from usvi_bench.core.errors import StorageError


def write_atomically(path: Path, write: Callable[[BinaryIO], None], remedy: str | None = None) -> None:
    """Fill a temporary file beside ``path``, then put it in its place.

    Args:
        path: file to write; its folder is made.
        write: fills the file that it is given.
        remedy: ends the message of an error; by default what helps where ``--output`` cannot be written.

    Raises:
        StorageError: the disk is full or refuses the write; ``path`` is left as it was.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}; {remedy or 'choose another --output'}") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except (OSError, RuntimeError) as error:  # torch.save reports a failed write as RuntimeError
        intact = "free some space and continue with --resume (what was saved is intact)"
        reason = getattr(error, "strerror", None) or error
        raise StorageError(f"cannot write {path}: {reason}; {remedy or intact}") from error
    finally:
        Path(temporary).unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes atomically; see :func:`write_atomically`."""

    def write(file: BinaryIO) -> None:
        file.write(content)

    write_atomically(path, write)


def write_text(path: Path, text: str) -> None:
    """Write text atomically, in UTF-8."""
    write_bytes(path, text.encode())


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically with sorted keys, so that equal content gives equal bytes."""
    write_text(path, json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read the content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


@contextmanager
def locked(path: Path, wait: bool) -> Iterator[None]:
    """Hold a lock file, alone; the lock goes with the process, so a killed one leaves none behind.

    Raises:
        BlockingIOError: another process holds it, and ``wait`` is false.
        StorageError: the file cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("w")
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}; choose another --output") from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock file."""
    if not path.exists():
        return False
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
