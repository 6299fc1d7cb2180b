"""Log anchors: numbers of released training logs that the first epoch of a training can be compared with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from usvi_bench.core.errors import UsageError
from usvi_bench.core.files import read_json
from usvi_bench.core.registry import DATASETS
from usvi_bench.core.typed import convert

FILE = Path(__file__).with_suffix(".json")
CLUSTERS, EARLY, LATE = 0.05, 0.05, 0.1
"""Largest deviations, as shares of the numbers in the log: of clusters, and of mean losses over ten and more steps.

Random parts of the network, decoders of images and random batches differ between two correct programs. Mean losses
over an epoch also have the sum of all earlier steps.
"""
EARLY_STEPS = 10


@dataclass(frozen=True)
class LogAnchor:
    """Log anchor: numbers of the first epoch of a released training.

    Attributes:
        method: registered name.
        data: registered name of the data set.
        fold: fold that the log trains on.
        weights: first digits of the sha256 of the starting weights; several files hold equal weights.
        clusters: number of clusters of each modality before the first step.
        losses: mean total loss over the steps up to a step, by its number from 1, as text.
        source: public log.
    """

    method: str
    data: str
    fold: int
    weights: tuple[str, ...]
    clusters: Mapping[str, int]
    losses: Mapping[str, float]
    source: str


@dataclass(frozen=True)
class Comparison:
    """Comparison of a number of a training with that of a log."""

    name: str
    found: float
    logged: float
    tolerance: float

    @property
    def within(self) -> bool:
        """Whether the deviation is at most the tolerance, a share of the logged number."""
        return abs(self.found - self.logged) <= self.tolerance * self.logged

    @property
    def sentence(self) -> str:
        """Sentence about both numbers."""
        verdict = "agrees" if self.within else "DIFFERS"
        return (
            f"{self.name}: {self.found:g}, in the log {self.logged:g} "
            f"({100 * (self.found / self.logged - 1):+.1f} %, at most {100 * self.tolerance:g} %): {verdict}"
        )


def read_anchors() -> list[LogAnchor]:
    """Read the anchors of all methods and data sets."""
    entries = convert(list[dict[str, Any]], read_json(FILE), FILE.name)
    return [LogAnchor(**{**entry, "weights": tuple(entry["weights"])}) for entry in entries]


def find_anchor(anchors: list[LogAnchor], method: str, data: str) -> LogAnchor:
    """Find the anchor of a method on a data set.

    Raises:
        UsageError: there is none; the message lists what has one.
    """
    for anchor in anchors:
        if (anchor.method, anchor.data) == (method, data):
            return anchor
    known = ", ".join(f"{anchor.method} on {DATASETS.get(anchor.data).title}" for anchor in anchors)
    title = DATASETS.get(data).title
    raise UsageError(f"no released log is known for '{method}' on {title}; choose one of {known}")


def compare(anchor: LogAnchor, clusters: Mapping[str, int], losses: Mapping[int, float]) -> Iterator[Comparison]:
    """Compare an epoch with an anchor.

    Args:
        anchor: numbers of the log.
        clusters: number of clusters of each modality.
        losses: mean total loss over the steps up to a step, by its number from 1.
    """
    for modality, logged in anchor.clusters.items():
        yield Comparison(f"{modality} clusters", clusters[modality], logged, CLUSTERS)
    for step, mean in anchor.losses.items():
        tolerance = EARLY if int(step) <= EARLY_STEPS else LATE
        yield Comparison(f"mean loss over {step} steps", losses[int(step)], mean, tolerance)
