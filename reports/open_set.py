"""Open-set figures of one trial, with thresholds that were chosen on other people than they are reported on.

The people of the queries are split in two. Thresholds are chosen on the queries of one half and rates are measured on
those of the other; both ways are averaged. The gallery is that of all people, because FPIR grows with its size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from usvi_bench.core.seeding import numpy_generator
from usvi_bench.protocols.open_set import ONE_IN, Identification, Pairs, identify, roc, threshold
from usvi_bench.reports.bootstrap import ratio_interval

OPEN = 0.1
"""Smallest share of queries of people outside the gallery that makes a trial open-set as it stands."""
POINTS = 121
"""Number of points of a curve."""
Interval = tuple[float, float, float]
"""Value, and the lower and upper end of its 95 % interval over people; NaN if it is not defined."""
Identities = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Rates:
    """Rates at thresholds that aim at one false acceptance in ``one_in``.

    Attributes:
        one_in: aim.
        thresholds: threshold of each half of the people, used on the other; None if one cannot be chosen.
        values: measured rates by name; empty without thresholds.
    """

    one_in: int
    thresholds: tuple[float, float] | None
    values: Mapping[str, Interval]


@dataclass(frozen=True, eq=False, slots=True)
class OpenSet:
    """Open-set figures of a trial.

    Attributes:
        queries: number of queries.
        people: number of people with queries.
        genuine: number of genuine pairs.
        impostors: number of impostor pairs.
        enrolled: number of enrolled queries when people are identified.
        removed: number of people whose images left the gallery; 0 if the trial is open-set as it stands.
        verification: ``TAR`` and ``FAR`` of pairs.
        identification: ``FPIR``, ``DIR`` at rank 1, and ``found``, the share 1 - FPIR of the queries that are not
            enrolled and are found to be not in the gallery.
        curves: for figures, over all people: ``far``, ``tar``, ``fpir``, ``dir``.
    """

    queries: int
    people: int
    genuine: int
    impostors: int
    enrolled: int
    removed: int
    verification: tuple[Rates, ...]
    identification: tuple[Rates, ...]
    curves: Mapping[str, NDArray[np.float64]]


def open_set(pairs: Pairs, queries: Identities, gallery: Identities) -> OpenSet:
    """Compute the open-set figures of a trial.

    If fewer than 10 % of the queries show a person outside the gallery, the images of a random half of the people leave
    the gallery before people are identified. Verification uses all pairs.

    Args:
        pairs: all pairs of the trial.
        queries: ``[Q]`` identities of the queries.
        gallery: ``[G]`` identities of the gallery.

    Raises:
        ValueError: there is no genuine pair, or no impostor.
    """
    genuine, impostors = pairs.similarity[pairs.genuine], pairs.similarity[pairs.impostor]
    if not len(genuine) or not len(impostors):
        raise ValueError(f"{len(genuine)} pairs of one person and {len(impostors)} of two people: both are needed")
    people = np.unique(queries)
    halves = np.isin(queries, _half(people, "threshold"))
    ways = np.stack([halves, ~halves])
    left = np.empty(0, np.int64)
    if np.mean(~pairs.genuine.any(axis=1)) < OPEN:
        left = _half(people, "enrol")
    found = identify(pairs.without(np.isin(gallery, left)))
    far = _rates(len(impostors))
    return OpenSet(
        queries=len(queries),
        people=len(people),
        genuine=len(genuine),
        impostors=len(impostors),
        enrolled=int(found.enrolled.sum()),
        removed=len(left),
        verification=tuple(_verification(pairs, ways, queries, one_in) for one_in in ONE_IN),
        identification=tuple(_identification(found, ways, queries, one_in) for one_in in ONE_IN),
        curves={"far": far, "tar": roc(genuine, impostors, far), **_identification_curve(found)},
    )


def _half(people: Identities, purpose: str) -> Identities:
    """Draw half of the people; the seed is fixed, so that all methods have the same halves."""
    return numpy_generator(0, purpose, 1, 0).permutation(people)[: len(people) // 2]


def _verification(pairs: Pairs, ways: NDArray[np.bool_], queries: Identities, one_in: int) -> Rates:
    first, second = (threshold(pairs.similarity[way][pairs.impostor[way]], one_in) for way in ways)
    if first is None or second is None:
        return Rates(one_in, None, {})
    limits = (first, second)
    values = {}
    for name, kind in (("TAR", pairs.genuine), ("FAR", pairs.impostor)):
        above = np.stack([(kind & (pairs.similarity > limit)).sum(axis=1) for limit in limits])
        values[name] = _measured(above, np.stack([kind.sum(axis=1)] * 2), ways, queries)
    return Rates(one_in, limits, values)


def _identification(found: Identification, ways: NDArray[np.bool_], queries: Identities, one_in: int) -> Rates:
    unknown = ~found.enrolled
    first, second = (threshold(found.best[way & unknown], one_in) for way in ways)
    if first is None or second is None:
        return Rates(one_in, None, {})
    limits = (first, second)
    above = np.stack([found.best > limit for limit in limits])
    values = {
        "DIR": _measured(above & found.right, np.stack([found.enrolled] * 2), ways, queries),
        "FPIR": _measured(above & unknown, np.stack([unknown] * 2), ways, queries),
        "found": _measured(~above & unknown, np.stack([unknown] * 2), ways, queries),
    }
    return Rates(one_in, limits, values)


def _measured(
    hits: NDArray[np.generic], counts: NDArray[np.generic], ways: NDArray[np.bool_], queries: Identities
) -> Interval:
    """Measure a rate on the half that did not choose the threshold, and average both ways."""
    return ratio_interval(np.where(ways, 0.0, hits), np.where(ways, 0.0, counts), queries)


def _identification_curve(found: Identification) -> dict[str, NDArray[np.float64]]:
    """Compute DIR at rank 1 for rates of false identifications; empty if no query, or every query, is enrolled."""
    unknown, known = found.best[~found.enrolled], found.enrolled
    if not len(unknown) or not known.any():
        return {"fpir": np.empty(0), "dir": np.empty(0)}
    rates = _rates(len(unknown))
    right = found.best[known & found.right]
    share = roc(right, unknown, rates) * len(right) / known.sum() if len(right) else np.zeros(POINTS)
    return {"fpir": rates, "dir": share}


def _rates(number: int) -> NDArray[np.float64]:
    """Return the rates of a curve, from one false acceptance among ``number``, or 10 % if there are fewer than 10."""
    return np.geomspace(min(1 / number, 0.1), 0.999, POINTS)
