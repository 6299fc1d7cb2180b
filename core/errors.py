"""Errors that end a command with one message, and hints for misspelt names."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable


class UsageError(Exception):
    """Error in the input of the user; the message names the value and the remedy."""


class StorageError(Exception):
    """Error of a failed write; files saved before it are intact."""


class DamagedFileError(UsageError):
    """Error of a file whose content does not match its checksum; the message names the file and the remedy."""


class LostProcessError(Exception):
    """Error of a training process whose peer has ended; saved files are intact."""


class WorkerError(Exception):
    """Error of a worker process that ended without a result; the message names what is kept."""


def show(value: object) -> str:
    r"""Return a value as text for a message: one line, of at most 60 characters.

    >>> show("resnet50"), show(0.5), show("a\nb")
    ('resnet50', '0.5', "'a\\nb'")
    """
    text = str(value)
    return text if text.isprintable() and len(text) <= 60 else f"{text[:60]!r:.60}"


def closest(word: str, known: Iterable[str], similarity: float = 0.5) -> list[str]:
    """Return up to two close matches, best first; ``similarity`` is the least one, from 0 to 1."""
    return difflib.get_close_matches(word, sorted(known), n=2, cutoff=similarity)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint with close matches, or with all known words if none is close.

    >>> did_you_mean("pgn", ["adca", "hil", "pgm"])
    'did you mean pgm?'
    >>> did_you_mean("resnet", ["adca", "hil", "pgm"])
    'known: adca, hil, pgm'
    """
    known = sorted(known)
    close = closest(word, known)
    return f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(known)}"


def describe_os_error(error: OSError) -> str:
    """Describe an error of the file system in a line.

    >>> describe_os_error(PermissionError(13, "Permission denied", "/data"))
    '/data: Permission denied; check the path and its permissions'
    """
    names = " -> ".join(
        os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, (str, bytes))
    )
    reason = error.strerror or str(error)
    return f"{names}: {reason}; check the path and its permissions" if names else reason


def printable(message: object, lines: bool = True) -> str:
    r"""Return a message for a terminal: control characters and undecodable bytes are escaped.

    Args:
        message: the message.
        lines: whether line ends stay; else they are escaped too, so that names of others cannot add lines.

    >>> printable("no file \x1b[2J.jpg")
    'no file \\x1b[2J.jpg'
    """
    return "".join(c if c.isprintable() or (lines and c == "\n") else ascii(c)[1:-1] for c in str(message))
