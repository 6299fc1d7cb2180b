"""Journal of a stage: one line of JSON for each epoch."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from usvi_bench.core.errors import StorageError
from usvi_bench.core.files import write_text


class Journal:
    """Journal file of a stage, to which lines are appended.

    A checkpoint stores the length of the journal. A resumed stage cuts the journal to that length, which also removes
    an incomplete last line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def length(self) -> int:
        """Size of the file in bytes; 0 if it does not exist."""
        return self.path.stat().st_size if self.path.exists() else 0

    def append(self, entry: dict[str, Any]) -> None:
        """Append one line and flush it to the disk."""
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
        """Replace all lines atomically."""
        text = "".join(json.dumps(entry, sort_keys=True) + "\n" for entry in entries)
        write_text(self.path, text)

    def read(self) -> list[dict[str, Any]]:
        """Read all entries, oldest first."""
        return [json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines()]
