"""Figures that others have published, from ``published.csv``: one a method and protocol, with where it was read."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from usvi_bench.core.errors import UsageError, did_you_mean

COLUMNS = [
    *("method", "venue", "year", "setting", "uses_camera_labels", "protocol"),
    *("rank1", "rank10", "rank20", "mAP", "mINP", "evidence", "source"),
]
METRIC_COLUMNS = {"R1": "rank1", "R10": "rank10", "R20": "rank20", "mAP": "mAP", "mINP": "mINP"}
"""The leaderboard's names of the metrics that the file has, and its own."""
SETTINGS = {"unsupervised": "none", "semi": "some", "supervised": "all"}
"""Settings in the order they are shown, and the labels that each trains with."""
EVIDENCE = {
    "own paper": "read in the method's own paper",
    "own repository": "given in the repository of its authors",
    "secondary": "quoted in a comparison table of a later paper",
}
"""Levels of evidence, strongest first, in words."""
_AT_ODDS = "differs from the paper table"
PAPER_NAMES = {"adca": "ADCA", "pgm": "PGM", "pclhd": "PCLHD", "dmic": "DMIC"}
"""Our methods that have published figures, by the name these carry."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the file, as printed there: percent, as many decimals as its source gives.

    Attributes:
        year: None where it is not known.
        cameras: ``yes``, ``no`` or ``unknown``: whether it trains with camera labels.
        metrics: name to printed figure, without those that the source lacks.
        at_odds: whether its source disagrees with the table of the method's paper.
    """

    method: str
    venue: str
    year: int | None
    setting: str
    cameras: str
    protocol: str
    metrics: dict[str, str]
    evidence: str
    source: str

    @property
    def at_odds(self) -> bool:
        return _AT_ODDS in self.source

    def value(self, metric: str) -> float | None:
        """Percent."""
        return float(self.metrics[metric]) if metric in self.metrics else None


@dataclass(frozen=True, slots=True)
class Published:
    """The figure that is shown for a method under a protocol, and those that disagree with it beyond rounding."""

    shown: Figure
    others: tuple[Figure, ...]


def read_figures(path: Path) -> list[Figure]:
    """All lines of the file.

    Raises:
        UsageError: naming the line and what is wrong with it.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if reader.fieldnames != COLUMNS:
                raise UsageError(f"{path}: expected the columns {','.join(COLUMNS)}")
            return [_figure(row, f"{path}, line {reader.line_num}") for row in reader]
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; it holds the published figures") from error


def choose(figures: Iterable[Figure]) -> list[Published]:
    """One figure a method and protocol, in the order of the file: the paper's own where it is known.

    A source that says that it differs from the paper's table comes after all that do not; then the stronger
    evidence goes first, then the source with more metrics.
    """
    groups: dict[tuple[str, str], list[Figure]] = {}
    for figure in figures:
        groups.setdefault((figure.method, figure.protocol), []).append(figure)
    chosen = []
    for group in groups.values():
        shown, *rest = sorted(group, key=lambda f: (f.at_odds, [*EVIDENCE].index(f.evidence), -len(f.metrics)))
        chosen.append(Published(shown, tuple(other for other in rest if _disagree(shown, other))))
    return chosen


def ordered(published: Sequence[Published], protocol: str) -> list[Published]:
    """Those of a protocol: fewest labels first, then by mAP."""
    mine = [entry for entry in published if entry.shown.protocol == protocol]
    return sorted(
        mine,
        key=lambda e: ([*SETTINGS].index(e.shown.setting), -(e.shown.value("mAP") or 0), e.shown.method),
    )


def find_published(published: Sequence[Published], method: str, protocol: str, shots: int) -> Published | None:
    """What was published of one of our methods; None where nothing was, or where galleries are multi-shot."""
    if shots > 1:
        return None
    name = PAPER_NAMES.get(method)
    found = [entry for entry in published if (entry.shown.method, entry.shown.protocol) == (name, protocol)]
    return found[0] if found else None


def footnote(entry: Published) -> str:
    """The figures that disagree, with their sources; empty where none does."""
    return "; ".join(
        f"{', '.join(f'{metric} {value}' for metric, value in other.metrics.items())} "
        f"({other.evidence}: {other.source.replace(f' ({_AT_ODDS})', '')})"
        for other in entry.others
    )


def _figure(row: dict[str, str], where: str) -> Figure:
    if None in row or None in row.values():
        raise UsageError(f"{where}: expected {len(COLUMNS)} cells")
    for column, known in (("setting", SETTINGS), ("evidence", EVIDENCE)):
        if row[column] not in known:
            raise UsageError(f"{where}: {column} '{row[column]}': {did_you_mean(row[column], known)}")
    metrics = {name: row[column] for name, column in METRIC_COLUMNS.items() if row[column]}
    for name, text in metrics.items():
        if not re.fullmatch(r"\d{1,3}(\.\d+)?", text) or float(text) > 100:
            raise UsageError(f"{where}: {name} '{text}' is not a figure in percent")
    if row["year"] and not re.fullmatch(r"\d{4}", row["year"]):
        raise UsageError(f"{where}: year '{row['year']}' is not a year; leave it empty if unknown")
    return Figure(
        method=row["method"],
        venue=row["venue"],
        year=int(row["year"]) if row["year"] else None,
        setting=row["setting"],
        cameras=row["uses_camera_labels"],
        protocol=row["protocol"],
        metrics=metrics,
        evidence=row["evidence"],
        source=row["source"],
    )


def _disagree(shown: Figure, other: Figure) -> bool:
    """Whether any metric of both differs by more than the rounding of the coarser one."""
    for metric in shown.metrics.keys() & other.metrics.keys():
        decimals = min(len(f.metrics[metric].partition(".")[2]) for f in (shown, other))
        gap = abs(float(shown.metrics[metric]) - float(other.metrics[metric]))
        if gap > 0.5 * 10**-decimals + 1e-9:
            return True
    return False
