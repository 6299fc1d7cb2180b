"""Kinds of paths, without errors for paths that do not exist, loop or are too long; folders of users."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from usvi_bench.core.errors import UsageError


def is_file(path: Path) -> bool:
    """Return whether a path is a regular file; see :func:`is_folder`."""
    return stat.S_ISREG(_mode(path))


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder, or a link to one; False if it is absent, loops or is too long.

    Raises:
        UsageError: a folder on the way cannot be searched.
    """
    return stat.S_ISDIR(_mode(path))


def is_absent(path: Path) -> bool:
    """Return whether a path leads to nothing; see :func:`is_folder`."""
    return _mode(path) == 0


def normalised(path: Path) -> Path:
    """Return the absolute path, without ``..``."""
    return path.resolve() if ".." in path.parts else path.absolute()


def expanded(path: str | Path) -> Path:
    """Return a path, with the home folder of a user in place of ``~`` or ``~user`` at its start.

    Raises:
        UsageError: there is no such user, or the user has no home folder.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UsageError(f"{path!s:.200}: no home folder of this user is known; write the whole path") from error


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except PermissionError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}; make it readable") from error
    except (OSError, ValueError):
        return 0


def check_output(output: Path) -> None:
    """Refuse an output folder that cannot be created or written: a part of its path is a file or is read-only.

    Raises:
        UsageError: names the part.
    """
    for path in (output, *output.parents):
        try:
            kind = path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError) as error:  # too long, or with a NUL
            reason = getattr(error, "strerror", None) or error
            raise UsageError(f"--output {str(output)!r:.200}: {reason}; choose another --output") from error
        if not stat.S_ISDIR(kind):
            raise UsageError(f"--output {output}: {path} is a file, not a folder; choose another --output")
        if not os.access(path, os.W_OK | os.X_OK):
            raise UsageError(f"--output {output}: no permission to write in {path}; choose another --output")
        return
