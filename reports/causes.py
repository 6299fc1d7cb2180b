"""Causes of retrieval errors on synthetic people, from the ground truth of their generator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from usvi_bench.protocols.evaluation_file import SavedEvaluation
from usvi_bench.reports.bootstrap import mean_interval
from usvi_bench.reports.colours import difference
from usvi_bench.reports.style import COLUMN, NEUTRAL, PALETTE, SMALL, WRONG, new_figure, shared_legend, show_percent

GROUND_TRUTH = "ground_truth.csv"
CLOTHES = ("top", "bottom", "pattern")
"""Columns that define an outfit."""
TRAITS = ("top", "top_colour", "pattern", "bottom", "bottom_colour", "shoes", "hat", "bag", "jacket")
"""Compared columns; columns missing in the ground truth are skipped."""
ALIKE = 20.0
"""Largest CIELAB distance of colours that count as equal; a distance of about 2 is just visible."""
OCCLUDED = 0.1
"""Smallest covered share of a person that counts as occluded."""
VIEWS = ("front", "side", "back")


@dataclass(frozen=True, slots=True)
class Level:
    """Level of a cause, with the errors of its queries.

    Attributes:
        cause: ``all``, ``camera``, ``view``, ``occlusion``, ``clothes``.
        level: for example ``camera 3``, ``back``.
        queries: number of queries.
        people: number of people in these queries.
        error: share of queries with a wrong person at rank 1.
        low: lower end of the 95 % interval of ``error`` over people.
        high: upper end of this interval.
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
    """Trait shared with the query's person.

    Attributes:
        confused: share among wrong images at rank 1.
        low: lower end of the 95 % interval of ``confused`` over the people of the queries.
        high: upper end of this interval.
        expected: share among all wrong images.
    """

    name: str
    confused: float
    low: float
    high: float
    expected: float


def read_truth(evaluation: SavedEvaluation) -> pd.DataFrame | None:
    """Read the ground truth next to the test images, by path; None if the file does not exist."""
    path = evaluation.query.root / GROUND_TRUTH
    if not path.is_file():
        return None
    return pd.read_csv(path, keep_default_na=False).set_index("path")


def levels(evaluation: SavedEvaluation, truth: pd.DataFrame) -> list[Level]:
    """Compute errors of all valid queries and for each level of each cause; causes with one level are omitted."""
    valid = ~np.isnan(evaluation.average_precision)
    shown = truth.loc[list(evaluation.query.paths)]
    table = pd.DataFrame(
        {
            "person": evaluation.query.identities,
            "all": "all queries",
            "wrong": ~evaluation.matches[:, 0],
            "ap": evaluation.average_precision,
            "camera": [f"camera {camera}" for camera in evaluation.query.cameras],
            "view": view_of(shown["azimuth"].to_numpy(float)),
            "occlusion": np.where(shown["occlusion"].to_numpy(float) >= OCCLUDED, "occluded", "clear"),
            "clothes": _shared(evaluation, truth),
        }
    )[valid]
    found = [level for cause in ("camera", "view", "occlusion", "clothes") for level in _levels(table, cause)]
    return [_level(table, "all", "all queries"), *found] if found else []


def view_of(azimuth: np.ndarray) -> np.ndarray:
    """Return the side of a person that the camera sees, from headings in radians (0: towards the camera)."""
    turned = np.abs((azimuth + np.pi) % (2 * np.pi) - np.pi)
    return np.select([turned <= np.pi / 4, turned >= 3 * np.pi / 4], ["front", "back"], "side")


def traits(evaluation: SavedEvaluation, truth: pd.DataFrame) -> tuple[list[Trait], int, int]:
    """Compute the traits that wrong images at rank 1 share with the query's person.

    ``expected`` is the value for a random wrong image of the gallery, over the same queries. Colours are continuous, so
    those at most ``ALIKE`` apart count as equal. All other traits are compared by name.

    Returns:
        Traits, and the numbers of queries with a wrong image at rank 1 and of their people.
    """
    valid = ~np.isnan(evaluation.average_precision)
    wrong = np.flatnonzero(valid & ~evaluation.matches[:, 0] & (evaluation.order[:, 0] >= 0))
    gallery = truth.loc[list(evaluation.gallery.paths)]
    queries = truth.loc[[evaluation.query.paths[row] for row in wrong]]
    first, people = evaluation.order[wrong, 0], evaluation.query.identities[wrong]
    others = people[:, None] != evaluation.gallery.identities
    columns = {"top, bottom and pattern": list(CLOTHES), **{n.replace("_", " "): [n] for n in TRAITS if n in truth}}
    found = []
    for label, names in columns.items():
        same = np.all([_alike(n, queries[n].to_numpy(str), gallery[n].to_numpy(str)) for n in names], axis=0)
        expected = np.sum(same & others, axis=1) / np.maximum(others.sum(axis=1), 1)
        confused = same[np.arange(len(wrong)), first]
        if len(wrong):
            found.append(Trait(label, *mean_interval(confused.astype(float), people), float(expected.mean())))
    return found, len(wrong), len(np.unique(people))


def _alike(name: str, some: NDArray[np.str_], others: NDArray[np.str_]) -> NDArray[np.bool_]:
    """Compare each of ``some`` values of a trait with each of ``others``, ``[N, M]``."""
    return difference(some, others) <= ALIKE if name.endswith("_colour") else some[:, None] == others


def causes_figure(found: list[Level], width: float = COLUMN) -> Figure:
    """Draw the error at rank 1 with its interval and n for each level, one panel per cause.

    A dashed line marks the error of all queries.
    """
    causes = list(dict.fromkeys(level.cause for level in found))
    sizes = [sum(level.cause == cause for level in found) for cause in causes]
    figure, panels = new_figure(
        rows=len(causes), height=0.21 * len(found) + 0.17 * len(causes) + 0.3, ratios=tuple(sizes), width=width
    )
    top = max(level.high for level in found)
    for axes, cause, colour in zip(panels, causes, (NEUTRAL, *PALETTE), strict=False):
        axes.axvline(found[0].error, color=NEUTRAL, linewidth=0.8, linestyle="--", zorder=1)
        own = [level for level in found if level.cause == cause]
        for place, level in enumerate(own):
            axes.plot([level.low, level.high], [place, place], color=colour, linewidth=1.4, solid_capstyle="butt")
            axes.plot(level.error, place, "o", color=colour, markersize=3.5, clip_on=False)
            axes.text(
                1.02,
                place,
                f"{100 * level.error:.0f} %, n = {level.queries}",
                transform=axes.get_yaxis_transform(),
                va="center",
                fontsize=SMALL,
            )
        axes.set_yticks(range(len(own)), [level.level for level in own])
        axes.set(ylim=(len(own) - 0.5, -0.5), xlim=(0, max(1.05 * top, 0.05)))
        show_percent(axes.xaxis)
        if axes is not panels[len(causes) - 1]:
            axes.tick_params(labelbottom=False)
    panels[len(causes) - 1].set_xlabel("queries with a wrong person at rank 1 (%)")
    figure.align_ylabels()
    return figure


def traits_figure(found: list[Trait], width: float = COLUMN) -> Figure:
    """Draw two points per trait: the share among wrong images at rank 1, with its interval, and among random ones."""
    figure, (axes,) = new_figure(height=0.22 * len(found) + 0.6, width=width)
    for place, trait in enumerate(found):
        axes.plot([trait.low, trait.high], [place, place], color=WRONG, linewidth=1.2, zorder=1, clip_on=False)
    places = range(len(found))
    for values, label, colour, marker, size in (
        ([t.confused for t in found], "wrong images at rank 1", WRONG, "X", 22),
        ([t.expected for t in found], "random wrong images", NEUTRAL, "o", 14),
    ):
        axes.scatter(values, places, color=[colour], marker=marker, s=size, label=label, zorder=3, clip_on=False)
    axes.set_yticks(places, [trait.name for trait in found])
    axes.set(ylim=(len(found) - 0.5, -0.5), xlim=(0, 1.0), xlabel="same as the query's person (%)")
    show_percent(axes.xaxis)
    shared_legend(figure)
    return figure


def _levels(table: pd.DataFrame, cause: str) -> Iterator[Level]:
    names = [name for name in VIEWS if name in set(table[cause])] if cause == "view" else sorted(set(table[cause]))
    for name in names if len(names) > 1 else ():
        yield _level(table, cause, name)


def _level(table: pd.DataFrame, cause: str, name: str) -> Level:
    own = table[table[cause] == name]
    error, low, high = mean_interval(own["wrong"].to_numpy(float), own["person"].to_numpy())
    return Level(cause, name, len(own), own["person"].nunique(), error, low, high, float(own["ap"].mean()))


def _shared(evaluation: SavedEvaluation, truth: pd.DataFrame) -> list[str]:
    """Label each query by whether another person in the gallery has the same outfit."""
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
