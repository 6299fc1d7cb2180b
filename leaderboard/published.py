"""Published figures from ``published.csv``: one per method and protocol, with its source."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from usvi_bench.core.errors import UsageError, did_you_mean
from usvi_bench.core.markdown import plain

COLUMNS = [
    *("method", "venue", "year", "setting", "uses_camera_labels", "protocol"),
    *("rank1", "rank10", "rank20", "mAP", "mINP", "evidence", "source"),
]
METRIC_COLUMNS = {"R1": "rank1", "R10": "rank10", "R20": "rank20", "mAP": "mAP", "mINP": "mINP"}
"""Names of the metrics in the leaderboard, and the columns of the file."""
SETTINGS = {"unsupervised": "none", "semi": "some", "supervised": "all"}
"""Settings in display order, and the share of labels used in training."""
EVIDENCE = {
    "own paper": "read in the method's own paper",
    "own repository": "given in the repository of its authors",
    "secondary": "quoted by others, nearly always in a comparison table of a later paper",
}
"""Levels of evidence, strongest first, with explanations."""
CAMERAS = {
    "yes": "in labels, memories or losses",
    "sampler": "only to draw batches with images of different cameras, as the released code does by default",
    "no": "not at all; the images of a modality in RegDB have one camera",
    "unknown": "",
}
"""Uses of camera labels, with explanations."""
_AT_ODDS = "differs from the paper table"
_VARIANTS = ("re-ranked by", "row of an ablation")
PAPER_NAMES = {
    "adca": "ADCA", "pgm": "PGM", "pclhd": "PCLHD", "dmic": "DMIC", "bmil": "BMIL", "nulc": "N-ULC", "rpnr": "RPNR",
    "mmm": "MMM",
}  # fmt: skip
"""Names in the file of our methods that have published figures."""


@dataclass(frozen=True, slots=True)
class Figure:
    """Published figure: one line of the file, in percent with the decimals of the source.

    Attributes:
        year: None if unknown.
        cameras: whether camera labels are used in training, see :data:`CAMERAS`.
        metrics: printed figure by metric name; metrics missing in the source are absent.
        at_odds: whether the source disagrees with the table of the method's paper.
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

    @property
    def is_variant(self) -> bool:
        """Whether the figure is re-ranked or that of a row of an ablation; the plot leaves it out."""
        return any(mark in self.source for mark in _VARIANTS)

    def value(self, metric: str) -> float | None:
        """Return a metric in percent, or None if the source does not give it."""
        return float(self.metrics[metric]) if metric in self.metrics else None


@dataclass(frozen=True, slots=True)
class Published:
    """Published figure chosen for a method and protocol, and figures that differ from it by more than rounding."""

    shown: Figure
    others: tuple[Figure, ...]


def read_figures(path: Path) -> list[Figure]:
    """Read all lines of the file.

    Raises:
        UsageError: a line is invalid; the message has its number and the error.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if reader.fieldnames != COLUMNS:
                raise UsageError(f"{path}: expected the columns {','.join(COLUMNS)}; correct the header")
            figures: list[Figure] = []
            for row in reader:
                figure = _figure(row, f"{path}, line {reader.line_num}")
                if figure in figures:
                    raise UsageError(f"{path}, line {reader.line_num}: repeats an earlier line; remove one")
                figures.append(figure)
            return figures
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; this file must have the published figures") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path}: not a CSV file in UTF-8 ({error}); restore it") from error


def choose(figures: Iterable[Figure]) -> list[Published]:
    """Choose one figure per method and protocol, in the order of the file: that of the paper if it is known.

    Sources marked as different from the paper's table come last. Then stronger evidence comes first, then the source
    with more metrics.
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
    """Return the figures of a protocol, sorted by labels (fewest first), then by mAP (highest first)."""
    mine = [entry for entry in published if entry.shown.protocol == protocol]
    return sorted(
        mine,
        key=lambda e: ([*SETTINGS].index(e.shown.setting), -(e.shown.value("mAP") or 0), e.shown.method),
    )


def find_published(published: Sequence[Published], method: str, protocol: str, shots: int) -> Published | None:
    """Find the published figure of one of our methods; None if there is none or if galleries are multi-shot."""
    if shots > 1:
        return None
    name = PAPER_NAMES.get(method)
    found = [entry for entry in published if (entry.shown.method, entry.shown.protocol) == (name, protocol)]
    return found[0] if found else None


def footnote(entry: Published) -> str:
    """Format the disagreeing figures with their sources in Markdown; empty if all agree."""
    return "; ".join(
        f"{', '.join(f'{metric} {value}' for metric, value in other.metrics.items())} "
        f"({other.evidence}: {plain(other.source.replace(f' ({_AT_ODDS})', ''))})"
        for other in entry.others
    )


def _figure(row: dict[str, str], where: str) -> Figure:
    if None in row or None in row.values():
        raise UsageError(f"{where}: expected {len(COLUMNS)} cells; correct the line")
    for column, text in row.items():
        if not text.isprintable():
            raise UsageError(f"{where}: {column} {text[:40]!r} holds control characters; remove them")
    for column, known in (("setting", SETTINGS), ("evidence", EVIDENCE), ("uses_camera_labels", CAMERAS)):
        if row[column] not in known:
            raise UsageError(f"{where}: {column} '{row[column]:.40}': {did_you_mean(row[column], known)}")
    metrics = {name: row[column] for name, column in METRIC_COLUMNS.items() if row[column]}
    for name, text in metrics.items():
        if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]+)?", text) or float(text) > 100:
            raise UsageError(
                f"{where}: {name} '{text:.40}' is not a percentage from 0 to 100; write it as in the source, such as "
                "57.3, or leave it empty"
            )
    if row["year"] and not re.fullmatch(r"[0-9]{4}", row["year"]):
        raise UsageError(f"{where}: year '{row['year']:.40}' is not a year; leave it empty if unknown")
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
    """Check whether any shared metric differs by more than the rounding of the coarser figure."""
    for metric in shown.metrics.keys() & other.metrics.keys():
        decimals = min(len(f.metrics[metric].partition(".")[2]) for f in (shown, other))
        gap = abs(float(shown.metrics[metric]) - float(other.metrics[metric]))
        if gap > 0.5 * 10**-decimals + 1e-9:
            return True
    return False
