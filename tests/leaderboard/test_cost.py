"""Seconds, hours and memory of runs, compared with explicit sums."""

from __future__ import annotations

from typing import Any

from tests.leaderboard.records import make_record
from usvi_bench.leaderboard.record_pages import build_records


def cost(method: str, seed: int, seconds: dict[str, float], peak: float | None = 100.0, **place: Any) -> Any:
    made = {"seconds": seconds, "peak_memory_mib": peak, **place}
    return make_record(method, seed, provenance=made)


def cells(text: str) -> list[list[str]]:
    lines = text[text.index("## Time and memory") :].split("\n\n")[1].splitlines()
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines if not line.startswith("| :")]


def test_each_method_and_machine_has_a_row_and_hours_are_summed() -> None:
    records = [
        cost("pgm", 0, {"train": 100.0, "embed": 20.0}, peak=300.0),
        cost("pgm", 1, {"train": 200.0, "embed": 40.0, "cluster": 6.0}, peak=None),
        cost("pgm", 2, {"train": 10.0}, gpu="a GPU", threads=16),
        cost("untrained", 0, {"evaluate": 5.0}, peak=None),
        make_record("hil", real=True, provenance={"seconds": {"train": 3600.0}}),
    ]
    text = build_records({f"{i}.json": record for i, record in enumerate(records)})
    header, *rows = cells(text)
    assert header[:5] == ["Data", "Method", "made on", "threads", "runs"]
    assert header[5:] == [
        "cluster s",
        "embed s",
        "evaluate s",
        "train s",
        "seconds per run",
        "total hours",
        "peak MiB",
    ]
    assert rows == [
        ["sysu, real, shared", "hil", "a processor", "2", "1", "-", "-", "-", "3600", "3600", "1.00", "1000"],
        ["sysu, synthetic small, shared", "pgm", "a GPU", "16", "1", "-", "-", "-", "10", "10", "0.00", "100"],
        ["sysu, synthetic small, shared", "pgm", "a processor", "2", "2", "6", "30", "-", "150", "183", "0.10", "300"],
        ["sysu, synthetic small, shared", "untrained", "a processor", "2", "1", "-", "-", "5", "-", "5", "0.00", "-"],
    ]
    assert "All 5 runs: 1.1 hours." in text
