"""Check of the lines of a journal before they are drawn: every field that figures read has its type."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict

from usvi_bench.core.errors import DamagedFileError
from usvi_bench.core.typed import convert

MOST_LOSSES = 100
"""Most losses of an epoch."""


class Sides(TypedDict):
    """Sides of a count: that of the visible and that of the infrared images."""

    visible: int
    infrared: int


class Agreement(TypedDict):
    """Agreement of clusters with identities; None without clusters."""

    ari: float | None
    nmi: float | None
    purity: float | None


class _Agreements(TypedDict):
    visible: Agreement
    infrared: Agreement


class Quality(_Agreements, total=False):
    """Quality of pseudo-labels in both modalities, and of their association."""

    match_accuracy: float | None
    match_precision: float | None
    match_recall: float | None
    joint_precision: float | None
    joint_recall: float | None


class _Costs(TypedDict, total=False):
    lr: float | None
    clustering: dict[str, float]
    peak_memory_mib: float | None


class EpochLine(_Costs):
    """Epoch line of a journal: the fields that figures read; further ones are kept."""

    kind: str
    fold: int
    stage: str
    stage_index: int
    epoch: int
    steps: int
    losses: dict[str, float]
    clusters: Sides
    outliers: Sides
    images: Sides
    identities: Sides
    quality: Quality
    seconds: dict[str, float]


class ScoreLine(TypedDict):
    """Score line of a journal: model and epoch of scores during training."""

    kind: str
    fold: int
    epoch: int
    model: str


KINDS: dict[Any, Any] = {"epoch": EpochLine, "scores": ScoreLine}


def check_lines(lines: list[dict[str, Any]], path: Path) -> list[dict[str, Any]]:
    """Return the lines of a journal if figures can be drawn from them.

    Raises:
        DamagedFileError: a field is missing or has another type; names the line and the field.
    """
    for number, line in enumerate(lines, 1):
        try:
            if not isinstance(kind := line.get("kind"), str):
                raise ValueError(f"kind: expected text, found {kind!r:.40}")
            if kind in KINDS:
                convert(KINDS[kind], line, "")
            if kind == "epoch":
                _check_epoch(line)
        except ValueError as error:
            raise DamagedFileError(f"{path} line {number}: {error}; train the stage again with --overwrite") from error
    return lines


def _check_epoch(line: dict[str, Any]) -> None:
    if min(line["steps"], *line["images"].values()) < 1:
        raise ValueError(f"steps {line['steps']} and images {line['images']} must be at least 1")
    if len(line["losses"]) > MOST_LOSSES:
        raise ValueError(f"losses: {len(line['losses'])}, at most {MOST_LOSSES} can be drawn")
    if "train" not in line["seconds"]:
        raise ValueError("seconds.train: missing")
