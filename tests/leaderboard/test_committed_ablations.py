"""Tables in leaderboard/ablations agree with the records next to them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from usvi_bench.core.record import read_record
from usvi_bench.leaderboard.build import FOLDER
from usvi_bench.leaderboard.consistency import faults
from usvi_bench.reports.ablation import write_ablation

GRIDS = sorted(path.parent for path in (FOLDER / "ablations").rglob("grid.json"))


@pytest.mark.parametrize("folder", GRIDS, ids=[f"{folder.parent.name}/{folder.name}" for folder in GRIDS])
def test_a_committed_table_agrees_with_its_records(folder: Path, tmp_path: Path) -> None:
    records = [read_record(path) for path in folder.glob("jobs/*/record.json")]
    assert records
    assert not any(record.provenance["dirty"] for record in records)
    assert [fault for record in records for fault in faults(record, ranked=False)] == []
    for part in ("jobs", "grid.json"):
        (shutil.copytree if part == "jobs" else shutil.copy)(folder / part, tmp_path / part)
    write_ablation(tmp_path)
    for name in ("table.md", "table.csv", "table.tex"):
        assert (tmp_path / name).read_text() == (folder / name).read_text(), name
