"""The journal of a stage: one JSON object a line, appended after every epoch."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from usvi_bench.core.errors import StorageError
from usvi_bench.core.files import write_text


class Journal:
    """Append-only log of a stage.

    A checkpoint stores the journal's length, so that a resumed stage cuts away what was written after it,
    a torn last line included.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def length(self) -> int:
        """Bytes written so far."""
        return self.path.stat().st_size if self.path.exists() else 0

    def append(self, entry: dict[str, Any]) -> None:
        """Write one line and wait until the disk has it."""
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry, sort_keys=True) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StorageError(
                f"cannot write {self.path}: {error.strerror}; free some space and continue with --resume"
            ) from error

    def cut(self, length: int) -> None:
        """Drop everything after the first ``length`` bytes."""
        if self.length > length:
            os.truncate(self.path, length)

    def replace(self, entries: list[dict[str, Any]]) -> None:
        """Write all lines at once in place of the old ones."""
        text = "".join(json.dumps(entry, sort_keys=True) + "\n" for entry in entries)
        write_text(self.path, text)

    def read(self) -> list[dict[str, Any]]:
        """All entries, oldest first."""
        return [json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines()]
