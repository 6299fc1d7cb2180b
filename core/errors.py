"""Errors that end a command with one clear message, and hints for misspelt words."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UsageError(Exception):
    """Mistake in what was asked for; the message names the value and the remedy."""


class StorageError(Exception):
    """Write that the disk refused; nothing that was saved before is lost."""


class LostProcessError(Exception):
    """Loss of another process of the training; what was saved is intact."""


def closest(word: str, known: Iterable[str]) -> list[str]:
    """Return up to two close matches, best first."""
    return difflib.get_close_matches(word, sorted(known), n=2, cutoff=0.5)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint with close matches, or with all known words where none is close.

    >>> did_you_mean("pgn", ["adca", "hil", "pgm"])
    'did you mean pgm?'
    >>> did_you_mean("resnet", ["adca", "hil", "pgm"])
    'known: adca, hil, pgm'
    """
    known = sorted(known)
    close = closest(word, known)
    return f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(known)}"
