"""Distances between images of one person and of different people, within and across modalities."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from usvi_bench.protocols.evaluation_file import Sample
from usvi_bench.reports.style import COLUMN, RIGHT, SMALL, WRONG, new_figure, shared_legend

BINS = 30
KINDS = {"visible-visible": (False, False), "infrared-infrared": (True, True), "visible-infrared": (False, True)}
"""Pairs of modalities by name: whether the first and whether the second image is infrared."""


@dataclass(frozen=True, eq=False, slots=True)
class Distances:
    """Distances of all pairs of images of two modalities.

    Attributes:
        kind: a key of :data:`KINDS`.
        when: ``before training`` or ``after training``.
        same: cosine distances (0 to 2) of pairs of one person, ``[P]``.
        different: cosine distances of pairs of two people, ``[R]``.
    """

    kind: str
    when: str
    same: NDArray[np.float32]
    different: NDArray[np.float32]

    @property
    def overlap(self) -> float:
        """Probability that a pair of two people is nearer than a pair of one person; ties count half, 0 is best."""
        if not len(self.same) or not len(self.different):
            return float("nan")
        ascending = np.sort(self.different)
        below = np.searchsorted(ascending, self.same, side="left")
        upto = np.searchsorted(ascending, self.same, side="right")
        return float(np.mean(below + upto) / 2 / len(ascending))


def all_distances(sample: Sample) -> list[Distances]:
    """Compute distances before training (if features are stored) and after it, for each pair of modalities."""
    parts = {"before training": sample.before, "after training": sample.features}
    return [
        found
        for when, features in parts.items()
        if features is not None
        for found in _distances(features.astype(np.float32), sample, when)
    ]


def _distances(features: NDArray[np.float32], sample: Sample, when: str) -> Iterator[Distances]:
    for kind, (first, second) in KINDS.items():
        rows, columns = (np.flatnonzero(sample.infrared == side) for side in (first, second))
        distance = 1 - features[rows] @ features[columns].T
        same = sample.identities[rows][:, None] == sample.identities[columns]
        pairs = np.ones(distance.shape, dtype=bool)
        if first == second:
            pairs = np.triu(pairs, k=1)  # each pair once, without pairs of an image with itself
        yield Distances(kind, when, distance[pairs & same], distance[pairs & ~same])


def edges_of(found: list[Distances]) -> NDArray[np.float64]:
    """Return equal bins over the range of all drawn distances."""
    highest = max((float(part.max()) for each in found for part in (each.same, each.different) if len(part)), default=1)
    return np.linspace(0, highest, BINS + 1)


def density(distances: NDArray[np.float32], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute a histogram of unit area; zeros without pairs. Distances below 0 by rounding are clipped."""
    counts = np.histogram(np.clip(distances, edges[0], edges[-1]), edges)[0]
    heights: NDArray[np.float64] = counts / max(counts.sum(), 1) / np.diff(edges)
    return heights


def distances_figure(found: list[Distances], width: float = COLUMN) -> Figure:
    """Draw distances: one row per pair of modalities, one column per time, with the overlap in each panel."""
    times = list(dict.fromkeys(each.when for each in found))
    edges = edges_of(found)
    figure, panels = new_figure(len(times), rows=len(KINDS), height=0.95 * len(KINDS) + 0.5, width=width)
    middles = (edges[1:] + edges[:-1]) / 2
    for row, kind in enumerate(KINDS):
        for column, when in enumerate(times):
            axes = panels[row * len(times) + column]
            (each,) = (each for each in found if (each.kind, each.when) == (kind, when))
            for part, colour, dashes, label in (
                (each.same, RIGHT, "-", "same person"),
                (each.different, WRONG, "--", "different people"),
            ):
                heights = density(part, edges)
                axes.fill_between(middles, heights, color=colour, alpha=0.25, linewidth=0)
                axes.plot(middles, heights, color=colour, linestyle=dashes, label=label)
            words = f"overlap {each.overlap:.3f}"
            axes.text(0.98, 0.95, words, transform=axes.transAxes, ha="right", va="top", fontsize=SMALL)
            axes.set(xlim=(0, edges[-1]), yticks=[])
            axes.set_ylim(0, 1.3 * axes.dataLim.y1)
            axes.set_ylabel(f"{kind}\ndensity" if column == 0 else "", fontsize=SMALL)
            if row == 0:
                axes.set_title(when)
            if row + 1 < len(KINDS):
                axes.tick_params(labelbottom=False)
            else:
                axes.set_xlabel("cosine distance")
    shared_legend(figure)
    return figure


def distances_counts(sample: Sample) -> str:
    """Return the numbers of images, people and pairs."""
    size, infrared = len(sample.identities), int(sample.infrared.sum())
    return (
        f"{size - infrared} visible and {infrared} infrared test images of {len(np.unique(sample.identities))} people "
        f"({size * (size - 1) // 2:,} pairs)"
    )


def distances_caption(sample: Sample) -> str:
    """Return the caption of the figure."""
    return (
        f"Cosine distances (1 - similarity) of all pairs among {distances_counts(sample)}, each distribution with unit "
        f"area in {BINS} bins, one row per pair of modalities. Overlap: probability that images of two people are "
        "nearer than two images of one person (0: perfect separation, 0.5: no separation)."
    )
