"""``report.md``: the first page to read about a run (being rewritten)."""

from __future__ import annotations

from pathlib import Path

from engine.files import void, write_atomically
from engine.registry import UsageError


def write_report(run: Path, output: Path | None = None, with_pictures: bool = False) -> Path:
    """Write the report."""
    if not (run / "record.json").exists():
        raise UsageError(f"{run}: no record.json; name the folder of a finished run")
    folder = output or run / "report"
    write_atomically(folder / "report.md", lambda file: void(file.write(b"# report\n")))
    return folder / "report.md"
