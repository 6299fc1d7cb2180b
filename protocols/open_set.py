"""Open-set figures of a similarity: thresholds, verification of pairs, and queries of people outside the gallery.

A pair is a query and a gallery image that is not ignored in its ranking; it is genuine if both show one person, else
an impostor. A query is enrolled if the gallery has an image of its person that is not ignored. Pairs and queries are
accepted if their similarity is *above* a threshold. See P. J. Grother, M. L. Ngan and K. K. Hanaoka, Face Recognition
Vendor Test Part 2: Identification, NISTIR 8271, 2019, for FPIR; DIR at rank 1 is 1 - FNIR(1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ONE_IN = (10, 100, 1000)
"""Rates at which thresholds are chosen: one false acceptance in so many (FAR or FPIR of 0.1, 0.01, 0.001)."""

Values = NDArray[np.floating]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False, slots=True)
class Pairs:
    """Pairs of all queries and gallery images of one trial.

    Attributes:
        similarity: ``[Q, G]``, higher is more alike.
        same: ``[Q, G]`` whether both images show one person.
        seen: ``[Q, G]`` whether the image is in the ranking of the query.
    """

    similarity: Values
    same: Mask
    seen: Mask

    @property
    def genuine(self) -> Mask:
        """Pairs of one person."""
        return self.same & self.seen

    @property
    def impostor(self) -> Mask:
        """Pairs of two people."""
        return ~self.same & self.seen

    def without(self, images: Mask) -> Pairs:
        """Remove gallery images, given as a mask ``[G]``."""
        return Pairs(self.similarity, self.same, self.seen & ~images)


@dataclass(frozen=True, eq=False, slots=True)
class Identification:
    """Identification of each query by its best image.

    Attributes:
        enrolled: ``[Q]`` whether the gallery has an image of the person.
        best: ``[Q]`` highest similarity; -inf if the ranking is empty.
        right: ``[Q]`` whether this image shows the person; the first of equal images counts.
    """

    enrolled: Mask
    best: Values
    right: Mask


def threshold(false: Values, one_in: int) -> float | None:
    """Choose the threshold at which at most one of ``one_in`` wrong similarities is above it.

    With the similarities sorted, highest first, from 0, it is that of number floor(n / one_in). None if there are fewer
    than ``one_in``, because a single one above the threshold would be too many.

    >>> threshold(np.array([0.1, 0.9, 0.5, 0.4]), 2), threshold(np.array([0.1, 0.9]), 4)
    (0.4, None)
    """
    if len(false) < one_in:
        return None
    place = len(false) - 1 - len(false) // one_in
    return float(np.partition(false, place)[place])


def identify(pairs: Pairs) -> Identification:
    """Find the best image of each query."""
    visible = np.where(pairs.seen, pairs.similarity, -np.inf)
    first = visible.argmax(axis=1)
    rows = np.arange(len(visible))
    enrolled: Mask = np.any(pairs.genuine, axis=1)
    return Identification(enrolled, visible[rows, first], pairs.genuine[rows, first])


def roc(genuine: Values, impostor: Values, rates: Sequence[float] | Values) -> NDArray[np.float64]:
    """Compute the highest share of accepted genuine pairs with at most given shares of accepted impostors.

    Args:
        genuine: similarities of genuine pairs.
        impostor: similarities of impostors.
        rates: largest shares of impostors, below 1.

    Returns:
        One share for each rate.
    """
    descending = np.sort(impostor)[::-1]
    limits = descending[(np.asarray(rates) * len(impostor)).astype(np.int64)]
    ascending = np.sort(genuine)
    shares: NDArray[np.float64] = 1 - np.searchsorted(ascending, limits, side="right") / len(genuine)
    return shares
