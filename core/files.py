"""Atomic writes and lock files: a reader gets the old content of a file or the new, never a part."""

from __future__ import annotations

import errno
import fcntl
import glob
import json
import math
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from usvi_bench.core.errors import StorageError

_TEMPORARY = ".partial"
"""Suffix of files that are being written."""
DEEPEST = 64
"""Most levels of nested JSON that are read."""


def write_atomically(
    path: Path, write: Callable[[BinaryIO], None], remedy: str | None = None, *, synced: bool = True
) -> None:
    """Write a temporary file beside ``path``, then rename it to ``path``.

    Args:
        path: file to write; its folder is created.
        write: writes the content to the open file that it receives, which can be read and sought.
        remedy: end of the error message. The default fits files below ``--output``.
        synced: sync file and folder to the disk, so that a loss of power does not lose the file.

    Raises:
        StorageError: the write failed, for example on a full disk; ``path`` is unchanged.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_temporaries(path.parent, path.name)
        file = _new_temporary(path)
    except OSError as error:
        space = error.errno in (errno.ENOSPC, errno.EDQUOT)
        other = "free some space or choose another --output" if space else "choose another --output"
        raise StorageError(f"cannot write {path}: {error.strerror}; {remedy or other}") from error
    temporary = Path(file.name)
    try:
        with file:
            write(file)
            file.flush()
            if synced:
                os.fsync(file.fileno())
            temporary.replace(path)
        if synced:
            _sync_folder(path.parent)
    except (OSError, RuntimeError) as error:  # torch.save reports a failed write as RuntimeError
        if (cause := _cause(error)) is None:
            raise
        raise StorageError(f"cannot write {path}: {cause.strerror or cause}; {remedy or remedy_for(cause)}") from error
    finally:
        temporary.unlink(missing_ok=True)


def remedy_for(cause: BaseException) -> str:
    """Return the end of the message about a failed write below ``--output``."""
    if isinstance(cause, FileNotFoundError):
        return "its folder was removed while it was in use: run the command again"
    return "free some space and continue with --resume (what was saved is intact)"


def _sync_folder(folder: Path) -> None:
    """Sync the entries of a folder, so that a rename survives a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _cause(error: BaseException) -> OSError | None:
    """Return the error of the file system that led to another, as it does in torch.save; None if there is none."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, OSError):
        found = found.__cause__ or found.__context__
    return found


def _new_temporary(path: Path) -> BinaryIO:
    """Create a temporary file beside ``path``, locked until it is closed."""
    while True:
        file = path.with_name(f".{path.name}.{secrets.token_hex(4)}{_TEMPORARY}").open("x+b")
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()  # another process removed it before it was locked


def remove_temporaries(folder: Path, name: str = "*") -> None:
    """Remove the temporary files of writers that were killed; those of running writers are locked and stay.

    Args:
        folder: folder of the files.
        name: name of the file that was being written; every file by default.
    """
    for path in folder.glob(f".{name if name == '*' else glob.escape(name)}.*{_TEMPORARY}"):
        with suppress(OSError), _open_regular(path) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


def _open_regular(path: Path) -> BinaryIO:
    """Open a file that is neither a link nor a pipe, which could block.

    Raises:
        OSError: it is one.
    """
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    return file


@contextmanager
def temporary_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Create a folder that is removed at the end; those of processes that were killed are removed at the start.

    Args:
        parent: folder to create it in.
        prefix: start of its name; only folders of equal purpose may have it.
    """
    for stale in parent.glob(f"{glob.escape(prefix)}*"):
        with suppress(OSError), _locked_folder(stale, fcntl.LOCK_EX | fcntl.LOCK_NB):
            shutil.rmtree(stale)
    with ExitStack() as stack:
        while True:
            folder = Path(tempfile.mkdtemp(dir=parent, prefix=prefix))
            with suppress(FileNotFoundError):  # removed before it was locked
                stack.enter_context(_locked_folder(folder, fcntl.LOCK_EX))
                break
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        yield folder


@contextmanager
def _locked_folder(folder: Path, how: int) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, how)
        if not folder.exists():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))
        yield
    finally:
        os.close(descriptor)


def write_bytes(path: Path, content: bytes, remedy: str | None = None, *, synced: bool = True) -> None:
    """Write bytes atomically; see :func:`write_atomically`."""

    def write(file: BinaryIO) -> None:
        file.write(content)

    write_atomically(path, write, remedy, synced=synced)


def write_text(path: Path, text: str, remedy: str | None = None) -> None:
    """Write text atomically, in UTF-8."""
    write_bytes(path, text.encode(), remedy)


def write_json(path: Path, content: Any, remedy: str | None = None) -> None:
    """Write JSON atomically with sorted keys, so that equal content gives equal bytes.

    Raises:
        ValueError: the content holds NaN or an infinite number, which JSON does not have.
    """
    write_text(path, json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n", remedy)


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not strict JSON in UTF-8, see :func:`parse_json`.
    """
    if path.exists() and not path.is_file():  # reading a device might never end
        raise OSError(f"{path} is not a file")
    return parse_json(path.read_text(encoding="utf-8"))


def parse_json(text: str) -> Any:
    """Parse strict JSON: finite numbers that fit 64 bits, no repeated keys, and at most 64 levels.

    >>> parse_json('{"a": 1, "a": 2}')
    Traceback (most recent call last):
    ...
    ValueError: key 'a' occurs twice

    Raises:
        ValueError: the text is not strict JSON.
    """
    try:
        content = json.loads(
            text,
            parse_constant=_refuse_constant,
            parse_float=_parse_float,
            parse_int=_parse_int,
            object_pairs_hook=_unique,
        )
    except RecursionError as error:
        raise ValueError("the JSON is nested too deeply") from error
    level = [content] if isinstance(content, (dict, list)) else []
    for _ in range(DEEPEST):
        inner = [value.values() if isinstance(value, dict) else value for value in level]
        level = [entry for values in inner for entry in values if isinstance(entry, (dict, list))]
    if level:
        raise ValueError("the JSON is nested too deeply")
    return content


def _refuse_constant(word: str) -> Any:
    raise ValueError(f"{word} is not a JSON number")


def _refuse_number(word: str) -> Any:
    raise ValueError(f"{word:.30} does not fit 64 bits")


def _parse_float(word: str) -> float:
    value = float(word)
    return value if math.isfinite(value) else _refuse_number(word)


def _parse_int(word: str) -> int:
    value = int(word) if len(word) <= 20 else 2**64
    return value if abs(value) < 2**64 else _refuse_number(word)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key '{next(key for key in keys if keys.count(key) > 1)}' occurs twice")
    return content


@contextmanager
def locked(path: Path, wait: bool) -> Iterator[None]:
    """Hold an exclusive lock on a file. The system releases the lock when the process ends.

    Raises:
        BlockingIOError: another process holds the lock, and ``wait`` is false.
        StorageError: the file cannot be created.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666), "r+")
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}; choose another --output") from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield


def is_locked(path: Path) -> bool:
    """Return whether a process holds the lock on a file."""
    try:
        with _open_regular(path) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        pass
    return False
