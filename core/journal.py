"""Journal of a stage: one line of JSON for each epoch, chained by checksums."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from usvi_bench.core.errors import DamagedFileError, StorageError
from usvi_bench.core.files import parse_json, remedy_for, write_text

_CHAIN = "chain"
_REMEDY = "train the stage again with --overwrite"


class Mark(NamedTuple):
    """Mark of a position in a journal.

    Attributes:
        length: bytes before it.
        chain: chain value of the last line before it; empty at the start.
    """

    length: int
    chain: str


START = Mark(0, "")
"""Mark of the start of every journal."""


class Journal:
    """Journal file of a stage, to which lines are appended.

    Every line holds under ``chain`` the sha256 of the chain value of the line before and of its own content. A changed,
    missing or exchanged line is therefore noticed. A checkpoint stores the mark of the journal. A resumed stage
    verifies the lines up to that mark and cuts the lines after it, of which the last may be incomplete.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mark: Mark | None = None

    @property
    def mark(self) -> Mark:
        """Mark of the end of the journal."""
        if self._mark is None:
            self.read()
        assert self._mark is not None
        return self._mark

    def append(self, entry: dict[str, Any]) -> None:
        """Append one line and flush it to the disk; an incomplete last line is replaced."""
        line, chain = _line(entry, self.mark.chain)
        try:
            with self.path.open("ab") as file:
                file.truncate(self.mark.length)
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            self._mark = None
            raise StorageError(f"cannot write {self.path}: {error.strerror}; {remedy_for(error)}") from error
        self._mark = Mark(self.mark.length + len(line), chain)

    def cut(self, mark: Mark) -> None:
        """Drop the lines after a mark.

        Raises:
            DamagedFileError: the lines before the mark are not those that were there when it was taken.
        """
        self.read_until(mark)
        if self.path.exists():
            os.truncate(self.path, mark.length)
        self._mark = mark

    def replace(self, entries: list[dict[str, Any]]) -> None:
        """Replace all lines atomically."""
        lines, chain = [], ""
        for entry in entries:
            line, chain = _line(entry, chain)
            lines.append(line)
        content = b"".join(lines)
        write_text(self.path, content.decode())
        self._mark = Mark(len(content), chain)

    def read(self) -> list[dict[str, Any]]:
        """Read all entries, oldest first; none if there is no file. An incomplete last line is ignored.

        Raises:
            DamagedFileError: a line is not what was written.
        """
        content = self._content()
        content = content[: content.rfind(b"\n") + 1]
        entries, chain = self._parse(content)
        self._mark = Mark(len(content), chain)
        return entries

    def read_until(self, mark: Mark) -> list[dict[str, Any]]:
        """Read the entries before a mark, oldest first.

        Raises:
            DamagedFileError: the lines before the mark are not those that were there when it was taken.
        """
        content = self._content()
        entries, chain = self._parse(content[: mark.length])
        if len(content) < mark.length or chain != mark.chain:
            raise DamagedFileError(f"{self.path} lacks lines that were written; {_REMEDY}")
        return entries

    def read_all(self, mark: Mark) -> list[dict[str, Any]]:
        """Read all entries of a finished journal, whose end has a known mark.

        Raises:
            DamagedFileError: the journal is another one, or it has further lines.
        """
        entries = self.read_until(mark)
        if len(self._content()) > mark.length:
            raise DamagedFileError(f"{self.path} has lines that its run did not write; {_REMEDY}")
        return entries

    def _content(self) -> bytes:
        if self.path.exists() and not self.path.is_file():  # reading a device might never end
            raise DamagedFileError(f"{self.path} is not a file; {_REMEDY}")
        return self.path.read_bytes() if self.path.exists() else b""

    def _parse(self, content: bytes) -> tuple[list[dict[str, Any]], str]:
        entries, chain = [], ""
        for number, line in enumerate(content.splitlines(keepends=True), 1):
            try:
                entry = parse_json(line.decode())
                found = entry.pop(_CHAIN)
                expected, chain = _line(entry, chain)
            except (ValueError, KeyError, AttributeError, TypeError):
                expected, found = b"", ""
            if line != expected or found != chain:
                raise DamagedFileError(f"{self.path} is damaged in line {number}; {_REMEDY}")
            entries.append(entry)
        return entries, chain


class FollowedJournal(Journal):
    """Followed journal, which passes on its entries.

    Args:
        path: file of the journal.
        follow: called with the entries that a resumed stage keeps, then with each new entry.
    """

    def __init__(self, path: Path, follow: Callable[[list[dict[str, Any]]], None]) -> None:
        super().__init__(path)
        self._follow = follow

    def append(self, entry: dict[str, Any]) -> None:
        """Append one line, and pass it on."""
        super().append(entry)
        self._follow([entry])

    def cut(self, mark: Mark) -> None:
        """Drop the lines after a mark, and pass on those before it."""
        super().cut(mark)
        self._follow(self.read_until(mark))


def _line(entry: dict[str, Any], chain: str) -> tuple[bytes, str]:
    """Format a line; returns it and its chain value."""
    content = json.dumps(entry, sort_keys=True, allow_nan=False)
    chain = hashlib.sha256((chain + content).encode()).hexdigest()
    return (json.dumps({**entry, _CHAIN: chain}, sort_keys=True) + "\n").encode(), chain
