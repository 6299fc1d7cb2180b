"""What makes retrieval fail, on synthetic people: errors beside the ground truth that their generator wrote."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from usvi_bench.protocols.evaluation_file import SavedEvaluation
from usvi_bench.reports.bootstrap import mean_interval
from usvi_bench.reports.colours import difference
from usvi_bench.reports.style import NEUTRAL, PALETTE, SMALL, WRONG, new_figure, shared_legend

GROUND_TRUTH = "ground_truth.csv"
CLOTHES = ("top", "bottom", "pattern")
"""Columns that make an outfit."""
TRAITS = ("top", "top_colour", "pattern", "bottom", "bottom_colour", "shoes", "hat", "bag", "jacket")
"""Columns whose agreement is looked at, where the generator wrote them."""
ALIKE = 20.0
"""Largest distance in CIELAB of colours that count as the same; about 2 is just visible."""
OCCLUDED = 0.1
"""Share of a person that must be covered to be called occluded."""
VIEWS = ("front", "side", "back")


@dataclass(frozen=True, slots=True)
class Level:
    """Queries that share one level of a cause.

    Attributes:
        cause: ``camera``, ``view``, ``occlusion``, ``clothes``.
        level: for example ``camera 3``, ``back``.
        queries: how many.
        people: how many people they show.
        error: share whose first place is a wrong person.
        low: of its 95 % interval over people.
        high: of the same.
        average_precision: mean AP.
    """

    cause: str
    level: str
    queries: int
    people: int
    error: float
    low: float
    high: float
    average_precision: float


@dataclass(frozen=True, slots=True)
class Trait:
    """How often wrong first places share a trait with the query's person, and how often all wrong images do."""

    name: str
    confused: float
    expected: float


def read_truth(evaluation: SavedEvaluation) -> pd.DataFrame | None:
    """The ground truth beside the test images, by path; None where there is none."""
    path = evaluation.query.root / GROUND_TRUTH
    if not path.is_file():
        return None
    return pd.read_csv(path, keep_default_na=False).set_index("path")


def levels(evaluation: SavedEvaluation, truth: pd.DataFrame) -> list[Level]:
    """Errors of the valid queries by every level of every cause; causes without a choice are left out."""
    valid = ~np.isnan(evaluation.average_precision)
    shown = truth.loc[list(evaluation.query.paths)]
    table = pd.DataFrame(
        {
            "person": evaluation.query.identities,
            "wrong": ~evaluation.matches[:, 0],
            "ap": evaluation.average_precision,
            "camera": [f"camera {camera}" for camera in evaluation.query.cameras],
            "view": view_of(shown["azimuth"].to_numpy(float)),
            "occlusion": np.where(shown["occlusion"].to_numpy(float) >= OCCLUDED, "occluded", "clear"),
            "clothes": _shared(evaluation, truth),
        }
    )[valid]
    return [found for cause in ("camera", "view", "occlusion", "clothes") for found in _levels(table, cause)]


def view_of(azimuth: np.ndarray) -> np.ndarray:
    """Side of a person that the camera sees, of headings in radians (0: towards the camera)."""
    turned = np.abs((azimuth + np.pi) % (2 * np.pi) - np.pi)
    return np.select([turned <= np.pi / 4, turned >= 3 * np.pi / 4], ["front", "back"], "side")


def traits(evaluation: SavedEvaluation, truth: pd.DataFrame) -> tuple[list[Trait], int]:
    """What wrong first places have in common with the query's person, and how many of them there are.

    ``expected`` is what a wrong image picked at random from the gallery would share, over the same queries. Colours are
    drawn freely, so those at most ``ALIKE`` apart are the same; all else is compared by name.
    """
    valid = ~np.isnan(evaluation.average_precision)
    wrong = np.flatnonzero(valid & ~evaluation.matches[:, 0] & (evaluation.order[:, 0] >= 0))
    gallery = truth.loc[list(evaluation.gallery.paths)]
    queries = truth.loc[[evaluation.query.paths[row] for row in wrong]]
    first = evaluation.order[wrong, 0]
    others = evaluation.query.identities[wrong][:, None] != evaluation.gallery.identities
    columns = {"top, bottom and pattern": list(CLOTHES), **{n.replace("_", " "): [n] for n in TRAITS if n in truth}}
    found = []
    for label, names in columns.items():
        same = np.all([_alike(n, queries[n].to_numpy(str), gallery[n].to_numpy(str)) for n in names], axis=0)
        expected = np.sum(same & others, axis=1) / np.maximum(others.sum(axis=1), 1)
        confused = same[np.arange(len(wrong)), first]
        if len(wrong):
            found.append(Trait(label, float(confused.mean()), float(expected.mean())))
    return found, len(wrong)


def _alike(name: str, some: NDArray[np.str_], others: NDArray[np.str_]) -> NDArray[np.bool_]:
    """Whether each of some values of a trait is the same as each of others, ``[N, M]``."""
    return difference(some, others) <= ALIKE if name.endswith("_colour") else some[:, None] == others


def causes_figure(found: list[Level]) -> Figure:
    """Error at Rank-1 with its interval, a panel a cause; n beside every level."""
    causes = list(dict.fromkeys(level.cause for level in found))
    sizes = [sum(level.cause == cause for level in found) for cause in causes]
    figure, panels = new_figure(
        rows=len(causes), height=0.21 * len(found) + 0.17 * len(causes) + 0.3, ratios=tuple(sizes)
    )
    top = max(level.high for level in found)
    for axes, cause, colour in zip(panels, causes, PALETTE, strict=False):
        own = [level for level in found if level.cause == cause]
        for place, level in enumerate(own):
            axes.plot([level.low, level.high], [place, place], color=colour, linewidth=1.4, solid_capstyle="butt")
            axes.plot(level.error, place, "o", color=colour, markersize=3.5, clip_on=False)
            axes.text(
                1.02, place, f"n = {level.queries}", transform=axes.get_yaxis_transform(), va="center", fontsize=SMALL
            )
        axes.set_yticks(range(len(own)), [level.level for level in own])
        axes.set(ylim=(len(own) - 0.5, -0.5), xlim=(0, max(1.05 * top, 0.05)))
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=""))
        if axes is not panels[len(causes) - 1]:
            axes.tick_params(labelbottom=False)
    panels[len(causes) - 1].set_xlabel("queries with a wrong first place (%)")
    figure.align_ylabels()
    return figure


def traits_figure(found: list[Trait]) -> Figure:
    """Two points a trait: what wrong first places share, and what chance would give."""
    figure, (axes,) = new_figure(height=0.22 * len(found) + 0.6)
    for place, trait in enumerate(found):
        axes.plot([trait.expected, trait.confused], [place, place], color="0.75", linewidth=1.2, zorder=1)
    places = range(len(found))
    axes.scatter(
        [t.confused for t in found], places, color=[WRONG], marker="X", s=22, label="wrong first places", zorder=2
    )
    axes.scatter(
        [t.expected for t in found], places, color=[NEUTRAL], marker="o", s=14, label="wrong images at random", zorder=2
    )
    axes.set_yticks(places, [trait.name for trait in found])
    axes.set(ylim=(len(found) - 0.5, -0.5), xlim=(0, 1.0), xlabel="same as the query's person (%)")
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=""))
    shared_legend(figure)
    return figure


def _levels(table: pd.DataFrame, cause: str) -> Iterator[Level]:
    names = [name for name in VIEWS if name in set(table[cause])] if cause == "view" else sorted(set(table[cause]))
    for name in names if len(names) > 1 else ():
        own = table[table[cause] == name]
        error, low, high = mean_interval(own["wrong"].to_numpy(float), own["person"].to_numpy())
        people = own["person"].nunique()
        yield Level(cause, name, len(own), people, error, low, high, float(own["ap"].mean()))


def _shared(evaluation: SavedEvaluation, truth: pd.DataFrame) -> list[str]:
    """Whether somebody else in the gallery wears what the query's person wears."""
    names = list(CLOTHES)
    gallery = truth.loc[list(evaluation.gallery.paths)]
    wearers: dict[tuple[str, ...], set[int]] = {}
    for outfit, person in zip(
        gallery[names].itertuples(index=False), evaluation.gallery.identities.tolist(), strict=True
    ):
        wearers.setdefault(tuple(map(str, outfit)), set()).add(person)
    own = truth.loc[list(evaluation.query.paths)][names].itertuples(index=False)
    people = evaluation.query.identities.tolist()
    return [
        "shared outfit" if wearers.get(tuple(map(str, outfit)), set()) - {person} else "own outfit"
        for outfit, person in zip(own, people, strict=True)
    ]
